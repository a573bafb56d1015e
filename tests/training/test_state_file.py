"""The file of a training state: values beside numbered arrays, whole or damaged."""

import io
from pathlib import Path

import numpy as np
import pytest
from ml_dtypes import bfloat16

from pipeline.training.state_file import DAMAGED, read_state, write_state


def test_what_is_written_is_read() -> None:
    arrays = {"state": [np.arange(3), np.ones((2, 2), np.float32)] * 6, "parameters": [np.zeros(1)]}
    file = io.BytesIO()
    write_state(file, {"epochs": 3, "loop": "keras"}, arrays)
    file.seek(0)
    about, (state, parameters, others) = read_state(file, ["state", "parameters", "others"])
    assert about == {"epochs": 3, "loop": "keras"}
    assert len(state) == 12  # a tenth array comes after the ninth, not after the first
    for ours, theirs in zip((*state, *parameters), (*arrays["state"], *arrays["parameters"]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert others == ()


def test_bfloat16_comes_back_as_it_was() -> None:
    weights = np.asarray([1.5, -0.25, 3e38], bfloat16)
    file = io.BytesIO()
    write_state(file, {}, {"state": [weights, np.ones(2, np.float32), weights.reshape(3, 1), weights[0:0]]})
    file.seek(0)
    _, (state,) = read_state(file, ["state"])
    assert [array.dtype for array in state] == [bfloat16, np.float32, bfloat16, bfloat16]
    np.testing.assert_array_equal(state[0], weights)
    assert state[2].shape == (3, 1)


@pytest.mark.parametrize("content", [b"", b"PK no", b"x" * 1000])
def test_another_file_is_damaged(content: bytes) -> None:
    with pytest.raises(DAMAGED):
        read_state(io.BytesIO(content), ["state"])


def test_an_absent_file_is_as_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(DAMAGED):
        read_state(tmp_path / "state.npz", ["state"])
