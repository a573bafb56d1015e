"""Keras models: built, trained weights put in, exported."""
