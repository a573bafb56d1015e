"""Stores of runs, models and studies on servers: whether they answer."""
