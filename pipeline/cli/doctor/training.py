"""A short training on each device; where there are GPUs, in processes of their own.

A process keeps the GPU that it has taken, and a GPU may take one process at a time.
"""

import multiprocessing
import os
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from pipeline.cli.doctor.room import Outcome
from pipeline.errors import FulcrumError, read_first_line
from pipeline.hardware import gpus
from pipeline.settings.measuring import DeviceKind
from pipeline.settings.settings import Settings

LEAST_ACCURACY = 0.8
"""Of ten classes of digits after a few epochs: far more than guessing has."""
LIMIT_SECONDS = 300.0
NO_GPU = "-1"
"""What hides all GPUs from CUDA."""


@dataclass(frozen=True, slots=True)
class ShortTraining:
    """What a training came to: on which device, validation accuracy 0..1 and device-seconds."""

    device: str
    accuracy: float
    device_seconds: float

    def __str__(self) -> str:
        return f"{self.device}: {self.accuracy:.1%} on digits for {self.device_seconds:.2g} device-seconds"


def train_on_each_device(settings: Settings) -> Outcome:
    """Train on each GPU that this process may use, and on the CPU; with `device=...` on that kind alone.

    Raises:
        FulcrumError: the only device cannot train.
    """
    kind = settings.device.kind
    cards = [] if kind is DeviceKind.cpu else gpus.list_gpus(gpus.load_nvml(), os.environ.get(gpus.VISIBLE))
    if not cards:
        return _judge([train_briefly(settings)], [])
    places = [(DeviceKind.gpu, gpu.uuid) for gpu in cards]
    places += [(DeviceKind.cpu, NO_GPU)] if kind is DeviceKind.auto else []
    results, faults = list[ShortTraining](), list[str]()
    for kind, visible in places:
        device = replace(settings.device, kind=kind, count=1)
        try:
            results.append(train_apart(replace(settings, device=device), visible))
        except FulcrumError as error:  # which hides no other device
            faults.append(f"{visible if kind is DeviceKind.gpu else 'the CPU'} cannot train: {error}")
    return _judge(results, faults)


def _judge(results: list[ShortTraining], faults: list[str]) -> Outcome:
    text = "; ".join([*map(str, results), *faults])
    if faults:
        return "fails", text, "see what the lines above say of it"
    if min(result.accuracy for result in results) < LEAST_ACCURACY:
        return "fails", text, f"less than {LEAST_ACCURACY:.0%} says that something computes wrongly"
    return "ok", text, ""


def train_apart(settings: Settings, visible: str) -> ShortTraining:
    """Train in a process that sees no GPU but this one; `visible`: as in CUDA_VISIBLE_DEVICES.

    Raises:
        FulcrumError: it failed, or took minutes.
    """
    context = multiprocessing.get_context("spawn")
    answers, theirs = context.Pipe(duplex=False)  # a pool of processes would need /dev/shm
    process = context.Process(target=_train_and_send, args=(theirs, settings, visible))
    process.start()
    theirs.close()
    try:
        if not answers.poll(LIMIT_SECONDS):
            raise FulcrumError(f"it had not ended after {LIMIT_SECONDS:g} s")
        answer = answers.recv()
    except EOFError:
        process.join()
        raise FulcrumError(f"its process ended with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        answers.close()
    if isinstance(answer, str):
        raise FulcrumError(answer)
    assert isinstance(answer, ShortTraining)
    return answer


def _train_and_send(answers: Connection, settings: Settings, visible: str) -> None:
    os.environ[gpus.VISIBLE] = visible  # before TensorFlow is imported
    try:
        answers.send(train_briefly(settings))
    except Exception as error:  # whatever its driver raises
        answers.send(read_first_line(error))


def train_briefly(settings: Settings) -> ShortTraining:
    """Train on the device of this process and say what came out; nothing is recorded."""
    from pipeline.hardware.device import claim_device
    from pipeline.trial.network import load_prepared, train_to_end

    claimed = claim_device(settings.device)
    claimed.check()
    trained = train_to_end(load_prepared(settings), settings)
    last = trained.curve.last
    return ShortTraining(claimed.name, last.validation_accuracy, last.device_seconds)
