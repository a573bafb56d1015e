"""Defaults that libraries hold for their whole process, such as PyTorch's type of numbers, read and written.

A loop that sets one for some of its settings would else set it for all trials that its process trains later.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, slots=True)
class LibrarySetting:
    """How a default of a loaded library is read and written.

    `get_fresh`: what it is right after the import, which variables of the environment and files may decide.
    """

    module: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]
    get_fresh: Callable[[Any], Any]


def _of_jax(name: str, get_fresh: Callable[[Any], Any]) -> LibrarySetting:
    return LibrarySetting(
        "jax",
        lambda jax: getattr(jax.config, name),
        lambda jax, value: jax.config.update(name, value),
        get_fresh,
    )


def _read_flag(variable: str, jax: Any) -> bool:
    """Read a variable of the environment by the rules of JAX for what it takes for true."""
    return bool(jax._src.config.bool_env(variable, False))


def _of_keras(name: str, default: str) -> LibrarySetting:
    return LibrarySetting(
        "keras",
        lambda keras: getattr(keras.config, name)(),
        lambda keras, value: getattr(keras.config, f"set_{name}")(value),
        lambda keras: keras.src.backend.config._config.get(name, default),  # of the user's keras.json
    )


def _of_cudnn(name: str) -> LibrarySetting:
    return LibrarySetting(
        "torch",
        lambda torch: getattr(torch.backends.cudnn, name),
        lambda torch, value: setattr(torch.backends.cudnn, name, value),
        lambda _: False,
    )


_JAX_FLAGS = ("jax_enable_x64", "jax_debug_nans", "jax_disable_jit")
SETTINGS = {
    "torch.default_dtype": LibrarySetting(
        "torch",
        lambda torch: torch.get_default_dtype(),
        lambda torch, value: torch.set_default_dtype(value),
        lambda torch: torch.float32,
    ),
    "torch.deterministic_algorithms": LibrarySetting(
        "torch",
        lambda torch: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        lambda torch, value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        lambda _: (False, False),
    ),
    "torch.float32_matmul_precision": LibrarySetting(
        "torch",
        lambda torch: torch.get_float32_matmul_precision(),
        lambda torch, value: torch.set_float32_matmul_precision(value),
        lambda _: "high" if os.environ.get("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE") == "1" else "highest",
    ),
    "torch.grad_enabled": LibrarySetting(
        "torch",
        lambda torch: torch.is_grad_enabled(),
        lambda torch, value: torch.set_grad_enabled(value),
        lambda _: True,
    ),
    **{f"torch.backends.cudnn.{name}": _of_cudnn(name) for name in ("benchmark", "deterministic")},
    **{name: _of_jax(name, partial(_read_flag, name.upper())) for name in _JAX_FLAGS},
    "jax_default_matmul_precision": _of_jax(
        "jax_default_matmul_precision", lambda _: os.environ.get("JAX_DEFAULT_MATMUL_PRECISION")
    ),
    # Not by `dtype_policy`, which settles it by `floatx` where it is not set yet.
    "keras.dtype_policy": LibrarySetting(
        "keras.src.backend.common.global_state",
        lambda state: state.get_global_attribute("dtype_policy"),
        lambda state, value: state.set_global_attribute("dtype_policy", value),
        lambda _: None,
    ),
    "keras.floatx": _of_keras("floatx", "float32"),
    "keras.image_data_format": _of_keras("image_data_format", "channels_last"),
    "tensorflow.functions_run_eagerly": LibrarySetting(
        "tensorflow",
        lambda tensorflow: tensorflow.config.functions_run_eagerly(),
        lambda tensorflow, value: tensorflow.config.run_functions_eagerly(value),
        lambda _: False,
    ),
    "multiprocessing.start_method": LibrarySetting(  # which can be set once, unless it is forced
        "multiprocessing",
        lambda multiprocessing: multiprocessing.get_start_method(allow_none=True),
        lambda multiprocessing, value: multiprocessing.set_start_method(value, force=True),
        lambda _: None,
    ),
    "sklearn.config": LibrarySetting(
        "sklearn",
        lambda sklearn: sklearn.get_config(),
        lambda sklearn, value: sklearn.set_config(**value),
        lambda sklearn: sklearn._config._global_config,  # what each new thread begins with
    ),
}


def read_settings() -> Iterator[tuple[str, Any]]:
    """Yield the defaults of all libraries that are loaded, by name."""
    for name, setting in SETTINGS.items():
        if module := sys.modules.get(setting.module):
            with suppress(Exception):  # half imported, patched, or of another release
                yield name, setting.read(module)


def write_setting(name: str, value: Any) -> None:
    """Set a default of a library; None: as it is right after its import."""
    setting = SETTINGS[name]
    if module := sys.modules.get(setting.module):
        with suppress(Exception):
            setting.write(module, setting.get_fresh(module) if value is None else value)
