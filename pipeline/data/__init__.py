"""From a user's files to prepared arrays."""
