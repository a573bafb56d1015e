"""Points that are spread more evenly than random ones."""
