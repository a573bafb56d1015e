"""Replaying tables: what is read from a file, what is paid for, what strategies may see, what is printed."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import record, replay, strategies
from benchmarks.replay import Outcome, Run
from benchmarks.table import Ledger, Row, Table, read
from pipeline.frontier import compute_log_hypervolume
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
        assert table.nearest(params, [False] * 40) == place


def test_a_taken_row_is_not_the_nearest(path: Path) -> None:
    table = read(path)
    taken = [False] * 40
    taken[7] = True
    assert table.nearest(table.inner[7], taken) != 7
    assert table.nearest(table.inner[7], [True] * 40) == 7


def test_the_whole_table_has_the_whole_area(path: Path) -> None:
    ledger = Ledger(table := read(path), math.inf)
    for place in range(40):
        ledger.run(place, 99, every=True)
    assert ledger.share == pytest.approx(1)
    assert ledger.paid == pytest.approx(table.device_seconds)


def test_a_continuation_pays_the_difference_and_a_repetition_all() -> None:
    table = Table([Row({"x": value}, ((1, 1.0, 0.5), (2, 2.0, 0.7), (3, 3.5, 0.8))) for value in (1, 2)])
    ledger = Ledger(table, 100)
    ledger.run(0, 2, every=True)
    assert ledger.paid == 2
    assert len(ledger.run(0, 3, every=True, resume=True)) == 3
    assert ledger.paid == 3.5
    ledger.run(0, 1, every=True)
    assert ledger.paid == 4.5


def test_one_point_a_trial_counts_less_than_every_epoch() -> None:
    table = Table([Row({"x": value}, ((1, 1.0, 0.5), (2, 2.0, 0.7), (3, 3.5, 0.8))) for value in (1, 2)])
    one, every = Ledger(table, 100), Ledger(table, 100)
    one.run(0, 3, every=False)
    every.run(0, 3, every=True)
    assert one.share < every.share == pytest.approx(1)
    assert every.trace[0][0] == 1  # the first point is there once its epoch is paid
    assert one.share == pytest.approx(compute_log_hypervolume([Point(0.8, 3.5)], table.bounds) / table.whole)


def test_what_was_found_after_the_budget_does_not_count() -> None:
    table = Table([Row({"x": value}, ((1, 1.0, 0.5), (2, 2.0, 0.7))) for value in (1, 2)])
    ledger = Ledger(table, 1.5)
    ledger.run(0, 2, every=True)
    assert [paid for paid, _ in ledger.trace] == [1.0]
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
    words = ["--table", str(path), "--budget", "30", "--seeds", "2", "--json", "--strategy"]
    assert replay.main([*words, "frontier", "tpe", "tpe_epochs", "nsga2", "random", "pareto_pruning"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["frontier", "tpe", "tpe_epochs", "nsga2", "random", "pareto_pruning"]
    for found in told.values():
        assert set(found) == {"cost_to", "hypervolume", "seeds"}
        assert set(found["cost_to"]) == {"0.90", "0.95", "0.99"}
        assert 0 < found["hypervolume"] <= 1
        assert found["seeds"] == 2


def test_a_seed_repeats_itself(path: Path) -> None:
    table = read(path)
    for name in ("frontier", "tpe", "pareto_pruning"):
        one, other = (replay.once(table, 8.0, name, 3) for _ in range(2))
        assert (one.costs, one.share, one.asks) == (other.costs, other.share, other.asks)


@pytest.mark.parametrize(("name", "package"), [("gp", "torch"), ("moasha", "syne_tune")])
def test_what_is_not_installed_is_told_and_skipped(
    path: Path, capsys: pytest.CaptureFixture[str], name: str, package: str
) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    assert replay.main(["--table", str(path), "--budget", "2", "--seeds", "1", "--strategy", name]) == 0
    assert f"{name}: " in capsys.readouterr().err


def test_the_sampler_is_told_the_row_that_ran(path: Path) -> None:
    table, ledger = read(path), Ledger(read(path), 3.0)
    study = strategies.optuna.create_study(directions=strategies.DIRECTIONS)
    trial = study.ask()
    strategies.suggest(trial, table)
    place = ledger.table.nearest(trial.params, ledger.taken())
    strategies._set_row(study, trial, table, place)
    study.tell(trial, (0.5, 1.0))
    assert study.trials[0].params == table.inner[place]


def test_medians_of_seeds_that_did_not_get_there_are_null() -> None:
    runs = [Run((1.0, math.inf, math.inf, math.inf, math.inf), 0.9, 5, 0.1) for _ in range(3)]
    assert Outcome("tpe", tuple(runs)).brief()["cost_to"] == {"0.90": 1.0, "0.95": None, "0.99": None}


def test_goals_take_the_budget_where_a_rival_did_not_get_there() -> None:
    ours = Outcome("frontier", (Run((1.0, 2.0, 2.5, 3.0, 4.0), 0.99, 5, 0.1),))
    rival = Outcome("tpe", (Run((5.0, math.inf, math.inf, math.inf, math.inf), 0.9, 5, 0.1),))
    first, second = replay.goals([ours, rival], 20.0)
    assert (first.measured, second.measured) == (10.0, 5.0)
    assert "at least" in first.text


def test_results_are_kept(path: Path, tmp_path: Path) -> None:
    words = ["--table", str(path), "--budget", "4", "--seeds", "1", "--strategy", "random", "--out"]
    assert replay.main([*words, str(tmp_path / "out")]) == 0
    (kept,) = (tmp_path / "out").glob("*/replay-odd.json")
    assert json.loads(kept.read_text())["strategies"]["random"]["seeds"] == 1
    assert "| random |" in kept.with_suffix(".md").read_text()


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


@pytest.mark.slow
def test_recording_gives_a_line_a_trial(tmp_path: Path) -> None:
    """Real training on the embedded digits: the least work of a draw, two epochs."""
    found = list(record.tables("digits", trials=12, epochs=2, seed=0, core_seconds=0.0))
    assert len(found) == 1
    assert [entry[0] for entry in found[0]["curve"]] == [1, 2]
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(found[0]) + "\n")
    assert read(file).device_seconds > 0
