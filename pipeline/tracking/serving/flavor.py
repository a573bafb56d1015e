"""How a model is saved: as MLflow saves a Keras model, with the code that reads requests for its server."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np

from pipeline.data.features import LogMel
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Batch
from pipeline.data.tables.column_types import ColumnType
from pipeline.data.tables.dates import CLOCKS, SECONDS
from pipeline.models.serving.answers import list_answer_columns
from pipeline.models.serving.description import DESCRIPTION_FILE, ModelDescription, encode_description
from pipeline.reports.cards.markdown import CARD_FILE
from pipeline.tracking.serving import model_code

if TYPE_CHECKING:
    import keras

PACKAGES = ("tensorflow", "keras", "mlflow", "numpy", "pandas", "pillow", "psutil", "pyarrow", "scipy")
SOUND_PACKAGES = ("soundfile",)
DATA, CODE = "data", "code"
EXAMPLE_ROWS, EXAMPLE_LETTERS = 2, 1000
FEW_NUMBERS, MOST_NUMBERS = 1000, 50_000
"""An example of more numbers is a file of an image where that is possible, and of still more left out."""

_TRUSTING = threading.Lock()


def save_model(
    path: str,
    mlflow_model: Any,
    model: "keras.Model",
    description: ModelDescription,
    example: Any,
    validate_serving_input: bool,  # noqa: ARG001  (MLflow's own, passed through)
    card: str | None = None,
) -> None:
    """Save a model in MLflow's format into an empty folder: for `mlflow.models.Model.log`.

    `card`: in Markdown, which lies beside the model.
    """
    folder = Path(path)
    folder.mkdir(exist_ok=True)  # the Keras flavor writes the example before it makes one
    packages = (*PACKAGES, *(SOUND_PACKAGES if isinstance(description.front, LogMel) else ()))
    with _trust_pins():
        mlflow.keras.save_model(
            model,
            path,
            mlflow_model=mlflow_model,
            signature=_make_tensor_signature(description, model),
            input_example=example,
            pip_requirements=[f"{package}=={version(package)}" for package in packages],
        )
    (folder / DATA / DESCRIPTION_FILE).write_text(json.dumps(encode_description(description)))
    if card is not None:
        (folder / CARD_FILE).write_text(card)
    loader, code = model_code.pack_code()
    file = folder / CODE / f"{loader.partition('.')[0]}.zip"
    file.parent.mkdir()
    file.write_bytes(code)
    mlflow_model.signature = make_signature(description)
    mlflow_model.flavors["python_function"] |= {
        "loader_module": loader,
        "data": DATA,
        "code": str(file.relative_to(folder)),
    }
    mlflow_model.save(str(folder / "MLmodel"))


@contextmanager
def _trust_pins() -> Iterator[None]:
    """Spare MLflow the look at all installed packages, 0.7 s, for versions other than the pinned.

    They are pinned to what is installed here.
    """
    from mlflow.utils import environment

    with _TRUSTING:
        check = environment.warn_dependency_requirement_mismatches
        environment.warn_dependency_requirement_mismatches = lambda _: None
        try:
            yield
        finally:
            environment.warn_dependency_requirement_mismatches = check


def _make_tensor_signature(description: ModelDescription, model: "keras.Model") -> Any:
    """Return a signature of tensors, which MLflow's Keras flavor asks for; it is not kept."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    spec = TensorSpec(np.dtype(object), (-1,))
    outputs = TensorSpec(np.dtype(model.output.dtype), (-1, len(description.classes) or 1))
    return ModelSignature(Schema([spec]), Schema([outputs]))


def make_signature(description: ModelDescription) -> Any:
    """Return MLflow's description of what is asked and answered.

    Cells of a table are of any type, and so is a sample: MLflow would refuse null for a number, an integer
    for a fraction, and bytes for float32. The model itself reads them, and says what is wrong.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    types = {str: DataType.string, float: DataType.double}
    columns = [ColSpec(AnyType(), column.name, required=False) for column in description.list_columns()]
    outputs = [ColSpec(types[kind], name) for name, kind in list_answer_columns(description).items()]
    return ModelSignature(Schema(columns or [TensorSpec(np.dtype(object), (-1,))]), Schema(outputs))


# ---- an example -------------------------------------------------------------------------------------------


def make_example(prepared: Prepared, description: ModelDescription, is_private: bool = False) -> Any:
    """Return training samples as a user sends them, for an example; None where they are large.

    `is_private`: the model tells of no row of its training, so its example is one of no row.
    """
    batch = prepared.train.samples[slice(0, EXAMPLE_ROWS)]
    if is_private:
        batch = _empty_samples(batch)
    if isinstance(batch, dict):
        return _make_rows(batch, description)
    if batch.dtype == object:
        return np.array([str(text)[:EXAMPLE_LETTERS] for text in batch], object)
    first = np.asarray(batch[:1])
    if isinstance(description.front, LogMel):
        first = np.round(first / 2.0**15, 5)  # exactly these numbers when they are int16 again
    elif first.size > FEW_NUMBERS and description.images is not None and not description.images.wide:
        return np.array([_write_image(first[0])], object)
    return first if first.size <= MOST_NUMBERS else None


def _empty_samples(batch: Batch) -> Batch:
    """Return as many samples of the same form in which nothing is told: empty cells, no words, zeros."""
    if isinstance(batch, dict):
        return {
            name: np.full(len(cells), "" if cells.dtype == object else np.nan, cells.dtype)
            for name, cells in batch.items()
        }
    return np.full(len(batch), "...", object) if batch.dtype == object else np.zeros_like(batch)


def _make_rows(batch: dict[str, np.ndarray], description: ModelDescription) -> Any:
    import pandas

    columns = {
        column.name: pandas.Series([_write_cell(cell, column) for cell in batch[column.name]], dtype=object)
        for column in description.list_columns()
    }
    return pandas.DataFrame(columns)


def _write_cell(cell: Any, column: ColumnType) -> str | float | None:
    """Return a prepared cell as one may send it; dates, which are seconds, as in ISO 8601."""
    import pandas

    if isinstance(cell, str):
        return cell or None
    if cell != cell:
        return None
    if column.date in SECONDS:
        return float(cell) * SECONDS[column.date]
    if not column.date:
        return float(cell)
    written = str(pandas.Timestamp(float(cell), unit="s"))
    return written.partition(" ")[2] if column.date in CLOCKS else written


def _write_image(pixels: np.ndarray) -> str:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.squeeze(pixels)).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
