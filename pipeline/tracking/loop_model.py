"""A model that a user's own loop reports, as an artifact of its run: through the flavour of its framework."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mlflow

from pipeline.errors import FulcrumError, format_one_line
from pipeline.formatting import shorten
from pipeline.reports.cards.markdown import CARD_FILE
from pipeline.tracking.model_artifact import begin_model, hide_registry_messages, register_model

MAX_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How MLflow keeps the models of a framework.

    `base`: module and name of the class that they derive from; `flavour`: module of MLflow; `argument`: under
    which it takes the model; `packages`: distributions that a served model needs;
    `options`: further arguments; `find_options`: those that depend on the model.
    """

    base: tuple[str, str]
    flavour: str
    argument: str
    packages: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    find_options: Callable[[Any], Mapping[str, Any]] = lambda _: {}


def _trust_own_types(model: Any) -> Mapping[str, Any]:
    """Name the types of a model to the format of scikit-learn's, which loads no other: a tree is unknown."""
    skops = import_module("skops.io")
    return {"skops_trusted_types": skops.get_untrusted_types(data=skops.dumps(model))}


FLAVOURS = (
    Flavour(
        base=("mlflow.pyfunc", "PythonModel"), flavour="mlflow.pyfunc", argument="python_model", packages=()
    ),
    Flavour(
        base=("torch.nn", "Module"),
        flavour="mlflow.pytorch",
        argument="pytorch_model",
        packages=("torch",),
        options={"serialization_format": "pickle"},  # its other format needs an example of the input
    ),
    Flavour(
        base=("keras", "Model"), flavour="mlflow.keras", argument="model", packages=("keras", "tensorflow")
    ),
    Flavour(
        base=("xgboost", "Booster"), flavour="mlflow.xgboost", argument="xgb_model", packages=("xgboost",)
    ),
    Flavour(
        base=("xgboost", "XGBModel"), flavour="mlflow.xgboost", argument="xgb_model", packages=("xgboost",)
    ),
    Flavour(
        base=("lightgbm", "Booster"), flavour="mlflow.lightgbm", argument="lgb_model", packages=("lightgbm",)
    ),
    Flavour(
        base=("lightgbm", "LGBMModel"),
        flavour="mlflow.lightgbm",
        argument="lgb_model",
        packages=("lightgbm", "scikit-learn"),
    ),
    Flavour(
        base=("catboost", "CatBoost"), flavour="mlflow.catboost", argument="cb_model", packages=("catboost",)
    ),
    Flavour(
        base=("sklearn.base", "BaseEstimator"),
        flavour="mlflow.sklearn",
        argument="sk_model",
        packages=("scikit-learn",),
        find_options=_trust_own_types,
    ),
)
"""In the order in which they are asked: a wrapper of another framework is often an estimator, too."""


class ModelNotKept(FulcrumError):
    """A model is of no framework that MLflow keeps, or cannot be saved; the trial itself is well."""


@contextmanager
def nest_user_runs() -> Iterator[None]:
    """Let `mlflow.start_run()` of a user's code open a run in ours during the block, where it would raise."""
    start = mlflow.start_run
    mlflow.start_run = partial(start, nested=True)
    try:
        yield
    finally:
        mlflow.start_run = start


def find_flavour(model: object) -> Flavour | None:
    """Find the flavour of a model by the classes that it derives from; no framework is imported for that."""
    modules = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    for flavour in FLAVOURS:
        module, name = flavour.base
        if module.partition(".")[0] in modules and isinstance(model, getattr(import_module(module), name)):
            return flavour
    return None


@dataclass(frozen=True, slots=True)
class _WithCard:
    """A module of MLflow's that saves models, which lays a card beside each."""

    flavour: Any
    card: str

    @property
    def __name__(self) -> str:
        return str(self.flavour.__name__)

    def save_model(self, path: str, **keywords: Any) -> None:
        """Save a model with its card; the arguments are those of the module."""
        self.flavour.save_model(path=path, **keywords)
        Path(path, CARD_FILE).write_text(self.card, encoding="utf-8")


def log_loop_model(
    model: object, run_id: str, register: str | None, tags: Mapping[str, str] | None = None, card: str = ""
) -> str | None:
    """Log a model into a run and return its version where it was registered; the arguments: see `log_model`.

    Raises:
        ModelNotKept: its class is of no framework that MLflow keeps, or saving it failed.
    """
    flavour = find_flavour(model)
    if flavour is None:
        kind = f"{type(model).__module__}.{type(model).__name__}"
        raise ModelNotKept(
            "model must be of PyTorch, scikit-learn, XGBoost, LightGBM, CatBoost or Keras, or a "
            f"mlflow.pyfunc.PythonModel, got {kind}; wrap it into a PythonModel"
        )
    from mlflow.models import Model

    keywords: dict[str, Any] = {flavour.argument: model, **flavour.options}
    if flavour.packages:
        keywords["pip_requirements"] = [f"{name}=={_read_version(name)}" for name in flavour.packages]
    try:
        with hide_registry_messages(), _quiet():
            logged = Model.log(
                artifact_path=None,
                name="model",
                flavor=_WithCard(import_module(flavour.flavour), card),
                run_id=run_id,
                model_id=begin_model(run_id, tags),
                tags=dict(tags or {}),
                **keywords,
                **flavour.find_options(model),
            )
            return register_model(logged.model_id, register, tags)
    except Exception as error:  # whatever a class of the user's raises when it is saved
        text = shorten(format_one_line(str(error)), MAX_TEXT)
        raise ModelNotKept(
            f"model could not be saved by {flavour.flavour} ({type(error).__name__}: {text}); "
            "report another one"
        ) from error


def _read_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a build of another name, such as tensorflow-cpu
        return str(getattr(import_module(package), "__version__", "0"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the hints of MLflow's about signatures and examples, which nobody asked for."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
