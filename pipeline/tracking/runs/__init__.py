"""A run of MLflow beside what is written into it: its owner, its lease, its command and its params."""
