"""A model as MLflow saves and serves it: with the code that reads a request."""
