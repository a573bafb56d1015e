"""The process of a command: its words, its exit code, its end."""

import gc
import signal
import sys
from contextlib import AbstractContextManager

import pytest

from pipeline import __main__, cli, files, signals
from tests.support.signalled import stop_at_each_line


def test_a_command_ends_without_a_look_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(words: list[str]) -> int:
        assert sys.argv == ["fulcrum"]
        return len(words)

    monkeypatch.setattr("pipeline.cli.main", main)
    monkeypatch.setattr(sys, "argv", ["fulcrum", "run", "optimizer=sgd"])
    gc.unfreeze()
    assert __main__.run() == 2
    assert gc.get_freeze_count() > 10_000


def test_ctrl_c_before_a_command_listens_ends_the_process_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handlers, own = list[object](), files.own_temporary_folder

    def note_handler() -> AbstractContextManager[None]:
        handlers.append(signal.getsignal(signal.SIGINT))
        return own()

    monkeypatch.setattr(files, "own_temporary_folder", note_handler)
    monkeypatch.setattr("pipeline.cli.main", lambda _words: 0)
    monkeypatch.setattr(sys, "argv", ["fulcrum", "run"])
    assert __main__.run() == 0
    assert handlers == [signal.SIG_DFL]


def test_a_signal_as_a_command_begins_or_ends_is_one_line_and_after_it_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_run", lambda _command, _words: None)
    codes = list[int]()
    for place, error in stop_at_each_line(lambda: codes.append(cli.main(["studies"])), "/signals.py"):
        assert error is None, place
        assert capsys.readouterr().err.startswith("stopped by SIGTERM"), place
    assert codes == [128 + signal.SIGTERM] * (len(codes) - 1) + [0]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_in_the_last_block_of_a_command_is_told_before_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Block:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None:
            signal.raise_signal(signal.SIGTERM)  # waits for the end of this, and there is nothing behind it

    def run(_command: str, _words: list[str]) -> None:
        with Block():
            pass

    monkeypatch.setattr(cli, "_run", run)
    assert cli.main(["studies"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "stopped by SIGTERM\n"
    assert not signals._timers  # which would end the process without a word
