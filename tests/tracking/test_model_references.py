"""Models are loaded from files and folders; what would run when it is loaded is refused, and has not run."""

import pickle
import resource
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

from pipeline.data.readers import compression
from pipeline.errors import BadInput
from pipeline.models import keras_models
from pipeline.tracking.model_references import find_model, load_model
from pipeline.tracking.serving.model_files import WAITING
from tests.data.readers.test_compression import Payload
from tests.support import tiny


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


@pytest.mark.parametrize("kind", ["link", "external", "virtual", "soft", "large"])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_weights_that_lie_elsewhere_are_not_read(tmp_path: Path, name: str, kind: str) -> None:
    secret, path = tmp_path / "secret.h5", tmp_path / name
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.zeros((3, 2), np.float32)
    make_model().save(path)
    weights = tmp_path / "weights.h5" if name == "model.keras" else path
    if name == "model.keras":
        with zipfile.ZipFile(path) as archive:
            others = {each: archive.read(each) for each in archive.namelist()}
        weights.write_bytes(others["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        if kind == "link":
            file["new"] = h5py.ExternalLink(secret, "kernel")
        elif kind == "soft":
            file["new"] = h5py.SoftLink("/nowhere")
        elif kind == "external":
            file.create_dataset("new", (2,), "u1", external=[(secret, 0, 2)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3, 2), "f4")
            layout[:] = h5py.VirtualSource(secret, "kernel", (3, 2))
            file.create_virtual_dataset("new", layout)
        else:
            file.create_dataset("new", (10**9,), "f4", chunks=True, compression="gzip")
    if name == "model.keras":
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in others.items():
                archive.writestr(each, weights.read_bytes() if each.endswith(".h5") else content)
    with pytest.raises(BadInput) as caught:
        load_model(find_model(str(path)))
    assert ("made to fill a machine" if kind == "large" else "weights in its own file") in str(caught.value)


@pytest.mark.parametrize("name", ["m.pt", "m.pkl", "m.joblib", "m.onnx", "m.tflite", "m.npz", "saved"])
def test_a_model_of_another_kind_is_refused_in_one_line_and_not_loaded(tmp_path: Path, name: str) -> None:
    mark, path = tmp_path / "written", tmp_path / name
    payload = pickle.dumps(Payload(mark))
    if name == "m.pt":  # as torch.save writes it
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", payload)
    elif name == "saved":
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"\x08\x01")
    elif name == "m.npz":
        np.savez(path.open("wb"), state=np.array([Payload(mark)], object))
    else:
        path.write_bytes(payload)
    with pytest.raises(BadInput) as caught:
        load_model(find_model(str(path)))
    assert "it holds no Keras model" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_layers_that_are_larger_than_their_weights_take_no_memory(tmp_path: Path, name: str) -> None:
    make_model().save(tmp_path / name)
    if name.endswith(".keras"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            content = {member: archive.read(member) for member in archive.namelist()}
        content["config.json"] = content["config.json"].replace(b'"units": 2', b'"units": 2000000000')
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, written in content.items():
                archive.writestr(member, written)
    else:
        with h5py.File(tmp_path / name, "a") as file:
            large = file.attrs["model_config"].replace('"units": 2', '"units": 2000000000')
            file.attrs["model_config"] = large
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput, match="holds no Keras model"):
        load_model(find_model(str(tmp_path / name)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20  # KiB; the layer has 30 GiB
    assert not global_state.get_global_attribute(WAITING)  # nor later, when another network is made


def test_a_file_with_a_path_outside_and_a_folder_that_names_one_are_refused(tmp_path: Path) -> None:
    make_model().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.writestr("../outside.txt", b"x")
    with pytest.raises(BadInput, match=r"must hold files within its own folder, got \.\./outside\.txt"):
        load_model(find_model(str(tmp_path / "model.keras")))
    make_model().save(tmp_path / "other.keras")
    for place in ("../other", str(tmp_path / "other")):
        folder = write_folder(tmp_path / f"folder{len(place)}", f"keras: {{data: {place}}}")
        with pytest.raises(BadInput, match="must lie in its own folder"):
            load_model(find_model(str(folder)))


def test_classes_of_a_users_own_are_those_of_the_code_that_its_run_names(tmp_path: Path) -> None:
    settings = tiny.told("model=custom model.build=tests.support.my_models:own_layer")
    data, path = tiny.prepared(), tmp_path / "model.keras"
    model = keras_models.build_model(settings, data)
    model.save(path)
    words = ("model=custom", "model.build=tests.support.my_models:own_layer")
    loaded = load_model(replace(find_model(str(path)), overrides=words))
    samples = np.asarray(data.test.features, np.float32)
    np.testing.assert_array_equal(loaded(samples), model(samples))
    with pytest.raises(BadInput, match="it holds no Keras model"):
        load_model(find_model(str(path)))
    gone = replace(find_model(str(path)), overrides=("model.build=gone_by_now:build",))
    with pytest.raises(BadInput, match=r"got gone_by_now:build \(ModuleNotFoundError"):
        load_model(gone)
    keras_models.build_model(tiny.told("model.hidden=4"), data).save(path)
    assert load_model(gone).output_shape == (None, 3)  # layers of Keras alone need no such code
