"""Data sets in the form of Hugging Face: their rows, and the labels in them."""
