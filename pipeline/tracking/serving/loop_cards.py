"""The card of a training loop of the user's own, among the artifacts of its run, and beside its model."""

import hashlib
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mlflow

from pipeline import __version__
from pipeline.hardware.device import claim_plain_device
from pipeline.reports.cards.loop_card import LoopCardFacts, NamedFile, write_loop_card
from pipeline.secrets import mask, mask_values
from pipeline.settings.settings import Settings
from pipeline.settings.training import Command, Function, UserLoop
from pipeline.tracking.loop_model import find_flavour
from pipeline.tracking.metrics.cost import list_spent
from pipeline.tracking.runs.command_record import read_command
from pipeline.tracking.serving.point_facts import PointFacts
from pipeline.trial import user_code
from pipeline.trial.loop_states import LoopTrained

FRAMEWORKS = {
    "torch": "torch",
    "lightning": "lightning",
    "jax": "jax",
    "flax": "flax",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "transformers": "transformers",
    "numpy": "numpy",
    "pandas": "pandas",
}
"""Distributions whose versions a card has where the loop has imported them, by the name of the module."""
MOST_BYTES = 256 * 2**20
"""A larger file is not hashed for a card."""


def make_run_card(
    client: mlflow.MlflowClient, run_id: str, settings: Settings, trained: LoopTrained, is_kept: bool
) -> str:
    """Write the card of a run, with what it has recorded and sent so far; `is_kept`: whether its model is."""
    return _write(client.get_run(run_id), settings, trained, is_kept=is_kept)


def make_point_card(
    client: mlflow.MlflowClient, run_id: str, facts: PointFacts, settings: Settings, trained: LoopTrained
) -> str:
    """Write the card of the model of a study's point, which is kept in the run."""
    return _write(client.get_run(run_id), settings, trained, is_kept=True, point=facts)


def _write(
    run: "mlflow.entities.Run",
    settings: Settings,
    trained: LoopTrained,
    *,
    is_kept: bool,
    point: PointFacts | None = None,
) -> str:
    trial, last = settings.trial, trained.curve.last
    assert isinstance(trial, UserLoop)
    model, flavour = trained.model, find_flavour(trained.model) if is_kept else None
    cost_metric = f"{claim_plain_device(settings.device).kind}_seconds"
    card = write_loop_card(
        LoopCardFacts(
            name=str(run.info.run_name),
            word=trial.word,
            code=user_code.hash_code(trial),
            command=point.command if point else read_command(run),
            device=trained.curve.device,
            settings=mask_values(
                {"epochs": str(settings.train.epochs), "seed": str(settings.train.seed)}
                | {key: str(value) for key, value in trial.values.items()}
            ),
            epoch=last,
            numbers=trained.numbers[-1],
            versions=_list_versions(trial),
            model="" if model is None else f"{type(model).__module__}.{type(model).__qualname__}",
            keeper=flavour.flavour if flavour else "",
            files=list(_list_files(trial)),
            metrics=list_spent(last, cost_metric, settings.price),
            tags=run.data.tags,
            notes=(point.note,) if point else (),
        )
    )
    return mask(card)


def _list_versions(trial: UserLoop) -> Mapping[str, str]:
    """Return the versions of what a function has imported; of a program's packages nobody knows."""
    names = [name for module, name in FRAMEWORKS.items() if module in sys.modules]
    versions = {"python": platform.python_version(), "fulcrum": __version__}
    for name in names if isinstance(trial, Function) else ():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a build of another name, such as tensorflow-cpu
            continue
    return versions


def _list_files(trial: UserLoop) -> Iterator[NamedFile]:
    """Yield the files that settings of a loop name, and those that words of a program do."""
    for key, value in _list_texts(trial):
        path = Path(value)
        try:
            if not path.is_file():
                continue
            size = path.stat().st_size
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest() if size <= MOST_BYTES else ""
        except (OSError, ValueError):  # no path, or one that nobody may read
            continue
        yield NamedFile(key=key, path=value, size=size, sha256=digest)


def _list_texts(trial: UserLoop) -> Sequence[tuple[str, str]]:
    named = [
        (key, item)
        for key, value in trial.values.items()
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, str)
    ]
    if not isinstance(trial, Command):
        return named
    words = shlex.split(trial.command)[1:]
    script = user_code.find_script(trial.command)
    return named + [("trial.command", word) for word in words if script is None or Path(word) != script]
