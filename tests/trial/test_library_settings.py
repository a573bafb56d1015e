"""A default of a library that one loop sets is not that of the next one."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import pytest
import sklearn

from pipeline.trial.library_settings import read_settings, write_setting
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
        monkeypatch.setitem(sys.modules, "torch", make_torch())
        sys.modules["torch"].set_default_dtype("float64")
        sys.modules["torch"].use_deterministic_algorithms(True, warn_only=True)
    with second.entered():
        assert read_torch() == ("float32", (False, False))
    with first.entered():
        assert read_torch() == ("float64", (True, True))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("keras.floatx", lambda: keras.config.set_floatx("float64")),
        ("keras.image_data_format", lambda: keras.config.set_image_data_format("channels_first")),
        ("sklearn.config", lambda: sklearn.set_config(assume_finite=True)),
    ],
)
def test_what_a_library_begins_with_is_known_without_having_seen_it(
    name: str, change: Callable[[], None]
) -> None:
    """It is what the trial after that needs which was the first to import it."""
    fresh = dict(read_settings())[name]
    change()
    assert dict(read_settings())[name] != fresh
    write_setting(name, None)
    assert dict(read_settings())[name] == fresh


def test_each_loop_may_say_once_how_processes_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python lets nobody say it twice: the second trial of a process failed where it said the same."""
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", None)
    for world in (first := UserWorld(), UserWorld()):
        with world.entered():
            multiprocessing.set_start_method("spawn")
        assert multiprocessing.get_start_method(allow_none=True) is None
    with first.entered():
        assert multiprocessing.get_start_method(allow_none=True) == "spawn"


@pytest.mark.parametrize(("variable", "begins"), [(None, False), ("1", True)])
def test_jax_begins_as_the_environment_says(
    variable: str | None, begins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.delenv("JAX_DEFAULT_MATMUL_PRECISION", raising=False)
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)
    if variable:
        monkeypatch.setenv("JAX_ENABLE_X64", variable)
    first, second = UserWorld(), UserWorld()
    with first.entered():
        monkeypatch.setitem(sys.modules, "jax", make_jax(begins))
        sys.modules["jax"].config.update("jax_enable_x64", not begins)
        sys.modules["jax"].config.update("jax_default_matmul_precision", "bfloat16")
    with second.entered():
        read = dict(read_settings())
        assert (read["jax_enable_x64"], read["jax_default_matmul_precision"]) == (begins, None)
    with first.entered():
        assert dict(read_settings())["jax_enable_x64"] is not begins


def make_jax(begins: bool) -> Any:
    """Make what has JAX's settings by name; it is not installed everywhere."""
    config = SimpleNamespace(jax_enable_x64=begins, jax_default_matmul_precision=None)
    config.update = lambda name, value: setattr(config, name, value)
    rules = SimpleNamespace(bool_env=lambda name, default: os.environ.get(name, str(int(default))) == "1")
    return SimpleNamespace(config=config, _src=SimpleNamespace(config=rules))


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
