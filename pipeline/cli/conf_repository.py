"""The files of conf/ as Hydra reads them, each parsed once a process: a sweep composes a dozen times."""

import copy
import pickle
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource


class ConfRepository(ConfigRepository):  # type: ignore[misc]
    """Hydra's repository that takes from memory what has not changed since it was loaded."""

    def __init__(self, repository: ConfigRepository) -> None:
        self.sources = repository.sources
        self._loaded: dict[tuple[str, ...], tuple[tuple[int, ...], bytes]] = {}

    def __deepcopy__(self, _memo: dict[int, Any]) -> "ConfRepository":
        """Return the copy that Hydra makes for each composition, to which it may give other folders."""
        return copy.copy(self)  # what was loaded is common to all of them

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return an option or the like with its list of defaults; None where there is none."""
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None:
            return None
        key, stamp = (source.provider, source.path, config_path), _stamp(source, config_path)
        before, loaded = self._loaded.get(key, (None, b""))
        if before != stamp:
            loaded = pickle.dumps(super().load_config(config_path), pickle.HIGHEST_PROTOCOL)
            self._loaded[key] = stamp, loaded
        return pickle.loads(loaded)  # Hydra changes what it gets


@cache
def skip_unread_choices() -> None:
    """Let Hydra list what was chosen so far only for lists of defaults that refer to it (`${model}`).

    It does so for every file, which is a third of the time of a composition.
    """
    list_choices = getattr(defaults_list, "_create_interpolation_map", None)
    if list_choices is None:  # another Hydra than the pinned one, which then takes the time it takes
        return

    def list_if_read(overrides: Any, defaults: Sequence[Any], self_added: bool) -> Any:
        is_read = any(default.is_interpolation() for default in defaults)
        return list_choices(overrides, defaults, self_added) if is_read else None

    defaults_list._create_interpolation_map = list_if_read


def _stamp(source: ConfigSource, config_path: str) -> tuple[int, ...]:
    """Return what is another for a changed file; the same for what is registered in this process."""
    if source.scheme() != "file":
        return ()
    about = Path(source.path, source._normalize_file_name(config_path)).stat()
    return about.st_mtime_ns, about.st_size, about.st_ino
