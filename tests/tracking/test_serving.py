"""A saved model, loaded as MLflow's server loads it: without this package, and asked as anybody may ask."""

import base64
import io
import json
import re
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import pandas
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.utils import environment, requirements_utils
from PIL import Image

from pipeline.models.predictor import make_predictor
from pipeline.tracking.serving import flavor, model_code
from tests.support import places, saved
from tests.support.saved import SavedModel


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[SavedModel, Any]]:
    """Models of each kind, and each as MLflow loads it."""
    made = {kind: saved.save_model(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}
    return {kind: (each, mlflow.pyfunc.load_model(str(each.folder))) for kind, each in made.items()}


KINDS = ("table", "images", "sounds", "texts")


def ask(served: Any, body: str | bytes, kind: str = "application/json") -> list[dict[str, Any]]:
    """Ask as MLflow's server does with the body of a request."""
    schema = served.metadata.get_input_schema()
    answer = scoring_server.invocations(body, kind, served, schema)
    assert (answer.status, answer.mimetype) == (200, "application/json")
    rows: list[dict[str, Any]] = json.loads(answer.response)["predictions"]
    return rows


def refusal(served: Any, body: str | bytes, kind: str = "application/json") -> str:
    """Return the message of a refused request, which is one line without a stack trace."""
    with pytest.raises(MlflowException) as caught:
        ask(served, body, kind)
    assert caught.value.get_http_status_code() == 400
    answer = json.loads(caught.value.serialize_as_json())
    assert "stack_trace" not in answer
    message = str(answer["message"])
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_model_answers_as_the_model_and_brings_its_own_code(
    models: dict[str, tuple[SavedModel, Any]], kind: str
) -> None:
    made, served = models[kind]
    implementation = type(served._model_impl).__module__
    assert implementation.startswith("fulcrum_")
    assert (made.folder / "code" / f"{implementation.partition('.')[0]}.zip").is_file()
    assert f"/code/{implementation.partition('.')[0]}.zip/" in str(sys.modules[implementation].__file__)
    columns = ["prediction", *(f"probability_{name}" for name in made.prepared.classes)]
    assert served.metadata.get_output_schema().input_names() == columns
    if kind == "table":
        assert served.metadata.get_input_schema().input_names() == ["size", "colour"]
    batch = made.prepared.train.samples[slice(0, 3)]
    sent = pandas.DataFrame(batch) if isinstance(batch, dict) else batch
    outputs = make_predictor(made.model)(batch)
    for answer in (served.predict(sent), served.predict(served.input_example)):
        assert list(answer.columns) == columns
        rows = len(answer)
        np.testing.assert_allclose(answer[columns[1:]].to_numpy(), outputs[:rows], atol=2e-3)
        names = np.array(made.prepared.classes)[outputs[:rows].argmax(axis=1)]
        assert answer["prediction"].tolist() == names.tolist()


def test_no_other_package_is_looked_at_where_all_are_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = environment.warn_dependency_requirement_mismatches
    monkeypatch.setattr(requirements_utils, "_MODULES_TO_PACKAGES", None)
    saved.save_model(tmp_path, "table")
    assert requirements_utils._MODULES_TO_PACKAGES is None
    assert environment.warn_dependency_requirement_mismatches is check


def test_the_code_needs_no_package_called_pipeline() -> None:
    name, content = model_code.pack_code()
    assert model_code.pack_code.__wrapped__() == (name, content)  # the same for the same code
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not any("/cli/" in entry or "/search/" in entry for entry in archive.namelist())
        for entry in archive.namelist():
            source = archive.read(entry).decode()
            assert not re.search(r"^\s*(from|import) pipeline", source, re.MULTILINE), entry


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"inputs": {"size": [9.5, null], "colour": ["red", null]}}', "application/json"),
        ('{"inputs": {"size": ["9.5", "?"], "colour": [" red", "green"]}}', "application/json"),
        (
            '{"dataframe_split": {"columns": ["colour", "size"], "data": [["red", 9.5], ["", null]]}}',
            "application/json",
        ),
        ('{"dataframe_records": [{"size": 9.5, "colour": "red"}, {"colour": "NA"}]}', "application/json"),
        (
            '{"instances": [{"size": 9.5, "colour": "red"}, {"colour": "purple"}]}',
            "application/json; charset=utf-8",
        ),
        ("size,colour\n9.5,red\n,NA\n", "text/csv"),
        ('colour;size;more\n"red";9.5;x\nnew;;y\n', "text/csv"),
    ],
)
def test_a_table_is_asked_in_every_form(
    models: dict[str, tuple[SavedModel, Any]], body: str, kind: str
) -> None:
    made, served = models["table"]
    cells = {"size": np.array([9.5, np.nan]), "colour": np.array(["red", ""], object)}
    outputs = make_predictor(made.model)(cells)
    for answer in (ask(served, body, kind), ask(served, body.encode(), kind)):
        assert [row["probability_large"] for row in answer] == pytest.approx(outputs[:, 0].tolist(), abs=1e-6)
        assert {row["prediction"] for row in answer} <= {"large", "small"}


@pytest.mark.parametrize(
    ("body", "kind", "notes"),
    [
        (
            '{"inputs": {"size": [9.5], "colour": ["red"], "weight": [1], "Size": [2]}}',
            "application/json",
            ["2 columns not used: the model was not trained on it (weight, Size)"],
        ),
        (
            "id;size;colour\n1;9;red\n2;8;pink\n",
            "text/csv",
            ["1 column not used: the model", "1 cell of column colour that training never saw"],
        ),
        ('{"dataframe_records": [{"size": 1, "colour": null}]}', "application/json", []),
    ],
)
def test_what_is_sent_and_changes_no_answer_is_told_as_by_predict(
    models: dict[str, tuple[SavedModel, Any]], body: str, kind: str, notes: list[str]
) -> None:
    served = models["table"][1]
    answer = scoring_server.invocations(body, kind, served, served.metadata.get_input_schema())
    got = json.loads(answer.response).get("notes", [])
    assert len(got) == len(notes)
    assert all(line.startswith(note) for line, note in zip(got, notes, strict=True))


