"""The record in MLflow; the only room that imports it."""

import os

from pipeline.files import any_home, has_home
from pipeline.processes.late_modules import put_off

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Else it prints two lines for each run of a server that ends, into the screen and the output of --json.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

# It brings a web server: an eighth of what MLflow takes to import.
put_off("mlflow.gateway")

if not has_home():
    with any_home():
        import mlflow  # noqa: F401
