"""What a script has set in its frameworks before it searches, for processes that do not run the script."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

#: JAX reads these from its environment, so that nobody need import it.
_JAX = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_debug_nans",
    "jax_platforms",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
)


def variables() -> dict[str, str]:
    """Give environment variables that make Keras and JAX in another process what they are here."""
    said = {}
    if (keras := sys.modules.get("keras")) is not None:
        said["KERAS_BACKEND"] = keras.backend.backend()
    if (jax := sys.modules.get("jax")) is not None:
        values = {name: getattr(jax.config, name, None) for name in _JAX}
        said |= {name.upper(): str(value) for name, value in values.items() if value is not None}
    return said


def settings() -> dict[str, dict[str, Any]]:
    """Give what is set in Keras and PyTorch here and is not their default, by framework, for those imported here.

    A framework that is imported is seeded before each trial, so that it is named also where nothing is set.

    Example:
        >>> set(settings()) <= {"keras", "torch"}
        True
    """
    found: dict[str, dict[str, Any]] = {}
    if (keras := sys.modules.get("keras")) is not None:
        config = keras.config
        found["keras"] = _other(
            {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last", "dtype_policy": None},
            {
                "floatx": config.floatx(),
                "epsilon": config.epsilon(),
                "image_data_format": config.image_data_format(),
                "dtype_policy": config.dtype_policy().name if config.dtype_policy().name != config.floatx() else None,
            },
        )
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = _other(
            {"default_dtype": "float32", "default_device": "cpu", "precision": "highest", "deterministic": False},
            {
                "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
                "default_device": str(torch.get_default_device()),
                "precision": torch.get_float32_matmul_precision(),
                "deterministic": torch.are_deterministic_algorithms_enabled(),
            },
        )
    return found


def _other(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != defaults[name]}


def apply(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Import the frameworks that were imported in another process, and set what `settings` gave there."""
    for framework, values in settings.items():
        module = import_module(framework)
        for name, value in values.items():
            match framework, name:
                case "torch", "default_dtype":
                    module.set_default_dtype(getattr(module, value))
                case "torch", "default_device":
                    module.set_default_device(value)
                case "torch", "precision":
                    module.set_float32_matmul_precision(value)
                case "torch", "deterministic":
                    module.use_deterministic_algorithms(value)
                case _:
                    getattr(module.config, f"set_{name}")(value)