def assert_alike(answers: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Allow for rounding: rows of a batch, and batches of another size, may be computed otherwise."""
    for answer, other in zip(answers, expected, strict=True):
        assert answer.pop("prediction") == other["prediction"]
        assert answer == pytest.approx({key: other[key] for key in answer}, abs=1e-5)


def test_images_and_sounds_are_asked_as_numbers_and_as_files(
    models: dict[str, tuple[SavedModel, Any]], tmp_path: Path
) -> None:
    made, served = models["images"]
    pixels = np.asarray(made.prepared.train.features[:2])
    content = io.BytesIO()
    Image.fromarray(pixels[0]).save(content, "PNG")
    text = base64.b64encode(content.getvalue()).decode()
    numbers = ask(served, json.dumps({"inputs": (pixels / 1.0).tolist()}))
    assert ask(served, json.dumps({"instances": pixels.reshape(2, -1).tolist()})) == numbers
    for body in (
        {"instances": [{"b64": text}]},
        {"dataframe_split": {"columns": ["image"], "data": [[text]]}},
    ):
        assert_alike(ask(served, json.dumps(body)), numbers[:1])
    frame = pandas.DataFrame({"image": [text]})
    assert served.predict(pixels.astype(np.int64))["prediction"].tolist() == [
        row["prediction"] for row in numbers
    ]
    assert served.predict(np.array([text], object))["prediction"].tolist() == [numbers[0]["prediction"]]
    assert len(served.predict(frame)) == 1

    made, served = models["sounds"]
    wave = np.rint(places.tone(300, 0.25))
    numbers = ask(served, json.dumps({"inputs": [(wave / 2**15).tolist(), wave.astype(int).tolist()]}))
    assert_alike(numbers[:1], numbers[1:])
    places.write_wav(tmp_path / "long.wav", np.tile(wave, 3))
    text = base64.b64encode((tmp_path / "long.wav").read_bytes()).decode()
    outputs = make_predictor(made.model)(np.stack([wave]))
    assert ask(served, json.dumps({"inputs": [text]}))[0]["probability_low"] == pytest.approx(
        float(outputs[0, made.prepared.classes.index("low")]), abs=1e-3
    )
    made, served = models["texts"]
    assert len(ask(served, "text\nfine film\nawful\n", "text/csv")) == 2


@pytest.mark.parametrize(
    ("model", "body", "kind", "part"),
    [
        ("table", "{", "application/json", "JSON"),
        ("table", "[1]", "application/json", "dataframe_split"),
        ("table", '{"columns": []}', "application/json", "dataframe_split"),
        ("table", '{"inputs": {"size": [1]}}', "application/json", "colour"),
        ("table", '{"inputs": {"size": [1, 2], "colour": ["red"]}}', "application/json", "length"),
        ("table", '{"inputs": {"size": ["much"], "colour": ["red"]}}', "application/json", "much"),
        ("table", '{"dataframe_split": {"columns": ["size"], "data": [[1, 2]]}}', "application/json", "cell"),
        ("table", '{"dataframe_split": 3}', "application/json", "dataframe_split"),
        ("table", "size,colour\n1\n", "text/csv", "2 cells"),
        ("table", "", "text/csv", "header"),
        ("table", b"\xff\xfe", "text/csv", "utf-8"),
        ("images", '{"inputs": [[1, 2]]}', "application/json", "[8, 6]"),
        ("images", '{"inputs": ["hello"]}', "application/json", "base64"),
        ("images", '{"inputs": 3}', "application/json", "[8, 6]"),
        ("sounds", '{"inputs": ["hello"]}', "application/json", "base64"),
        ("texts", '{"inputs": [3]}', "application/json", "texts"),
    ],
)
def test_a_wrong_request_is_http_400_with_one_line(
    models: dict[str, tuple[SavedModel, Any]], model: str, body: str | bytes, kind: str, part: str
) -> None:
    assert part in refusal(models[model][1], body, kind)


def test_a_wrong_request_in_a_process_is_told_in_one_line(models: dict[str, tuple[SavedModel, Any]]) -> None:
    with pytest.raises(MlflowException, match="colour") as caught:
        models["table"][1].predict(pandas.DataFrame({"size": [1]}))
    assert "\n" not in str(caught.value)


def test_models_of_others_are_served_as_ever(models: dict[str, tuple[SavedModel, Any]]) -> None:
    assert isinstance(models, dict)

    class Echo:
        metadata = ModuleType("metadata")

        def predict(self, data: Any) -> Any:
            return data

    answer = scoring_server.invocations('{"inputs": [1, 2]}', "application/json", Echo(), None)
    assert json.loads(answer.response) == {"predictions": [1, 2]}


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_private_model_has_no_row_of_training_and_is_answered(
    models: dict[str, tuple[SavedModel, Any]], kind: str
) -> None:
    made, served = models[kind]
    example = flavor.make_example(made.prepared, made.description, is_private=True)
    cells = set(np.asarray(example, object).ravel().tolist())
    if kind == "images" and isinstance(example[0], str):
        cells = set(np.asarray(Image.open(io.BytesIO(base64.b64decode(example[0])))).ravel().tolist())
    assert cells <= {None, 0, "..."}
    assert len(served.predict(example)) == len(example)
