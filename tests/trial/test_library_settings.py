"""A default of a library that one loop sets is not that of the next one."""

import sys
from types import SimpleNamespace
from typing import Any

import keras
import pytest
import sklearn

from pipeline.trial.library_settings import read_settings
from pipeline.trial.user_world import UserWorld


def test_what_a_loop_tells_a_library_holds_for_itself_alone() -> None:
    before, first, second = dict(read_settings()), UserWorld(), UserWorld()
    with first.entered():
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.config.set_floatx("float64")
        sklearn.set_config(transform_output="pandas")
    assert dict(read_settings()) == before
    assert {"keras.dtype_policy", "keras.floatx", "sklearn.config"} <= set(before)
    with second.entered():
        assert (keras.config.dtype_policy().name, keras.config.floatx()) == ("float32", "float32")
    with first.entered():
        assert (keras.config.dtype_policy().name, keras.config.floatx()) == ("mixed_bfloat16", "float64")
        assert sklearn.get_config()["transform_output"] == "pandas"
    assert dict(read_settings()) == before


def test_a_library_that_a_loop_imports_itself_is_as_fresh_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    first, second = UserWorld(), UserWorld()
    with first.entered():
        sys.modules["torch"] = make_torch()
        sys.modules["torch"].set_default_dtype("float64")
        sys.modules["torch"].use_deterministic_algorithms(True, warn_only=True)
    with second.entered():
        assert read_torch() == ("float32", (False, False))
    with first.entered():
        assert read_torch() == ("float64", (True, True))


def read_torch() -> tuple[Any, ...]:
    values = dict(read_settings())
    return values["torch.default_dtype"], values["torch.deterministic_algorithms"]


def make_torch() -> Any:
    """Make what has PyTorch's functions by name; it is not installed everywhere."""
    state: dict[str, Any] = {"dtype": "float32", "deterministic": (False, False)}
    return SimpleNamespace(
        float32="float32",
        get_default_dtype=lambda: state["dtype"],
        set_default_dtype=lambda dtype: state.update(dtype=dtype),
        are_deterministic_algorithms_enabled=lambda: state["deterministic"][0],
        is_deterministic_algorithms_warn_only_enabled=lambda: state["deterministic"][1],
        use_deterministic_algorithms=lambda mode, warn_only=False: state.update(
            deterministic=(mode, warn_only)
        ),
    )
