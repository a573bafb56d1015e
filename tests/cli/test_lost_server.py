"""A server that goes away in the middle of a command is told in one line, with what to do."""

import sqlite3

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from sqlalchemy.exc import OperationalError

from pipeline.cli import explain_error
from pipeline.cli.lost_server import explain_lost_server
from pipeline.errors import BadInput

GONE = "API request to http://h:5000/api/2.0 failed with exception HTTPConnectionPool(host='h', port=5000): "


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            MlflowException(f"{GONE}Max retries exceeded (Caused by X: [Errno 111] Connection refused'))"),
            "http://ann:***@h:5000 does not answer any more (Connection refused); start it anew, then give",
        ),
        (
            MlflowException(
                "API request to endpoint /api failed with error code 503 != 200. Response body: ''"
            ),
            "http://ann:***@h:5000 does not answer any more (error code 503); start it anew, then give",
        ),
        (
            MlflowException("PERMISSION_DENIED: Permission denied.", error_code=PERMISSION_DENIED),
            "http://ann:***@h:5000 does not let you do that (PERMISSION_DENIED: Permission denied); ask who",
        ),
        (
            OperationalError("SELECT 1", {}, ConnectionError("server closed the connection\nunexpectedly")),
            "a database does not answer any more (server closed the connection); start it anew, then give",
        ),
    ],
)
def test_it_is_one_line(error: Exception, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:geheim@h:5000")
    outer = RuntimeError("while it was closed")
    outer.__context__ = error
    explained = explain_error(outer)
    assert explained is not None
    assert str(explained).startswith(line)
    assert (explained.exit_code, len(str(explained).splitlines())) == (1, 1)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("Model not found"),
        OperationalError("SELECT 1", {}, sqlite3.OperationalError("no such table")),
        ValueError("API request to"),
        None,
    ],
)
def test_other_errors_are_left(error: Exception | None) -> None:
    assert explain_lost_server(error) is None


def test_what_stands_in_the_place_of_the_reason_is_said_instead() -> None:
    """A server that has never answered was not lost: that is a wrong address, and nothing was recorded."""
    error = BadInput("MLFLOW_TRACKING_URI must name a store that answers")
    error.__context__, error.__suppress_context__ = MlflowException(f"{GONE}timed out"), True  # `from None`
    assert explain_error(error) is None
