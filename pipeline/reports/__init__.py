"""Reports: everything that is drawn or written for a person to read. Nothing here talks to MLflow."""
