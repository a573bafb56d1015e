"""The stages: each a verb that takes values and returns a value."""
