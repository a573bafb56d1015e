"""The search itself: with a crew that trains nothing, and somebody who writes down what he sees."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from optuna.trial import TrialState

from pipeline import signals
from pipeline.cli import sweep_space
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.measures import Curve, Epoch, Point
from pipeline.search import optuna_storage, trial_rows
from pipeline.search.job import Ended, Job
from pipeline.search.optuna_storage import OWNER
from pipeline.search.results import EPOCHS, Results
from pipeline.search.space import Dimension, Space, When
from pipeline.search.study_store import REQUEUES, Ledger, is_interrupted
from pipeline.search.sweep import Search, SearchStopped, Sweep, Trial, with_epochs
from pipeline.search.worker_pool import Bug, Event
from pipeline.settings.command_line import CommandLine

DEVICE = "a CPU, 1 core"
SPACE = sweep_space.build(["model.hidden=8,16,32,64", "optimizer=sgd,adam"], {}, [], [])
BASE = ("data=digits", "train.epochs=3", "device=cpu")

_composed: dict[tuple[str, ...], CommandLine] = {}


def composed(words: Sequence[str]) -> CommandLine:
    """Each command line once: composing is not what is tested here."""
    key = tuple(words)
    return _composed.setdefault(key, compose(key)) if key not in _composed else _composed[key]


def curve_of(job: Job) -> Curve:
    """Wider is better and dearer; another seed is another draw."""
    settings = job.settings
    wide = settings.model.hidden  # type: ignore[attr-defined]
    luck = int(hashlib.sha256(repr(settings.train.seed).encode()).hexdigest()[:4], 16) / 2**16 / 100
    return Curve(
        DEVICE,
        settings.schedule.fair_midway,
        tuple(
            Epoch(n, n * wide / 100, 1.0, 1.0, round(1 - 1 / (1 + n) / wide**0.5 - luck, 6))
            for n in range(1, settings.train.epochs + 1)
        ),
    )


def whole(job: Job) -> Ended:
    curve = curve_of(job)
    test = curve.last.validation_accuracy - 0.01 if job.test else None
    return Ended("complete", "", curve, curve.last, curve.last.device_seconds, test_accuracy=test)


@dataclass
class Crew:
    """Does a job at once, an epoch an event; `does` may say otherwise, `about_to` may interfere."""

    wide: int = 1
    does: Callable[[Job], Ended | Bug] = whole
    about_to: Callable[[Job], None] = lambda _job: None
    jobs: list[Job] = field(default_factory=list)
    started: list[Job] = field(default_factory=list)
    frontiers: list[Sequence[Point]] = field(default_factory=list)
    closed: int = 0

    def free(self) -> int:
        return self.wide - len(self.jobs)

    def start(self, job: Job) -> None:
        assert self.free() > 0
        self.jobs.append(job)
        self.started.append(job)

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        self.frontiers.append(frontier)
        if self.jobs:
            job = self.jobs.pop(0)
            self.about_to(job)
            end = self.does(job)
            for epoch in end.curve.epochs if isinstance(end, Ended) and end.curve else ():
                yield job, epoch
            yield job, end

    def close(self) -> None:
        self.jobs.clear()
        self.closed += 1


class Watcher:
    def __init__(self) -> None:
        self.began_, self.ended_, self.dropped_ = list[Trial](), list[tuple[str, str]](), list[str]()
        self.epochs, self.standings = 0, list[int]()

    def began(self, trial: Trial) -> str:
        self.began_.append(trial)
        return f"run of {trial.name}"

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        assert epoch.number <= trial.told.settings.train.epochs
        self.epochs += 1

    def ended(self, trial: Trial, run_id: str | None, ended: Ended) -> None:
        assert run_id == f"run of {trial.name}"
        self.ended_.append((trial.name, ended.state))

    def standing(self, results: Results) -> None:
        self.standings.append(len(results.tried))

    def dropped(self, name: str) -> None:
        self.dropped_.append(name)


@dataclass
class Scene:
    search: Search
    crew: Crew
    watcher: Watcher
    ledger: Ledger


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One storage for all: creating its tables takes longer than a search."""
    return f"sqlite:///{tmp_path_factory.mktemp('studies') / 'studies.db'}"


