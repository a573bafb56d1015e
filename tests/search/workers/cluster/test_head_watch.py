"""What is said once the head of a cluster is gone."""

from types import SimpleNamespace

import pytest

from pipeline.search.workers.cluster import head_watch


def test_a_head_that_is_gone_is_told_once_and_one_that_is_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [True, False, True, False, False, False, True, True]  # one that is missed once is only busy
    asked, said = list[str](), list[str]()

    def has_head(address: str) -> bool:
        asked.append(address)
        return answers[len(asked) - 1]

    monkeypatch.setattr(head_watch, "has_head", has_head)
    monkeypatch.setattr(head_watch, "LOOK_SECONDS", 0.0)
    ray = SimpleNamespace(is_initialized=lambda: len(asked) < len(answers))
    thread = head_watch.watch_head(ray, "head:6379", lambda line: said.append(f"{len(asked)} {line}"))
    thread.join(10)
    assert not thread.is_alive()
    assert asked == ["head:6379"] * len(answers)
    gone, back = said
    assert gone.startswith(
        "5 the head of the cluster at head:6379 does not answer; if it stays away, Ray ends"
    )
    assert back == "7 the head of the cluster at head:6379 answers again"
