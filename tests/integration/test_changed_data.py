"""A study shows what was measured on the data that is there, whatever lay there under the same words."""

import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.cli.compose import compose
from pipeline.cli.stages.evaluate import CHANGED
from pipeline.data import sources
from pipeline.search.study_identity import DATA
from pipeline.search.study_store import StudyStore
from pipeline.search.study_trial import StudyTrial
from pipeline.search.trial_rows import read_results
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store
from pipeline.trial.network import forget_prepared, load_prepared, train_to_end

SWEEP = ("search=smoke", "data=csv", "data.label=y", "train.epochs=2", "pruning=none", "search.confirm=0")
STUDY = ("search.study=tab", "search.trials=2", "search.workers=0", "device=cpu")


def write_table(path: Path, sign: int) -> None:
    """600 rows, y = (a + sign b > 0)."""
    a, b = np.random.default_rng(1).normal(size=(2, 600))
    rows = (f"{x:.4f},{z:.4f},{int(x + sign * z > 0)}" for x, z in zip(a, b, strict=True))
    path.write_text("\n".join(["a,b,y", *rows, ""]))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A table, with a cache and databases of its own."""
    set_storage(tmp_path / "first", monkeypatch)
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    write_table(tmp_path / "t.csv", 1)
    return tmp_path / "t.csv"


def set_storage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")


def sweep(table: Path, *words: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["sweep", *SWEEP, *STUDY, f"data.path={table}", *words])
    return code, out.getvalue(), err.getvalue()


def read_trials() -> tuple[StudyTrial, ...]:
    return tuple(read_results(StudyStore(addresses.make_study_address(), "tab"), "csv").trials)


def count_runs() -> int:
    client = mlflow_store.open_store()
    return len(client.search_runs([client.get_experiment_by_name("fulcrum").experiment_id]))


def assert_measured_here(trials: tuple[StudyTrial, ...]) -> None:
    """Each trial was paid for, and its curve is that of its command line on the files of now."""
    assert trials
    for trial in trials:
        assert trial.paid_seconds == pytest.approx(trial.curve[-1].device_seconds)
        settings = compose(trial.command.split()[4:]).settings
        curve = train_to_end(load_prepared(settings), settings).curve
        expected = [epoch.validation_accuracy for epoch in curve.epochs]
        assert [point.accuracy for point in trial.curve] == pytest.approx(expected, abs=1e-8)


@pytest.mark.slow
def test_a_study_whose_data_changed_is_refused_until_it_is_put_back(table: Path) -> None:
    assert sweep(table)[0] == 0
    trials, runs, before = read_trials(), count_runs(), table.read_bytes()
    assert_measured_here(trials)
    write_table(table, -1)
    code, out, err = sweep(table, "search.trials=3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: search.study=tab was begun with data ")
    assert err.endswith("; start anew with search.study=NAME, or put the data back\n")
    assert (read_trials(), count_runs()) == (trials, runs)
    table.write_bytes(before)
    assert sweep(table, "search.trials=3")[0] == 0
    assert len(read_trials()) == 3
    write_table(table, -1)
    assert sweep(table, "search.study=other")[0] == 0  # the way out


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_name_in_another_storage_trains_anew(
    table: Path, sign: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after removing the databases: on the same data, and on changed."""
    assert sweep(table)[0] == 0
    first = read_trials()
    set_storage(tmp_path / "second", monkeypatch)
    write_table(table, sign)
    assert sweep(table)[0] == 0
    assert_measured_here(read_trials())
    accuracies = [[trial.curve[-1].accuracy for trial in trials] for trials in (first, read_trials())]
    assert (accuracies[0] == accuracies[1]) == (sign == 1)


@pytest.mark.slow
def test_data_of_a_baseline_belongs_to_the_study_too(table: Path) -> None:
    other = table.with_name("u.csv")
    write_table(other, 1)
    baseline = f"search.enqueue=['data.path={other}']"
    assert sweep(table, baseline)[0] == 0
    recorded = StudyStore(addresses.make_study_address(), "tab").read_attrs()[DATA]
    assert len(recorded) == 2
    assert len(set(recorded.values())) == 1  # two names of one content
    write_table(other, -1)
    code, out, err = sweep(table, baseline, "search.trials=3")
    assert (code, out) == (2, "")
    assert str(other) in err


@pytest.mark.slow
def test_a_searched_fraction_is_no_change_of_the_data(table: Path) -> None:
    assert sweep(table, "data.fraction=0.5,1.0")[0] == 0
    assert sweep(table, "data.fraction=0.5,1.0", "search.trials=3")[0] == 0
    assert len(StudyStore(addresses.make_study_address(), "tab").read_attrs()[DATA]) == 1
    assert len(read_trials()) == 3


