"""Everything that is drawn or written for a person."""
