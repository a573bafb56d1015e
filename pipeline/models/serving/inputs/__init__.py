"""New data that a trained model is asked about: one module a kind, named after its conf option.

A kind without a module has its own samples and no path to others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import NoReturn, Protocol, cast

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.errors import BadModel, BadSetting
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.requests import ModelRequest
from pipeline.settings.data import Data
from pipeline.settings.kinds import module_of, option_name

__all__ = ["NewBatch", "NewData", "open_new_data", "refuse_model"]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """Some of the samples: what each is called, and its label where it has one; "" for none."""

    names: Sequence[str | int]
    request: ModelRequest
    labels: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewData:
    """Samples of new data, batch by batch. `name`: what names them, such as "file"; `total`: how many.

    `others`: the columns that no answer depends on.
    """

    name: str
    total: int
    batches: Iterable[NewBatch]
    has_labels: bool
    others: Sequence[str] = ()


class Input(Protocol):
    """What the module of a kind of new data must have."""

    def open_new_data(
        self, data: object, description: ModelDescription, scratch: ScratchSpace, findings: Findings
    ) -> NewData:
        """Return the samples; what cannot be read is counted in `findings`."""


def open_new_data(
    data: Data, description: ModelDescription, scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open the samples that `data` names, to be read portion by portion for a model.

    Raises:
        BadSetting: this kind of data has no path to new samples.
        BadModel: the model answers to something else.
        BadData: nothing can be read.
    """
    option = option_name(type(data))
    if find_spec(f"{__name__}.{option}") is None:
        kinds = ", ".join(sorted(module.name for module in iter_modules(__path__) if module.name != "files"))
        raise BadSetting(
            f"data must be a kind with a path to new samples ({kinds}), got {option}; "
            "add data.path=... (data=... where its kind is not found)"
        )
    return cast(Input, module_of(__name__, data)).open_new_data(data, description, scratch, findings)


def refuse_model(data: Data, takes: str) -> NoReturn:
    """Raise BadModel: the model does not answer to this kind of data, but to `takes`."""
    raise BadModel(
        f"trained must be a model that answers to data={option_name(type(data))}, got one that answers to "
        f"{takes}; choose the kind of the new data with data=..."
    )
