"""The key of a checkpoint: all that decides whether a training may go on from it.

The words of a trial do not decide that: files, code and the machine change behind the same words.
"""

import hashlib
from pathlib import Path

from pipeline import __version__
from pipeline.data.prepared import Prepared
from pipeline.hardware.device import claim_device
from pipeline.models.architectures import architecture_of
from pipeline.settings.command_line import EPOCHS, WITHOUT_EFFECT, group_of
from pipeline.settings.settings import Settings, flatten
from pipeline.settings.training import Adversarial
from pipeline.training import engine_choice

FORMAT = 4  # raise it when a state of the same key comes to mean something else, or goes on otherwise
KEY_LETTERS = 16
PRIVACY = "privacy"
"""Group that is no part of a key without privacy."""
LATER_DEFAULTS = (("device.count", 1), ("optimizer.sparse", False), ("train.keep", "last"))
"""No part of a key, so that states of the time before there were such settings are found."""
ADVERSARIAL = {"train.adversarial", "train.adversarial_epsilon"}
"""No part of a key where nothing is moved, for the same reason."""


def get_keyed_path(path: Path, data: Prepared, settings: Settings) -> Path:
    """Return the file, beside `path`, of a state from which exactly this training may go on."""
    return path.with_stem(f"{path.stem}-{compute_key(data, settings)[:KEY_LETTERS]}")


def compute_key(data: Prepared, settings: Settings) -> str:
    """Compute the SHA-256 (hex) over data, settings, a user's own code, device, engine, release and format.

    How long to train is part of it only where that changes the epochs on the way.

    Raises:
        BadSetting: the engine named cannot train this model or precision on this device.
        BadModel: a user's own network is not there.
    """
    device = claim_device(settings.device)
    engine = engine_choice.pick_engine(settings, device, data)
    code = architecture_of(settings.model).hash_code(settings.model)
    about = (FORMAT, __version__, data.key, device.name, engine.value, code, _list_values(settings))
    return hashlib.sha256(repr(about).encode()).hexdigest()


def _list_values(settings: Settings) -> list[tuple[str, object]]:
    """Return the settings that decide the curve; of `data` and `engine`, the key has what they came to."""
    ignored = WITHOUT_EFFECT | {"data", "engine"}
    if not settings.privacy.is_private:
        ignored = ignored | {PRIVACY}  # as before there was any
    if settings.fair_midway:
        ignored = ignored | {EPOCHS}
    if settings.train.adversarial is Adversarial.none:
        ignored = ignored | ADVERSARIAL
    values = [(key, value) for key, value in flatten(settings) if not {key, group_of(key)} & ignored]
    if settings.search.measures_attack:  # after each epoch, so it is part of the curve
        values += [(key, value) for key, value in flatten(settings) if key.startswith("evaluate.attack")]
        values.append(("measure", settings.measure.name))
    return [item for item in values if item not in LATER_DEFAULTS]
