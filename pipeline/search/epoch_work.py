"""How much work an epoch of a configuration is, told from its values alone, before anything is measured.

Only proportions count: they are features of the sampler's cost model, beside the values themselves.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.search.space import key_in
from pipeline.settings.model import Cnn, Custom, Mlp, Model, Text
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from pipeline.frontier_sampler.observations import Work

WIDTHS: dict[type[Model], str] = {Mlp: "hidden", Cnn: "filters", Text: "width", Custom: "hidden"}
"""The setting that the arithmetic of a network grows with."""


def of(settings: Settings, rows: int, inputs: int, classes: int) -> "Work":
    """A function of a trial's params: multiply-adds and steps of an epoch.

    `settings`: what no param says; `rows`: of the whole training split; `inputs`, `classes`: numbers of a
    sample and of an answer. A param may carry its condition after its key.
    """
    model, key = settings.model, WIDTHS[type(settings.model)]
    usual = {
        "train.batch_size": settings.train.batch_size,
        "data.fraction": settings.data.fraction,
        "model.layers": getattr(model, "layers", 1),
        f"model.{key}": getattr(model, key),
    }

    def work(params: Mapping[str, Any]) -> Sequence[float]:
        told = usual | {key_in(name): value for name, value in params.items()}
        samples = rows * told["data.fraction"] / settings.data.fraction
        width, layers = told[f"model.{key}"], told["model.layers"]
        weights = width * (inputs + (layers - 1) * width + classes) if isinstance(model, Mlp) else width
        return float(weights * samples), samples / told["train.batch_size"]

    return work
