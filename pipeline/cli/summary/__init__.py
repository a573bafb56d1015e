"""What a command prints at its end: a few lines for a person."""
