"""The card of a model among the artifacts of its run, and beside the model itself."""

import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import mlflow

from pipeline import __version__
from pipeline.data.quality.check import look_through
from pipeline.reports.cards.model_card import CardFacts, write_card
from pipeline.secrets import mask
from pipeline.settings.command_line import Overrides
from pipeline.tracking import mlflow_store
from pipeline.tracking.mlflow_runs import PRIVACY
from pipeline.tracking.runs.command_record import read_command
from pipeline.tracking.serving.point_facts import PointFacts

if TYPE_CHECKING:
    from pipeline.data.prepared import Prepared
    from pipeline.evaluation.evaluate import AnyEvaluation
    from pipeline.training.privacy.account import PrivacySpent

PACKAGES = ("tensorflow", "keras", "numpy", "mlflow", "scikit-learn")
DATA_KEY = "data.key"


def make_run_card(
    client: mlflow.MlflowClient,
    run_id: str,
    overrides: Overrides,
    prepared: "Prepared",
    evaluation: "AnyEvaluation | None" = None,
) -> str:
    """Write the card of a run's model, with what the run has recorded and sent so far."""
    run = client.get_run(run_id)
    return _write(
        run,
        read_command(run),
        overrides,
        prepared,
        evaluation=evaluation,
        metrics=run.data.metrics,
        privacy=run.data.tags.get(PRIVACY, ""),
    )


def make_point_card(
    client: mlflow.MlflowClient,
    run_id: str,
    facts: PointFacts,
    prepared: "Prepared",
    evaluation: "AnyEvaluation | None",
    privacy: "PrivacySpent | None" = None,
) -> str:
    """Write the card of the model of a study's point, into whose run it goes.

    `evaluation`: of these weights; None where the point was not confirmed: the test split stays unread.
    `privacy`: what the point's training has spent, if it was private.
    """
    overrides = Overrides(word for word in shlex.split(facts.command) if "=" in word)
    run = client.get_run(run_id)
    return _write(
        run,
        facts.command,
        overrides,
        prepared,
        evaluation=evaluation,
        metrics=facts.spent,
        notes=(facts.note,),
        privacy=privacy.describe() if privacy else "",
    )


def is_of_same_data(run_id: str, prepared: "Prepared") -> bool:
    """Return whether a run's model was trained on these prepared data."""
    return bool(mlflow_store.open_store().get_run(run_id).data.tags.get(DATA_KEY) == prepared.key)


def _write(
    run: "mlflow.entities.Run",
    command: str,
    overrides: Overrides,
    prepared: "Prepared",
    *,
    evaluation: "AnyEvaluation | None" = None,
    metrics: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
    privacy: str = "",
) -> str:
    versions = {"python": platform.python_version(), "fulcrum": __version__}
    card = write_card(
        CardFacts(
            name=str(run.info.run_name),
            data=overrides.name_data(),
            command=command,
            device=run.data.tags.get("device", "an unknown device"),
            prepared=prepared,
            quality=look_through(prepared),
            versions=versions | {package: version(package) for package in PACKAGES},
            metrics=metrics or {},
            tags=run.data.tags,
            evaluation=evaluation,
            notes=notes,
            privacy=privacy,
        )
    )
    return mask(card)
