"""Published surrogates of recorded curves: open spaces, in which every configuration can be trained.

LCBench (Zimmer, Lindauer and Hutter 2021, doi 10.1109/TPAMI.2021.3067763): perceptrons on 31 data sets, 7
settings, 52 epochs. The network that stands for its curves is YAHPO Gym's (Pfisterer et al. 2022, arXiv
2109.03670; Apache-2.0). Its curves are smoother than real ones, and its rates were annealed over 50 epochs,
so the epochs midway are better than a user would find them: for every strategy alike.

`onnxruntime` is of the benchmark's own environment. The files are looked for in the data directory
(FULCRUM_DATA), and fetched there once.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc  # type: ignore[import-untyped]

from benchmarks.other_tuners import need
from benchmarks.table import BadTable, Row, Space
from pipeline.data.readers.downloads import RemoteFile, fetch_file
from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import Parameter, make_key
from pipeline.measures import Point

MIRRORS = ("https://raw.githubusercontent.com/slds-lmu/yahpo_data/main/lcbench/",)
MODEL = RemoteFile(
    "model.onnx", "b45c0d85ae39abf8820c8bea5ac82f415763afcbaf3b725e36af452b09cb6dcd", MIRRORS, "lcbench"
)
ENCODING = RemoteFile(
    "encoding.json", "4070c09a9d9f31aa6ec3df0c601dd3d9d42f58c51107b8674a00ea6bddf61cc9", MIRRORS, "lcbench"
)
EPOCHS = 52
PARAMETERS = {
    "batch_size": Numeric(16, 512, log=True, integer=True),
    "learning_rate": Numeric(1e-4, 0.1, log=True),
    "momentum": Numeric(0.1, 0.99),
    "weight_decay": Numeric(1e-5, 0.1),
    "num_layers": Numeric(1, 5, integer=True),
    "max_units": Numeric(64, 1024, log=True, integer=True),
    "max_dropout": Numeric(0.0, 1.0),
}
"""In the order in which the network takes them; the epoch stands before them."""
SAMPLE = 4096
"""Quasi-random configurations whose points are the whole of a task; a search may find better ones."""
AT_ONCE = 128
"""Configurations that the network is asked for at once: all of them would take it gigabytes of memory."""
BUDGET = 30.0
"""In the median device-seconds of a whole configuration: in a third of it hardly any rival comes near."""


class LCBench(Space):
    """One task of LCBench; its rows are the configurations that were asked for so far."""

    def __init__(self, task: str, folder: Path | None = None) -> None:
        """Load the network and find what the best of the task are.

        Raises:
            Absent: `onnxruntime` is not installed.
            DataMissing: the files are not in `folder` and could not be fetched.
            BadTable: there is no such task.
        """
        need("lcbench", "onnxruntime", "onnxruntime")
        folder = folder or Path(os.environ.get("FULCRUM_DATA") or "~/.cache/fulcrum/data").expanduser()
        self._model, encoding = fetch_file(MODEL, folder), fetch_file(ENCODING, folder)
        tasks = json.loads(encoding.read_text())["OpenML_task_id"]
        if task not in tasks or task.startswith("#"):
            known = ", ".join(sorted(name for name in tasks if not name.startswith("#")))
            raise BadTable(f"--task must be one of {known}; got {task}")
        self._task = int(tasks[task])
        self._session: Any = None
        parameters = [Parameter(name, domain) for name, domain in PARAMETERS.items()]
        super().__init__(parameters, 1, EPOCHS)
        units = qmc.Sobol(len(PARAMETERS), seed=0).random(SAMPLE)
        sample = [
            row
            for part in np.array_split(units, SAMPLE // AT_ONCE)
            for row in self._train([self.space.decode(unit) for unit in part])
        ]
        self.budget = BUDGET * float(np.median([row.curve[-1][1] for row in sample]))
        self.measure([Point(accuracy, seconds) for row in sample for _, seconds, accuracy in row.curve])

    @property
    def about(self) -> str:
        """What there is to search."""
        return f"an open space of {len(PARAMETERS)} settings, judged by {SAMPLE} quasi-random configurations"

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the session, which another process opens for itself."""
        return vars(self) | {"_session": None}

    def nearest(self, params: Mapping[str, Any], free: Sequence[bool] | None = None) -> int:  # noqa: ARG002
        """Train the configuration itself: a row of its own."""
        key = make_key(params)
        if key not in self.place:
            self.place[key] = len(self.rows)
            self.rows.append(self._train([params])[0])
            self.inner.append(dict(params))
        return self.place[key]

    def _train(self, configurations: Sequence[Mapping[str, Any]]) -> list[Row]:
        if self._session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                str(self._model), options, providers=["CPUExecutionProvider"]
            )
        epochs = np.arange(1, EPOCHS + 1)
        values = np.array([[params[name] for name in PARAMETERS] for params in configurations], float)
        inputs = np.column_stack([np.tile(epochs, len(values)), np.repeat(values, EPOCHS, axis=0)])
        tasks = np.full((len(inputs), 1), self._task, np.int32)
        found = self._session.run(None, {"x_cat": tasks, "x_cont": inputs.astype(np.float32)})[0]
        seconds = np.maximum(found[:, 0].astype(float).reshape(-1, EPOCHS), 1e-3)
        seconds = np.maximum.accumulate(seconds, axis=1) + 1e-6 * epochs  # the network's may fall by a hair
        accuracies = np.clip(found[:, 1].astype(float) / 100, 0.0, 1.0).reshape(-1, EPOCHS)
        return [
            Row(params, tuple(zip(epochs.tolist(), paid.tolist(), reached.tolist(), strict=True)))
            for params, paid, reached in zip(configurations, seconds, accuracies, strict=True)
        ]
