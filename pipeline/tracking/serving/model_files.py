"""Files of Keras models: looked at before anything is loaded, and nothing in them is run."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import mlflow

from pipeline.data.readers.archives import check_inside
from pipeline.data.readers.array_files import has_overfull_chunk
from pipeline.data.readers.compression import check_zip, compute_bound, explain_bomb
from pipeline.errors import BadModel

if TYPE_CHECKING:
    import keras

RULES = {"compile": False, "safe_mode": True}
WAITING = "uninitialized_variables"
"""What Keras calls the list of variables that get their memory later."""


def load_file(path: Path) -> "keras.Model":
    """Load a model from a file of Keras.

    Raises:
        BadData: it is made to fill a machine.
        BadModel: its weights lie in another file.
    """
    import keras

    _check_file(path)
    return _load_twice(keras.models.load_model, str(path), **RULES)


def load_folder(folder: Path) -> "keras.Model":
    """Load a model from a folder in MLflow's format.

    Raises:
        BadData: a file in it is made to fill a machine.
        BadModel: it has no Keras model in it, or a graph, which may do anything.
    """
    _check_folder(folder)
    return _load_twice(mlflow.keras.load_model, str(folder), load_model_kwargs=RULES)


def _load_twice(load: Callable[..., "keras.Model"], place: str, **options: Any) -> "keras.Model":
    """Load a model first without room for its weights, and then with it.

    A layer of any size takes few bytes to name, and its memory before anybody looks for its weights. Without
    room Keras compares the shapes of layers and weights all the same.
    """
    import keras
    from keras.src.backend.common import global_state  # Keras has no public way to forget what it waits for

    waiting = global_state.get_global_attribute(WAITING) or []
    global_state.set_global_attribute(WAITING, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            load(place, **options)
    finally:  # else the next network that anybody makes gives these layers their memory, too
        global_state.set_global_attribute(WAITING, waiting)
    return load(place, **options)


def _check_file(path: Path) -> None:
    """Check what a model file unpacks to, and that its weights lie in it.

    Raises:
        BadData: it is made to fill a machine.
        BadModel: its weights lie in another file.
    """
    if path.suffix == ".keras" and zipfile.is_zipfile(path):
        check_zip(path)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                check_inside(path, name)
            weights = [name for name in archive.namelist() if name.endswith(".h5")]
            for name in weights:
                _check_weights(path, io.BytesIO(archive.read(name)))
    elif path.suffix == ".h5":
        _check_weights(path, path)


def _check_weights(path: Path, file: "Path | BinaryIO") -> None:
    """Check that HDF5 weights of the model in `path` are no larger than its bound, and name no other file."""
    import h5py

    sizes, outside, overfull = list[int](), list[str](), list[str]()
    bound = compute_bound(path)

    def check_link(name: str, link: Any) -> None:  # what these raise, HDF5 would not pass on
        outside.extend([] if isinstance(link, h5py.HardLink) else [name])

    def check_data(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            outside.extend([name] if item.external or item.is_virtual else [])
            sizes.append(item.nbytes)
            if item.nbytes <= bound and has_overfull_chunk(item, bound):
                overfull.append(name)

    with suppress(OSError), h5py.File(file, "r") as content:  # what is none, the loader tells
        content.visititems_links(check_link)
        content.visititems(check_data)
    if outside:
        raise _explain_outside(path, outside[0])
    if overfull or sum(sizes) > bound:
        raise explain_bomb(path)


def _explain_outside(path: Path, name: str) -> BadModel:
    return BadModel(
        f"a trained model must have its weights in its own file, got {path.name} whose {name} lies in "
        "another; save it again with model.save"
    )


def _check_folder(folder: Path) -> None:
    """Check that a folder in MLflow's format has a Keras model in it, and no graph, which may do anything.

    Raises:
        BadModel: it has not.
    """
    about = mlflow.models.Model.load(str(folder)).flavors
    kinds = ", ".join(sorted(about)) or "nothing"
    if "keras" not in about:
        raise BadModel(
            f"a trained model must be one of Keras, got {folder.name} with {kinds}, which is not loaded: it "
            "may be a pickle, which runs what is stored in it; what you trust, mlflow.pyfunc.load_model loads"
        )
    if about["keras"].get("save_exported_model"):
        raise BadModel(
            f"a trained model must be a Keras file, got {folder.name} with an exported graph of TensorFlow, "
            "which may read and write files; save it without save_exported_model"
        )
    if not (folder / str(about["keras"].get("data", ""))).resolve().is_relative_to(folder.resolve()):
        raise BadModel(
            f"a trained model must lie in its own folder, got {folder.name} whose MLmodel names another "
            "place; save it again with mlflow.keras.save_model"
        )
    for path in (*folder.rglob("*.keras"), *folder.rglob("*.h5")):
        _check_file(path)
