"""Energy as an objective: measured where the device tells it, else estimated; never both in one study."""

from collections.abc import Sequence

from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import open_gauge
from pipeline.settings.searching.objectives import ENERGY, ESTIMATED_ENERGY, KINDS_OF_ENERGY, MEASURED_ENERGY


def settle_energy(names: Sequence[str], device: ClaimedDevice) -> list[str]:
    """Return the objectives with `energy` as the one that the device can give, each once.

    So a study never has measured and estimated joules side by side.
    """
    if ENERGY not in names:
        return list(names)
    possible = _find_possible(device)
    return list(dict.fromkeys(possible if name == ENERGY else name for name in names))


def check_energy(names: Sequence[str], device: ClaimedDevice) -> None:
    """Check that the device gives what was asked for by its own name.

    Raises:
        BadSetting: a measurement that it does not tell, or an estimate of what it does tell.
    """
    asked = set(KINDS_OF_ENERGY).intersection(names)
    if not asked:
        return
    possible = _find_possible(device)
    if wrong := asked - {possible}:
        reads = "tells its energy" if possible == MEASURED_ENERGY else "lets nobody read its energy"
        raise BadSetting(
            f"search.objectives must be what this machine can measure, got {min(wrong)}: {device.name} "
            f"{reads} (RAPL for root, or NVML); write {ENERGY}, which is {possible} here, or leave it out"
        )


def _find_possible(device: ClaimedDevice) -> str:
    return MEASURED_ENERGY if open_gauge(device.kind).read().is_measured else ESTIMATED_ENERGY
