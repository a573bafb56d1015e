"""What is said of a server of the stores that has gone, or refuses, in the middle of a command."""

import re
import sqlite3

from pipeline.errors import StoreUnusable, read_first_line
from pipeline.secrets import mask
from pipeline.settings.addresses import read_uri

AGAIN = "then give the same command again: what was recorded is kept"
REFUSALS = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


def explain_lost_server(error: BaseException | None) -> StoreUnusable | None:
    """Return the error for a server that was waited for in vain; None where something else is the reason.

    The libraries' errors are told by their names: most commands end without having imported them. What an
    error of ours was raised in place of (`from None`) is explained by that.
    """
    while error is not None:
        kind = f"{type(error).__module__}.{type(error).__name__}"
        if kind.startswith("mlflow.exceptions.") and (explained := _explain_mlflow(error)):
            return explained
        driver_error = getattr(error, "orig", None)
        if kind == "sqlalchemy.exc.OperationalError" and not isinstance(driver_error, sqlite3.Error):
            reason = read_first_line(driver_error or error)
            return StoreUnusable(f"a database does not answer any more ({reason}); start it anew, {AGAIN}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _explain_mlflow(error: BaseException) -> StoreUnusable | None:
    """Return the error for what MLflow's client says of a server; None for any other error of MLflow."""
    server, text = mask(read_uri()), str(error)
    if getattr(error, "error_code", "") in REFUSALS:
        line = read_first_line(error).rstrip(".")
        return StoreUnusable(f"{server} does not let you do that ({line}); ask who runs it, {AGAIN}")
    if not text.startswith("API request to"):
        return None
    found = re.search(r"\[Errno -?\d+\] ([\w ]+)", text) or re.search(r"(error code \d+|timed out)", text)
    reason = f" ({found[1].strip()})" if found else ""
    return StoreUnusable(f"{server} does not answer any more{reason}; start it anew, {AGAIN}")
