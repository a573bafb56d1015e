"""`python -m benchmarks.gpu` runs through on CPU devices, and names what it leaves out."""

import argparse
import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks import gpu

FOUND = {
    "ours": [
        {"what": "perceptron", "epochs": [9.0, 0.1, 0.3, 0.2], "rows": 1000, "device": "H200"},
        {"what": "clock", "device_seconds": [1.0, 1.0], "variation": 0.0123},
    ],
    "function-jax": [{"what": "trial=function", "accuracy": 0.9}],
}


def test_a_page_has_every_measurement_and_every_reason() -> None:
    about = {"date": "2026-11-29", "device": "H200", "rows": 1000, "epochs": 4}
    page = gpu.write_page(about, FOUND, {"pytorch": "torch is not installed"})
    assert "| ours | perceptron | 200 | 5,000 | H200 |" in page  # the median without the first epoch
    assert "2 repetitions differ by 1.2%" in page
    assert "| function-jax | trial=function: accuracy 0.9 | | | |" in page
    assert "Skipped: pytorch: torch is not installed." in page


def test_without_a_gpu_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "read_gpu", lambda: None)
    assert gpu.main(["--out", str(tmp_path)]) == 2
    assert "--device cpu" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_framework_that_is_absent_is_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda _: None)
    found, skipped = gpu.run_parts(argparse.Namespace(minutes=1.0))
    assert found == {}
    assert skipped["pytorch"] == "torch is not installed"
    assert skipped.keys() == gpu.NEEDS.keys()


def test_time_that_is_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda _: True)
    _, skipped = gpu.run_parts(argparse.Namespace(minutes=0.0))
    assert skipped["ours"] == "0 minutes were over"


@pytest.mark.slow(seconds=40)
def test_it_runs_through_on_a_cpu(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--rows", "1600", "--epochs", "2", "--out", str(tmp_path)]
    assert gpu.main(words) == 0
    (file,) = tmp_path.glob("*/gpu.json")
    kept = json.loads(file.read_text())
    whats = [row["what"] for row in kept["found"]["ours"]]
    assert whats == ["perceptron", "cnn", "perceptron, mixed_bfloat16", "perceptron, mixed_float16", "clock"]
    assert [row["what"] for row in kept["found"]["keras"]] == ["perceptron", "cnn"]
    absent = [part for part, module in gpu.NEEDS.items() if importlib.util.find_spec(module) is None]
    assert set(kept["skipped"]) == set(absent)
    assert (file.parent / "gpu.md").read_text().startswith("# Engines on one device")
