"""The trained model that a command names: its settings under those that are typed, and whether it fits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli.compose import compose
from pipeline.cli.loops import words as loop_words
from pipeline.errors import BadModel, BadSetting
from pipeline.formatting import shorten
from pipeline.settings.command_line import CommandLine
from pipeline.settings.data import Data, Datasets, ImageFolder
from pipeline.settings.tracking import RecordInto

if TYPE_CHECKING:
    import keras

    from pipeline.data.prepared import Prepared
    from pipeline.models.serving.description import ModelDescription
    from pipeline.tracking.model_references import ModelReference


SHOWN_LETTERS = 12
"""Of a SHA-256 in a message."""


def compose_with_model(words: Sequence[str]) -> "tuple[CommandLine, ModelReference]":
    """Return the settings as the model's own run had them, with what is typed now on top, and the model.

    Raises:
        BadSetting: no model is named, it has no run to record into, or it is one of a user's own loop.
        BadModel: there is no such model.
    """
    command_line = compose(words)
    if command_line.settings.trained is None:
        raise BadSetting("trained must be a run id, registry URI or path, got nothing; add trained=...")
    from pipeline.tracking import model_references

    reference = model_references.find_model(command_line.settings.trained)
    if command_line.settings.record is RecordInto.model and reference.run_id is None:
        raise BadSetting(f"record must be own for a model without a run, got model with {reference.text}")
    if kind := loop_words.find_kind(reference.overrides):
        raise BadSetting(
            f"trained must be a network with data of its own, got {reference.text} of trial={kind}; "
            "use what MLflow has for its models"
        )
    return compose([*reference.overrides, *words]), reference


def get_target_run(command_line: CommandLine, reference: "ModelReference") -> str | None:
    """Return the model's own run where results are to be recorded there, None for a run of their own."""
    return reference.run_id if command_line.settings.record is RecordInto.model else None


def is_of_same_data(command_line: CommandLine, reference: "ModelReference", prepared: "Prepared") -> bool:
    """Return whether a model was trained on these very files, as far as its run says.

    Raises:
        BadSetting: results on other data are to be recorded into its run, which says on which it was trained.
    """
    from pipeline.tracking import model_references

    trained = model_references.read_data(reference)
    if trained in (None, prepared.source_sha256):
        return True
    if command_line.settings.record is RecordInto.model:
        raise BadSetting(
            f"record must be own for other data than those of the training ({str(trained)[:SHOWN_LETTERS]}), "
            f"got model with {prepared.source_sha256[:SHOWN_LETTERS]}; leave it out, or put the data back"
        )
    return False


def load_fitting_model(reference: "ModelReference", prepared: "Prepared") -> "keras.Model":
    """Load the model.

    Raises:
        BadModel: its inputs or outputs are not those of the data.
    """
    from pipeline.models import keras_models
    from pipeline.tracking import model_references

    model = model_references.load_model(reference)
    if not keras_models.fits_data(model, prepared):
        wants, gives = model.input_shape, model.output_shape[-1]
        samples = tuple(prepared.train.samples.shape[1:])
        raise BadModel(
            f"the model must fit the data (samples {samples}, {prepared.outputs} {_name_answers(prepared)}), "
            f"got {reference.text} (samples {wants}, {gives} outputs); choose the data with data=..."
        )
    return model


def check_classes(description: "ModelDescription | None", prepared: "Prepared") -> None:
    """Check that the outputs of a model are the classes of the data, which go by their place.

    Raises:
        BadModel: they are others; those of an earlier release are not known.
    """
    if description is None or not description.classes or prepared.target is not None:
        return
    if len(description.classes) == prepared.outputs and description.classes != prepared.classes:
        pairs = zip(prepared.classes, description.classes, strict=True)
        ours, answered = next((first, second) for first, second in pairs if first != second)
        raise BadModel(
            f"the model must have the classes of the data (such as {shorten(ours, 40)}), got one with "
            f"{shorten(answered, 40)} in its place; name the classes of the data as those of the training"
        )


def check_bits(description: "ModelDescription | None", data: Data, prepared: "Prepared") -> None:
    """Check that images have samples of as many bits as in training: 255 is white among bytes, else black.

    Raises:
        BadModel: the ones have more than the others.
    """
    images = None if description is None else description.images
    if images is None or not isinstance(data, ImageFolder | Datasets):
        return
    bits = prepared.report.bits
    trained = 32 if images.deep else 16 if images.wide else 8
    if bits == trained or (images.deep is None and images.wide and bits > 8):
        return
    remedy = "save the images as those of the training" + (
        ", or ask it by predict" if max(bits, trained) < 32 else ""
    )
    raise BadModel(
        f"the model must have been trained on images of {bits} bits a sample, as those of the data, got one "
        f"of {trained}; {remedy}"
    )


def _name_answers(prepared: "Prepared") -> str:
    return "classes" if prepared.target is None else "quantity"
