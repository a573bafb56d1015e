"""`frontier`: what a study has come to, and the one point that was asked for. No training."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.cli.frontier import NOT_CONFIRMED
from pipeline.search.estimates import ValidationSplit
from pipeline.search.study_store import ProposedTrial, StudyStore
from pipeline.search.trial_rows import CONFIRM, VALIDATION

Said = tuple[int, str, str]
Ask = Callable[..., Said]
CURVES = {
    8: [[1, 0.01, 0.50], [2, 0.02, 0.70], [3, 0.03, 0.72]],
    64: [[1, 0.08, 0.90], [2, 0.16, 0.95], [3, 0.24, 0.96]],
    512: [[1, 0.90, 0.94], [2, 1.80, 0.97], [3, 2.70, 0.98]],
}
DIGITS = ValidationSplit(400, 0.1)  # chance ends at 12.47 %
SURE = {
    8: [[1, 0.01, 0.11], [2, 0.02, 0.70]],
    64: [[1, 0.08, 0.50], [2, 0.16, 0.955]],
    512: [[1, 0.90, 0.956]],
    1024: [[1, 2.70, 0.98]],  # not confirmed
}


def outcome(hidden: int, **more: Any) -> dict[str, Any]:
    return {
        "state": "complete",
        "reason": "",
        "run_id": f"run{hidden}",
        "command": f"python -m pipeline run data=digits model.hidden={hidden} optimizer=sgd train.epochs=3",
        "params": {"model.hidden": hidden, "optimizer": "sgd", "optimizer.learning_rate": 0.1 / 3},
        "curve": CURVES.get(hidden, []),
        "fair_midway": True,
        "paid_seconds": CURVES[hidden][-1][1] if hidden in CURVES else 1.0,
        "device": "a CPU, 1 core",
        "ended": float(hidden),
        "test_accuracy": None,
    } | more


def write_study(
    address: str, name: str, *outcomes: dict[str, Any], split: ValidationSplit | None = None
) -> StudyStore:
    """Write a study whose trials ended with these outcomes."""
    store = StudyStore(address, name)
    for each in outcomes:
        number = store.begin(ProposedTrial({}, {}, {}), 99)
        assert number is not None
        store.finish(number, each)
    if split:
        store.write_attr(VALIDATION, split.to_dict())
    return store


def confirm(
    store: StudyStore, trial: int, curve: list[list[float]], accuracies: list[float], test: float
) -> None:
    """Confirm the state at the end of `curve` with a new seed for each of the accuracies."""
    after = store.task_queue()
    for seed, accuracy in enumerate(accuracies, start=1):
        about = {"trial": trial, "epoch": len(curve), "seed": seed}
        after.queue(ProposedTrial({}, {}, {}), {CONFIRM: about}, once=f"confirm {about}")
        row = after.claim()
        assert row is not None
        again = [*curve[:-1], [*curve[-1][:2], accuracy]]
        after.finish(row.number, outcome(64, curve=again, test_accuracy=test))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies that tests ask for; the newest has three trials, one that failed, and nothing confirmed."""
    found = tmp_path_factory.mktemp("frontier")
    address = f"sqlite:///{found / 'studies.db'}"
    StudyStore(address, "empty")
    guesses = outcome(8, curve=[[1, 0.01, 0.09], [2, 0.02, 0.12]])
    write_study(address, "guesses", guesses, split=DIGITS)
    write_study(address, "two", guesses, outcome(64, curve=[[1, 0.08, 0.90], [2, 0.16, 0.95]]), split=DIGITS)
    store = write_study(
        address, "sure", *(outcome(hidden, curve=SURE[hidden]) for hidden in SURE), split=DIGITS
    )
    for trial, hidden, accuracies, test in (
        (0, 8, [0.70, 0.70], 0.69),
        (1, 64, [0.94, 0.94], 0.931),  # lucky in the search
        (2, 512, [0.952, 0.953], 0.9296),
    ):
        confirm(store, trial, SURE[hidden], accuracies, test)
    failed = outcome(8, state="failed", reason="diverged", curve=[], paid_seconds=0.0, device="")
    write_study(address, "widths", *map(outcome, CURVES), failed)
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
        "        cost  accuracy  trial  epoch",
        "     10.0 ms    50.00%      0      1  hidden=8 optimizer=sgd learning_rate=0.033",
        "     20.0 ms    70.00%      0      2  hidden=8 optimizer=sgd learning_rate=0.033",
        "     30.0 ms    72.00%      0      3  hidden=8 optimizer=sgd learning_rate=0.033",
        "     80.0 ms    90.00%      1      1  hidden=64 optimizer=sgd learning_rate=0.033",
        "knee  0.16 s    95.00%      1      2  hidden=64 optimizer=sgd learning_rate=0.033",
        "      0.24 s    96.00%      1      3  hidden=64 optimizer=sgd learning_rate=0.033",
        "      1.80 s    97.00%      2      2  hidden=512 optimizer=sgd learning_rate=0.033",
        "      2.70 s    98.00%      2      3  hidden=512 optimizer=sgd learning_rate=0.033",
        NOT_CONFIRMED,
    ]


