"""From the words of a command line to typed `Settings`; nothing past this module knows Hydra."""

from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.cli import arguments, mistakes, schema
from pipeline.settings import Settings, Told

CONF = Path(__file__).resolve().parents[2] / "conf"


def compose(words: Sequence[str]) -> Told:
    """Settings for `words` (`key=value`, `--key value`, `overrides="a=1 b=2"`).

    Raises:
        BadSetting: a key, a type, a value or a pair of values is wrong; the text is one line.
    """
    pairs = arguments.overrides(words)
    mistakes.check_words(pairs, CONF)
    try:
        config = _composed(pairs)
        choices = OmegaConf.to_container(config.hydra.runtime.choices)
        with open_dict(config):
            del config["hydra"]
        settings = OmegaConf.to_object(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise mistakes.explained(error, pairs) from None
    assert isinstance(settings, Settings)
    assert isinstance(choices, dict)
    chosen = {
        str(group): str(option) for group, option in choices.items() if "/" not in str(group) and option
    }
    return Told(settings, chosen, tuple(pairs))


def _composed(pairs: list[str]) -> DictConfig:
    """One `initialize` serves the whole process: it costs more than composing."""
    schema.register()
    if not GlobalHydra.instance().is_initialized():
        hydra.initialize_config_dir(str(CONF), version_base="1.3", job_name="fulcrum")
    config: DictConfig = hydra.compose("config", overrides=pairs, return_hydra_config=True)
    return config
