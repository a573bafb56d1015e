"""The search itself: with a pool that trains nothing, and an observer that writes down what it sees."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from pipeline import signals
from pipeline.cli.compose import compose
from pipeline.cli.sweep import space as sweep_space
from pipeline.errors import BadSetting, StoreLocked, find_cause
from pipeline.measures import Curve, Point
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search import ask_tell, trial_rows
from pipeline.search.confirmation import confirm
from pipeline.search.space import Condition, Dimension, SearchSpace, add_epochs
from pipeline.search.storage.our_studies import OWNER
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.task_rows import TaskRows
from pipeline.search.storage.trial_states import REQUEUES, WORDS, is_interrupted
from pipeline.search.sweep_spec import EndedTrial, SweepSpec
from pipeline.search.workers.dispatcher import ENDED_BY_OTHERS, TASK, SearchStopped, count_together
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.search.workers.pool import Crash, Stoppage
from pipeline.settings import sqlite_waiting
from pipeline.settings.command_line import EPOCHS, Overrides
from tests.support.sweeps import BASE, DEVICE, SPACE, Pool, Scene, complete, composed, curve_of, states

# ---- how many ---------------------------------------------------------------------------------------------


def test_as_many_trials_as_were_asked_for(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=5")
    made.sweep.run()
    assert states(made.store) == 5 * ["complete"]
    assert len(made.pool.started) == len({each.name for each in made.observer.opened}) == 5
    assert made.observer.epochs == 15
    assert made.observer.counts == [0, 1, 2, 3, 4, 5]
    assert [each.number for each in made.sweep.results.trials] == [0, 1, 2, 3, 4]
    words = {each.command_line.command_line("run") for each in made.observer.opened}
    assert len(words) == 5
    assert all(
        each.startswith("python -m pipeline run data=digits train.epochs=3 device=cpu ") for each in words
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["search.trials=5"], 5),
        (["search.trials=null"], 40),
        (["search.trials=null", "search.budget=7trials"], 7),
        (["search.trials=null", "search.budget=60s"], None),
    ],
)
def test_the_sampler_is_told_how_many_there_will_be(
    words: Sequence[str], told: int | None, scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = []
    make = ask_tell.make_sampler
    monkeypatch.setattr(
        ask_tell, "make_sampler", lambda kind, task: (tasks.append(task), make(kind, task))[1]
    )
    scene(*words)
    assert [task.trials for task in tasks] == [told]


def test_another_start_tops_up_to_the_total(scene: Callable[..., Scene]) -> None:
    scene("search.trials=3").sweep.run()
    made = scene("search.trials=5")
    made.sweep.run()
    assert len(made.pool.started) == 2
    again = scene("search.trials=5")
    again.sweep.run()
    assert again.pool.started == []
    assert len({row.user_attrs["outcome"]["command"] for row in made.store.trials()}) == 5


def test_it_ends_where_nothing_is_left_to_try(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=50", "search.sampler=grid")
    made.sweep.run()
    assert len(made.pool.started) == 8


def test_nobody_is_idle(scene: Callable[..., Scene]) -> None:
    pool = Pool(wide=3)
    busy: list[int] = []
    pool.about_to = lambda _job: busy.append(len(pool.jobs) + 1)
    scene("search.trials=7", pool=pool).sweep.run()
    assert busy == [3, 3, 3, 3, 3, 2, 1]


def test_no_trial_begins_once_the_budget_is_spent(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=50", "search.budget_device_seconds=1.0", "search.sampler=grid")
    made.sweep.run()
    spent = [each.paid_seconds for each in made.sweep.results.trials]
    assert sum(spent) >= 1.0 > sum(spent[:-1])
    again = scene("search.trials=50", "search.budget_device_seconds=1.0", "search.sampler=grid")
    again.sweep.run()
    assert again.pool.started == []


def test_no_trial_begins_once_time_is_up(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pool = Pool(about_to=lambda _job: now.__setitem__(0, now[0] + 4))
    scene("search.trials=50", "search.timeout=10", pool=pool).sweep.run()
    assert len(pool.started) == 3


def test_who_works_hears_of_the_frontier_as_it_grows(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3")
    made.sweep.run()
    assert made.pool.frontiers[0] == ()
    assert made.pool.frontiers[1] == tuple(curve_of(made.pool.started[0]).points)


# ---- baselines --------------------------------------------------------------------------------------------


def test_baselines_come_first_and_once(scene: Callable[..., Scene]) -> None:
    words = ("search.enqueue=['model.hidden=500','experiment=article train.epochs=1']", "search.trials=4")
    made = scene(*words)
    made.sweep.run()
    commands = [
        each.command_line.command_line("run").removeprefix("python -m pipeline run ")
        for each in made.observer.opened
    ]
    assert commands[0] == "data=digits train.epochs=3 device=cpu model.hidden=500"
    assert commands[1] == "data=digits device=cpu experiment=article train.epochs=1"
    assert len(commands) == 4
    again = scene(*words, "search.trials=5")
    again.sweep.run()
    assert len(again.pool.started) == 1
    assert "model.hidden=500" not in again.observer.opened[0].command_line.overrides


def test_there_are_no_more_baselines_than_trials(scene: Callable[..., Scene]) -> None:
    made = scene("search.enqueue=['model.hidden=500','model.hidden=400']", "search.trials=1")
    made.sweep.run()
    assert len(made.pool.started) == 1


# ---- what goes wrong --------------------------------------------------------------------------------------


def test_a_failed_trial_counts_and_the_sweep_goes_on(scene: Callable[..., Scene]) -> None:
    def work(job: Job) -> TrialOutcome:
        return (
            TrialOutcome(status="failed", reason="the loss must stay finite")
            if job.number == 1
            else complete(job)
        )

    made = scene("search.trials=3", pool=Pool(work=work))
    made.sweep.run()
    assert states(made.store) == ["complete", "fail", "complete"]
    assert [each.state for each in made.sweep.results.trials] == ["complete", "failed", "complete"]
    assert made.sweep.results.trials[1].reason == "the loss must stay finite"
    assert made.observer.closed[1] == ("1", "failed")


def test_a_paused_trial_counts(scene: Callable[..., Scene]) -> None:
    def work(job: Job) -> TrialOutcome:
        curve = curve_of(job)
        curve = Curve(curve.device, True, curve.epochs[:2])
        return TrialOutcome(
            status="paused",
            reason="at best",
            curve=curve,
            chosen_epoch=curve.last,
            paid_seconds=curve.last.device_seconds,
        )

    made = scene("search.trials=2", pool=Pool(work=work))
    made.sweep.run()
    assert states(made.store) == ["pruned", "pruned"]
    assert [len(each.points) for each in made.sweep.results.trials] == [2, 2]


def test_a_bug_stops_it_with_the_command_that_repeats_it(scene: Callable[..., Scene]) -> None:
    def work(job: Job) -> TrialOutcome | Crash:
        return (
            Crash("Traceback ...\n  File ...\nZeroDivisionError: of ours\n")
            if job.number == 1
            else complete(job)
        )

    made = scene("search.trials=9", pool=Pool(wide=2, work=work))
    with pytest.raises(SearchStopped) as caught:
        made.sweep.run()
    text = str(caught.value)
    command = made.observer.opened[1].command_line.command_line("run")
    assert text.startswith("trial 1 ended by an error of the program (ZeroDivisionError: of ours)")
    assert f"repeat the trial with: {command}\n" in text
    assert text.endswith("ZeroDivisionError: of ours\n")
    assert caught.value.exit_code == 1
    # what was found is kept, what ran beside is given back
    assert states(made.store)[:3] == ["complete", "fail", "fail"]
    assert made.sweep.results.trials[1].reason == "error of the program: ZeroDivisionError: of ours"
    assert made.observer.discarded == ["2"]
    assert made.pool.closed == 1


def test_values_that_exclude_each_other_are_no_trial(scene: Callable[..., Scene]) -> None:
    """optimizer.nesterov needs a momentum."""
    pairs = SearchSpace(
        (
            Dimension(key="optimizer.momentum", choices=(0.0, 0.9)),
            Dimension(key="optimizer.nesterov", choices=(True, False)),
            Dimension(key="optimizer", choices=("sgd",)),
        )
    )
    made = scene("search.trials=9", "search.sampler=grid", "optimizer=sgd", space=pairs)
    made.sweep.run()
    assert states(made.store) == 3 * ["complete"]


def test_queued_words_that_say_nothing_any_more_have_failed(scene: Callable[..., Scene]) -> None:
    made = scene("search.enqueue=['model.width=3']", "search.trials=2")
    made.sweep.run()
    assert [each.state for each in made.sweep.results.trials] == ["failed", "complete"]
    assert made.sweep.results.trials[0].reason.startswith("model has no setting width")
    assert made.sweep.results.trials[0].command.endswith("model.width=3")


def test_no_secret_of_the_words_is_written_into_the_storage(scene: Callable[..., Scene]) -> None:
    """Which others may read: neither of a queued baseline, nor of what a trial says, or that died twice."""
    shared = Overrides((*BASE, "db=postgresql://ann:ge%2Fheim@host/db"))
    said = "no login with ge/heim"

    end = TrialOutcome(status="failed", reason=said, output=said)
    made = scene("search.enqueue=['model.hidden=8']", "search.trials=2", pool=Pool(work=lambda _: end))
    plain = made.sweep.spec.compose
    made.sweep.spec = made.sweep.dispatcher._spec = replace(
        made.sweep.spec,
        fixed=shared,
        compose=lambda words: replace(
            plain([word for word in words if "://" not in word]), overrides=Overrides(words)
        ),
    )
    made.sweep.run()
    failed = made.sweep.dispatcher._fail_dead(made.store.trials()[0])
    assert made.observer.opened[0].command_line.overrides == (*shared, "model.hidden=8")
    assert failed is not None
    assert failed["command"].endswith("db=postgresql://ann:***@host/db' model.hidden=8")
    written = [row.user_attrs for row in made.store.trials()]
    assert len(written) == 2
    assert "heim" not in str(written)
    assert made.sweep.results.trials[0].reason == "no login with ***"


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_a_trial_that_a_person_ends_in_the_dashboard_is_tried_again_once_its_try_is_over(
    scene: Callable[..., Scene], address: str, request: pytest.FixtureRequest, state: TrialState
) -> None:
    """`optuna tell`, too; what they say that it came to was not measured."""

    def about_to(job: Job) -> None:
        if job.number == 1:
            values = (0.999, 1e-9) if state is TrialState.COMPLETE else None
            optuna.load_study(storage=address, study_name=request.node.name).tell(1, values, state)
            made.sweep.dispatcher._reclaimed_at = -60.0
            made.sweep.dispatcher._reclaim_orphans(made.store)  # as it does each 10 s

    made = scene("search.trials=3", pool=Pool(about_to=about_to))
    made.sweep.run()
    assert [each.number for each in made.sweep.results.trials] == [0, 2, 3]
    assert made.observer.discarded == ["1", "1"]  # as its try is over, and as it is tried again
    ((name, reason, _),) = made.observer.lost  # after it was told as complete
    assert (name, reason) == ("1", ENDED_BY_OTHERS)
    assert made.store.trials()[2].user_attrs[REQUEUES] == 1
    assert all(each.points[-1].accuracy < 0.999 for each in made.sweep.results.trials)
    assert len(scene("search.trials=3").sweep.results.trials) == 3  # whoever reads it later


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_runs_is_given_back_when_it_ends_early(
    scene: Callable[..., Scene], error: type[BaseException]
) -> None:
    def about_to(job: Job) -> None:
        if job.number == 2:
            raise error

    made = scene("search.trials=6", pool=Pool(wide=2, about_to=about_to))
    with pytest.raises(error):
        made.sweep.run()
    assert sorted(made.observer.discarded) == ["2", "3"]
    assert made.pool.closed == 1
    assert made.pool.jobs == []
    assert sum(is_interrupted(row) for row in made.store.trials()) == 2
    again = scene("search.trials=6")
    again.sweep.run()
    assert len(again.pool.started) == 4
    assert again.store.count_begun() == len(again.sweep.results.trials) == 6
    interrupted = [row.params for row in made.store.trials() if is_interrupted(row)]
    assert [row.params for row in again.store.trials() if REQUEUES in row.user_attrs] == interrupted


def test_a_signal_between_two_writes_tears_nothing(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while a trial is written down; the trial counts, and the search ends after it."""
    monkeypatch.setattr(signals, "_received", [])
    made = scene("search.trials=6")
    close = made.observer.close_trials

    def and_a_signal(ended: Sequence[EndedTrial]) -> None:
        close(ended)
        if ended[-1].trial.number == 1:
            signals._on_signal(2, None)

    made.observer.close_trials = and_a_signal  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        made.sweep.run()
    assert states(made.store) == ["complete", "complete"]
    assert made.observer.discarded == []


