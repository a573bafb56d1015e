"""The command `predict`: a file of answers for new data of each kind, and what is told of it."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from pipeline.cli.predict import command
from pipeline.data.report import Findings
from pipeline.errors import BadInput
from pipeline.models.predictor import make_predictor
from pipeline.models.serving.predict import PredictionCounts
from pipeline.tracking import mlflow_store
from pipeline.tracking.model_references import ModelReference
from tests.conftest import Run
from tests.support import places, saved
from tests.support.saved import SavedModel

Predict = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    return saved.save_model(tmp_path_factory.mktemp("table"), "table")


@pytest.fixture
def predict(fulcrum: Run) -> Predict:
    def run(made: SavedModel, path: Path, output: Path, *more: str) -> CompletedProcess[str]:
        words = (*made.words, f"data.path={path}", f"predict.output={output}", "device=cpu", *more)
        if more and more[0].startswith("data="):  # another kind of data
            words = more
        return fulcrum("predict", f"trained={made.folder}", *words)

    return run


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_is_answered_row_by_row_with_its_accuracy(
    predict: Predict, table: SavedModel, tmp_path: Path
) -> None:
    new = tmp_path / "new.csv"
    new.write_text("colour,size,kind of thing\nred,9.5,large\n?,,small\nred\nblue,0.1,giant\n")
    done = predict(table, new, tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "out.csv")
    assert list(rows[0]) == ["line", "label", "prediction", "probability_large", "probability_small"]
    assert [row["line"] for row in rows] == ["2", "3", "5"]
    cells = {"size": np.array([9.5, np.nan, 0.1]), "colour": np.array(["red", "", "blue"], object)}
    outputs = make_predictor(table.model)(cells)
    np.testing.assert_allclose([float(row["probability_large"]) for row in rows], outputs[:, 0], atol=1e-5)
    names = np.array(["large", "small"])[outputs.argmax(axis=1)].tolist()
    assert [row["prediction"] for row in rows] == names
    right = np.mean([names[0] == "large", names[1] == "small"])
    assert f"accuracy    {right:.2%} of 2 with a label" in done.stdout
    assert "1 label unknown to the model (giant)" in done.stdout
    assert "1 row left out: another number of cells (line 4)" in done.stdout
    assert "predicted   3:" in done.stdout
    done = predict(table, new, tmp_path / "out.jsonl", "data.on_error=stop")
    assert (done.returncode, (tmp_path / "out.jsonl").exists()) == (2, False)
    assert "line 4" in done.stderr
    new.write_text("size,colour\n" + "9.5,red\n" * 9000)
    done = predict(table, new, tmp_path / "out.jsonl")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(lines) == 9000  # in several batches
    assert lines[-1]["line"] == 9001
    assert "label" not in lines[0]
    assert "accuracy" not in done.stdout


def test_names_with_line_ends_stay_on_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    counts = PredictionCounts(samples=2, predictions=Counter(["a\nb"] * 2), unknown=Counter(["c\x1b[2J"]))
    command._print_summary("m", Path("out.csv"), ["line", "probability_a\nb"], counts, Findings())
    assert capsys.readouterr().out.splitlines() == [
        "model       m",
        "predicted   2: a\\nb 2",
        "            1 label unknown to the model (c\\x1b[2J)",
        "written to  out.csv (line, probability_a\\nb)",
    ]


def test_long_sounds_are_answered_by_file(predict: Predict, tmp_path: Path) -> None:
    made = saved.save_model(tmp_path / "model of sounds", "sounds")
    wave = np.concatenate([places.tone(300, 0.25), places.tone(2000, 0.25)])
    places.write_wav(tmp_path / "new" / "low" / "long.wav", wave)
    (tmp_path / "new" / "low" / "broken.wav").write_bytes(b"RIFF")
    done = predict(made, tmp_path / "new", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    (row,) = read(tmp_path / "out.csv")
    outputs = make_predictor(made.model)(np.rint(wave).reshape(2, 2000)).mean(axis=0)
    assert (row["file"], row["label"]) == ("low/long.wav", "low")
    assert float(row["probability_low"]) == pytest.approx(
        outputs[made.prepared.classes.index("low")], abs=1e-5
    )
    assert "1 file left out: it cannot be read (low/broken.wav" in done.stdout


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (["predict.output=out.txt"], ["predict.output", ".parquet", "out.txt"]),
        (["data.path=absent.csv"], ["data.path", "absent.csv"]),
        (["data=digits"], ["data", "image_folder", "digits"]),
        (["data=audio_folder", "data.path=."], ["trained", "audio_folder"]),
        (["trained=null"], ["trained", "nothing"]),
        (["trained=/no/such/model"], ["trained", "/no/such/model"]),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    predict: Predict, table: SavedModel, tmp_path: Path, more: list[str], parts: list[str]
) -> None:
    new = tmp_path / "new.csv"
    new.write_text("size,colour\n1,red\n")
    done = predict(table, new, tmp_path / "out.csv", *more)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    for part in parts:
        assert part in line
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_a_column_of_labels_that_is_typed_wrong_is_told(
    predict: Predict, table: SavedModel, tmp_path: Path
) -> None:
    new = tmp_path / "new.csv"
    new.write_text("colour,size,kinds\nred,9.5,large\n")
    done = predict(table, new, tmp_path / "out.csv", "data.label=kind")
    assert (done.returncode, (tmp_path / "out.csv").exists()) == (2, False)
    assert "data.label must be a column of the new data, got kind; did you mean kinds?" in done.stderr
    done = predict(table, new, tmp_path / "out.csv", "data.label=truth")
    assert "1 column of labels is not there (truth)" in done.stdout
    new.write_text("colour,size\n")
    assert "predicted   0: no rows" in predict(table, new, tmp_path / "out.csv").stdout


def test_the_new_data_are_never_written_over(predict: Predict, table: SavedModel, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text("size,colour\n1,red\n")
    done = predict(table, new, new)
    assert (done.returncode, new.read_text()) == (2, "size,colour\n1,red\n")
    assert "another file than data.path" in done.stderr


def test_new_data_unlike_training_are_told_with_their_measure(
    predict: Predict, table: SavedModel, tmp_path: Path
) -> None:
    new, output, about = tmp_path / "new.csv", tmp_path / "out.csv", tmp_path / "out.drift.json"
    rows = [f"{'red' if row % 2 else 'blue'},{40 * (row % 2) + row % 7 / 4}" for row in range(40)]
    new.write_text("colour,size\n" + "\n".join(rows) + "\n")
    done = predict(table, new, output)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("unlike"))
    assert line.startswith("unlike      training in 1 of 2 columns: size (PSI ")
    assert "20 of 40 outside of " in line
    assert line.endswith(f"; see {about}")
    drifts = json.loads(about.read_text())
    assert [(drift["name"], drift["is_unlike"]) for drift in drifts] == [("size", True), ("colour", False)]
    assert drifts[0]["outside"] == 20
    new.write_text("colour,size\nred,10\nblue,0.1\n")
    done = predict(table, new, output)
    assert "\nunlike" not in done.stdout
    assert not about.exists()  # it would speak of other data
    new.write_text("colour,size\nviolet,10\n")
    assert "colour (1 of 1 outside of " in predict(table, new, output).stdout


def test_a_model_of_an_earlier_release_says_that_it_cannot_be_compared(
    predict: Predict, table: SavedModel, tmp_path: Path
) -> None:
    path = table.folder / "data" / "fulcrum.json"
    kept = path.read_text()
    path.write_text(json.dumps({key: value for key, value in json.loads(kept).items() if key != "spreads"}))
    new = tmp_path / "new.csv"
    new.write_text("colour,size\nred,10\n")
    done = predict(table, new, tmp_path / "out.csv")
    path.write_text(kept)
    assert done.returncode == 0, done.stderr
    assert "drift       not looked at: the model is of an earlier release" in done.stdout


def test_a_model_of_an_earlier_release_is_not_described_by_data_that_changed() -> None:
    client, words = mlflow_store.open_store(), ("data=digits",)
    run_id = client.create_run("0", tags={"data.sha256": "0" * 64}).info.run_id
    changed = ModelReference(run_id, f"runs:/{run_id}/model", run_id, words)
    with pytest.raises(
        BadInput, match=f"got {run_id}, one of an earlier release, and its data changed since;"
    ):
        command._describe_by_training(changed)
    client.delete_tag(run_id, "data.sha256")  # nobody knows
    assert len(command._describe_by_training(changed).classes) == 10
