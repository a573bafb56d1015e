"""`frontier`: what a study has come to, and the one point that was asked for. No training."""

import csv
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.cli.compose import compose
from pipeline.cli.frontier import command
from pipeline.cli.frontier.output import NOT_CONFIRMED, print_frontier
from pipeline.errors import BadInput
from pipeline.reports.study_charts import format_member_hover
from pipeline.reports.study_markdown import format_label
from pipeline.reports.study_plots import describe_cost_axis
from pipeline.search import optuna_storage
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.outcomes import CONFIRM
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.study_store import StudyStore
from pipeline.search.trial_rows import VALIDATION
from pipeline.settings.addresses import make_study_address
from tests.support.odd_studies import EMPTY

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
    store: StudyStore,
    trial: int,
    curve: list[list[float]],
    accuracies: list[float],
    test: float,
    fails: int = 0,
) -> None:
    """Confirm the state at the end of `curve` with a new seed for each accuracy; the last ones fail."""
    after = store.task_queue()
    for seed, accuracy in enumerate(accuracies, start=1):
        state = "failed" if seed > len(accuracies) - fails else "complete"
        about = {"trial": trial, "epoch": len(curve), "seed": seed}
        after.queue(ProposedTrial({}, {}, {}), {CONFIRM: about}, once=f"confirm {about}")
        row = after.claim()
        assert row is not None
        again = [*curve[:-1], [*curve[-1][:2], accuracy]]
        after.finish(row.number, outcome(64, curve=again, test_accuracy=test, state=state))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies that tests ask for; the newest has three trials, one that failed, and nothing confirmed."""
    found = tmp_path_factory.mktemp("frontier")
    address = f"sqlite:///{found / 'studies.db'}"
    StudyStore(address, "empty")
    failed = outcome(8, state="failed", reason="diverged", curve=[], paid_seconds=0.0, device="")
    write_study(address, "all failed", failed)
    write_study(address, "one", outcome(64, curve=[[1, 0.08, 0.90]]), split=DIGITS)
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
    write_study(address, "widths", *map(outcome, CURVES), failed)
    return found


LATENCIES = {8: 0.1, 64: 0.4, 512: 0.2}


@pytest.fixture(scope="module")
def folder_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study over accuracy, cost and latency, of which two points are confirmed."""
    found = tmp_path_factory.mktemp("three")
    about = {"objectives": ["accuracy", "cost", "latency_ms"]}
    store = StudyStore(f"sqlite:///{found / 'studies.db'}", "three", about)
    for hidden, latency in LATENCIES.items():
        number = store.begin(ProposedTrial({}, {}, {}), 99)
        assert number is not None
        store.finish(number, outcome(hidden, further={"latency_ms": [latency]}))
    for trial, hidden, seconds in ((1, 64, (0.13, 0.20)), (2, 512, (1.9, 2.1))):
        for seed, second in enumerate(seconds, start=1):
            about_seed = {"trial": trial, "epoch": 2, "seed": seed}
            queue = store.task_queue()
            queue.queue(ProposedTrial({}, {}, {}), {CONFIRM: about_seed}, once=f"confirm {about_seed}")
            row = queue.claim()
            assert row is not None
            curve = [CURVES[hidden][0], [2, second, CURVES[hidden][1][2]]]
            latency = {"latency_ms": [LATENCIES[hidden] * (1 + seed / 10)]}
            queue.finish(row.number, outcome(hidden, curve=curve, test_accuracy=0.94, further=latency))
    return found


