"""A database server that is started anew is waited for; one that has never answered is not."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pipeline.search.storage import server_waiting


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_waiting, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(server_waiting, "_answered", set())


def connect(answers: Iterator[object], **asks: str) -> object:
    def answer(**_: object) -> object:
        if isinstance(given := next(answers), Exception):
            raise given
        return given

    return server_waiting.connect(SimpleNamespace(connect=answer), (), {"host": "h", "port": 5432, **asks})


def test_one_that_has_answered_is_waited_for_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    away = ConnectionError("refused")
    answers = iter(["first", away, away, away, "second"])
    assert connect(answers) == "first"
    assert connect(answers) == "second"
    assert capsys.readouterr().err == "h:5432 does not answer; waiting for up to 90 s\n"


def test_one_that_never_answered_or_was_waited_for_in_vain_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = ConnectionError("refused")
    with pytest.raises(ConnectionError):
        connect(iter([away]))
    connect(iter(["first"]))
    for asks in ({"user": "nobody"}, {"dbname": "none"}, {"database": "none"}):  # a word that is wrong
        with pytest.raises(ConnectionError):
            connect(iter([away]), **asks)
    monkeypatch.setattr(server_waiting, "AWAY_SECONDS", -1.0)
    with pytest.raises(ConnectionError):
        connect(iter([away]))
    monkeypatch.setattr(server_waiting, "AWAY_SECONDS", 90.0)
    with pytest.raises(ConnectionError):  # while all is wound up, nobody waits again
        connect(iter([away]))