@pytest.mark.slow
def test_a_table_that_changes_between_two_trials_stops_the_search(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that took the place of another one reads the file anew."""
    before, end = table.read_bytes(), StudyStore.finish_all

    def end_and_change(self: StudyStore, outcomes: dict[int, dict[str, object]]) -> set[int]:
        write_table(table, -1)
        forget_prepared()
        return end(self, outcomes)

    with monkeypatch.context() as patch:
        patch.setattr(StudyStore, "finish_all", end_and_change)
        code, _, err = sweep(table)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: the data was changed while the search ran: it had ")
    assert err.endswith("; put it back, or start anew with search.study=NAME (trial 1 is given back)\n")
    assert sweep(table)[0] == 2
    table.write_bytes(before)
    assert sweep(table)[0] == 0
    assert len(read_trials()) == 2
    assert_measured_here(read_trials())


def command(*words: str) -> tuple[int, list[str]]:
    err = StringIO()
    with redirect_stdout(StringIO()), redirect_stderr(err):
        code = main(words)
    return code, err.getvalue().splitlines()


def test_a_model_is_scored_on_changed_data_with_a_word_and_not_into_its_run(table: Path) -> None:
    words = ("data=csv", "data.label=y", f"data.path={table}", "train.epochs=1", "device=cpu")
    assert command("train", *words)[0] == 0
    client = mlflow_store.open_store()
    experiment = client.get_experiment_by_name("fulcrum").experiment_id
    (run,) = client.search_runs([experiment])
    trained, tags = f"trained={run.info.run_id}", run.data.tags
    assert command("evaluate", trained) == (0, [])
    write_table(table, -1)
    code, (line,) = command("evaluate", trained)
    assert (code, line) == (0, f"data: {CHANGED}")
    assert command("evaluate", trained, *words[:3]) == (0, [])  # other rows, on purpose
    for name in ("evaluate", "profile"):
        code, (line,) = command(name, trained, "record=model")
        assert code == 2
        assert line.startswith("error: record must be own for other data than those of the training (")
    assert client.get_run(run.info.run_id).data.tags == tags
    renamed = re.sub(
        r",([01])\n", lambda match: f",{'no' if match[1] == '1' else 'yes'}\n", table.read_text()
    )
    table.write_text(renamed)
    code, (line,) = command("evaluate", trained, *words[:3])
    assert code == 2
    assert line.startswith(
        "error: the model must have the classes of the data (such as no), got one with 0 in"
    )


def test_a_table_that_is_written_while_it_is_read_is_refused(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = sources.load

    def load_and_change(*arguments: object) -> object:
        loaded = load(*arguments)  # type: ignore[arg-type]
        write_table(table, -1)
        return loaded

    monkeypatch.setattr(sources, "load", load_and_change)
    code, out, err = sweep(table)
    assert (code, out) == (2, "")
    assert (
        err == "error: the data was changed while it was read; give the command again when it is complete\n"
    )


IMAGES = {
    8: lambda image: image.astype(np.uint8),
    16: lambda image: (image * 257).astype(np.uint16),
    32: lambda image: (image / 255).astype(np.float32),
}
"""Bits of a sample -> the same image in them."""


@pytest.mark.parametrize(("trained_bits", "other_bits"), [(8, 16), (16, 8), (16, 32), (32, 16), (32, 8)])
def test_a_model_of_images_is_not_asked_others_whose_white_is_another_number(
    table: Path, trained_bits: int, other_bits: int
) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (24, 6, 6))
    for folder, bits in (("trained", trained_bits), ("others", other_bits)):
        for number, image in enumerate(grey):
            file = table.parent / folder / "ab"[number % 2] / f"{number}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(IMAGES[bits](image)).save(file)
    words = ("data=image_folder", f"data.path={table.parent / 'trained'}", "train.epochs=1", "device=cpu")
    assert command("train", *words)[0] == 0
    client = mlflow_store.open_store()
    (run,) = client.search_runs([client.get_experiment_by_name("fulcrum").experiment_id])
    trained, others = f"trained={run.info.run_id}", f"data.path={table.parent / 'others'}"
    assert command("evaluate", trained) == (0, [])
    code, (line,) = command("evaluate", trained, words[0], others)
    assert code == 2
    assert line.startswith(
        f"error: the model must have been trained on images of {other_bits} bits a sample, as those of the "
        f"data, got one of {trained_bits}; save the images"
    )
    code, lines = command("predict", trained, others, f"predict.output={table.parent / 'answers.csv'}")
    if max(trained_bits, other_bits) < 32:  # as bright as each other
        assert code == 0
    else:
        assert code == 2
        assert "nothing tells how bright they are beside each other" in lines[0]
    assert command("predict", trained, words[1], f"predict.output={table.parent / 'own.csv'}")[0] == 0
