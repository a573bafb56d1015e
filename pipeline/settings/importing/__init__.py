"""What a user's code that the settings name can be imported by."""
