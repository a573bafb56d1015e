"""The command `serve-bench`: a served model under load."""
