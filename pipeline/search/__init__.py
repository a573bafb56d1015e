"""A sweep: what to try next, who trains it, what came out."""