def test_a_storage_that_stays_locked_ends_the_search_and_loses_nothing(
    scene: Callable[..., Scene], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that hangs. The trial that ended meanwhile is tried again by the next start."""
    monkeypatch.setattr(sqlite_waiting, "DRIVER_SECONDS", 0.1)
    monkeypatch.setattr(sqlite_waiting, "LOCK_SECONDS", 0.2)
    made = scene("search.trials=4")
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None)) as other:
        made.pool.about_to = lambda job: other.execute("BEGIN EXCLUSIVE") if job.number == 2 else None  # type: ignore[assignment,return-value]
        with pytest.raises(Exception, match="locked") as caught:
            made.sweep.run()
    assert find_cause(caught.value, StoreLocked)
    for row in made.store.trials():
        if row.state is TrialState.RUNNING:  # of this process, which would have ended
            gone = replace(ProcessOwner.current(), started=1.0, started_after_boot=1.0).to_dict()
            made.store._storage.set_trial_user_attr(row._trial_id, OWNER, gone)
    again = scene("search.trials=4")
    again.sweep.run()
    assert again.observer.discarded == ["2"]
    assert len(again.sweep.results.trials) == again.store.count_begun() == 4


def test_the_trial_of_a_dead_process_is_tried_again(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=4")
    made.pool.about_to = lambda job: 1 / 0 if job.number == 2 else None  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        made.sweep.run()
    row = next(row for row in made.store.trials() if row.state is TrialState.WAITING)
    assert made.store.claim() is not None  # and its process was killed then
    gone = replace(ProcessOwner.current(), started=1.0, started_after_boot=1.0).to_dict()
    made.store._storage.set_trial_user_attr(row._trial_id, OWNER, gone)
    again = scene("search.trials=4")
    again.sweep.run()
    assert again.observer.discarded == [str(row.number)]
    assert len(again.sweep.results.trials) == again.store.count_begun() == 4


def die(made: Scene, number: int) -> None:
    """Let the process of a running trial have died."""
    row = made.store.trials()[number]
    gone = replace(ProcessOwner.current(), started=1.0, started_after_boot=1.0).to_dict()
    made.store._storage.set_trial_user_attr(row._trial_id, OWNER, gone)


def test_a_trial_whose_process_died_twice_has_failed(scene: Callable[..., Scene]) -> None:
    """A third start would walk into the same wall; what the tries spent counts against the budget."""
    first = scene("search.trials=2")
    assert first.sweep._begin_trials(1)
    first.store.note_spent(0, 1.5)
    first.store.send_heartbeat()
    die(first, 0)
    second = scene("search.trials=2")
    second.sweep.dispatcher._reclaim_orphans(second.store)
    assert second.observer.discarded == ["0"]
    assert second.sweep.results.interrupted_seconds == 1.5
    assert second.sweep._begin_trials(1)
    die(second, 1)
    third = scene("search.trials=2")
    third.sweep.run()
    assert third.observer.discarded == []
    failed, other = third.sweep.results.trials
    assert (failed.state, failed.run_id, other.state) == ("failed", "run of 1", "complete")
    assert failed.reason.startswith("its process ended twice before the trial did")
    assert failed.command == first.observer.opened[0].command_line.command_line("run")
    assert third.store.count_begun() == 2
    assert third.sweep.results.paid_seconds == 1.5 + other.paid_seconds


def test_a_trial_whose_process_died_before_it_had_a_record_did_not_begin(scene: Callable[..., Scene]) -> None:
    """It took nobody along; as a failed one it would count without a run that tells of it."""
    made = scene("search.trials=1")
    for number in range(3):
        assert made.sweep._begin_trials(1)
        die(made, number)
        made = scene("search.trials=1")
        made.observer.records = False
        made.sweep.dispatcher._reclaim_orphans(made.store)
    made.sweep.run()
    (trial,) = made.sweep.results.trials
    assert (trial.state, trial.number) == ("complete", 3)


def test_who_is_stopped_by_others_is_tried_again_once(scene: Callable[..., Scene]) -> None:
    def work(job: Job) -> TrialOutcome | Stoppage:
        return Stoppage("its process was ended by SIGTERM", 0.25) if job.number < 2 else complete(job)

    made = scene("search.trials=2", pool=Pool(work=work))
    made.sweep.run()
    assert made.observer.discarded == ["0"]
    failed, other = made.sweep.results.trials
    assert (failed.state, failed.reason) == ("failed", "its process was ended by SIGTERM, twice")
    assert other.state == "complete"
    assert made.sweep.results.describe_losses() == (
        "0.25 device-seconds in trials that failed, 0.25 device-seconds in trials that were interrupted"
    )


@pytest.mark.parametrize("sampler", ["random", "qmc", "nsga2"])
def test_a_sampler_that_draws_by_its_seed_goes_on_where_it_was(
    sampler: str, scene: Callable[..., Scene]
) -> None:
    """It begins with what it drew before, which is no sign that the space has no other trial."""
    wide = sweep_space.build_space(["optimizer.learning_rate=interval(0.001,0.1)"], {}, [], [])
    for total in (35, 45):
        made = scene(f"search.trials={total}", f"search.sampler={sampler}", space=wide)
        made.sweep.run()
        assert made.sweep.end == f"all {total} trials are done"
        assert len({trial.command for trial in made.sweep.results.trials}) == total


def test_a_search_that_only_a_budget_ends_gives_up_where_every_trial_fails(
    scene: Callable[..., Scene],
) -> None:
    """Failing at once spends nothing, so it would try for ever; who has mended the reason goes on."""

    def fail(_: Job) -> TrialOutcome:
        return TrialOutcome(status="failed", reason="no data")

    words = ("search.trials=null", "search.budget=60s")
    wide = sweep_space.build_space(["optimizer.learning_rate=interval(0.001,0.1)"], {}, [], [])
    for ended in (40, 80):
        made = scene(*words, pool=Pool(work=fail), space=wide)
        made.sweep.run()
        assert made.sweep.end == "the last 40 trials have all failed, the last one: no data"
        assert len(made.sweep.results.trials) == ended
    capped = scene("search.trials=130", "search.budget=60s", pool=Pool(work=fail), space=wide)
    capped.sweep.run()
    assert len(capped.sweep.results.trials) == 130


def test_what_failed_trials_spent_counts_against_the_budget(scene: Callable[..., Scene]) -> None:
    def work(_job: Job) -> TrialOutcome:
        return TrialOutcome(status="failed", reason="it hung", paid_seconds=4.0)

    made = scene("search.trials=50", "search.budget_device_seconds=10", pool=Pool(work=work))
    made.sweep.run()
    assert len(made.sweep.results.trials) == 3
    assert made.sweep.results.describe_losses() == "12 device-seconds in trials that failed"


def test_who_was_given_up_meanwhile_leaves_no_record(scene: Callable[..., Scene]) -> None:
    """A machine that slept: another process tries its trial again, so its own does not count."""
    made = scene("search.trials=2")

    def given_up(job: Job) -> None:
        if job.number == 0:
            made.store.release(0)

    made.pool.about_to = given_up
    made.sweep.run()
    assert made.observer.discarded == ["0"]
    assert len(made.sweep.results.trials) == made.store.count_begun() == 2


def test_the_words_of_others_wait_for_their_end(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process runs the last trial: this one waits, it may yet die."""
    made = scene("search.trials=2")
    other = scene("search.trials=2")
    made.pool.about_to = lambda _job: other.sweep._begin_trials(1) if not other.pool.jobs else None  # type: ignore[assignment]
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            other.sweep.dispatcher._handle_events(other.store, ())

    monkeypatch.setattr("time.sleep", sleep)
    made.sweep.run()
    assert len(waited) == 3
    assert len(made.pool.started) == len(other.pool.started) == 1
    assert len(made.sweep.results.trials) == 2


# ---- the end ----------------------------------------------------------------------------------------------


def test_the_end_is_done_once(scene: Callable[..., Scene]) -> None:
    done: list[str] = []
    for name in ("end 1", "end 1", "end 2"):
        scene().sweep.dispatcher.run_once(name, lambda name=name: done.append(name))  # type: ignore[misc]
    assert done == ["end 1", "end 2"]
    with pytest.raises(ZeroDivisionError):
        scene().sweep.dispatcher.run_once("end 3", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    scene().sweep.dispatcher.run_once("end 3", lambda: done.append("end 3"))
    assert done == ["end 1", "end 2", "end 3"]


def test_an_end_whose_process_died_takes_no_trial_along(scene: Callable[..., Scene]) -> None:
    """Its place in the queue has a number as trials have them, and no record to be deleted."""
    made, done = scene("search.trials=2"), list[str]()
    made.sweep.run()
    queue = made.store.task_queue()
    queue.queue(ProposedTrial({}, {}, {}), {TASK: "end"}, once="task end")
    row = queue.claim()  # and its process was killed then
    assert row is not None
    assert row.number in {trial.number for trial in made.sweep.results.trials}
    gone = replace(ProcessOwner.current(), started=1.0, started_after_boot=1.0).to_dict()
    assert isinstance(queue._table, TaskRows)
    queue._table.change(row.number, lambda row, _: {**row, "attrs": {**row["attrs"], OWNER: gone}})
    again = scene("search.trials=2")
    again.sweep.dispatcher.run_once("end", lambda: done.append("end"))
    assert done == ["end"]
    assert again.observer.discarded == []


# ---- words and places -------------------------------------------------------------------------------------


def test_own_words_take_the_place_of_shared_ones(tmp_path: Path) -> None:
    told = compose(["search=smoke"])
    sweep = SweepSpec(
        command_line=told,
        fixed=Overrides(("data=digits", "model.hidden=3", "train.epochs=5")),
        space=SPACE,
        compose=compose,
        checkpoints=tmp_path,
    )
    assert sweep.get_words({"model.hidden": 8, "optimizer": "sgd"}) == (
        "data=digits",
        "train.epochs=5",
        "model.hidden=8",
        "optimizer=sgd",
    )


def test_what_is_kept_of_a_trial_are_the_settings_that_apply_to_it(tmp_path: Path) -> None:
    """A network without hidden layers has no width, though its settings have the usual one."""
    layers = Dimension(key="model.layers", choices=(0, 1))
    width = Dimension(key="model.hidden", choices=(8, 16), when=Condition("model.layers", 1))
    spec = SweepSpec(
        command_line=compose(["search=smoke"]),
        fixed=Overrides(()),
        space=SearchSpace((layers, width)),
        compose=compose,
        checkpoints=tmp_path,
    )
    assert spec.list_keys({"model.layers": 0}) == ("model.layers",)
    assert spec.list_keys({width.name: 8, "model.layers": 1}) == ("model.layers", "model.hidden")
    assert spec.list_keys({}) == ("model.layers", "model.hidden")  # a baseline, outside of the space


def test_trials_that_differ_in_length_alone_share_a_checkpoint(tmp_path: Path) -> None:
    spec = SweepSpec(
        command_line=compose(["search=smoke"]),
        fixed=Overrides(),
        space=SPACE,
        compose=compose,
        checkpoints=tmp_path,
    )

    def path(*words: str) -> Path:
        return spec.get_checkpoint_path(composed(words))

    short, long = ("model.hidden=8", "train.epochs=2"), ("train.epochs=5", "model.hidden=8")
    assert path(*short) == path(*long)
    assert path(*short, "schedule=cosine") != path(*long, "schedule=cosine")
    assert path("model.hidden=9", "train.epochs=2") != path(*short)
    assert path(*short).parent == tmp_path


def fair(schedule: str) -> bool:
    return schedule == "constant"


@pytest.mark.parametrize(
    ("words", "dimensions", "epochs"),
    [
        ("", [], EPOCHS),
        ("search.sampler=tpe", [], None),
        ("train.epochs=1", [], None),
        ("schedule=cosine", [], None),
        ("", [Dimension(key=EPOCHS, choices=(1, 2))], None),
        ("", [Dimension(key="schedule", choices=("constant", "cosine"))], f"{EPOCHS} (schedule=constant)"),
        ("", [Dimension(key="schedule", choices=("warmup_linear", "cosine"))], None),
    ],
)
def test_how_long_to_train_is_searched_where_that_is_fair(
    words: str, dimensions: list[Dimension], epochs: str | None
) -> None:
    told = compose(["search=smoke", "train.epochs=6", *words.split()])
    made, name = add_epochs(SearchSpace(tuple(dimensions)), told, fair)
    assert name == epochs
    if epochs:
        when = Condition("schedule", "constant") if dimensions else None
        assert made.dimensions[-1] == Dimension(key=EPOCHS, low=1, high=6, is_integer=True, when=when)
    else:
        assert made.dimensions == tuple(dimensions)


def test_what_is_kept_of_a_trial_is_what_is_read(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=1", "schedule=cosine")
    made.sweep.run()
    (tried,) = trial_rows.read_results(made.store, "digits").trials
    (began,) = made.observer.opened
    assert tried.command == began.command_line.command_line("run")
    assert tried.run_id == "run of 0"
    assert tried.params == {
        "model.hidden": began.params["model.hidden"],
        "optimizer": began.params["optimizer"],
    }
    assert tried.curve == tuple(
        Point(p.accuracy, p.device_seconds) for p in complete(made.pool.started[0]).points
    )
    assert tried.device == DEVICE


def test_composing_is_never_tried_for_nothing() -> None:
    with pytest.raises(BadSetting):
        composed(["optimizer=sgd", "optimizer.nesterov=true"])


# ---- over more than two objectives ------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["random", "frontier", "tpe", "nsga2"])
def test_further_objectives_are_measured_searched_and_confirmed(
    scene: Callable[..., Scene], sampler: str
) -> None:
    words = (
        "search.objectives=[accuracy,cost,latency_ms,energy_joules]",
        "search.trials=5",
        "search.confirm=2",
        f"search.sampler={sampler}",
    )
    made = scene(*words)
    made.sweep.run()
    assert {job.further for job in made.pool.started} == {("latency_ms", "energy_joules")}
    rows = made.store.trials()
    assert all(row.values[1] * 10 == pytest.approx(row.values[3]) for row in rows)
    results = made.sweep.results
    assert [kind.name for kind in results.further] == ["latency_ms", "energy_joules"]
    point = results.trials[0].curve[1]
    wide = results.trials[0].params["model.hidden"]
    assert point.further == (wide / 100, pytest.approx(10 * point.device_seconds))  # type: ignore[operator]
    confirm(made.sweep)
    confirmed = trial_rows.read_results(made.store, "digits").frontier
    assert all(member.confirmation for member in confirmed)
    assert all(member.estimate.further_spreads[0].factor == pytest.approx(1.0) for member in confirmed)
    assert all(len(member.estimate.further) == 2 for member in confirmed)


def test_a_trial_of_which_an_objective_is_missing_stands_on_no_frontier(scene: Callable[..., Scene]) -> None:
    def half(job: Job) -> TrialOutcome:
        return replace(complete(job), status="failed", further={})

    made = scene("search.objectives=[accuracy,cost,latency_ms]", "search.trials=2", pool=Pool(work=half))
    made.sweep.run()
    assert made.sweep.results.points == ()
    assert states(made.store) == ["fail", "fail"]


@pytest.mark.parametrize(
    ("wide", "is_quick", "begun_before_the_first_result"), [(4, True, 1), (4, False, 4), (8, True, 8)]
)
def test_results_are_read_as_they_come_not_once_all_workers_have_begun(
    scene: Callable[..., Scene], wide: int, is_quick: bool, begun_before_the_first_result: int
) -> None:
    """With a thousand slots, the first has ended long before the last has begun; many begin together."""
    begun = list[int]()
    pool = Pool(wide=wide, is_quick=is_quick, about_to=lambda _: begun.append(len(pool.started)))
    found = scene("search.trials=8", pool=pool)
    found.sweep.run()
    assert states(found.store) == ["complete"] * 8
    assert begun[0] == begun_before_the_first_result


@pytest.mark.parametrize(
    ("free", "workers", "together"), [(3, 7, 1), (3, 8, 3), (256, 256, 64), (1000, 1000, 125), (9, 4096, 9)]
)
def test_so_many_free_workers_begin_together(free: int, workers: int, together: int) -> None:
    assert count_together(free, workers) == together


# ---- what somebody has enqueued by Optuna ----------------------------------------------------------------


def enqueue(made: Scene, address: str, *params: Mapping[str, Any]) -> optuna.Study:
    study = optuna.load_study(study_name=made.store.name, storage=address)
    for each in params:
        study.enqueue_trial(dict(each))
    return study


def list_words(made: Scene) -> list[str]:
    return [each.command_line.command_line("run") for each in made.observer.opened]


def test_it_is_tried_first_and_counts_for_the_sampler(scene: Callable[..., Scene], address: str) -> None:
    made = scene("search.trials=3")
    study = enqueue(made, address, {"model.hidden": 32.0, "optimizer": "adam"})
    made.sweep.run()
    assert states(made.store) == 3 * ["complete"]
    first, *others = list_words(made)
    assert "model.hidden=32 optimizer=adam" in first
    assert first not in others
    (row,) = [row for row in made.store.trials() if row.params == {"model.hidden": 32, "optimizer": "adam"}]
    assert WORDS not in row.user_attrs
    assert not [trial for trial in study.get_trials() if not trial.state.is_finished()]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"model.hidden": 24, "optimizer": "sgd"}, "model.hidden=24 optimizer=sgd"),
        ({"model.hidden": 16}, "model.hidden=16"),
        ({"train.batch_size": 7, "optimizer": "adam"}, "train.batch_size=7 optimizer=adam"),
    ],
)
def test_outside_the_space_or_in_part_it_is_a_command_line(
    params: Mapping[str, Any], words: str, scene: Callable[..., Scene], address: str
) -> None:
    made = scene("search.trials=2")
    enqueue(made, address, params)
    made.sweep.run()
    assert list_words(made)[0].endswith(f" {words}")
    assert made.store.trials()[0].user_attrs[WORDS] == words.split()
    assert states(made.store) == 2 * ["complete"]


