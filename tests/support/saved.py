"""Models of each kind of data, not trained, saved as a run saves them: quicker than a run, and read alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.models import Model

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import preprocess
from pipeline.models import keras_models
from pipeline.models.serving.description import ModelDescription, describe_model
from pipeline.tracking.serving import flavor
from tests.support import places


@dataclass(frozen=True)
class SavedModel:
    """A model in a folder; `words`: those for the kind of its data, without a path."""

    folder: Path
    words: tuple[str, ...]
    model: Any
    prepared: Prepared
    description: ModelDescription


def save_model(root: Path, kind: str) -> SavedModel:
    """Save a model of tables, images, sounds, texts or arrays below `root`, with the data beside it."""
    words, path = write_data(root, kind)
    more = [
        "preprocess.test=0.25",
        "preprocess.validation=0.25",
        "model.hidden=4",
        f"cache_dir={root / 'cache'}",
    ]
    settings = compose([*words, f"data.path={path}", *more]).settings
    prepared = preprocess(settings)
    model = keras_models.build_model(settings, prepared)
    description = describe_model(prepared, settings.data)
    flavor.save_model(
        str(root / "model"),
        Model(),
        model,
        description,
        flavor.make_example(prepared, description),
        validate_serving_input=False,
    )
    return SavedModel(root / "model", tuple(words), model, prepared, description)


def write_data(root: Path, kind: str) -> tuple[list[str], Path]:
    match kind:
        case "table":
            words = ["data=csv", "data.label='kind of thing'", "data.columns=[size,colour]"]
            return words, places.table(root / "t.csv")
        case "images":
            return ["data=image_folder"], places.image_folder(root / "images")
        case "sounds":
            return ["data=audio_folder", "data.seconds=0.25"], places.audio_folder(root / "sounds")
        case _:
            return ["data=text_folder"], places.text_folder(root / "texts")
