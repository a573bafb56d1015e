"""Why a worker ended, in words."""

import signal

import pytest

from pipeline.hardware import memory
from pipeline.search.workers.exit_reason import explain_exit, is_stopped_by_others


@pytest.mark.parametrize(
    ("code", "kills", "output", "reason"),
    [
        (3, (0, 0), "", "its process ended with exit code 3"),
        (1, (0, 0), "a\n\nb\n", "its process ended with exit code 1; its last words were 'b'"),
        (97, (0, 0), "", "it closed files that are not its own"),
        (-11, (0, 0), "", "its process was ended by SIGSEGV (it used memory that is not its own)"),
        (-9, (4, 4), "", "its process was ended by SIGKILL"),
        (-9, (4, 5), "", "out of memory: the system ended its process (SIGKILL)"),
        (-9, (None, None), "", "its process was ended by SIGKILL (out of memory?)"),
        (-6, (0, 0), "std::bad_alloc", "out of memory: its process was ended by SIGABRT (bad_alloc)"),
        (-int(signal.SIGRTMIN) - 1, (0, 0), "", f"its process was ended by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_an_exit_code_is_explained(
    monkeypatch: pytest.MonkeyPatch, code: int, kills: tuple[int | None, int | None], output: str, reason: str
) -> None:
    monkeypatch.setattr(memory, "count_oom_kills", lambda: kills[1])
    assert explain_exit(code, kills[0], output) == reason


def test_who_was_asked_to_stop() -> None:
    assert is_stopped_by_others(-signal.SIGTERM)
    assert not is_stopped_by_others(-signal.SIGKILL)
    assert not is_stopped_by_others(1)
    assert not is_stopped_by_others(None)
