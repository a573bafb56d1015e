"""A short training on each device, GPUs in processes of their own: a process keeps what it has taken."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.errors import FulcrumError
from pipeline.hardware import gpus
from pipeline.settings.measuring import DeviceKind
from pipeline.settings.settings import Settings

LEAST_ACCURACY = 0.8
"""Of ten classes of digits after a few epochs: far more than guessing has."""
LIMIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ShortTraining:
    """What a training came to: on which device, validation accuracy 0..1 and device-seconds."""

    device: str
    accuracy: float
    device_seconds: float


def train_on_each_device(settings: Settings) -> tuple[Literal["ok", "note", "fails"], str, str]:
    """Train on each GPU and on the CPU; with `device=cpu` or `device=gpu` on these alone.

    Raises:
        FulcrumError: a device cannot train.
    """
    kind_asked = settings.device.kind
    cards = [] if kind_asked is DeviceKind.cpu else gpus.list_gpus(gpus.load_nvml())
    results = [train_apart(settings, gpu.uuid) for gpu in cards]
    if not cards or kind_asked is not DeviceKind.gpu:
        kind = DeviceKind.cpu if cards else kind_asked
        device = replace(settings.device, kind=kind, count=1 if cards else settings.device.count)
        results.append(train_briefly(replace(settings, device=device)))
    text = "; ".join(
        f"{result.device}: {result.accuracy:.1%} on digits for {result.device_seconds:.2g} device-seconds"
        for result in results
    )
    if min(result.accuracy for result in results) < LEAST_ACCURACY:
        return "fails", text, f"less than {LEAST_ACCURACY:.0%} says that something computes wrongly"
    return "ok", text, ""


def train_apart(settings: Settings, uuid: str) -> ShortTraining:
    """Train on the GPU of this UUID, in a process that sees no other.

    Raises:
        FulcrumError: it failed, or took minutes.
    """
    device = replace(settings.device, kind=DeviceKind.gpu, count=1)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _show_one, (uuid,)) as executor:
        try:
            return executor.submit(train_briefly, replace(settings, device=device)).result(LIMIT_SECONDS)
        except Exception as error:  # whatever its driver raises
            raise FulcrumError(f"{uuid} cannot train: {str(error) or type(error).__name__}") from None


def _show_one(uuid: str) -> None:
    """Show this process one GPU, before TensorFlow is imported."""
    os.environ[gpus.VISIBLE] = uuid


def train_briefly(settings: Settings) -> ShortTraining:
    """Train on the device of this process and say what came out; nothing is recorded."""
    from pipeline.hardware.device import claim_device
    from pipeline.trial.network import load_prepared, train_to_end

    claimed = claim_device(settings.device)
    trained = train_to_end(load_prepared(settings), settings)
    last = trained.curve.last
    return ShortTraining(claimed.name, last.validation_accuracy, last.device_seconds)
