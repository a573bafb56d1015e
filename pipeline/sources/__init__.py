"""Where samples come from: one module a kind of data, chosen by the class of the settings."""

from pathlib import Path

from pipeline import settings
from pipeline.errors import BadSetting
from pipeline.sources import arrays, digits, idx, mnist
from pipeline.sources.samples import Loaded, Samples

__all__ = ["Loaded", "Samples", "fingerprint", "load"]


def fingerprint(data: settings.Data, data_dir: Path) -> str:
    """SHA-256 (hex) of the raw content, without decoding it; fetches what is missing.

    Raises:
        BadData: a file is missing, damaged or has the wrong hash.
    """
    match data:
        case settings.Digits():
            return digits.fingerprint()
        case settings.Mnist():
            return mnist.fingerprint(data_dir)
        case settings.Idx():
            return idx.fingerprint(data)
        case settings.Arrays():
            return arrays.fingerprint(data)
        case _:
            raise BadSetting(f"data must be a known kind, got {type(data).__name__}; see --help")


def load(data: settings.Data, data_dir: Path) -> Loaded:
    """The samples themselves, as the source has them.

    Raises:
        BadData: a file is missing, damaged, or breaks a rule of its format.
    """
    match data:
        case settings.Digits():
            return digits.load()
        case settings.Mnist():
            return mnist.load(data_dir)
        case settings.Idx():
            return idx.load(data)
        case settings.Arrays():
            return arrays.load(data)
        case _:
            raise BadSetting(f"data must be a known kind, got {type(data).__name__}; see --help")
