"""Energy as an objective: measured where the device tells it, else estimated; never both in one study."""

from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import open_gauge
from pipeline.settings.searching.cluster import ClusterKind
from pipeline.settings.searching.objectives import ENERGY, ESTIMATED_ENERGY, KINDS_OF_ENERGY, MEASURED_ENERGY
from pipeline.settings.settings import Settings


def settle_energy(settings: Settings, device: ClaimedDevice) -> list[str]:
    """Return the objectives with `energy` as the one that the device can give, each once.

    So a study never has measured and estimated joules side by side.

    Raises:
        BadSetting: the device gives a measurement of several trials together.
    """
    names = settings.search.objectives
    if ENERGY not in names:
        return list(names)
    possible = _find_possible(device)
    if possible == MEASURED_ENERGY:
        _check_alone(settings, device)
    return list(dict.fromkeys(possible if name == ENERGY else name for name in names))


def check_energy(settings: Settings, device: ClaimedDevice) -> None:
    """Check that the device gives what was asked for by its own name.

    Raises:
        BadSetting: a measurement that it does not tell, or one of several trials together, or an estimate of
            what it does tell.
    """
    asked = set(KINDS_OF_ENERGY).intersection(settings.search.objectives)
    if not asked:
        return
    possible = _find_possible(device)
    if wrong := asked - {possible}:
        reads = "tells its energy" if possible == MEASURED_ENERGY else "lets nobody read its energy"
        raise BadSetting(
            f"search.objectives must be what this machine can measure, got {min(wrong)}: {device.name} "
            f"{reads} (RAPL for root, or NVML); write {ENERGY}, which is {possible} here, or leave it out"
        )

    if MEASURED_ENERGY in asked:
        _check_alone(settings, device)


def _check_alone(settings: Settings, device: ClaimedDevice) -> None:
    """Raise where trials that run at once would each be charged with what all of them draw.

    A counter of a CPU is that of all its cores, one of a GPU that of all who share it.
    """
    cluster, workers = settings.cluster, settings.search.workers
    if device.held < device.count:
        key, got = "cluster.share", f"{cluster.share:g}"
    elif device.kind == "cpu" and cluster.kind is not ClusterKind.none:
        key, got = "cluster.slots", "null" if cluster.slots is None else str(cluster.slots)
    else:
        key, got = "search.workers", str(workers if device.kind == "cpu" else 1)
    if got not in ("0", "1"):
        raise BadSetting(
            f"{key} must be 1 with {MEASURED_ENERGY}, got {got}: {device.name} tells what all trials draw "
            f"together; write {key}=1, or leave it out of search.objectives"
        )


def _find_possible(device: ClaimedDevice) -> str:
    return MEASURED_ENERGY if open_gauge(device.kind).read().is_measured else ESTIMATED_ENERGY
