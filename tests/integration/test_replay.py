"""Replaying tables: what is read from a file, what is paid for, what strategies may see, what is printed."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import record, replay, strategies, surrogates
from benchmarks.ledger import Ledger, Step, Trained
from benchmarks.replay import Job, Outcome, Run
from benchmarks.table import Row, Table, read
from pipeline.frontier.hypervolume import compute_log_hypervolume
from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.measures import Point

TABLES = Path(replay.__file__).parent / "tables"


def rows(count: int = 40) -> list[dict[str, Any]]:
    """Names, types and lengths that no other table has; a rate whose range depends on a choice."""
    random, found = np.random.default_rng(0), []
    for number in range(count):
        deep = bool(number % 3)
        params: dict[str, Any] = {"deep": deep, "units": int(4 + 3 * number), "note": "constant"}
        params["eta"] = float(random.uniform(1, 10) * (1e-4 if deep else 0.1))
        if deep:
            params["skip"] = float(random.uniform(0, 1))
        worst = 0.3 / params["units"] ** 0.5 + (0.05 if deep else 0.1)
        length = 5 + number % 4
        curve = [[e, 0.01 * params["units"] * e, round(1 - worst - 0.3 / e, 4)] for e in range(1, length)]
        found.append({"params": params, "curve": curve})
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "odd.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()) + "\n")
    return file


def test_the_space_is_read_from_the_file(path: Path) -> None:
    found = {each.name: each for each in read(path).parameters}
    assert set(found) == {"deep", "units", "eta@True", "eta@False", "skip"}  # a constant is no parameter
    assert isinstance(found["deep"].domain, Choices)
    assert found["units"].domain == Numeric(4, 121, log=False, integer=True)
    assert (found["skip"].parent, found["skip"].among) == ("deep", (True,))
    assert (found["eta@True"].parent, found["eta@True"].among) == ("deep", (True,))
    assert found["eta@True"].domain.high < 0.01 < found["eta@False"].domain.low  # type: ignore[union-attr]


def test_every_row_is_a_point_of_its_space(path: Path) -> None:
    table = read(path)
    assert [table.place[key] for key in table.place] == list(range(40))
    for place, params in enumerate(table.inner):
        assert set(params) == {each.name for each in table.space.active(params)}
        assert table.nearest(params) == place


def test_the_whole_table_has_the_whole_area(path: Path) -> None:
    ledger = Ledger(table := read(path), math.inf)
    for place in range(40):
        ledger.run(place, 99, every=True)
    assert ledger.share == pytest.approx(1)
    assert ledger.paid == pytest.approx(table.device_seconds)


def test_what_was_trained_of_a_row_is_not_paid_twice() -> None:
    table = Table([Row({"x": value}, ((1, 1.0, 0.5), (2, 2.0, 0.7), (3, 3.5, 0.8))) for value in (1, 2)])
    ledger = Ledger(table, 100)
    ledger.run(0, 2, every=True)
    assert ledger.paid == 2
    assert len(ledger.run(0, 3, every=True)) == 3
    assert ledger.paid == 3.5
    assert ledger.run(0, 1, every=True) == ((1, 1.0, 0.5),)
    assert ledger.paid == 3.5
    ledger.start(0, 3, "again", every=True)
    assert ledger.finish_next().trial == "again"
    assert ledger.paid == 3.5
    assert ledger.has_free_worker


def test_two_workers_pay_for_epochs_that_have_ended() -> None:
    rows = [Row({"x": 1}, ((1, 1.0, 0.5), (2, 2.0, 0.7))), Row({"x": 2}, ((1, 1.5, 0.6), (2, 3.0, 0.8)))]
    ledger = Ledger(Table(rows), 100, workers=2)
    ledger.start(0, 2, "a", every=True)
    ledger.start(1, 2, "b", every=True)
    assert not ledger.has_free_worker
    assert ledger.finish_next() == Trained(0, "a", rows[0].curve)
    assert ledger.clock == 2.0
    assert ledger.paid == 3.5  # two epochs of one row, one of the other
    assert ledger.has_free_worker
    assert ledger.finish_next().trial == "b"
    assert (ledger.clock, ledger.paid) == (3.0, 5.0)
    assert ledger.share == pytest.approx(1)


def test_a_suggestion_is_trained_as_the_nearest_row_that_nobody_trained_as_far() -> None:
    curve = ((1, 1.0, 0.5), (2, 2.0, 0.7))
    ledger = Ledger(Table([Row({"x": float(value)}, curve) for value in range(10)]), 100, workers=2)
    assert ledger.find_row({"x": 4.2}, 1) == 4
    ledger.run(4, 1, every=True)
    assert ledger.find_row({"x": 4.3}, 1) == 5  # the fourth was trained as far
    assert ledger.find_row({"x": 4.2}, 2) == 4  # the same settings go on
    ledger.start(4, 2, "a", every=True)
    assert ledger.find_row({"x": 4.1}, 2) == 5  # somebody is at it
    ledger.finish_next()
    assert ledger.find_row({"x": 4.4}, 9) == 5  # it has no third epoch


def test_one_point_a_trial_counts_less_than_every_epoch() -> None:
    table = Table([Row({"x": value}, ((1, 1.0, 0.5), (2, 2.0, 0.7), (3, 3.5, 0.8))) for value in (1, 2)])
    one, every = Ledger(table, 100), Ledger(table, 100)
    one.run(0, 3, every=False)
    every.run(0, 3, every=True)
    assert one.share < every.share == pytest.approx(1)
    assert every.trace[0].paid == 1  # the first point is there once its epoch is paid
    assert one.share == pytest.approx(compute_log_hypervolume([Point(0.8, 3.5)], table.bounds) / table.whole)


def test_what_was_found_after_the_budget_does_not_count() -> None:
    table = Table([Row({"x": value}, ((1, 1.0, 0.5), (2, 2.0, 0.7))) for value in (1, 2)])
    ledger = Ledger(table, 1.5)
    ledger.run(0, 2, every=True)
    assert [step.paid for step in ledger.trace] == [1.0]
    assert not ledger.open


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "JSONDecodeError"),
        ('{"params": {}}', "KeyError"),
        ('{"params": {"a": 1}, "curve": []}', "epochs >= 1"),
        ('{"params": {"a": 1}, "curve": [[1, 0.0, 0.5]]}', "device-seconds > 0"),
        ('{"params": {"a": 1}, "curve": [[1, 1.0, 97.0]]}', "accuracies in 0..1"),
        ("", "a row of JSON a line"),
    ],
)
def test_a_bad_table_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, why: str
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(line)
    assert replay.main(["--table", str(file), "--budget", "1", "--seeds", "1"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert why in told
    assert "Traceback" not in told


def test_json_has_the_agreed_form(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--table", str(path), "--budget", "30", "--seeds", "2", "--trials", "25", "--json", "--strategy"]
    names = ["frontier", "tpe", "tpe_epochs", "tpe_log", "nsga2", "random", "pareto_pruning"]
    assert replay.main([*words, *names]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == names
    for found in told.values():
        assert set(found) == {"cost_to", "whole_cost_to", "hypervolume", "seeds"}
        assert set(found["cost_to"]) == {"0.90", "0.95", "0.99"}
        assert 0 < found["hypervolume"] <= 1
        assert found["seeds"] == 2


def test_a_surrogate_trains_the_very_configuration_and_needs_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With curves that this test makes up in the place of the network's."""

    def train(_: object, configurations: Any) -> list[Row]:
        entries = [(1, 1.0, 0.5), (2, 2.0, 0.6)]
        return [
            Row(
                params,
                tuple(
                    (epoch, seconds * params["num_layers"], reached) for epoch, seconds, reached in entries
                ),
            )
            for params in configurations
        ]

    monkeypatch.setattr(surrogates.LCBench, "_train", train)
    monkeypatch.setattr(surrogates, "need", lambda *_: None)
    monkeypatch.setattr(surrogates, "fetch_file", lambda file, _: tmp_path / file.name)
    (tmp_path / "encoding.json").write_text('{"OpenML_task_id": {"#na#": 0, "126026": 2}}')
    task = surrogates.LCBench("126026")
    params = [task.space.decode([share] * 7) for share in (0.1, 0.9, 0.1)]
    assert [task.nearest(each) for each in params] == [0, 1, 0]
    ledger = Ledger(task, math.inf)
    ledger.run(ledger.find_row(params[1], 2), 2, every=True)
    assert ledger.paid == 2.0 * params[1]["num_layers"]
    assert replay.main(["--surrogate", "lcbench", "--task", "1", "--seeds", "1"]) == 2
    assert "--task must be one of 126026; got 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        replay.arguments(["--surrogate", "lcbench", "--seeds", "1"])


