"""Load on a server, as many independent callers make it, and what they wait."""
