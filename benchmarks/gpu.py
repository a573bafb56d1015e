"""`python -m benchmarks.gpu`: what a GPU gives our engine, Keras, PyTorch and JAX, in at most eight minutes.

One process a framework trains the same layers on the same number of rows of random bytes, batch 128, Adam,
data on the device: a perceptron (784-500-10) and a small convolutional network. Then our engine under each
precision, the spread of its device-seconds over repetitions, and `trial=function` with PyTorch and JAX. What
cannot run here (a framework is absent, there is no GPU for it) is skipped by name and reason, and so is what
does not fit into the time. `--device cpu` shows that it runs, on a machine without a GPU.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from benchmarks import gpu_rivals, machine

CHECKOUT = Path(__file__).resolve().parents[1]
KEPT = Path(__file__).parent / "results"
MINUTES = 8.0
NETWORKS = {
    "perceptron": ("model=mlp", "model.hidden=500"),
    "cnn": ("model=cnn", "model.filters=16"),
}
PRECISIONS = ("mixed_bfloat16", "mixed_float16")
REPEATS = 5
NEEDS = {
    "ours": "tensorflow",
    "keras": "tensorflow",
    "pytorch": "torch",
    "jax": "jax",
    "function-pytorch": "torch",
    "function-jax": "jax",
}
"""Parts, each in a process of its own, and the framework that it needs."""
EXAMPLES = {"function-pytorch": "examples.pytorch_loop:train", "function-jax": "examples.jax_loop:train"}

Found = dict[str, Any]


class Skipped(Exception):
    """A part cannot run here; the text says why."""


# ---- parts: each yields what it measured, one thing at a time -----------------------------------------


def measure_engine(told: argparse.Namespace, engine: str, folder: Path) -> Iterator[Found]:
    """Our engine, or Keras' loop (`engine`), through the product's own training and clock."""
    data = _write_data(told.rows, folder)
    for network in NETWORKS:
        yield _train(told, data, network, (f"engine={engine}",))
    if engine == "keras":
        return
    for precision in PRECISIONS:
        found = _train(told, data, "perceptron", (f"precision={precision}",))
        yield found | {"what": f"perceptron, {precision}"}
    costs = [sum(_train(told, data, "perceptron", ())["epochs"]) for _ in range(REPEATS)]
    yield {"what": "clock", "device_seconds": costs, "variation": stdev(costs) / mean(costs)}


def _write_data(rows: int, folder: Path) -> Path:
    draw, path = np.random.default_rng(0), folder / "data.npz"
    features = draw.integers(0, 256, (rows, 28, 28), np.uint8)
    np.savez(path, features=features, labels=np.arange(rows) % 10)
    return path


def _train(told: argparse.Namespace, data: Path, network: str, more: Sequence[str]) -> Found:
    from pipeline.cli.compose import compose
    from pipeline.data.preprocess import preprocess
    from pipeline.training.train import train

    words = [
        *("data=arrays", f"data.path={data}", f"cache_dir={data.parent / 'cache'}", f"device={told.device}"),
        *("preprocess.validation=0.05", "preprocess.test=0.05", "preprocess.deduplicate=false"),
        *("optimizer=adam", "train.batch_size=128", f"train.epochs={told.epochs}"),
        *NETWORKS[network],
        *more,
    ]
    settings = compose(words).settings
    *_, last = train(preprocess(settings), settings)
    seconds = np.diff([0.0, *(epoch.device_seconds for epoch in last.curve.epochs)])
    rows = settings.train.batch_size * (last.loop.steps if last.loop else 0)
    return {
        "what": network,
        "epochs": seconds.tolist(),
        "rows": rows,
        "device": last.device,
        "how": last.engine,
    }


def measure_rival(told: argparse.Namespace, part: str) -> Iterator[Found]:
    """PyTorch or JAX, in a plain loop with all data on the device."""
    rows = max(128, int(told.rows * 0.9) // 128 * 128)
    for network in NETWORKS:
        yield {"what": network, "rows": rows} | gpu_rivals.RIVALS[part](
            network, rows, told.epochs, told.device
        )


def measure_function(told: argparse.Namespace, part: str, folder: Path) -> Iterator[Found]:
    """A loop of the user's own as one trial of the product: its record says what it cost."""
    device = "gpu" if told.device != "cpu" else "cpu"
    words = ["run", "trial=function", f"trial.call={EXAMPLES[part]}", "epochs=3", f"device={device}"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Skipped(next(iter(done.stderr.strip().splitlines()[-1:]), f"exit code {done.returncode}"))
    from mlflow import MlflowClient

    (run,) = MlflowClient(f"sqlite:///{folder}/mlflow.db").search_runs(["1", "0"])
    metrics = {name: run.data.metrics[name] for name in ("accuracy", f"{device}_seconds")}
    yield {"what": "trial=function", "wall": time.perf_counter() - begun, **metrics}


def run_part(told: argparse.Namespace) -> int:
    """Measure one part in this process, and print a line of JSON for each thing that was found."""
    with tempfile.TemporaryDirectory() as name:
        folder, part = Path(name), told.part
        measures: dict[str, Callable[[], Iterator[Found]]] = {
            "ours": lambda: measure_engine(told, "auto", folder),
            "keras": lambda: measure_engine(told, "keras", folder),
            **{rival: lambda rival=part: measure_rival(told, rival) for rival in gpu_rivals.RIVALS},
            **{each: lambda each=part: measure_function(told, each, folder) for each in EXAMPLES},
        }
        try:
            for found in measures[part]():
                print(json.dumps(found), flush=True)
        except Exception as error:  # of any framework: the others go on
            first = next(iter(str(error).strip().splitlines()), "")
            print(json.dumps({"skipped": f"{type(error).__name__}: {first}"[:300]}), flush=True)
            return 1
    return 0


# ---- all parts ----------------------------------------------------------------------------------------


def run_parts(told: argparse.Namespace) -> tuple[dict[str, list[Found]], dict[str, str]]:
    """What each part found, and why others found nothing."""
    found, skipped = dict[str, list[Found]](), dict[str, str]()
    until = time.monotonic() + 60 * told.minutes
    for part, module in NEEDS.items():
        left = until - time.monotonic()
        if importlib.util.find_spec(module) is None:
            skipped[part] = f"{module} is not installed"
        elif left < 1:
            skipped[part] = f"{told.minutes:g} minutes were over"
        else:
            lines, reason = _run_process(part, told, left)
            found[part] = [line for line in lines if "skipped" not in line]
            reason = next((line["skipped"] for line in lines if "skipped" in line), reason)
            if reason:
                skipped[part] = reason
        print(f"{part}: {skipped.get(part) or f'{len(found[part])} measured'}", flush=True)
    return found, skipped


def _run_process(part: str, told: argparse.Namespace, seconds: float) -> tuple[list[Found], str]:
    words = ["--part", part, "--rows", told.rows, "--epochs", told.epochs, "--device", told.device]
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, words)]
    with tempfile.TemporaryFile("w+") as out:
        try:
            code = subprocess.run(
                command, cwd=CHECKOUT, stdout=out, stderr=subprocess.DEVNULL, timeout=seconds, check=False
            ).returncode
            reason = f"its process ended with {code}" if code else ""
        except subprocess.TimeoutExpired:
            reason = f"not done when {told.minutes:g} minutes were over"
        out.seek(0)
        lines = [line for line in out.read().splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines], reason


