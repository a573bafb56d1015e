"""The card of a model: what it was trained on, how good it is for certain, what it cost, and its limits."""
