"""Models are loaded from files and folders; what would run when it is loaded is refused, and has not run."""

import zipfile
from pathlib import Path

import keras
import pytest

from pipeline.data.readers import compression
from pipeline.errors import BadInput
from pipeline.tracking.model_references import find_model, load_model
from tests.data.readers.test_compression import Payload


def make_model(*extra: keras.Layer) -> keras.Model:
    inputs = outputs = keras.Input((3,))
    for layer in extra:
        outputs = layer(outputs)
    return keras.Model(inputs, keras.layers.Dense(2)(outputs))


def make_lambda(mark: Path) -> keras.Layer:
    path = str(mark)
    return keras.layers.Lambda(lambda tensor: (open(path, "a").close(), tensor)[1], output_shape=(3,))


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_file_is_loaded_unless_it_has_code(tmp_path: Path, name: str) -> None:
    make_model().save(tmp_path / name)
    assert load_model(find_model(str(tmp_path / name))).output_shape == (None, 2)
    mark = tmp_path / "written"
    make_model(make_lambda(mark)).save(tmp_path / f"evil_{name}")
    mark.unlink(missing_ok=True)
    with pytest.raises(BadInput, match=r"must have no code of its own, got .* with a Lambda layer"):
        load_model(find_model(str(tmp_path / f"evil_{name}")))
    assert not mark.exists()


def write_folder(folder: Path, flavor: str) -> Path:
    folder.mkdir()
    (folder / "MLmodel").write_text(
        f"flavors:\n  {flavor}\nmodel_uuid: a\nutc_time_created: '2026-01-01 00:00:00'\n"
    )
    return folder


def test_a_folder_of_another_kind_is_refused_and_not_loaded(tmp_path: Path) -> None:
    import pickle

    mark = tmp_path / "written"
    pickled = write_folder(
        tmp_path / "pickled", "sklearn: {pickled_model: model.pkl, serialization_format: pickle}"
    )
    (pickled / "model.pkl").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(BadInput, match=r"must be one of Keras, got pickled with sklearn, .* a pickle"):
        load_model(find_model(str(pickled)))
    graph = write_folder(tmp_path / "graph", "keras: {data: data, save_exported_model: true}")
    with pytest.raises(BadInput, match="an exported graph of TensorFlow"):
        load_model(find_model(str(graph)))
    (tmp_path / "plain").mkdir()
    with pytest.raises(BadInput, match="no Keras model"):
        load_model(find_model(str(tmp_path / "plain")))
    assert not mark.exists()


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST_BYTES", 1000)
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 10_000_000)
    with pytest.raises(BadInput, match="made to fill a machine"):
        load_model(find_model(str(path)))