def test_search_new_seeds_and_test_stand_side_by_side_and_chance_is_no_member(ask: Ask) -> None:
    _, out, _ = ask("--study", "sure")
    heading, *rows = [re.split(r"  +", line.removeprefix("knee").strip()) for line in out.splitlines()[3:]]
    assert heading == ["cost", "all seeds", "search", "new seeds", "test", "trial", "epoch"]
    assert [row[:5] for row in rows if "%" in " ".join(row)] == [
        ["20.0 ms", "70.00% ±4.72", "70.00%", "70.00%", "69.00%"],
        ["0.16 s", "94.50% ±2.35", "95.50%", "94.00%", "93.10%"],
        ["0.90 s", "95.37% ±2.17", "95.60%", "95.25%", "92.96%"],
        ["2.70 s", "-", "98.00%", "-", "-"],
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
    assert (member["search_accuracy"], member["mean_accuracy"]) == (0.95, 0.95)
    assert (member["test_accuracy"], member["new_seeds_accuracy"], member["confirmed"]) == (None, None, False)
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


def test_a_point_is_chosen_by_all_of_its_seeds_and_says_what_the_test_split_says(ask: Ask) -> None:
    """The cheapest with 95 % in the search has 94.5 % by all seeds; the next one 95.37 %."""
    code, out, _ = ask("--study", "sure", "--at-least", "0.95")
    assert code == 0
    assert out.splitlines() == [
        "95.37% ±2.17 validation, mean of 3 seeds, at 0.90 s of a CPU, 1 core",
        "95.60% search, 95.25% 2 new seeds, 92.96% test",
        "not sure to reach 95.00%: the 95 % interval begins at 93.20%, the test split says 92.96%",
        "python -m pipeline run data=digits model.hidden=512 optimizer=sgd train.epochs=3",
    ]
    _, out, _ = ask("--study", "sure", "--at-least", "0.95", "--json")
    (member,) = json.loads(out)["frontier"]
    assert (member["search_accuracy"], member["new_seeds_accuracy"]) == (0.956, pytest.approx(0.9525))
    assert (member["test_accuracy"], member["mean_accuracy"]) == (0.9296, pytest.approx(0.953667, abs=1e-6))
    assert member["mean_accuracy_interval"] == pytest.approx([0.9320, 0.9753], abs=1e-4)
    assert (member["seeds"], member["confirmed"]) == (3, True)


def test_a_point_that_is_sure_has_no_doubts(ask: Ask) -> None:
    assert "not sure" not in ask("--study", "sure", "--at-least", "0.65")[1]


def test_what_is_not_confirmed_is_marked(ask: Ask) -> None:
    assert ask("--at-least", "0.95")[1].splitlines()[1] == NOT_CONFIRMED


def test_where_nothing_confirmed_reaches_it_the_nearest_is_named(ask: Ask) -> None:
    code, out, err = ask("--study", "sure", "--at-least", "0.97")
    assert (code, out) == (1, "")
    assert err == (
        "error: no confirmed point reaches 97.00%, the nearest has 95.37% ±2.17 validation "
        "(mean of 3 seeds), 92.96% test, for 0.9 device-seconds (trial 3 at epoch 1 had "
        "98.00% in the search, not confirmed: repeat the sweep with search.confirm=2); "
        "ask for less, or search on; the nearest is: "
        "python -m pipeline run data=digits model.hidden=512 optimizer=sgd train.epochs=3\n"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--at-least", "0.99"],
            "error: no point reaches 99.00%, the nearest has 98.00% validation (one seed, not confirmed) "
            "for 2.7 device-seconds; ask for less, or search on; the nearest is: "
            "python -m pipeline run data=digits model.hidden=512 optimizer=sgd train.epochs=3",
        ),
        (
            ["--within", "0.001", "--json"],
            "error: no point costs 0.001 device-seconds or less, the cheapest has 50.00% validation "
            "(one seed, not confirmed) for 0.01 device-seconds; allow more, or search on; the cheapest is: "
            "python -m pipeline run data=digits model.hidden=8 optimizer=sgd train.epochs=1",
        ),
        (
            ["--study", "two", "--knee"],
            "error: the frontier of two has no knee: its 2 points do not bend (a knee needs 3); "
            "choose by --at-least or --within, or search on",
        ),
        (
            ["--study", "guesses"],
            "error: study guesses has no point above chance, which is 12.47% (always naming the largest "
            "class, with luck); train longer, or search another space",
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
            "--study must be one of the studies that exist (empty, guesses, two, sure, widths), got nosuch",
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