@pytest.fixture
def ask_three(
    folder_of_three: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ask:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder_of_three / 'mlflow.db'}")

    def run(*words: str) -> Said:
        code = main(["frontier", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


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
        "all points: optimizer=sgd learning_rate=0.033",
        "        cost  accuracy  trial  epoch  hidden",
        "     10.0 ms    50.00%      0      1       8",
        "     20.0 ms    70.00%      0      2       8",
        "     30.0 ms    72.00%      0      3       8",
        "     80.0 ms    90.00%      1      1      64",
        "knee  0.16 s    95.00%      1      2      64",
        "      0.24 s    96.00%      1      3      64",
        "      1.80 s    97.00%      2      2     512",
        "      2.70 s    98.00%      2      3     512",
        NOT_CONFIRMED,
    ]


def test_search_new_seeds_and_test_stand_side_by_side_and_chance_is_no_member(ask: Ask) -> None:
    _, out, _ = ask("--study", "sure")
    heading, *rows = [re.split(r"  +", line.removeprefix("knee").strip()) for line in out.splitlines()[4:]]
    assert heading[:7] == ["cost", "all seeds", "search", "new seeds", "test", "trial", "epoch"]
    assert [row[:5] for row in rows if "%" in " ".join(row)] == [
        ["20.0 ms", "70.00% ±4.72", "70.00%", "70.00%", "69.00%"],
        ["0.16 s", "94.50% ±2.35", "95.50%", "94.00%", "93.10%"],
        ["0.90 s", "95.37% ±2.17", "95.60%", "95.25%", "92.96%"],
        ["2.70 s", "-", "98.00%", "-", "-"],
    ]


def test_what_new_seeds_have_spent_stands_beside_what_the_search_has(ask: Ask) -> None:
    out = ask("--study", "sure")[1]
    assert "\n3.97 s of a CPU, 1 core, and 1.44 s for new seeds\n" in out
    told = json.loads(ask("--study", "sure", "--json")[1])
    assert told["confirming_device_seconds"] == pytest.approx(6 * 0.24)
    assert "new seeds" not in ask("--study", "widths")[1].splitlines()[1]


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
        (["--at-least", "95.1%"], "96.00%", 64, 3),
        (["--within", "0.1"], "90.00%", 64, 1),
        (["--within", "100ms"], "90.00%", 64, 1),
        (["--within=2min"], "98.00%", 512, 3),
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
    code, out, _ = ask("--study", "sure", "--at-least", "0.9295")
    assert code == 0
    assert out.splitlines() == [
        "94.50% ±2.35 validation, mean of 3 seeds, at 0.16 s of a CPU, 1 core",
        "95.50% search, 94.00% 2 new seeds, 93.10% test",
        "not sure to reach 92.95%: the 95 % interval begins at 92.15%",
        "sure by validation is trial 2 at epoch 1, 95.37% ±2.17 validation (mean of 3 seeds), 92.96% test, "
        "for 0.9 device-seconds: "
        "python -m pipeline run data=digits model.hidden=512 optimizer=sgd train.epochs=3",
        "python -m pipeline run data=digits model.hidden=64 optimizer=sgd train.epochs=3",
    ]
    _, out, _ = ask("--study", "sure", "--within", "1", "--json")
    (member,) = json.loads(out)["frontier"]
    assert (member["search_accuracy"], member["new_seeds_accuracy"]) == (0.956, pytest.approx(0.9525))
    assert (member["test_accuracy"], member["mean_accuracy"]) == (0.9296, pytest.approx(0.953667, abs=1e-6))
    assert member["mean_accuracy_interval"] == pytest.approx([0.9320, 0.9753], abs=1e-4)
    assert (member["seeds"], member["confirmed"]) == (3, True)


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_a_point_that_the_test_split_contradicts_is_no_answer(ask: Ask, json_too: list[str]) -> None:
    """95.37 % by all seeds, 92.96 % on the test split: it is named as the nearest, and nothing is printed."""
    code, out, err = ask("--study", "sure", "--at-least", "0.95", *json_too)
    assert (code, out) == (1, "")
    assert err == (
        "error: the cheapest point that reaches 95.00% by validation, which alone decides, does not on the "
        "test split: it has 95.37% ±2.17 validation (mean of 3 seeds), 92.96% test, for 0.9 "
        "device-seconds; ask for a margin, or search on; it is: "
        "python -m pipeline run data=digits model.hidden=512 optimizer=sgd train.epochs=3\n"
    )


CHEAP, DEAR = [[1, 0.1, 0.955]], [[1, 0.9, 0.98]]


def write_two_points(folder: Path) -> tuple[str, StudyStore]:
    address = f"sqlite:///{folder / 'studies.db'}"
    return address, write_study(address, "two", outcome(64, curve=CHEAP), outcome(512, curve=DEAR))


def test_a_dearer_point_that_the_test_split_bears_out_is_not_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, store = write_two_points(tmp_path)
    confirm(store, 0, CHEAP, [0.955], 0.93)
    confirm(store, 1, DEAR, [0.98], 0.98)
    assert main(["frontier", "--at-least", "95%", f"search.storage={address}"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: the cheapest point that reaches 95.00% by validation")
    assert "does not on the test split: it has 95.50%" in said


def test_a_point_of_which_a_new_seed_failed_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, store = write_two_points(tmp_path)
    confirm(store, 0, CHEAP, [0.955, 0.5], 0.955, fails=1)
    confirm(store, 1, DEAR, [0.98, 0.98], 0.98)
    assert main(["frontier", "--at-least", "90%", f"search.storage={address}"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("95.50%")
    assert said[2] == "1 of 2 new seeds failed: the means are of the others"
    assert said[3].startswith("sure by validation is trial 1 at epoch 1, 98.00%")
    assert main(["frontier", f"search.storage={address}"]) == 0
    found = capsys.readouterr().out
    assert "the means leave out new seeds that failed: trial 0 at epoch 1 (1 of 2)" in found
    assert main(["frontier", "--json", f"search.storage={address}"]) == 0
    members = json.loads(capsys.readouterr().out)["frontier"]
    assert [(member["failed_seeds"], member["seeds"]) for member in members] == [([2], 2), ([], 3)]


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
        (
            ["--study", "all failed", "--at-least", "0.9"],
            "error: study all failed has no point: its 1 trial came to none, the last one failed: diverged; "
            "see all with: python -m pipeline frontier --study 'all failed' --csv",
        ),
        (
            ["--study", "one", "--knee"],
            "error: the frontier of one has no knee: its 1 point does not bend (a knee needs 3); "
            "choose by --at-least or --within, or search on",
        ),
    ],
)
def test_where_nothing_qualifies_it_ends_with_1_and_one_line(ask: Ask, words: list[str], line: str) -> None:
    assert ask(*words) == (1, "", f"{line}\n")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ["--at-least", "97.5"],
            "--at-least must be a share of 0% to 100%, or of 0 to 1, got 97.5; write --at-least 97.5%",
        ),
        (["--at-least", "nan"], "--at-least must be a share of 0% to 100%"),
        (["--at-least", "101%"], "--at-least must be a share of 0% to 100%"),
        (["--at-least", "0,95"], "got 0,95; write --at-least 0.95"),
        (["--within", "0,5ms"], "got 0,5ms; write --within 0.5ms"),
        (["--within", "0"], "--within must be a time > 0, got 0; such as 5ms"),
        (["--within", "2", "ms"], "--within must be followed by one word, got 2 ms; write --within 2ms"),
        (["--at-least", "95", "%"], "got 95 %; write --at-least 95%"),
        (["--max", "cost=2", "ms"], "got cost=2 ms; write --max cost=2ms"),
        (["--within", "nan"], "--within must be a time > 0, got nan"),
        (["--within", "much"], "--within must be a time > 0, got much"),
        (["--within", "5parsec"], "--within must be a time > 0, got 5parsec"),
        (["7"], "the trial must be one of 0 to 3 of study widths, got 7; see them all with: "),
        (["1", "--knee"], "frontier takes one of --at-least, --within, --knee and the number of a trial"),
        (["--within"], "frontier: argument --within: expected one argument"),
        (
            ["--knee", "--within", "2"],
            "frontier takes one of --at-least, --within, --knee and the number of a trial, got several",
        ),
        (
            ["--study", "nosuch"],
            "--study must be one of the studies that exist "
            "(empty, all failed, one, guesses, two, sure, widths), got nosuch",
        ),
        (["--nosuch"], "--nosuch is no flag of this command"),
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
        "error: --study must be one of the studies that exist (none), got nothing; look in another storage "
        f"(search.storage, now {make_study_address()}), or begin one with: python -m pipeline sweep\n"
    )


def test_the_storage_that_was_looked_in_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optuna_storage, "list_studies", lambda _address: ["other"])
    words = ["frontier", "--study", "mine", "search.storage=postgresql://me:hunter2@db/studies"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "hunter2" not in told
    assert "(other), got mine; look in another storage (search.storage, now postgresql://me:" in told


def test_of_many_studies_the_newest_are_named() -> None:
    with pytest.raises(BadInput, match=r"exist \(\.\.\., 2, 3, 4, 5, 6, 7, 8, 9\), got none"):
        command._choose_study("none", [str(number) for number in range(10)], "sqlite:///studies.db")


# ---- over three objectives, and the interval of the cost ----------------------------------------------


def test_the_table_over_three_has_a_column_for_the_third(ask_three: Ask) -> None:
    _, out, _ = ask_three()
    heading, *rows = [re.split(r"  +", line.removeprefix("knee").strip()) for line in out.splitlines()[4:]]
    assert heading[:6] == ["cost", "latency", "all seeds", "search", "new seeds", "test"]
    assert ["0.16 s ±30%", "0.44 ms ±16%"] in [row[:2] for row in rows]
    assert ["10.0 ms", "0.1 ms", "-", "50.00%", "-", "-"] in [row[:6] for row in rows]


def test_json_over_three_has_the_third_with_its_interval(ask_three: Ask) -> None:
    printed = json.loads(ask_three("--json")[1])
    assert printed["objectives"] == ["accuracy", "cost", "latency_ms"]
    (member,) = [each for each in printed["frontier"] if (each["trial"], each["epoch"]) == (1, 2)]
    assert (member["latency_ms"], member["mean_latency_ms"]) == (0.4, pytest.approx(0.44))
    low, high = member["mean_latency_ms_interval"]
    assert low < 0.44 < high
    assert low * high == pytest.approx(0.44**2)
    low, high = member["mean_device_seconds_interval"]
    assert low < member["mean_device_seconds"] < high
    assert printed["frontier"][0]["mean_device_seconds_interval"] is None


def test_a_budget_that_the_interval_of_the_cost_passes_is_not_sure(ask_three: Ask) -> None:
    code, out, _ = ask_three("--within", "2.1")
    assert code == 0
    first, *_ = out.splitlines()
    assert first.startswith("97.00%")
    assert "not sure to keep to 2.1 device-seconds: the 95 % interval ends at" in out
    assert "sure by validation is trial 1 at epoch 2, 95.00%" in out
    assert "not sure" not in ask_three("--within", "10")[1]


@pytest.mark.parametrize(
    ("words", "trial"),
    [
        (["--within", "10", "--max", "latency_ms=0.3"], 2),
        (["--within", "10", "--max", "latency_ms=0.5"], 2),
        (["--at-least", "0.9", "--max", "latency_ms=0.5", "--max", "cost=1"], 1),
    ],
)
def test_a_bound_on_an_objective_is_kept(ask_three: Ask, words: list[str], trial: int) -> None:
    code, out, _ = ask_three(*words, "--json")
    assert code == 0
    assert [each["trial"] for each in json.loads(out)["frontier"]] == [trial]


def test_a_bound_alone_shows_the_points_that_keep_to_it(ask_three: Ask) -> None:
    printed = json.loads(ask_three("--max", "latency_ms=0.15", "--json")[1])
    assert {each["trial"] for each in printed["frontier"]} == {0}


def test_where_no_point_keeps_to_a_bound_the_nearest_is_named(ask_three: Ask) -> None:
    code, out, err = ask_three("--max", "latency_ms=0.01")
    assert (code, out) == (1, "")
    assert err.startswith("error: no confirmed point keeps to --max latency_ms=0.01, the nearest has 97.00%")
    assert "0.22 ms ±16% latency; allow more, or search on; the nearest is: python -m pipeline run" in err


@pytest.mark.parametrize(
    "pair", ["latency=5", "latency_ms", "latency_ms=fast", "latency_ms=-1", "accuracy=1"]
)
def test_a_bound_on_what_is_no_objective_is_refused(ask_three: Ask, pair: str) -> None:
    code, out, err = ask_three("--max", pair)
    assert (code, out) == (2, "")
    assert err == (
        "error: --max must be NAME=VALUE, NAME one of cost, latency_ms in study three, VALUE a number > 0, "
        f"got {pair}; write --max latency_ms=5\n"
    )


@pytest.fixture
def ask_attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """A study over accuracy, cost and accuracy under attack, of which one point is confirmed."""
    about = {"objectives": ["accuracy", "cost", "accuracy_under_attack"]}
    store = StudyStore(f"sqlite:///{tmp_path / 'studies.db'}", "attacked", about)
    for hidden, values in ((8, [0.3, 0.4, 0.5]), (64, [0.7, 0.8, 0.75])):
        number = store.begin(ProposedTrial({}, {}, {}), 99)
        assert number is not None
        store.finish(number, outcome(hidden, further={"accuracy_under_attack": values}))
    queue, told = store.task_queue(), {"trial": 1, "epoch": 2, "seed": 1}
    queue.queue(ProposedTrial({}, {}, {}), {CONFIRM: told}, once=f"confirm {told}")
    row = queue.claim()
    assert row is not None
    again = {"accuracy_under_attack": [0.7, 0.78]}
    queue.finish(row.number, outcome(64, curve=CURVES[64][:2], test_accuracy=0.94, further=again))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")

    def run(*words: str) -> Said:
        code = main(["frontier", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_what_is_better_large_has_a_least_bound_and_is_written_as_a_share(ask_attacked: Ask) -> None:
    code, out, _ = ask_attacked("--json", "--min", "accuracy_under_attack=77%")
    (member,) = json.loads(out)["frontier"]
    assert (code, member["trial"], member["epoch"]) == (0, 1, 2)
    assert member["accuracy_under_attack"] == pytest.approx(0.8)
    assert member["mean_accuracy_under_attack"] == pytest.approx(0.79)
    low, high = member["mean_accuracy_under_attack_interval"]
    assert low < 0.79 < high < 1
    code, out, err = ask_attacked("--at-least", "90%", "--min", "accuracy_under_attack=0.77")
    assert (code, err) == (0, "")
    assert re.search(r"79\.00% ±\d+\.\d\d accuracy under attack", out)
    assert "not sure to reach 77.00% accuracy under attack: the 95 % interval begins at" in out
    code, _, err = ask_attacked("--min", "accuracy_under_attack=90%")
    assert code == 1
    assert "keeps to --min accuracy_under_attack=0.9, the nearest has" in err
    assert "; ask for less, or search on" in err
    assert "has no knee: its 1 confirmed point does not bend" in ask_attacked("--knee")[2]
    for words, text in (
        (("--min", "accuracy_under_attack=2"), "NAME one of accuracy_under_attack, SHARE within 0..1"),
        (("--min", "cost=0.5"), "got cost=0.5; write --min accuracy_under_attack=80%"),
        (("--max", "accuracy_under_attack=0.5"), "--max must be NAME=VALUE, NAME one of cost in study"),
    ):
        code, out, err = ask_attacked(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert text in err


def test_a_study_of_two_objectives_has_a_bound_on_its_cost_alone(ask: Ask) -> None:
    assert json.loads(ask("--max", "cost=0.1", "--json")[1])["frontier"][-1]["device_seconds"] == 0.08
    assert "NAME one of cost in study widths" in ask("--max", "latency_ms=5")[2]
    assert (
        "--min must be left out, as more is better of accuracy alone in study widths"
        in ask("--min", "cost=1")[2]
    )


def test_commands_alone_can_be_piped(ask: Ask) -> None:
    code, out, _ = ask("--commands")
    assert (code, len(out.splitlines())) == (0, 8)
    assert out.splitlines()[0] == (
        "python -m pipeline run data=digits model.hidden=8 optimizer=sgd train.epochs=1"
    )


def test_csv_has_all_trials_also_those_that_failed(ask: Ask) -> None:
    code, out, _ = ask("--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, len(rows)) == (0, 4)
    assert [row["state"] for row in rows] == ["complete"] * 3 + ["failed"]
    assert (rows[1]["accuracy"], rows[1]["device_seconds"], rows[1]["model.hidden"]) == ("0.96", "0.24", "64")
    assert (rows[3]["accuracy"], rows[3]["reason"]) == ("", "diverged")


def test_json_has_all_trials_with_their_curves(ask: Ask) -> None:
    trials = json.loads(ask("--json")[1])["all_trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    assert trials[1]["curve"] == [[0.08, 0.9], [0.16, 0.95], [0.24, 0.96]]
    assert (trials[3]["state"], trials[3]["reason"]) == ("failed", "diverged")


def test_a_trial_by_its_number(ask: Ask) -> None:
    code, out, _ = ask("1")
    assert code == 0
    assert out.splitlines() == [
        "trial 1 of widths: complete, 96.00% validation at 0.24 s of a CPU, 1 core after 3 epochs",
        "model.hidden=64 optimizer=sgd optimizer.learning_rate=0.0333333",
        "run run64",
        "python -m pipeline run data=digits model.hidden=64 optimizer=sgd train.epochs=3",
    ]
    assert "failed: diverged" in ask("3")[1]


def test_the_page_is_written_and_says_where(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "new" / "page.html"
    code, out, _ = ask("--html", str(file))
    assert (code, out) == (0, f"widths: {file}\n")
    assert "model.hidden=512" in file.read_text()
    code, out, err = ask("--html", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: --html must be a file that can be written, got {tmp_path}")


def test_a_second_study_lies_over_the_page(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "both.html"
    code, out, _ = ask("--html", str(file), "--overlay", "two")
    assert (code, out) == (0, f"widths: {file}\n")
    assert "with the frontier of two" in file.read_text()
    code, _, err = ask("--overlay", "never")
    assert code == 2
    assert "got never" in err


def test_only_accuracies_of_one_measure_lie_over_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"sqlite:///{tmp_path / 'studies.db'}"
    StudyStore(address, "an f1", {"objective": "f1"})
    StudyStore(address, "plain")
    words = ["--html", str(tmp_path / "x.html"), "--overlay", "an f1", f"search.storage={address}"]
    assert main(["frontier", *words]) == 2
    assert capsys.readouterr().err == (
        "error: --overlay must be a study of accuracy, as plain is, got an f1 of F1; name another\n"
    )


def test_while_a_study_is_searched_its_own_page_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"sqlite:///{tmp_path / 'studies.db'}"
    store = write_study(address, "going on", outcome(64))
    page = tmp_path / "frontier.html"
    page.write_text("the page")
    store.write_attr("page", str(page))
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert main(["frontier", "--open", f"search.storage={address}"]) == 0
    assert opened.pop() != page.as_uri()  # nobody writes it any more
    assert store.begin(ProposedTrial({}, {}, {}), 99) is not None
    assert main(["frontier", "--open", f"search.storage={address}"]) == 0
    assert opened == [page.as_uri()]
    assert f"going on: {page}" in capsys.readouterr().out


def test_a_study_without_a_trial_has_no_empty_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    print_frontier(EMPTY)
    assert capsys.readouterr().out.splitlines() == ["nothing yet: 0 trials", "no trial has reached a point"]


def test_a_command_is_printed_as_it_is_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of words in brackets is no markup; what is said of a study can be typed again, too."""
    address, name = f"sqlite:///{tmp_path / 'studies.db'}", "bob's study"
    command = "python -m pipeline run data=csv 'data.drop=[id,name]' 'data.columns=[age]' train.epochs=3"
    params = {"model.hidden": 64, "optimizer": "sgd", "train.patience": None}
    write_study(address, name, outcome(64, command=command, params=params))
    assert main(["frontier", "--within", "1min", f"search.storage={address}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == command
    assert main(["frontier", "7", f"search.storage={address}"]) == 2
    told = capsys.readouterr().err.rpartition("with: ")[2]
    assert shlex.split(told) == ["python", "-m", "pipeline", "frontier", "--study", name, "--csv"]
    assert main(["frontier", "0", f"search.storage={address}"]) == 0
    assert "optimizer=sgd train.patience=null" in capsys.readouterr().out
    assert main(["frontier", "--csv", f"search.storage={address}"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["train.patience"] == "null"


def test_a_point_has_the_epochs_of_its_command_wherever_its_settings_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"sqlite:///{tmp_path / 'studies.db'}"
    write_study(address, "epochs", outcome(64, params={"model.hidden": 64, "train.epochs": 3}))
    assert main(["frontier", "--json", "--within", "100ms", f"search.storage={address}"]) == 0
    (point,) = json.loads(capsys.readouterr().out)["frontier"]
    assert (point["epoch"], point["params"]) == (1, {"model.hidden": 64, "train.epochs": 1})
    assert point["command"].endswith(" train.epochs=1")
    results = command.read_study("epochs", compose([f"search.storage={address}"]).settings.search)
    member = results.frontier[0]
    assert format_label(member) == "64 · 1 epoch"
    assert "train.epochs = 1<br>" in format_member_hover(member)
    assert describe_cost_axis(results).endswith("points are named by hidden, epochs")


def test_what_was_asked_for_does_not_look_like_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says 95.12 %, which is a bit more than the best point has."""
    address = f"sqlite:///{tmp_path / 'studies.db'}"
    curve = [[1, 0.5041, 0.951167]]
    store = write_study(address, "nearly", outcome(64, curve=curve))
    words = ["frontier", f"search.storage={address}"]
    assert main([*words, "--at-least", "95.12%"]) == 1
    assert "no point reaches 95.12%, the nearest has 95.117% validation" in capsys.readouterr().err
    assert main([*words, "--within", "0.504"]) == 1
    assert "costs 0.504 device-seconds or less, the cheapest has" in (said := capsys.readouterr().err)
    assert "for 0.5041 device-seconds; allow more" in said
    confirm(store, 0, curve, [0.951167, 0.951167], 0.95119)
    assert main([*words, "--at-least", "95.1167%"]) == 0
    assert "not sure to reach 95.117%" not in capsys.readouterr().out
    assert main([*words, "--at-least", "95.115%"]) == 0


def test_json_and_csv_have_shares_as_such_and_nothing_for_what_is_unknown(
    ask_attacked: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = json.loads(ask_attacked("--json")[1])["all_trials"]
    assert trials[1]["curve"][1] == [0.16, 0.95, pytest.approx(0.8)]
    address = f"sqlite:///{tmp_path / 'lacking.db'}"
    store = StudyStore(address, "lacking", {"objectives": ["accuracy", "cost", "latency_ms"]})
    for state, further in (("complete", {"latency_ms": [0.5]}), ("failed", {})):
        number = store.begin(ProposedTrial({}, {}, {}), 99)
        assert number is not None
        store.finish(number, outcome(64, state=state, reason="x", further=further))
    assert main(["frontier", "--json", f"search.storage={address}"]) == 0

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    lost = json.loads(capsys.readouterr().out, parse_constant=refuse)["all_trials"][1]
    assert lost["curve"][0] == [0.08, 0.9, None]
    assert main(["frontier", "--csv", f"search.storage={address}"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["latency_ms"] for row in rows] == ["0.5", ""]
