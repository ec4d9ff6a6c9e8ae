"""Which backend Keras runs on, and what each can keep between trials. Imports no framework."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Packages by backend, in the order of preference when nobody has chosen and TensorFlow is absent.
PACKAGES: Mapping[str, str] = {"jax": "jax", "torch": "torch"}


def _configured() -> str | None:
    """Give the backend named in Keras' own configuration file, if there is one."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        config = json.loads((home / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    backend = config.get("backend") if isinstance(config, dict) else None
    return backend if isinstance(backend, str) else None


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def choose_backend(environ: Mapping[str, str]) -> str | None:
    """Say which backend Keras should use where its own choice cannot work.

    Keras falls back on TensorFlow, and writes so into its configuration file, whether or not TensorFlow is there.

    Args:
        environ: the environment variables.

    Returns:
        "jax" or "torch"; None where Keras' choice stands: one was made that is installed, or Keras is
        imported already, or nothing else is installed.

    Example:
        >>> choose_backend({"KERAS_BACKEND": "torch"})
    """
    if environ.get("KERAS_BACKEND") or "keras" in sys.modules or not _installed("keras"):
        return None
    wanted = _configured() or "tensorflow"
    if _installed(PACKAGES.get(wanted, wanted)):
        return None
    return next((backend for backend, package in PACKAGES.items() if _installed(package)), None)


def cache_directory() -> Path:
    """Give the user's own directory for compiled programs.

    It is private to the user, since a compiled program is code: nothing is loaded from a shared project directory.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        root = Path(base)
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path.home() / ".cache"
    return root / "choritsu" / "compiled"


#: How much room compiled programs may take; the oldest go first.
MOST_BYTES = 2**30


def keep_compiled_programs(jax: Any) -> bool:
    """Let JAX keep compiled programs between trials and runs, unless the user has arranged that already.

    Args:
        jax: the imported module.

    Returns:
        Whether something was changed.
    """
    # Two processes may write the same program at once; whoever cannot read it compiles it.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")
    if jax.config.jax_compilation_cache_dir is not None:
        return False
    directory = cache_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    make_room(directory, MOST_BYTES)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return True


def make_room(directory: Path, most: int) -> None:
    """Delete the oldest files of a directory until the rest takes at most `most` bytes."""
    files = []
    for path in directory.iterdir():
        try:
            status = path.stat()
        except OSError:
            continue  # Another process was quicker.
        files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size
