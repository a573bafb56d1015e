"""Hand the dataclasses of `pipeline.settings` to Hydra as schemas, one for each conf option."""

from dataclasses import is_dataclass
from functools import cache
from typing import get_type_hints

from hydra.core.config_store import ConfigStore

from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.measuring import Claim
from pipeline.settings.settings import Settings

GROUPS: dict[str, type] = {
    name: base
    for name, base in get_type_hints(Settings).items()
    if isinstance(base, type) and is_dataclass(base)
}
KINDS: dict[str, tuple[type, ...]] = {
    group: kinds_of(base) for group, base in GROUPS.items() if base not in kinds_of(base)
}
"""The settings classes of each group whose options are of several kinds, such as the optimizers."""
SINGLE: dict[str, type] = {group: kind for group, kind in GROUPS.items() if group not in KINDS}
"""The settings class of each group whose options differ in values alone."""


@cache
def register() -> None:
    """Store `schema`, `schema/<group>` and, for groups with several kinds, `schema/<group>/<option>`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Settings)
    store.store(group="schema", name="claim", node=Claim)
    for group, kinds in KINDS.items():
        for kind in kinds:
            store.store(group=f"schema/{group}", name=option_name(kind), node=kind)
    for group, kind in SINGLE.items():
        store.store(group="schema", name=group, node=kind)
