"""The text on a run's page: what this product writes there, and what a person has written, which stays.

What is written stands between two comments of HTML, which the page does not show. The first bears a digest:
where a person has changed something between them, all of it is theirs.
"""

import hashlib
import re

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.formatting import format_code
from pipeline.secrets import mask
from pipeline.tracking import mlflow_runs
from pipeline.tracking.mlflow_runs import NOTE, TAG_LIMIT
from pipeline.tracking.runs.command_record import COMMAND

_MARKED = re.compile(r"<!-- fulcrum ([0-9a-f]{8}) -->\n(.*?)\n<!-- fulcrum -->", re.DOTALL)
_MARK_LETTERS = len("<!-- fulcrum 01234567 -->\n\n<!-- fulcrum -->\n\n")
FIRST_OF_STUDY = "[See "
"""How the text of a study begins; earlier releases wrote it without marks."""


def write_note(client: MlflowClient, run_id: str, text: str) -> None:
    """Write Markdown on a run's page in the place of what was written before; a person's own text stays."""
    tags = client.get_run(run_id).data.tags
    note = merge_note(tags.get(NOTE, ""), text, tags.get(COMMAND, ""))
    mlflow_runs.set_tags(client, run_id, {NOTE: note})


def merge_note(before: str, text: str, command: str = "") -> str:
    """Merge a text with what stands on a page, within MLflow's limit.

    `command`: of the run; its page begins as this command, without marks.
    """
    text = mask(text)
    for ours in _MARKED.finditer(before):
        if _digest(ours[2]) == ours[1]:
            above, below = before[: ours.start()].strip(), before[ours.end() :].strip()
            break
    else:
        above, below = _MARKED.sub(r"\2", _remove_unmarked(before, command)), ""
    room = TAG_LIMIT - len(above) - len(below) - _MARK_LETTERS
    text = text.strip()[: max(room, 0)]
    marked = f"<!-- fulcrum {_digest(text)} -->\n{text}\n<!-- fulcrum -->" if text else ""
    return "\n\n".join(part for part in (above, marked, below) if part)


def is_edited(client: MlflowClient, run_id: str, written: str) -> bool:
    """Return whether a person has changed the text that was `written` when the run was opened."""
    try:
        return bool(client.get_run(run_id).data.tags.get(NOTE, written) != written)
    except MlflowException:  # it was removed
        return False


def _remove_unmarked(before: str, command: str) -> str:
    """Remove what this product has written without marks."""
    if before.startswith(FIRST_OF_STUDY):
        return ""
    return (before.replace(format_code(command), "", 1) if command else before).strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
