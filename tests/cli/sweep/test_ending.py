"""What a sweep says at its end, or where it is stopped."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli.sweep import ending
from pipeline.cli.sweep.plan import make_plan
from pipeline.frontier_sampler.curves.outlook import Outlook
from pipeline.search.ends.standstill import CONFIRMING
from pipeline.search.workers.job import Job
from tests.support.sweeps import Pool, Scene

LINK = "http://127.0.0.1:5000/#/experiments/1"
LATER = Outlook(epochs=9, reached=3, extra_seconds=41.0, gain=0.0031, low=0.0, high=0.0064)


def interrupt_at(number: int) -> Callable[[Job], None]:
    def about_to(job: Job) -> None:
        if job.number == number:
            raise KeyboardInterrupt

    return about_to


def follow(made: Scene, run: Callable[[], object], phase: str = "") -> None:
    with ending.show_where_stopped() as watched:
        watched.follow(made.sweep, SimpleNamespace(link=LINK, phase=phase))  # type: ignore[arg-type]
        run()


@pytest.mark.parametrize(
    ("phase", "place"),
    [("", "before its end"), (CONFIRMING, f"while {CONFIRMING}, its trials are all there")],
    ids=["searching", "confirming"],  # the study is called after its test
)
def test_a_sweep_that_is_stopped_shows_its_frontier_and_how_to_go_on(
    phase: str, place: str, scene: Callable[..., Scene], capsys: pytest.CaptureFixture[str]
) -> None:
    made = scene("search.trials=5", "search.study=a b", pool=Pool(about_to=interrupt_at(3)))
    with pytest.raises(KeyboardInterrupt):
        follow(made, made.sweep.run, phase)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{made.store.name}: 3 trials (3 complete)"
    (on,) = (line for line in lines if line.startswith(f"stopped {place}; go on with: "))
    words = shlex.split(on.partition("go on with: ")[2])
    assert words[:4] == ["python", "-m", "pipeline", "sweep"]
    assert {"search.trials=5", "search.study=a b"} <= set(words)
    assert lines[-1].strip() == LINK
    assert sum("%" in line for line in lines) == len(made.sweep.results.frontier)


def test_an_error_shows_nothing(scene: Callable[..., Scene], capsys: pytest.CaptureFixture[str]) -> None:
    made = scene("search.trials=1")
    with pytest.raises(ZeroDivisionError):
        follow(made, lambda: 1 // 0)
    with pytest.raises(KeyboardInterrupt), ending.show_where_stopped():
        raise KeyboardInterrupt  # before there was anything to show
    assert capsys.readouterr().out == ""


def test_the_command_of_a_sweep_has_all_words_that_were_typed() -> None:
    words = ["search=quick", "data=digits", "model.hidden=8,16", "optimizer.learning_rate=interval(0.01,0.1)"]
    typed = shlex.split(make_plan(words).command_line.command_line("sweep"))[4:]
    assert sorted(typed) == sorted(words)
    assert make_plan(typed).default_name("a CPU") == make_plan(words).default_name("a CPU")


@pytest.mark.parametrize(
    ("end", "trials"),
    [("search.trials=4", True), ("search.budget=60s", False), ("search.budget=40trials", False), ("", True)],
)
def test_the_command_that_goes_further_drops_what_ended_the_search(end: str, trials: bool) -> None:
    words = [
        word
        for word in ("search=smoke" if not end else "", "model.hidden=8,16", end, "search.confirm=0")
        if word
    ]
    plan = make_plan([*words, "search.patience=3trials"])
    assert plan.describe_search()[1].endswith(" or no better frontier for 3trials, whichever is first")
    on = shlex.split(ending.make_command_on(plan.command_line, 61.2))[4:]
    assert ("search.trials=null" in on) == trials
    assert [word for word in on if word.startswith("search.budget")] == ["search.budget=62s"]
    assert not [word for word in on if "patience" in word]
    again = make_plan(on)
    assert again.default_name("a CPU") == plan.default_name("a CPU")
    settings = again.command_line.settings.search
    assert (settings.budget_device_seconds, settings.is_capped) == (62, False)


def make_ended(scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch, **outlook: Any) -> Scene:
    made = scene("search.trials=4", "price.per_hour=3.6")
    made.sweep.run()
    expected = replace(LATER, **outlook) if outlook else None
    monkeypatch.setattr(made.sweep, "look_ahead", lambda: expected)
    return made


def test_it_says_why_it_ended_and_what_more_would_add(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_ended(scene, monkeypatch, epochs=9)
    ending.show_end(made.sweep, LINK)
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("ended: all 4 trials are done")
    assert lines[at + 1].startswith(
        "by the forecast, about 41 s more of a CPU, 1 core (0.041 USD) would add about 0.31 points to the "
        "best accuracy (0.00 to 0.64 points with 80 % probability), at 9 epochs where the longest now has 3; "
        "go there with: python -m pipeline sweep "
    )
    paid = made.sweep.results.paid_seconds
    assert f"search.budget={ending._round_up(paid + 41):g}s" in lines[at + 1]


def test_a_gain_that_is_none_and_a_sampler_that_cannot_say(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_ended(scene, monkeypatch, gain=0.0001)
    text = ending.describe_outlook(made.sweep)
    assert text.endswith("would add less than 0.05 points to the best accuracy")
    assert ending.describe_outlook(make_ended(scene, monkeypatch).sweep) == ""


def test_a_random_sampler_forecasts_nothing(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3")
    assert made.sweep.look_ahead() is None  # nothing is there yet
    made.sweep.run()
    assert made.sweep.look_ahead() is None


def test_a_search_ends_where_its_frontier_stands_still(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=8", "search.patience=1trials")
    made.sweep.run()
    assert len(made.pool.started) < 8
    assert made.sweep.end.startswith("the last trial (")
    again = scene("search.trials=8", "search.patience=1trials")
    again.sweep.run()
    assert again.pool.started == []
    assert again.sweep.end == made.sweep.end
    on = scene("search.trials=8")
    on.sweep.run()
    assert len(on.store.trials()) == 8
    assert on.sweep.end == "all 8 trials are done"


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["search.trials=50"], "the space has no other trial"),
        (["search.budget=1s"], "the budget of 1 device-second is spent"),
    ],
)
def test_every_end_has_its_reason(scene: Callable[..., Scene], words: list[str], end: str) -> None:
    made = scene(*words)
    made.sweep.run()
    assert made.sweep.end == end
