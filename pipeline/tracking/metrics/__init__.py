"""The metrics of MLflow: numbers of a trial, an evaluation and a cost under their names on disk. Pure."""