@pytest.fixture
def scene(address: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Scene]:
    """A search of this test's study, with words on top; called again: another start of the same."""

    def make(*words: str, space: Space = SPACE, crew: Crew | None = None, study: str = "") -> Scene:
        told = compose(["search=smoke", "search.sampler=random", *BASE, *words])
        ledger = Ledger(address, study or request.node.name)
        sweep = Sweep(told, BASE, space, composed, tmp_path)
        found, watcher = crew or Crew(), Watcher()
        return Scene(Search(sweep, None, ledger, found, watcher), found, watcher, ledger)

    return make


def states(ledger: Ledger) -> list[str]:
    return [row.state.name.lower() for row in ledger.trials()]


# ---- how many ---------------------------------------------------------------------------------------------


def test_as_many_trials_as_were_asked_for(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=5")
    made.search.run()
    assert states(made.ledger) == 5 * ["complete"]
    assert len(made.crew.started) == len({each.name for each in made.watcher.began_}) == 5
    assert made.watcher.epochs == 15
    assert made.watcher.standings == [0, 1, 2, 3, 4, 5]
    assert [each.number for each in made.search.results.tried] == [0, 1, 2, 3, 4]
    words = {each.told.command_line("run") for each in made.watcher.began_}
    assert len(words) == 5
    assert all(
        each.startswith("python -m pipeline run data=digits train.epochs=3 device=cpu ") for each in words
    )


def test_another_start_tops_up_to_the_total(scene: Callable[..., Scene]) -> None:
    scene("search.trials=3").search.run()
    made = scene("search.trials=5")
    made.search.run()
    assert len(made.crew.started) == 2
    again = scene("search.trials=5")
    again.search.run()
    assert again.crew.started == []
    assert len({row.user_attrs["outcome"]["command"] for row in made.ledger.trials()}) == 5


def test_it_ends_where_nothing_is_left_to_try(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=50", "search.sampler=grid")
    made.search.run()
    assert len(made.crew.started) == 8


def test_nobody_is_idle(scene: Callable[..., Scene]) -> None:
    crew = Crew(wide=3)
    busy: list[int] = []
    crew.about_to = lambda _job: busy.append(len(crew.jobs) + 1)
    scene("search.trials=7", crew=crew).search.run()
    assert busy == [3, 3, 3, 3, 3, 2, 1]


def test_no_trial_begins_once_the_budget_is_spent(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=50", "search.budget_device_seconds=1.0", "search.sampler=grid")
    made.search.run()
    spent = [each.paid_seconds for each in made.search.results.tried]
    assert sum(spent) >= 1.0 > sum(spent[:-1])
    again = scene("search.trials=50", "search.budget_device_seconds=1.0", "search.sampler=grid")
    again.search.run()
    assert again.crew.started == []


def test_no_trial_begins_once_time_is_up(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    crew = Crew(about_to=lambda _job: now.__setitem__(0, now[0] + 4))
    scene("search.trials=50", "search.timeout=10", crew=crew).search.run()
    assert len(crew.started) == 3


def test_who_works_hears_of_the_frontier_as_it_grows(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3")
    made.search.run()
    assert made.crew.frontiers[0] == ()
    assert made.crew.frontiers[1] == tuple(curve_of(made.crew.started[0]).points())


# ---- baselines --------------------------------------------------------------------------------------------


def test_baselines_come_first_and_once(scene: Callable[..., Scene]) -> None:
    words = ("search.enqueue=['model.hidden=500','experiment=article train.epochs=1']", "search.trials=4")
    made = scene(*words)
    made.search.run()
    commands = [
        each.told.command_line("run").removeprefix("python -m pipeline run ") for each in made.watcher.began_
    ]
    assert commands[0] == "data=digits train.epochs=3 device=cpu model.hidden=500"
    assert commands[1] == "data=digits device=cpu experiment=article train.epochs=1"
    assert len(commands) == 4
    again = scene(*words, "search.trials=5")
    again.search.run()
    assert len(again.crew.started) == 1
    assert "model.hidden=500" not in again.watcher.began_[0].told.overrides


def test_there_are_no_more_baselines_than_trials(scene: Callable[..., Scene]) -> None:
    made = scene("search.enqueue=['model.hidden=500','model.hidden=400']", "search.trials=1")
    made.search.run()
    assert len(made.crew.started) == 1


# ---- what goes wrong --------------------------------------------------------------------------------------


def test_a_failed_trial_counts_and_the_sweep_goes_on(scene: Callable[..., Scene]) -> None:
    def does(job: Job) -> Ended:
        return Ended("failed", "the loss must stay finite") if job.number == 1 else whole(job)

    made = scene("search.trials=3", crew=Crew(does=does))
    made.search.run()
    assert states(made.ledger) == ["complete", "fail", "complete"]
    assert [each.state for each in made.search.results.tried] == ["complete", "failed", "complete"]
    assert made.search.results.tried[1].reason == "the loss must stay finite"
    assert made.watcher.ended_[1] == ("1", "failed")


def test_a_paused_trial_counts(scene: Callable[..., Scene]) -> None:
    def does(job: Job) -> Ended:
        curve = curve_of(job)
        curve = Curve(curve.device, True, curve.epochs[:2])
        return Ended("paused", "at best", curve, curve.last, curve.last.device_seconds)

    made = scene("search.trials=2", crew=Crew(does=does))
    made.search.run()
    assert states(made.ledger) == ["pruned", "pruned"]
    assert [len(each.points()) for each in made.search.results.tried] == [2, 2]


def test_a_bug_stops_it_with_the_command_that_repeats_it(scene: Callable[..., Scene]) -> None:
    def does(job: Job) -> Ended | Bug:
        return (
            Bug("Traceback ...\n  File ...\nZeroDivisionError: of ours\n") if job.number == 1 else whole(job)
        )

    made = scene("search.trials=9", crew=Crew(wide=2, does=does))
    with pytest.raises(SearchStopped) as caught:
        made.search.run()
    text = str(caught.value)
    command = made.watcher.began_[1].told.command_line("run")
    assert text.startswith("trial 1 ended by an error of the program (ZeroDivisionError: of ours)")
    assert f"repeat the trial with: {command}\n" in text
    assert text.endswith("ZeroDivisionError: of ours\n")
    assert caught.value.exit_code == 1
    # what was found is kept, what ran beside is given back
    assert states(made.ledger)[:3] == ["complete", "fail", "fail"]
    assert made.search.results.tried[1].reason == "error of the program: ZeroDivisionError: of ours"
    assert made.watcher.dropped_ == ["2"]
    assert made.crew.closed == 1


def test_values_that_exclude_each_other_are_no_trial(scene: Callable[..., Scene]) -> None:
    """optimizer.nesterov needs a momentum."""
    pairs = Space(
        (
            Dimension("optimizer.momentum", choices=(0.0, 0.9)),
            Dimension("optimizer.nesterov", choices=(True, False)),
            Dimension("optimizer", choices=("sgd",)),
        )
    )
    made = scene("search.trials=9", "search.sampler=grid", "optimizer=sgd", space=pairs)
    made.search.run()
    assert states(made.ledger) == 3 * ["complete"]


def test_queued_words_that_say_nothing_any_more_have_failed(scene: Callable[..., Scene]) -> None:
    made = scene("search.enqueue=['model.width=3']", "search.trials=2")
    made.search.run()
    assert [each.state for each in made.search.results.tried] == ["failed", "complete"]
    assert made.search.results.tried[0].reason.startswith("model has no setting width")
    assert made.search.results.tried[0].command.endswith("model.width=3")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_runs_is_given_back_when_it_ends_early(
    scene: Callable[..., Scene], error: type[BaseException]
) -> None:
    def about_to(job: Job) -> None:
        if job.number == 2:
            raise error

    made = scene("search.trials=6", crew=Crew(wide=2, about_to=about_to))
    with pytest.raises(error):
        made.search.run()
    assert sorted(made.watcher.dropped_) == ["2", "3"]
    assert made.crew.closed == 1
    assert made.crew.jobs == []
    assert sum(is_interrupted(row) for row in made.ledger.trials()) == 2
    again = scene("search.trials=6")
    again.search.run()
    assert len(again.crew.started) == 4
    assert again.ledger.begun() == len(again.search.results.tried) == 6
    interrupted = [row.params for row in made.ledger.trials() if is_interrupted(row)]
    assert [row.params for row in again.ledger.trials() if REQUEUES in row.user_attrs] == interrupted


def test_a_signal_between_two_writes_tears_nothing(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while a trial is written down; the trial counts, and the search ends after it."""
    monkeypatch.setattr(signals, "_received", [])
    made = scene("search.trials=6")
    ended = made.watcher.ended

    def and_a_signal(trial: Trial, run_id: str | None, end: Ended) -> None:
        ended(trial, run_id, end)
        if trial.number == 1:
            signals._on_signal(2, None)

    made.watcher.ended = and_a_signal  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        made.search.run()
    assert states(made.ledger) == ["complete", "complete"]
    assert made.watcher.dropped_ == []


def test_the_trial_of_a_dead_process_is_tried_again(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=4")
    made.crew.about_to = lambda job: 1 / 0 if job.number == 2 else None  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        made.search.run()
    row = next(row for row in made.ledger.trials() if row.state is TrialState.WAITING)
    assert made.ledger.claim() is not None  # and its process was killed then
    gone = optuna_storage.owner() | {"started": 1}
    made.ledger._storage.set_trial_user_attr(row._trial_id, OWNER, gone)
    again = scene("search.trials=4")
    again.search.run()
    assert again.watcher.dropped_ == [str(row.number)]
    assert len(again.search.results.tried) == again.ledger.begun() == 4


def test_who_was_given_up_meanwhile_leaves_no_record(scene: Callable[..., Scene]) -> None:
    """A machine that slept: another process tries its trial again, so its own does not count."""
    made = scene("search.trials=2")

    def given_up(job: Job) -> None:
        if job.number == 0:
            made.ledger.drop(0)

    made.crew.about_to = given_up
    made.search.run()
    assert made.watcher.dropped_ == ["0"]
    assert len(made.search.results.tried) == made.ledger.begun() == 2


def test_the_words_of_others_wait_for_their_end(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process runs the last trial: this one waits, it may yet die."""
    made = scene("search.trials=2")
    other = scene("search.trials=2")
    made.crew.about_to = lambda _job: other.search._begin() if not other.crew.jobs else None  # type: ignore[assignment]
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            for job, event in other.crew.events(()):
                other.search._on(other.ledger, job, event)

    monkeypatch.setattr("time.sleep", sleep)
    made.search.run()
    assert len(waited) == 3
    assert len(made.crew.started) == len(other.crew.started) == 1
    assert len(made.search.results.tried) == 2


# ---- the end ----------------------------------------------------------------------------------------------


def confirmations(made: Scene) -> dict[tuple[int, int], tuple[int, ...]]:
    return {
        (member.tried.number, member.epoch): member.confirmation.seeds
        for member in made.search.results.members()
        if member.confirmation
    }


def test_members_of_the_frontier_are_confirmed_with_new_seeds(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3", "search.confirm=2", "train.seed=7")
    made.search.run()
    members = made.search.results.members()
    made.search.confirm()
    assert confirmations(made) == {(member.tried.number, member.epoch): (8, 9) for member in members}
    jobs = made.crew.started[3:]
    assert len(jobs) == 2 * len(members)
    assert all(job.test and job.checkpoint is None and not job.settings.pruning.enabled for job in jobs)
    by_seed = {(job.settings.train.seed, job.settings.train.epochs) for job in jobs}
    assert by_seed == {(seed, member.epoch) for member in members for seed in (8, 9)}
    first = made.search.results.members()[0].confirmation
    assert first is not None
    assert first.test_accuracy == pytest.approx(first.accuracy - 0.01)
    assert states(made.ledger) == 3 * ["complete"]  # no trials of their own
    assert [trial.seed for trial in made.watcher.began_] == 3 * [None] + [
        job.settings.train.seed for job in jobs
    ]


def test_what_was_confirmed_stays_as_it_is(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3", "search.confirm=1")
    made.search.run()
    made.search.confirm()
    again = scene("search.trials=3", "search.confirm=1")
    again.search.run()
    again.search.confirm()
    assert again.crew.started == []
    assert confirmations(again) == confirmations(made)
    more = scene("search.trials=3", "search.confirm=2")
    more.search.confirm()
    assert len(more.crew.started) == len(confirmations(made))


def test_confirming_that_is_interrupted_goes_on(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3", "search.confirm=2")
    made.search.run()
    made.crew.about_to = lambda _job: 1 / 0 if len(made.crew.started) == 5 else None  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        made.search.confirm()
    assert made.watcher.dropped_ == ["confirm 1"]
    again = scene("search.trials=3", "search.confirm=2")
    again.search.confirm()
    members = again.search.results.members()
    assert len(again.crew.started) == 2 * len(members) - 1
    assert set(confirmations(again).values()) == {(1, 2)}


def test_two_processes_share_what_is_to_be_confirmed(scene: Callable[..., Scene]) -> None:
    made, other = scene("search.trials=4", "search.confirm=2"), scene("search.trials=4", "search.confirm=2")
    made.search.run()
    # While this one trains its first, the other begins and ends all the rest.
    made.crew.about_to = lambda _job: other.search.confirm() if not other.crew.started else None
    other.crew.about_to = lambda _job: None

    def end_of_waiting(_seconds: float) -> None:
        raise TimeoutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", end_of_waiting)
        with pytest.raises(TimeoutError):  # it would wait for the first
            made.search.confirm()
    assert len(other.crew.started) == 2 * len(made.search.results.members()) - 1


def test_a_confirmation_that_fails_is_none(scene: Callable[..., Scene]) -> None:
    def does(job: Job) -> Ended:
        return Ended("failed", "out of memory") if job.settings.train.seed == 2 else whole(job)

    made = scene("search.trials=2", "search.confirm=2", crew=Crew(does=does))
    made.search.run()
    made.search.confirm()
    assert set(confirmations(made).values()) == {(1,)}
    again = scene("search.trials=2", "search.confirm=2")
    again.search.confirm()
    assert again.crew.started == []


def test_the_end_is_done_once(scene: Callable[..., Scene]) -> None:
    done: list[str] = []
    for name in ("end 1", "end 1", "end 2"):
        scene().search.once(name, lambda name=name: done.append(name))  # type: ignore[misc]
    assert done == ["end 1", "end 2"]
    with pytest.raises(ZeroDivisionError):
        scene().search.once("end 3", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    scene().search.once("end 3", lambda: done.append("end 3"))
    assert done == ["end 1", "end 2", "end 3"]


# ---- words and places -------------------------------------------------------------------------------------


def test_own_words_take_the_place_of_shared_ones(tmp_path: Path) -> None:
    told = compose(["search=smoke"])
    sweep = Sweep(told, ("data=digits", "model.hidden=3", "train.epochs=5"), SPACE, compose, tmp_path)
    assert sweep.words({"model.hidden": 8, "optimizer": "sgd"}) == (
        "data=digits",
        "train.epochs=5",
        "model.hidden=8",
        "optimizer=sgd",
    )


def test_trials_that_differ_in_length_alone_share_a_checkpoint(tmp_path: Path) -> None:
    sweep = Sweep(compose(["search=smoke"]), (), SPACE, compose, tmp_path)
    short, long = ["model.hidden=8", "train.epochs=2"], ["train.epochs=5", "model.hidden=8"]
    assert sweep.checkpoint(short, True) == sweep.checkpoint(long, True)
    assert sweep.checkpoint(short, False) != sweep.checkpoint(long, False)
    assert sweep.checkpoint(["model.hidden=9", "train.epochs=2"], True) != sweep.checkpoint(short, True)
    assert sweep.checkpoint(short, True).parent == tmp_path


def fair(schedule: str) -> bool:
    return schedule == "constant"


@pytest.mark.parametrize(
    ("words", "dimensions", "epochs"),
    [
        ("", [], EPOCHS),
        ("search.sampler=tpe", [], None),
        ("train.epochs=1", [], None),
        ("schedule=cosine", [], None),
        ("", [Dimension(EPOCHS, choices=(1, 2))], None),
        ("", [Dimension("schedule", choices=("constant", "cosine"))], f"{EPOCHS} (schedule=constant)"),
        ("", [Dimension("schedule", choices=("warmup_linear", "cosine"))], None),
    ],
)
def test_how_long_to_train_is_searched_where_that_is_fair(
    words: str, dimensions: list[Dimension], epochs: str | None
) -> None:
    told = compose(["search=smoke", "train.epochs=6", *words.split()])
    made, name = with_epochs(Space(tuple(dimensions)), told, fair)
    assert name == epochs
    if epochs:
        when = When("schedule", "constant") if dimensions else None
        assert made.dimensions[-1] == Dimension(EPOCHS, low=1, high=6, whole=True, when=when)
    else:
        assert made.dimensions == tuple(dimensions)


def test_what_is_kept_of_a_trial_is_what_is_read(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=1", "schedule=cosine")
    made.search.run()
    (tried,) = trial_rows.results(made.ledger, "digits").tried
    (began,) = made.watcher.began_
    assert tried.command == began.told.command_line("run")
    assert tried.run_id == "run of 0"
    assert tried.params == {
        "model.hidden": began.params["model.hidden"],
        "optimizer": began.params["optimizer"],
    }
    assert tried.curve == tuple(
        Point(p.accuracy, p.device_seconds) for p in whole(made.crew.started[0]).points
    )
    assert tried.device == DEVICE


def test_composing_is_never_tried_for_nothing() -> None:
    with pytest.raises(BadSetting):
        composed(["optimizer=sgd", "optimizer.nesterov=true"])
