"""The command `frontier`: the frontier of a study, or one point that is chosen on it."""
