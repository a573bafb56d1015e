"""What is true of the last run that this command has ended, for the sentence that a stopped command says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunEnd:
    """A sentence without its point; `is_whole`: nothing is missing in the run."""

    text: str
    is_whole: bool


_last: list[RunEnd] = []


def note_end(run_id: str, status: str, is_whole: bool, is_added_to: bool = False) -> None:
    """Note that a run is recorded with this status by now. `is_added_to`: it had ended before the command."""
    text = f"its run {run_id} is recorded as {status}"
    if is_whole:
        text = f"all of the run {run_id} is recorded, as {status}"
    elif is_added_to:
        text = f"the run {run_id} stays {status}, without what was still to be added"
    _last[:] = [RunEnd(text, is_whole)]


def read_end() -> RunEnd | None:
    """Return what was noted last; None where no run was ended since `forget_end`."""
    return _last[0] if _last else None


def forget_end() -> None:
    """Forget the run of an earlier command of this process."""
    _last.clear()