def read_gpu() -> str | None:
    """The name of the first GPU, as NVIDIA's driver tells it."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", "--id=0"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def write_page(about: Found, found: dict[str, list[Found]], skipped: dict[str, str]) -> str:
    """A page with a row for each measurement; rates are of the median epoch without the first."""
    lines = [
        "# Engines on one device",
        "",
        f"`python -m benchmarks.gpu`, {about['date']}, {about['device']}; {about['rows']} rows, batch 128, "
        f"Adam, {about['epochs']} epochs. Rows a second of the median epoch, the first one left out.",
        "",
        "| part | what | ms an epoch | rows a second | device |",
        "|---|---|---|---|---|",
    ]
    for part, rows in found.items():
        for row in rows:
            if "epochs" in row:
                seconds = median(row["epochs"][1:] or row["epochs"])
                rate = f"{row['rows'] / seconds:,.0f}"
                lines.append(f"| {part} | {row['what']} | {1000 * seconds:.3g} | {rate} | {row['device']} |")
            elif "variation" in row:
                what = f"{len(row['device_seconds'])} repetitions differ by {row['variation']:.1%}"
                lines.append(f"| {part} | {row['what']}: {what} (standard deviation) | | | |")
            else:
                numbers = ", ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "what")
                lines.append(f"| {part} | {row['what']}: {numbers} | | | |")
    lines += ["", *(f"Skipped: {part}: {reason}." for part, reason in skipped.items())]
    return "\n".join(lines) + "\n"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--rows", type=int, default=64_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which nothing more begins (8)")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    parser.add_argument("--part", choices=tuple(NEEDS), help=argparse.SUPPRESS)
    told = parser.parse_args(words)
    if told.part:
        return run_part(told)
    gpu = read_gpu()
    if told.device == "gpu" and gpu is None:
        print("no GPU that nvidia-smi names; see that it runs with: --device cpu", file=sys.stderr)
        return 2
    about = machine.about() | {"rows": told.rows, "epochs": told.epochs}
    if told.device == "gpu":
        about["device"] = gpu
    found, skipped = run_parts(told)
    about["load_after"] = machine.about()["load"]
    text = write_page(about, found, skipped)
    raw = {"found": found, "skipped": skipped}
    print(text + f"\nkept in {machine.keep(told.out, about, 'gpu', raw, text)}")
    return 0 if any(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
