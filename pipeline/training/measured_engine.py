"""The engine of a network that is no perceptron: measured once for each kind of it and device, and stored.

Convolutions want the kernels of a plain graph, embeddings often want XLA; which one wins depends on network
and machine, so a step of each is timed. Not all is tried: on a CPU, XLA needs twenty times as long for a
convolution inside a loop, and a short training is over before XLA has compiled it.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.errors import BadSetting
from pipeline.files import expand_home, write_content
from pipeline.formatting import format_number
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.stopwatch import choose_clock
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.settings.kinds import option_name
from pipeline.settings.settings import Settings
from pipeline.settings.training import Adversarial, Engine
from pipeline.training.network.network_loop import NetworkLoop

LEAST_WORK = 10**10
"""Rows x epochs x parameters of a training from which compiling it by XLA can pay: some seconds of a core."""
LEAST_GAIN = 0.9
"""XLA is taken where its step takes no more than this share of the graph's: compiling costs more, too."""
HOPELESS = 4.0
"""So many times as long as the graph's, and a first step by XLA is the last one."""
CALL_SECONDS, ROUNDS = 0.2, 3
"""Of a timed call of some steps; the best of so many rounds counts."""


FORMAT = 4  # XLA reads rows of tables by vectors, and Adam takes roots of a batch's rows alone since


@dataclass(frozen=True, slots=True)
class MeasuredEngine:
    """`engine`: the faster one; `milliseconds`: of a step by each engine that was tried."""

    engine: str
    milliseconds: dict[str, float]


_known: dict[Path, MeasuredEngine] = {}


def choose_measured(settings: Settings, prepared: Prepared, device: ClaimedDevice) -> Engine:
    """Return the faster of graph and XLA for this kind of network; a graph for a short training.

    Raises:
        BadInput: the network cannot be built.
    """
    if _count_work(settings, prepared) < LEAST_WORK:
        return Engine.graph
    return Engine(load_or_measure(settings, prepared, device).engine)


def load_or_measure(settings: Settings, prepared: Prepared, device: ClaimedDevice) -> MeasuredEngine:
    """Load what was measured for this kind of network, or measure and store it."""
    path = _get_path(settings, device.name)
    if path not in _known:
        stored = _load(path)
        if stored is None:
            stored = measure_engines(settings, prepared, device)
            write_content(path, json.dumps(asdict(stored), indent=1))
        _known[path] = stored
    return _known[path]


def describe_measured(settings: Settings, device: str, engine: str) -> str:
    """Return what was measured to choose `engine`, as "graph 2.1, xla 1.5 ms a step"; "" where nothing was.

    `device`: its name.
    """
    path = _get_path(settings, device)
    stored = _known.get(path) or _load(path)
    if stored is None or stored.engine != engine or len(stored.milliseconds) < 2:
        return ""
    return (
        ", ".join(f"{name} {format_number(value)}" for name, value in stored.milliseconds.items())
        + " ms a step"
    )


def _load(path: Path) -> MeasuredEngine | None:
    try:
        stored = MeasuredEngine(**json.loads(path.read_text()))
        return stored if stored.engine in stored.milliseconds else None
    except (OSError, ValueError, TypeError):
        return None


def _get_path(settings: Settings, device: str) -> Path:
    """Return the file of a kind of network (of a user's own: its code), precision, device and release."""
    model = settings.model
    kind = option_name(type(model)), getattr(model, "build", ""), architecture_of(model).hash_code(model)
    drops: object = bool(getattr(model, "dropout", 0.0))
    if settings.train.adversarial is not Adversarial.none:
        drops = (drops, settings.train.adversarial.value)
    about = repr((kind, drops, settings.precision.policy.value, device, tf.__version__, FORMAT))
    if settings.privacy.is_private:
        about += settings.privacy.kind.value
    if getattr(settings.optimizer, "sparse", False):
        about += "sparse"
    readable = re.sub(r"[^a-z0-9]+", "-", f"{kind[0]} {device}".lower()).strip("-")
    name = f"{readable}-{hashlib.sha256(about.encode()).hexdigest()[:12]}.json"
    return expand_home(settings.cache_dir) / "engines" / name


_parameters: dict[str, int] = {}


def _count_work(settings: Settings, prepared: Prepared) -> int:
    """Return rows x epochs x parameters."""
    vocabulary = len(getattr(prepared.front, "vocabulary", ()))
    code = architecture_of(settings.model).hash_code(settings.model)
    key = repr((settings.model, code, prepared.shape, len(prepared.classes), vocabulary))
    if key not in _parameters:
        _parameters[key] = keras_models.count_parameters(settings, prepared)
    return len(prepared.train.labels) * settings.train.epochs * _parameters[key]


# ---- measuring -----------------------------------------------------------------------------------------


def measure_engines(settings: Settings, prepared: Prepared, device: ClaimedDevice) -> MeasuredEngine:
    """Time steps of the first epoch by a graph and, where that is worth trying, by XLA, in turns."""
    weights = keras_models.draw_initial_weights(settings, prepared)

    def start(engine: Engine) -> NetworkLoop:
        loop = NetworkLoop(settings, prepared, weights, device, engine)
        loop.prepare(1)
        loop.compile()
        return loop

    clock, graph = choose_clock(device), start(Engine.graph)
    first = max(clock.time(partial(graph.run_steps, 1)) for _ in range(2))
    steps = max(1, min(graph.steps, round(CALL_SECONDS / max(first, 1e-6))))
    loops = {Engine.graph: graph}
    if device.kind != "cpu" or not _has_convolution(graph):
        try:
            by_xla = start(Engine.xla)
            by_xla.run_steps(1)  # faults in memory
            if clock.time(partial(by_xla.run_steps, 1)) < HOPELESS * first:
                loops[Engine.xla] = by_xla
        except (tf.errors.OpError, BadSetting, NotImplementedError, ValueError, TypeError):
            pass  # an operation of a user's own layers that XLA does not know
    seconds = {engine: float("inf") for engine in loops}
    for _ in range(ROUNDS):
        for engine, loop in loops.items():
            seconds[engine] = min(seconds[engine], clock.time(partial(loop.run_steps, steps)) / steps)
    bar = LEAST_GAIN * seconds[Engine.graph]
    best = Engine.xla if seconds.get(Engine.xla, bar) < bar else Engine.graph
    return MeasuredEngine(best.value, {engine.value: 1000 * value for engine, value in seconds.items()})


def _has_convolution(loop: NetworkLoop) -> bool:
    """Return whether the compiled epoch holds a convolution, whichever layer it comes from."""
    graph: Tensor = loop.network.trace(loop.inputs, loop.state).graph
    definition = graph.as_graph_def()
    nodes = [definition.node, *(function.node_def for function in definition.library.function)]
    return any("Conv" in node.op for group in nodes for node in group)