def test_several_tasks_are_judged_by_the_best_rival_of_each() -> None:
    def told(name: str, paid: float) -> Outcome:
        return Outcome(name, (Run((Step(paid, 0.95, 9, 0.1),), 0.95, 9, 0.1),))

    found = replay.judge_tasks({"a": (100, [told("frontier", 10), told("tpe", 50), told("random", 40)])})
    assert [(goal.wanted, goal.measured) for goal in found] == [(3.0, 4.0)]


def test_a_seed_repeats_itself(path: Path) -> None:
    table = read(path)
    for name in ("frontier", "tpe", "pareto_pruning"):
        one, other = (
            replay.once(Job(table=table, budget=8.0, name=name, seed=3, trials=20)) for _ in range(2)
        )
        assert (one.share, one.asks) == (other.share, other.asks)
        assert [step.paid for step in one.trace] == [step.paid for step in other.trace]


@pytest.mark.parametrize(
    ("name", "package"), [("gp", "torch"), ("moasha", "syne_tune"), ("primo", "neps"), ("smac", "smac")]
)
def test_what_is_not_installed_is_told_and_skipped(
    path: Path, capsys: pytest.CaptureFixture[str], name: str, package: str
) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    assert replay.main(["--table", str(path), "--budget", "2", "--seeds", "1", "--strategy", name]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert f"{name}: needs " in told
    assert "pip install" in told


def test_the_sampler_is_told_the_row_that_was_trained_and_what_it_suggested(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies, create = [], strategies.optuna.create_study
    monkeypatch.setattr(
        strategies.optuna, "create_study", lambda **told: studies.append(create(**told)) or studies[-1]
    )
    table = read(path)
    replay.once(Job(table=table, budget=30.0, name="frontier", seed=0, trials=12))
    (study,) = studies
    first, second = study.trials[:2]
    suggested = {name: value for name, value in first.params.items() if name != strategies.EPOCHS}
    row = table.nearest(suggested)
    assert second.params == {**table.inner[row], strategies.EPOCHS: first.params[strategies.EPOCHS]}
    curve = table.rows[row].until(first.params[strategies.EPOCHS])
    for trial in (first, second):
        assert trial.user_attrs["curve"] == [list(entry) for entry in curve]
    curves = {row.curve for row in table.rows}
    for trial in study.trials:
        told = tuple((int(epoch), *rest) for epoch, *rest in trial.user_attrs["curve"])
        assert any(told == curve[: len(told)] for curve in curves)


def test_tuners_told_on_log_scales_are_told_every_epoch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies, create = [], strategies.optuna.create_study
    monkeypatch.setattr(
        strategies.optuna, "create_study", lambda **told: studies.append(create(**told)) or studies[-1]
    )
    replay.once(Job(table=read(path), budget=30.0, name="tpe_log", seed=0, trials=3))
    (study,) = studies
    assert len(study.trials) > 3
    assert all(trial.values[0] < 0 for trial in study.trials)  # logs of errors


# ---- figures ------------------------------------------------------------------------------------------


def run(*costs: float, share: float = 0.99, first: float = 0.5, workers: int = 1) -> Run:
    """What came to 90, 95, 96, 98 and 99 % at these costs, with two trials and a second of thinking each."""
    steps = [Step(0.1, first, 8, 0.0)]
    for number, (cost, reached) in enumerate(zip(costs, replay.SHARES, strict=True)):
        if math.isfinite(cost):
            steps.append(Step(cost, reached, 10 + 2 * number, 1.0 + number))
    return Run(tuple(steps), share, 20, 5.0, workers)


def test_medians_of_seeds_that_did_not_get_there_are_null() -> None:
    runs = tuple(run(1.0, math.inf, math.inf, math.inf, math.inf) for _ in range(3))
    assert Outcome("tpe", runs).brief()["cost_to"] == {"0.90": 1.0, "0.95": None, "0.99": None}


def test_whole_costs_have_the_thinking_and_the_trials() -> None:
    outcome = Outcome("frontier", (run(1.0, 2.0, 2.5, 3.0, 4.0),))
    assert outcome.whole_cost_to(0.95) == pytest.approx(2.0 + 2.0 + 0.16 * 12)


def test_goals_take_the_budget_where_a_rival_did_not_get_there() -> None:
    ours = Outcome("frontier", (run(1.0, 2.0, 2.5, 3.0, 4.0),))
    rival = Outcome("tpe", (run(5.0, math.inf, math.inf, math.inf, math.inf),))
    first, second = replay.goals([ours, rival], 20.0)
    assert (first.measured, second.measured) == (10.0, 5.0)
    assert "at least" in first.text


def test_goals_of_a_known_table_begin_with_what_a_list_of_its_rows_reached() -> None:
    found = replay.goals([Outcome("frontier", (run(1.0, 2.0, 2.5, 3.0, 4.0),))], 20.0, "digits")
    assert [round(each.measured, 3) for each in found] == [0.54, 0.445, 0.532]
    assert {each.verdict for each in found} == {"not met"}


def test_the_gain_of_workers_is_what_came_above_the_first_trials_at_equal_cost() -> None:
    alone = Outcome("frontier", (run(1.0, 2.0, 2.5, 3.0, 4.0, first=0.7),))
    several = Outcome("frontier, 2 workers", (run(2.0, 3.0, 3.5, 4.0, 5.0, first=0.6, workers=2),))
    parts = replay.parts_of_gain(alone, several)
    assert parts[0.9] == pytest.approx((0.6 - 0.7) / (0.9 - 0.7))
    assert parts[0.95] == pytest.approx((0.9 - 0.7) / (0.95 - 0.7))
    assert parts[0.99] == pytest.approx((0.98 - 0.7) / (0.99 - 0.7))
    goals = replay.goals([alone, several], 20.0)
    assert [(each.wanted, each.verdict) for each in goals] == [(0.95, "not met")] * 2 + [(0.95, "met")]


def test_results_are_kept(path: Path, tmp_path: Path) -> None:
    words = ["--table", str(path), "--budget", "4", "--seeds", "1", "--workers", "2", "--trials", "12"]
    words += ["--strategy", "random", "frontier", "--out"]
    assert replay.main([*words, str(tmp_path / "out")]) == 0
    (kept,) = (tmp_path / "out").glob("*/replay-odd.json")
    assert json.loads(kept.read_text())["strategies"]["random"]["seeds"] == 1
    assert json.loads(kept.read_text())["strategies"]["frontier, 2 workers"]["workers"] == 2
    text = kept.with_suffix(".md").read_text()
    assert "| random |" in text
    assert "whole cost to 95%" in text
    assert "load before" in text


# ---- tables that are here -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "mnist-12k"])
def test_recorded_tables_are_whole(name: str) -> None:
    table = read(TABLES / f"{name}.jsonl")
    assert len(table.rows) >= 200
    assert (table.first, table.epochs) == (1, 20)
    assert {each.name for each in table.parameters} == {
        "model.hidden",
        "optimizer",
        "optimizer.learning_rate@adam",
        "optimizer.learning_rate@sgd",
        "optimizer.momentum",
        "precision",
        "train.batch_size",
    }


@pytest.mark.parametrize("name", ["cnn-mnist-12k", "rt-polarity", "churn", "credit"])
def test_recorded_tables_have_seeds_and_repeat_their_draw(name: str) -> None:
    about = json.loads((TABLES / f"{name}.json").read_text())
    lines = [json.loads(line) for line in (TABLES / f"{name}.jsonl").read_text().splitlines()]
    assert {line["seed"] for line in lines} == set(range(about["seeds"])) == {0, 1}
    assert len(lines) == about["trials"]
    plan = record.Plan(name=name, trials=about["drawn"], epochs=about["epochs"], seeds=about["seeds"])
    drawn = [params for params, _ in plan.list_trials()]
    assert all(line["params"] in drawn for line in lines)
    assert len(read(TABLES / f"{name}.jsonl").rows) == about["drawn"]
    assert about["times"][0]["load"]


def test_seeds_of_one_configuration_are_searched_as_their_mean(tmp_path: Path) -> None:
    curves = [[[1, 1.0, 0.5], [2, 2.0, 0.7], [3, 3.0, 0.8]], [[1, 2.0, 0.6], [2, 3.0, 0.6]]]
    rows = [{"params": {"x": x}, "seed": seed, "curve": curves[seed]} for x in (1, 2) for seed in (0, 1)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = read(tmp_path / "t.jsonl")
    assert [row.params["x"] for row in table.rows] == [1, 2]
    assert table.rows[0].curve == ((1, 1.5, pytest.approx(0.55)), (2, 2.5, pytest.approx(0.65)))


def test_a_recording_goes_on_behind_the_last_whole_line(tmp_path: Path) -> None:
    rows = [{"params": {"x": 1}, "curve": [[1, 1.0, 0.5]]}, {"params": {"x": 1}, "seed": 1, "curve": []}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(text + '{"params": {"x": 2}, "cur')
    assert len(record.read_recorded(tmp_path / "t.jsonl")) == 2
    assert (tmp_path / "t.jsonl").read_text() == text


@pytest.mark.slow
def test_recording_gives_a_line_a_trial(tmp_path: Path) -> None:
    """Real training on the embedded digits: the least work of a draw, two epochs."""
    file = tmp_path / "t.jsonl"
    words = ["digits", "--trials", "12", "--epochs", "2", "--core-seconds", "0", "--table", str(file)]
    for lines in (1, 2):
        assert record.main(words) == 0
        found = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(found) == lines
        assert [entry[0] for entry in found[-1]["curve"]] == [1, 2]
    assert read(file).device_seconds > 0
    about = json.loads(file.with_suffix(".json").read_text())
    assert (about["trials"], about["seeds"], about["drawn"]) == (2, 1, 12)
