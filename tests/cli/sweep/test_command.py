"""`sweep` on the command line: what is printed before anything is recorded, and a small one, whole."""

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import mlflow
import pytest

from pipeline.cli import main
from pipeline.cli.compose import compose
from pipeline.reports.cards.markdown import CARD_FILE
from pipeline.reports.study_markdown import describe_point
from pipeline.search import trial_rows
from pipeline.search.results import Results
from pipeline.search.study_store import StudyStore
from pipeline.search.study_trial import StudyTrial
from pipeline.settings import addresses
from pipeline.settings.tracking import OUR_TAGS
from pipeline.tracking import mlflow_store, study_view
from tests.conftest import Run

SMOKE = ("search=smoke", "train.epochs=4", "device=cpu", "search.confirm=1", "search.workers=0")
SMOKE += ("tracking.tags={team: vision}",)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("modle.hidden=8,16", ["modle.hidden is not a setting", "did you mean model.hidden=8,16?"]),
        ("model.hiden=8,16", ["model has no setting hiden", "did you mean model.hidden=8,16?"]),
        ("hidden=8,16", ["hidden is not a setting", "did you mean model.hidden=8,16?"]),
        ("hidden=0,16", ["hidden is not a setting, got 0,16; model.hidden must be >= 1 and <= 65536"]),
        ("lr=-1", ["lr is not a setting, got -1; optimizer.learning_rate must be > 0 and < 1e6"]),
        ("--batch 8..16", ["did you mean 'train.batch_size=int(interval(8,16))'?"]),
        (
            "optimizer=sgd,adma",
            ["optimizer must be one of adam, sgd", "got adma", "did you mean optimizer=adam?"],
        ),
        ("model.hidden=0,16", ["model.hidden must be >= 1 and <= 65536, got 0"]),
        ("model.hidden=int(interval(16,100000))", ["model.hidden must be >= 1 and <= 65536, got 100000"]),
        (
            "model.hidden=interval(16,64)",
            ["model.hidden must be a whole number", "write model.hidden=int(interval(16,64))"],
        ),
        ("optimizer.learning_rate=interval(-1,1)", ["optimizer.learning_rate must be > 0 and < 1e6, got -1"]),
        (
            "model.activation=relu,rleu",
            ["model.activation must be one of", "did you mean model.activation=relu?"],
        ),
        ("optimizer.learning_rate=tag(lin,interval(0.1,1))", ["must have no tag but log, got lin"]),
        (
            "model.hidden=8 optimizer=adam optimizer.learning_rate=0.1",
            ["search.space must vary one key at least"],
        ),
        ("search.sampler=grid", ["optimizer.learning_rate must have a finite number of values in a grid"]),
        (
            "search.sampler=best",
            ["search.sampler must be one of frontier, tpe, nsga2, gp, random, grid, qmc"],
        ),
        ('search.study="it\'s"', ["search.study must be a name of", "or null, got it's"]),
        ("search.trials=0", ["search.trials must be >= 1"]),
        ("search.budget_device_seconds=-1", ["search.budget_device_seconds must be > 0, or null"]),
        ("search.enqueue=['model.hiden=3']", ["model has no setting hiden"]),
        (
            "search.objective=accuracy_under_shift",
            ["search.objective=accuracy_under_shift needs evaluate.shift=noise", "got none"],
        ),
        ("search.objective=loss", ["search.objective must be one of accuracy, accuracy_under_shift"]),
        ("search.from_diagnosis=nowhere", ["a trained model must be a run id"]),
        ("data=digits,mnist", ["data must have one value in a search"]),
        ("device=cpu,gpu", ["device must have one value in a search"]),
        ("search=standard model=cnn train.batch_size=99999", ["train.batch_size must be "]),
        ("data=idx data.path=/no/such/folder", ["/no/such/folder"]),
        (
            "search.storage=postgresql://ann:secret-word@127.0.0.1:1/s",
            ["search.storage must be an Optuna URL that answers, got postgresql://ann:***@127.0.0.1:1/s"],
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_recorded(
    words: str,
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own' / 'mlflow.db'}")
    assert main(["sweep", "search=smoke", "search.workers=0", "device=cpu", *words.split(" ")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    for part in parts:
        assert part in printed.err
    assert "secret-word" not in printed.err
    assert not (tmp_path / "own" / "studies.db").exists()
    if "storage" not in words:
        assert not (tmp_path / "own").exists()


def test_gp_without_torch_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("torch") is not None:
        pytest.skip("PyTorch is here")
    assert main(["sweep", "search=smoke", "search.sampler=gp"]) == 2
    assert capsys.readouterr().err == (
        "error: search.sampler=gp needs PyTorch, which is not installed; "
        "pip install torch, or use search.sampler=frontier\n"
    )


def test_a_dry_run_says_what_would_happen_and_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own' / 'mlflow.db'}")
    words = ["model.hidden=8,16", "search.budget=2min", "price.per_hour=3", "--dry-run"]
    assert main(["sweep", "search=smoke", *words]) == 0
    space, until, then = capsys.readouterr().out.splitlines()
    assert space.startswith("search: ")
    assert "model.hidden=8,16" in space
    assert until == "until: 4 trials or 120 device-seconds (0.1 USD), whichever is first"
    assert then == "then: nothing is confirmed"
    assert not (tmp_path / "own").exists()


# ---- a whole one ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Swept:
    folder: Path
    out: str
    err: str
    results: Results


def sweep(*words: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["sweep", *words])
    return code, out.getvalue(), err.getvalue()


def results() -> Results:
    return trial_rows.read_results(StudyStore(addresses.make_study_address(), "smoke"), "digits")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    """Four trials on digits, and what was said."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("FULCRUM_CACHE", str(folder / "cache" / "prepared"))
        patch.setenv("COLUMNS", "100")
        code, out, err = sweep(*SMOKE, "search.study=smoke")
        assert code == 0, err
        yield Swept(folder, out, err, results())


@pytest.fixture
def here(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> Swept:
    """In the same store once more."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{swept.folder / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(swept.folder / "cache" / "prepared"))
    monkeypatch.setenv("COLUMNS", "100")
    return swept


def test_it_says_what_it_does_and_nothing_else(swept: Swept) -> None:
    first, *plan, run, page = swept.out.splitlines()[:6]
    lines = swept.out.splitlines()[6:]
    assert first == "study smoke"
    assert [line.partition(":")[0].strip() for line in plan] == ["search", "until", "then"]
    watched = re.fullmatch(
        r"  watch it: http://127.0.0.1:5000/#/experiments/\d+/runs/(\w{32})\?workflowType=machine_learning",
        run,
    )
    assert watched is not None
    assert page == f"  its page: http://127.0.0.1:5000/studies/{watched[1]}"
    assert [line.partition(":")[0].split()[1] for line in lines[:4]] == ["0", "1", "2", "3"]
    assert all(line.startswith("trial ") for line in lines[:4])
    members = swept.results.frontier
    at = lines.index(next(line for line in lines if line.startswith("smoke: 4 trials (")))
    assert len([line for line in lines[4:at] if "confirmed with seed 1: " in line]) == len(members)
    assert len([line for line in lines[at + 4 :] if "%" in line]) == len(members)
    assert max(map(len, lines[:-1])) <= 120
    assert [line for line in lines[4:at] if not line.startswith("trial ")] == [
        "confirming the frontier with new seeds" + (f": {len(members)} to do" if len(members) > 1 else ""),
        *(line for line in lines[4:at] if line.startswith("keeping the models of the frontier")),
        "drawing pictures and the page",
    ]
    assert "ended: all 4 trials are done" in lines[at:]
    assert lines[-1].strip().startswith("http")
    assert swept.err == ""


def test_trials_and_their_runs_say_the_same(here: Swept) -> None:
    client = mlflow_store.open_store()
    for each in here.results.trials:
        assert each.run_id
        run = client.get_run(each.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.tags["command"] == each.command
        assert run.data.metrics["cpu_seconds"] == pytest.approx(each.curve[-1].device_seconds)
        assert run.data.tags["mlflow.parentRunId"]


def test_the_users_tags_are_on_every_run_and_ours_are_all_reserved(here: Swept) -> None:
    client = mlflow_store.open_store()
    experiment = client.get_experiment_by_name("fulcrum")
    runs = client.search_runs([experiment.experiment_id])
    drawn = [run for run in runs if run.data.tags.get("role") == study_view.LINE_ROLE]
    assert {run.data.tags.get("team") for run in runs if run not in drawn} == {"vision"}
    assert {run.data.tags.get("team") for run in drawn} == {None}
    assert all(run.info.run_name.startswith("drawn: ") for run in drawn)
    ours = {key for run in runs for key in run.data.tags if not key.startswith("mlflow.")} - {"team"}
    assert ours <= OUR_TAGS
    assert max(len(run.data.params) for run in runs) <= 40
    tested = [each.run_id for each in here.results.trials if each.confirmations]
    assert all("%" in client.get_run(run_id).data.tags["test"] for run_id in tested if run_id)


def test_the_command_of_a_run_repeats_its_curve(here: Swept) -> None:
    """Typed by hand, in a run of its own."""
    each: StudyTrial = max(here.results.trials, key=lambda tried: len(tried.curve))
    *_, command = shlex.split(each.command)[:4]
    assert command == "run"
    words = [*shlex.split(each.command)[4:], "tracking.experiment=again"]
    with redirect_stdout(StringIO()):
        assert main(["run", *words]) == 0
    client = mlflow_store.open_store()
    experiment = client.get_experiment_by_name("again")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "train/validation_accuracy")
    again = [metric.value for metric in sorted(history, key=lambda metric: metric.step)]
    assert again == pytest.approx([point.accuracy for point in each.curve], abs=1e-8)


def test_the_same_again_does_nothing_and_shows_the_same(here: Swept) -> None:
    code, out, err = sweep(*SMOKE, "search.study=smoke")
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if not line.startswith("trial ")]
    assert len(lines) == len(out.splitlines())
    table = here.out[here.out.index("smoke: 4 trials (") :].splitlines()
    assert lines[:6] == here.out.splitlines()[:6]
    assert lines[6:] == table
    assert results() == here.results


@pytest.mark.parametrize(
    ("words", "differs"), [(["model.hidden=8,64"], "space"), (["train.batch_size=64"], "settings")]
)
@pytest.mark.usefixtures("here")
def test_another_search_under_the_same_name_is_refused(words: list[str], differs: str) -> None:
    code, out, err = sweep(*SMOKE, "search.study=smoke", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: search.study=smoke was begun with {differs} ")
    assert "start anew with search.study=NAME" in err
    assert err.count("\n") == 1
    assert len(results().trials) == 4


def test_a_frontier_of_accuracy_under_shift_is_another_study_and_says_so() -> None:
    words = ["search=smoke", "search.trials=1", "search.workers=0", "device=cpu", "search.study=shifted"]
    code, out, err = sweep(*words, "search.objective=accuracy_under_shift", "evaluate.shift=noise")
    assert (code, err) == (0, "")
    assert "what is maximised is accuracy under shift" in out
    code, _, err = sweep(*words, "evaluate.shift=noise")
    assert code == 2
    assert "was begun with objective accuracy_under_shift" in err
    client = mlflow_store.open_store()
    (run,) = client.search_runs(
        [client.get_experiment_by_name("fulcrum").experiment_id],
        "tags.stage = 'trial' AND tags.study = 'shifted'",
    )
    assert run.data.metrics["accuracy"] < run.data.metrics["unshifted_accuracy"]


def test_models_of_the_frontier_have_their_aliases_and_say_what_they_reach(here: Swept) -> None:
    client = mlflow_store.open_store()
    results = here.results
    aliases = client.get_registered_model("smoke").aliases
    assert ("knee" in aliases) == (results.knee is not None)
    for alias, member in (("best", results.best), ("knee", results.knee), ("cheapest", results.cheapest)):
        if member is None:
            continue
        version = client.get_model_version_by_alias("smoke", alias)
        assert version.run_id == member.trial.run_id
        assert version.tags["member"] == f"{member.trial.number} {member.epoch}"
        assert version.description == f"{describe_point(member)}: {member.command}"
        card = Path(mlflow.artifacts.download_artifacts(version.source), CARD_FILE).read_text()
        assert re.search(r"Energy: (some )?[\d.]+ J of training, (an estimate|measured)", card)
        assert "cpu-seconds of training steps" in card
        if new := member.confirmation:
            assert f"{new.test_accuracy:.2%} test" in version.description
            assert version.tags["test_accuracy"] == f"{new.test_accuracy:.6g}"


def test_every_composed_word_of_a_trial_is_in_its_command(swept: Swept) -> None:
    for each in swept.results.trials:
        command_line = compose(shlex.split(each.command)[4:])
        assert command_line.command_line("run") == each.command


def test_a_sweep_whose_trials_all_failed_says_why_and_fails(fulcrum: Run) -> None:
    done = fulcrum(
        *("sweep", "experiment=smoke", "search=smoke", "search.trials=2", "search.study=all-fail"),
        *("search.max_parameters=1", "search.workers=0"),
    )
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith(
        "error: none of the 2 trials of study all-fail came to a point, the last one failed: "
    )
    assert "infeasible" in line
    client = mlflow_store.open_store()
    (run,) = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()],
        "tags.study = 'all-fail' AND tags.stage = 'sweep'",
    )
    assert run.info.status == "FAILED"


def test_a_place_of_another_user_for_states_is_told_before_anything_trains(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that is shared with a colleague, who has made the folder beside it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "checkpoints").symlink_to("/proc/sys/kernel")  # nobody may write there, root included
    result = fulcrum("sweep", *SMOKE, f"cache_dir={tmp_path / 'prepared'}", "search.study=theirs")
    assert result.returncode == 2
    assert result.stderr.startswith(
        f"error: cache_dir must be a writable folder with room, got {tmp_path / 'checkpoints' / 'theirs'}"
    )
    assert result.stderr.count("\n") == 1
    assert "theirs" not in fulcrum("studies").stdout


@pytest.mark.parametrize("workers", [0, 1])
def test_a_disk_that_is_full_of_states_stops_the_sweep_and_spends_no_trial(
    workers: int, fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    words = ("sweep", *SMOKE, f"cache_dir={tmp_path / 'prepared'}", "search.study=full", "search.confirm=0")
    words += (f"search.workers={workers}", "search.trials=2")
    assert fulcrum(*words, "search.trials=1").returncode == 0
    (folder,) = (tmp_path / "checkpoints").iterdir()
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path / "full")
    monkeypatch.setattr("pipeline.cli.sweep.study.can_be_written", lambda _: True)
    (tmp_path / "full").write_text("")
    stopped = fulcrum(*words)
    assert stopped.returncode == 1
    assert "cache_dir must be a writable folder with room" in stopped.stderr
    assert "(trial 1 is given back)" in stopped.stderr
    (tmp_path / "full").unlink()
    (tmp_path / "full").mkdir()
    again = fulcrum(*words)
    assert again.returncode == 0
    assert "full: 2 trials (2 complete)" in again.stdout
