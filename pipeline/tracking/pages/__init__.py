"""The page of a study while it is searched, and the server that shows it beside MLflow."""
