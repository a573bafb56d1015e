"""The command `predict`: its words, the model and the new data that they name, and what is printed."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.predict import new_data
from pipeline.errors import BadInput, BadSetting, format_one_line
from pipeline.files import expand_home, write_content
from pipeline.formatting import format_count, format_score, shorten
from pipeline.settings import addresses
from pipeline.settings.command_line import Overrides
from pipeline.settings.data import Data, OnError

if TYPE_CHECKING:
    from pipeline.data.report import Findings
    from pipeline.models.serving.description import ModelDescription
    from pipeline.models.serving.inputs import NewData
    from pipeline.models.serving.predict import PredictionCounts
    from pipeline.tracking.model_references import ModelReference

MOST_IN_MEMORY = 256 * 2**20
"""Bytes of new samples that are held at once; more lie in a temporary file."""
MOST_CLASSES = 8
RUN_ID = "MLFLOW_RUN_ID"


def run(words: Sequence[str]) -> None:
    """Write the answers of a model for new data into a file, and print what they add up to.

    Raises:
        BadInput: no such model or data, they do not fit, or the file cannot be written; nothing is written.
    """
    addresses.check_store()
    pairs = Overrides(arguments.normalise_words(words))
    word = pairs.find("trained")  # its run says what else may be typed
    trained = None if word is None else arguments.parse(word).value()
    if trained is None:
        raise BadSetting("trained must be a run id, registry URI or path, got nothing; add trained=...")
    from pipeline.tracking import mlflow_store, model_references
    from pipeline.tracking.runs import adopted_run

    if os.environ.get(RUN_ID):  # `mlflow run -e predict`: a file is no run to keep
        adopted_run.discard_adopted_run(mlflow_store.open_store())
    reference, described = model_references.fetch_model(model_references.find_model(str(trained)))
    of_run = Overrides(reference.overrides).without("predict")
    kind = compose(of_run).choices["data"]
    settings = compose(new_data.complete_words(of_run, kind, pairs, described)).settings
    output = expand_home(settings.predict.output)
    _check_output(output, settings.data)
    from pipeline.hardware import device
    from pipeline.models.predictor import make_predictor

    device.claim_device(settings.device)
    model = model_references.load_model(reference)
    description = described or _describe_by_training(reference)
    data = settings.data if pairs.find("data.on_error") else _go_on(settings.data)
    named = pairs.find("data.label") is not None
    _write(data, description, make_predictor(model), output, reference.text, named)


def _go_on(data: Data) -> Data:
    """Leave out what cannot be read, and say so: one bad row of many need not take all answers."""
    if not hasattr(data, "on_error"):
        return data
    return replace(data, on_error=OnError.skip)  # type: ignore[call-arg]


def _check_output(output: Path, data: Data) -> None:
    source = getattr(data, "path", None)
    if source is not None and output.resolve() == expand_home(source).resolve():
        raise BadSetting(f"predict.output must be another file than data.path, got {output}; set it")


def _describe_by_training(reference: "ModelReference") -> "ModelDescription":
    """Describe a model of version 0.1.0, or of a plain file, by the data that it was trained on."""
    if reference.run_id is None:
        raise BadInput(
            f"trained must be a model that knows its classes, got {reference.text}, a file without them; "
            "name its run, or the folder that MLflow saved it in"
        )
    from pipeline.data.preprocess import preprocess
    from pipeline.models.serving.description import describe_model
    from pipeline.tracking import model_references

    settings = compose(reference.overrides).settings
    prepared, trained = preprocess(settings), model_references.read_data(reference)
    if trained not in (None, prepared.source_sha256):  # its classes may be others by now, and their order
        raise BadInput(
            f"trained must be a model that knows its classes, got {reference.text}, one of an earlier "
            "release, and its data changed since; put them back, or train it again"
        )
    return describe_model(prepared, settings.data)


def _check_label(data: Data, new: "NewData", findings: "Findings") -> None:
    """Raise BadSetting where the column of labels that a user names is there under nearly this name."""
    label = getattr(data, "label", None)
    if label is None or new.has_labels:
        return
    if near := get_close_matches(label, new.others, n=1):
        raise BadSetting(
            f"data.label must be a column of the new data, got {label}; did you mean {near[0]}? leave it out "
            "where there are no labels"
        )
    findings.add("column", "of labels is not there", label)


def _write(
    data: Data, description: "ModelDescription", model: Any, output: Path, name: str, is_label_named: bool
) -> None:
    from pipeline.data.quality.drift import DriftCounter
    from pipeline.data.readers.scratch import ScratchSpace
    from pipeline.data.report import Findings
    from pipeline.models.serving.inputs import open_new_data
    from pipeline.models.serving.predict import PredictionCounts, list_columns, predict_all
    from pipeline.models.serving.prediction_file import write_predictions

    dates = [column.name for column in description.list_columns() if column.date]
    counter = None if description.spreads is None else DriftCounter(description.spreads, dates)
    findings, counts = Findings(), PredictionCounts(drift=counter)
    with tempfile.TemporaryDirectory() as folder:
        scratch = ScratchSpace(Path(folder), min(data.in_memory_limit, MOST_IN_MEMORY))
        new = open_new_data(data, description, scratch, findings)
        if is_label_named:
            _check_label(data, new, findings)
        answers = _show_progress(predict_all(model, new, description, counts), new)
        write_predictions(output, list_columns(new, description), answers)
    _print_summary(name, output, list(list_columns(new, description)), counts, findings)
    _tell_drift(output, counts)


def _tell_drift(output: Path, counts: "PredictionCounts") -> None:
    """Print how the new samples are unlike training, and write it beside the predictions."""
    from pipeline.data.quality.drift import describe_drift

    path = output.with_name(f"{output.stem}.drift.json")
    if counts.drift is None:
        print("drift       not looked at: the model is of an earlier release; train it again")
        return
    drifts = counts.drift.judge()
    text = describe_drift(drifts)
    if not text:
        path.unlink(missing_ok=True)
        return
    write_content(path, json.dumps([asdict(drift) for drift in drifts], indent=2))
    print(f"unlike      training in {format_one_line(text)}; see {path}")


def _show_progress(answers: Iterator[dict[str, Any]], new: "NewData") -> Iterator[dict[str, Any]]:
    """Pass on the answers; show how far they are where somebody looks at a terminal."""
    from tqdm import tqdm

    unit = f" {new.name}s"
    with tqdm(total=new.total, unit=unit, file=sys.stderr, disable=None, leave=False, delay=0.5) as bar:
        for answer in answers:
            yield answer
            bar.update(len(answer[new.name]))


def _print_summary(
    name: str, output: Path, columns: list[str], counts: "PredictionCounts", findings: "Findings"
) -> None:
    shown = format_one_line(", ".join(columns[:6])) + (", ..." if len(columns) > 6 else "")
    common = counts.predictions.most_common(MOST_CLASSES)
    more = len(counts.predictions) - len(common)
    predicted = ", ".join(f"{format_one_line(shorten(label, 40))} {count:,}" for label, count in common)
    print(f"model       {name}")
    predicted += f" and {format_count(more, 'more class')}" if more > 0 else ""
    if not common:
        predicted = f"{counts.low:.6g} to {counts.high:.6g}" if counts.samples else "no rows"
    print(f"predicted   {counts.samples:,}: {predicted}")
    if counts.rmse is not None:
        print(f"RMSE        {counts.rmse:.4g} of {counts.labelled:,} with a label")
    if counts.accuracy is not None:
        print(f"accuracy    {format_score(counts.accuracy)} of {counts.labelled:,} with a label")
    if counts.unknown:
        unknown = ", ".join(format_one_line(shorten(label, 40)) for label in list(counts.unknown)[:3])
        print(f"            {format_count(counts.unknown.total(), 'label')} unknown to the model ({unknown})")
    for finding in findings.to_tuple():
        print(f"            {format_one_line(str(finding))}")
    print(f"written to  {output} ({shown})")
