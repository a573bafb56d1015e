"""The record in MLflow; the only room that imports it."""
