"""How much work an epoch of a configuration is, computed from its values before anything is measured.

Only proportions count: they are features of the sampler's cost model, beside the values themselves.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.models.architectures import architecture_of
from pipeline.search.space import strip_condition
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from pipeline.frontier_sampler.curves.costs import Work


def make_epoch_work(settings: Settings, rows: int, inputs: int, classes: int) -> "Work":
    """Make the function that computes multiply-adds and steps of an epoch from a trial's params.

    `settings`: where a value stands that no param sets; `rows`: of the full training split; `inputs`,
    `classes`: count of the numbers of a sample and of an answer. The name of a param may have its condition
    after its key.
    """
    model, architecture = settings.model, architecture_of(settings.model)
    key = architecture.width_key
    defaults = {
        "train.batch_size": settings.train.batch_size,
        "data.fraction": settings.data.fraction,
        "model.layers": getattr(model, "layers", 1),
        f"model.{key}": getattr(model, key),
    }

    def compute_work(params: Mapping[str, Any]) -> Sequence[float]:
        values = defaults | {strip_condition(name): value for name, value in params.items()}
        samples = rows * values["data.fraction"] / settings.data.fraction
        width, layers = values[f"model.{key}"], values["model.layers"]
        work = samples * architecture.compute_relative_work(width, layers, inputs, classes)
        return float(work), samples / values["train.batch_size"]

    return compute_work
