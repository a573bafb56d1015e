"""MLflow's scoring server, for models of this product: cells are read as they were sent, errors are a line.

By itself it reads CSV by pandas' guesses ("00501" is 501, "NA" a missing cell), or by types that a signature
states for each column, into which "1,234" or null do not fit; and what it refuses it repeats with all of the
data, and CSV with a stack trace.
"""

import csv
import io
import json
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, TypeAlias

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from pipeline.errors import BadRequest, format_one_line
from pipeline.formatting import format_count, shorten

MODULE = "mlflow.pyfunc.scoring_server"
JSON, CSV = "application/json", "text/csv"
FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")
SEPARATORS = ",;\t"
Answer: TypeAlias = Callable[[Any], tuple[dict[str, Any], tuple[str, ...]]]
"""The columns of the answer to what was sent, and notes."""


def take_over() -> None:
    """Let MLflow's scoring server in this process answer requests to models of this product here."""
    server = _import_server()
    original = getattr(server, "invocations", None)
    if original is None or hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def invocations(data: Any, content_type: str | None, model: Any, input_schema: Any) -> Any:
        answer = _find_answer(getattr(model, "_model_impl", None))
        kind = (content_type or JSON).partition(";")[0].strip().lower()
        if answer is None or kind not in (JSON, CSV):
            return original(data, content_type or JSON, model, input_schema)
        text = answer_request(data, kind, answer)
        return server.InvocationsResponse(response=text, status=200, mimetype=JSON)

    server.invocations = invocations


def _import_server() -> Any:
    try:
        return import_module(MODULE)
    except ImportError:  # of what a server needs beyond MLflow itself
        return None


def _find_answer(model: Any) -> Answer | None:
    """Return what answers for a model of ours; None for others. One of an earlier release has no notes."""
    answer, plain = getattr(model, "answer_with_notes", None), getattr(model, "answer", None)
    return answer if answer or not plain else lambda sent: (plain(sent), ())


def answer_request(body: bytes | str, kind: str, answer: Answer) -> str:
    """Return the answer to the body of a request as JSON, with notes where there are any.

    `kind`: its content type.

    Raises:
        MlflowException: it cannot be answered; the server makes HTTP 400 of that.
    """
    try:
        text = body.decode("utf-8-sig") if isinstance(body, bytes) else body
        columns, notes = answer(read_csv(text) if kind == CSV else read_json(text))
    except (BadRequest, UnicodeDecodeError) as error:
        raise MlflowException(format_one_line(str(error)), error_code=BAD_REQUEST) from None
    lists = {name: values.tolist() for name, values in columns.items()}
    rows = [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
    return json.dumps({"predictions": rows} | ({"notes": notes} if notes else {}))


def read_json(text: str) -> Any:
    """Return what the body of a request holds, in any of MLflow's forms.

    Raises:
        BadRequest: it is no JSON, or in another form.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"a request must be JSON, got: {error}") from None
    forms = [name for name in FORMATS if isinstance(body, dict) and name in body]
    if len(forms) != 1:
        got = ", ".join(map(str, body)) if isinstance(body, dict) else type(body).__name__
        raise BadRequest(
            f"a request must be a JSON object with one of {', '.join(FORMATS)}, got {shorten(got, 120)}"
        )
    return _read_split(body[forms[0]]) if forms[0] == FORMATS[0] else body[forms[0]]


def _read_split(frame: Any) -> Any:
    rows = frame.get("data") if isinstance(frame, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadRequest('dataframe_split must be {"columns": [...], "data": [[...], ...]}, got no such data')
    names = frame.get("columns")
    if names is None:
        return rows
    if not isinstance(names, list) or any(len(row) != len(names) for row in rows):
        raise BadRequest("dataframe_split must have a cell for each column in every row")
    return {str(name): [row[number] for row in rows] for number, name in enumerate(names)}


def read_csv(text: str) -> dict[str, list[str]]:
    """Return the cells of CSV by column, as text.

    Raises:
        BadRequest: it has no header, or a row of another number of cells.
    """
    csv.field_size_limit(sys.maxsize)  # a cell may be a file
    separator = max(SEPARATORS, key=text.partition("\n")[0].count)
    try:
        rows = [
            row
            for row in csv.reader(
                io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
            )
            if row
        ]
    except csv.Error as error:
        raise BadRequest(f"CSV must close every quote, got: {error}") from None
    if not rows:
        raise BadRequest("CSV must have a header with the names of the columns, got nothing")
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise BadRequest(
                f"CSV must have {format_count(len(names), 'cell')} in every row, as its header has, "
                f"got {len(row)} in row {number}"
            )
    if len(set(names)) != len(names):
        raise BadRequest("CSV must have different names of columns, got one twice")
    return {name: [row[number] for row in rows[1:]] for number, name in enumerate(names)}
