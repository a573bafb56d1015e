"""`frontier`: what a study has come to, and the one point that was asked for. No training."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.search.study_store import ProposedTrial, StudyStore
from pipeline.search.trial_rows import CONFIRM

Said = tuple[int, str, str]
Ask = Callable[..., Said]
CURVES = {
    8: [[1, 0.01, 0.50], [2, 0.02, 0.70], [3, 0.03, 0.72]],
    64: [[1, 0.08, 0.90], [2, 0.16, 0.95], [3, 0.24, 0.96]],
    512: [[1, 0.90, 0.94], [2, 1.80, 0.97], [3, 2.70, 0.98]],
}


def outcome(hidden: int, **more: Any) -> dict[str, Any]:
    return {
        "state": "complete",
        "reason": "",
        "run_id": f"run{hidden}",
        "command": f"python -m pipeline run data=digits model.hidden={hidden} optimizer=sgd train.epochs=3",
        "params": {"model.hidden": hidden, "optimizer": "sgd", "optimizer.learning_rate": 0.1 / 3},
        "curve": CURVES[hidden],
        "fair_midway": True,
        "paid_seconds": CURVES[hidden][-1][1],
        "device": "a CPU, 1 core",
        "ended": float(hidden),
        "test_accuracy": None,
    } | more


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with three trials, one that failed, and two confirmations of one member; another, empty."""
    found = tmp_path_factory.mktemp("frontier")
    address = f"sqlite:///{found / 'studies.db'}"
    StudyStore(address, "empty")
    store = StudyStore(address, "widths")
    for hidden in CURVES:
        number = store.begin(ProposedTrial({}, {}, {}), 99)
        assert number is not None
        store.finish(number, outcome(hidden))
    number = store.begin(ProposedTrial({}, {}, {}), 99)
    assert number is not None
    store.finish(number, outcome(8, state="failed", reason="diverged", curve=[], paid_seconds=0.0, device=""))
    after = store.task_queue()
    for seed in (1, 2):
        about = {"trial": 1, "epoch": 2, "seed": seed}
        after.queue(ProposedTrial({}, {}, {}), {CONFIRM: about}, once=f"confirm {seed}")
        row = after.claim()
        assert row is not None
        again = [[1, 0.08, 0.9], [2, 0.16, 0.94 + 0.01 * seed]]
        after.finish(row.number, outcome(64, curve=again, test_accuracy=0.93 + 0.01 * seed))
    return found


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: str) -> Said:
        code = main(["frontier", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_table(ask: Ask) -> None:
    code, out, err = ask()
    assert (code, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [
        "widths: 4 trials (3 complete, 1 failed)",
        "2.97 s of a CPU, 1 core",
        "",
        "        cost  accuracy          test  trial  epoch",
        "     10.0 ms    50.00%             -      0      1  hidden=8 optimizer=sgd learning_rate=0.033",
        "     20.0 ms    70.00%             -      0      2  hidden=8 optimizer=sgd learning_rate=0.033",
        "     30.0 ms    72.00%             -      0      3  hidden=8 optimizer=sgd learning_rate=0.033",
        "     80.0 ms    90.00%             -      1      1  hidden=64 optimizer=sgd learning_rate=0.033",
        "knee  0.16 s    95.00%  94.50% ±0.50      1      2  hidden=64 optimizer=sgd learning_rate=0.033",
        "      0.24 s    96.00%             -      1      3  hidden=64 optimizer=sgd learning_rate=0.033",
        "      1.80 s    97.00%             -      2      2  hidden=512 optimizer=sgd learning_rate=0.033",
        "      2.70 s    98.00%             -      2      3  hidden=512 optimizer=sgd learning_rate=0.033",
    ]


def test_json(ask: Ask) -> None:
    code, out, _ = ask("--json")
    printed = json.loads(out)
    assert code == 0
    assert {key: printed[key] for key in ("study", "device", "trials")} == {
        "study": "widths",
        "device": "a CPU, 1 core",
        "trials": 4,
    }
    assert [each["accuracy"] for each in printed["frontier"]] == [0.5, 0.7, 0.72, 0.9, 0.95, 0.96, 0.97, 0.98]
    assert [each["knee"] for each in printed["frontier"]].count(True) == 1
    member = printed["frontier"][4]
    assert member["command"] == (
        "python -m pipeline run data=digits model.hidden=64 optimizer=sgd train.epochs=2"
    )
    assert (member["run_id"], member["trial"], member["epoch"]) == ("run64", 1, 2)
    assert member["device_seconds"] == 0.16
    assert member["test_accuracy"] == pytest.approx(0.945)
    assert 0 <= member["on_frontier"] <= 1
    assert member["params"]["model.hidden"] == 64
    assert printed["frontier"][0]["on_frontier"] is None


@pytest.mark.parametrize(
    ("words", "accuracy", "hidden", "epochs"),
    [
        (["--at-least", "0.95"], "95.00%", 64, 2),
        (["--at-least=0.951"], "96.00%", 64, 3),
        (["--within", "0.1"], "90.00%", 64, 1),
        (["--within", "100"], "98.00%", 512, 3),
        (["--knee"], "95.00%", 64, 2),
        (["--knee", "--study", "widths"], "95.00%", 64, 2),
    ],
)
def test_one_point(ask: Ask, words: list[str], accuracy: str, hidden: int, epochs: int) -> None:
    code, out, _ = ask(*words)
    first, *_, command = out.splitlines()
    assert code == 0
    assert re.fullmatch(rf"{accuracy} validation at [\d.]+ m?s of a CPU, 1 core", first)
    assert command == (
        f"python -m pipeline run data=digits model.hidden={hidden} optimizer=sgd train.epochs={epochs}"
    )
    code, out, _ = ask(*words, "--json")
    (member,) = json.loads(out)["frontier"]
    assert f"{member['accuracy']:.2%}" == accuracy


def test_a_confirmed_point_tells_what_the_test_split_says(ask: Ask) -> None:
    assert "94.50% test, 2 new seeds" in ask("--knee")[1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--at-least", "0.99"],
            "error: no point reaches 99.00%, the best has 98.00% at 2.70 s; ask for less, or search on",
        ),
        (
            ["--within", "0.001", "--json"],
            "error: no point costs 0.001 device-seconds or less, the cheapest costs 10.0 ms; "
            "allow more, or search on",
        ),
        (["--study", "empty"], "error: study empty has no point yet; let it run: python -m pipeline sweep"),
    ],
)
def test_where_nothing_qualifies_it_ends_with_1_and_one_line(ask: Ask, words: list[str], line: str) -> None:
    assert ask(*words) == (1, "", f"{line}\n")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ["--at-least", "97.5"],
            "--at-least must be >= 0 and <= 1 (0.975 is 97.5 %), got 97.5; divide by 100",
        ),
        (["--at-least", "nan"], "--at-least must be >= 0 and <= 1"),
        (["--within", "0"], "--within must be > 0 device-seconds, got 0; raise it"),
        (["--within", "nan"], "--within must be > 0 device-seconds, got nan"),
        (["--within", "much"], "frontier: argument --within: invalid float value: 'much'"),
        (["--within"], "frontier: argument --within: expected one argument"),
        (["--knee", "--within", "2"], "frontier takes one of --at-least, --within and --knee, got several"),
        (
            ["--study", "nosuch"],
            "--study must be one of the studies that exist (empty, widths), got nosuch",
        ),
        (["--nosuch"], "--nosuch must be followed by a value"),
        (["search.study=nosuch"], "--study must be one of the studies that exist"),
        (
            ["search.storage=sqlite:////no/such/studies.db"],
            "search.storage must be an Optuna URL that answers",
        ),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(ask: Ask, words: list[str], part: str) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert part in err
    assert err.count("\n") == 1


def test_where_there_is_no_study_it_says_how_to_begin(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    code, _, err = ask()
    assert code == 2
    assert err == (
        "error: --study must be one of the studies that exist (none), got nothing; "
        "begin one with: python -m pipeline sweep\n"
    )