def test_what_no_command_line_takes_has_failed(scene: Callable[..., Scene], address: str) -> None:
    made = scene("search.trials=2")
    enqueue(made, address, {"model.hiden": 24})
    made.sweep.run()
    assert sorted(states(made.store)) == ["complete", "fail"]
    (failed,) = [trial for trial in made.sweep.results.trials if trial.state == "failed"]
    assert "no setting hiden" in str(failed.reason)


def test_one_that_comes_meanwhile_is_next(scene: Callable[..., Scene], address: str) -> None:
    pool = Pool()
    made = scene("search.trials=3", pool=pool)

    def interfere(_job: Any) -> None:
        if len(pool.started) == 1:
            enqueue(made, address, {"model.hidden": 48, "optimizer": "sgd"})

    pool.about_to = interfere
    made.sweep.run()
    assert "model.hidden=48" in list_words(made)[1]
    assert states(made.store) == 3 * ["complete"]


def test_one_beyond_the_total_waits_and_is_told(scene: Callable[..., Scene], address: str) -> None:
    made = scene("search.trials=1")
    study = enqueue(made, address, *({"model.hidden": wide, "optimizer": "sgd"} for wide in (8, 24)))
    made.sweep.run()
    assert made.sweep.end == "its one trial is done; 1 enqueued by Optuna wait for a larger search.trials"
    assert [trial.state.name for trial in study.get_trials()].count("WAITING") == 1
    again = scene("search.trials=2")
    again.sweep.run()
    assert ["model.hidden=24" in words for words in list_words(again)] == [True]
    assert again.sweep.end == "all 2 trials are done"
