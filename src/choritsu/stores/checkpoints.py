"""A training's state as one file of tensors and JSON: written whole or not at all, and read without running code.

The file is in the safetensors format, whose header is JSON and whose body is numbers. Whatever is no tensor (counters,
names, nested dicts and lists) stands in the header, as JSON too; nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from choritsu.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np

#: Said in every file, so that no other safetensors file is taken for one.
_FORMAT = "choritsu 1"


@dataclass(frozen=True)
class Packed:
    """A tree of values as it was at one moment, ready to be written.

    Args:
        tensors: copies of its tensors, as bytes.
        about: what stands in the header beside them.
    """

    tensors: Mapping[str, np.ndarray[Any, Any]]
    about: Mapping[str, str]


def packed(tree: Any) -> Packed:
    """Make what `save_checkpoint` writes of a tree, whatever becomes of its tensors afterwards.

    Raises:
        CheckpointError: as `save_checkpoint` does.
    """
    described = _described(tree)
    return replace(described, tensors={name: tensor.copy() for name, tensor in described.tensors.items()})


def save_checkpoint(path: Path, tree: Any) -> None:
    """Write a tree of values to a file, atomically and durably.

    Args:
        path: the file; its directory must exist.
        tree: what `packed` gave, or dicts, lists, tuples, None, booleans, numbers, texts, bytes, and tensors (NumPy,
            PyTorch, or whatever NumPy can read), nested in any way. The keys of dicts are texts, numbers, booleans,
            None or tuples of them.

    Raises:
        CheckpointError: when a value is none of these; the message says where it stands.
        OSError: when the disk refuses; what stood at `path` before is still there.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as directory:
        ...     save_checkpoint(Path(directory) / "state", {"step": 3, "betas": (0.9, 0.999)})
        ...     load_checkpoint(Path(directory) / "state")
        {'step': 3, 'betas': (0.9, 0.999)}
    """
    from safetensors.numpy import save_file

    temporary = path.with_name(f"{path.name}.writing-{os.getpid()}")
    try:
        written = tree if isinstance(tree, Packed) else _described(tree)
        save_file(dict(written.tensors), temporary, dict(written.about))
        _flush(temporary)
        os.replace(temporary, path)
    except Exception as error:
        # The library tells of a full disk by an error of its own.
        if type(error).__name__ == "SafetensorError":
            raise OSError(f"{path} cannot be written: {error}") from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    _flush(path.parent)


def load_checkpoint(path: Path) -> Any:
    """Read what `save_checkpoint` wrote; tensors come as they were: NumPy's as NumPy's, PyTorch's as PyTorch's.

    Raises:
        FileNotFoundError: when there is no such file.
        CheckpointError: when it is none of ours, or damaged.
    """
    from safetensors import safe_open

    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                raise CheckpointError(f"{path} is no checkpoint of this version ({about.get('format')!r})")
            skeleton = json.loads(about["tree"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        return _put_together(skeleton, tensors)
    except (OSError, CheckpointError):
        raise
    except Exception as error:  # the file may hold anything
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error!r}") from error


def _described(tree: Any) -> Packed:
    """Take a tree apart; its tensors may still be those that training goes on with."""
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    skeleton = _taken_apart(tree, tensors, "state")
    return Packed(tensors, {"format": _FORMAT, "tree": json.dumps(skeleton, separators=(",", ":"))})


def _flush(path: Path) -> None:
    """Have the disk write a file, or a directory's list of names, before going on."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- trees -----------------------------------------------------------------------------------------
#
# None, booleans, texts, and finite numbers stand for themselves; all else is an object with one key that says what.


def _taken_apart(value: Any, tensors: dict[str, Any], place: str) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int() if type(value) is int:
            return value
        case float() if type(value) is float:
            return value if value - value == 0 else {"float": repr(value)}
        case Mapping():
            pairs = [
                [_taken_apart(key, {}, f"a key of {place}"), _taken_apart(item, tensors, f"{place}[{key!r}]")]
                for key, item in value.items()
            ]
            return {"dict": pairs}
        case list() | tuple():
            items = [_taken_apart(item, tensors, f"{place}[{index}]") for index, item in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        case bytes():
            return {"bytes": value.hex()}
    return _tensor(value, tensors, place)


def _tensor(value: Any, tensors: dict[str, Any], place: str) -> Any:
    import numpy as np

    torch = sys.modules.get("torch")
    kind = "array"
    if torch is not None and isinstance(value, torch.Tensor):
        kind, dtype = "torch", str(value.dtype).removeprefix("torch.")
        flat = value.detach().cpu().contiguous().reshape(-1)
        array = flat.view(torch.uint8).numpy() if flat.numel() else np.zeros(0, np.uint8)
        shape = list(value.shape)
    else:
        if not (hasattr(value, "__array__") or isinstance(value, np.generic)):
            raise CheckpointError(
                f"{place} is a {type(value).__name__}, and a checkpoint holds tensors, numbers, texts and nested "
                "dicts, lists and tuples of them; leave it out, or give an object with state_dict() and "
                "load_state_dict()"
            )
        array = np.asarray(value)
        if array.dtype.hasobject or array.dtype.names:
            raise CheckpointError(f"{place} is an array of {array.dtype}, and a checkpoint holds numbers")
        kind = "number" if isinstance(value, np.generic) else kind
        # NumPy's own types by what tells their length and the order of their bytes; JAX's short floats by name.
        dtype, shape = array.dtype.str if array.dtype.isbuiltin != 2 else array.dtype.name, list(array.shape)
        array = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    name = str(len(tensors))
    tensors[name] = array
    return {kind: [name, dtype, shape]}


def _put_together(skeleton: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(skeleton, list):
        return [_put_together(item, tensors) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    ((kind, content),) = skeleton.items()
    match kind:
        case "dict":
            return {_put_together(key, tensors): _put_together(item, tensors) for key, item in content}
        case "tuple":
            return tuple(_put_together(item, tensors) for item in content)
        case "float":
            return float(content)
        case "bytes":
            return bytes.fromhex(content)
    name, dtype, shape = content
    if kind == "torch":
        return _torch_tensor(tensors[name], dtype, shape)
    array = tensors[name].view(_dtype(dtype)).reshape(shape)
    return array[()] if kind == "number" else array


def _torch_tensor(data: Any, dtype: str, shape: list[int]) -> Any:
    import torch

    kind = getattr(torch, dtype)
    if not isinstance(kind, torch.dtype):
        raise CheckpointError(f"{dtype!r} is no type of tensors")
    # Copied, so that it owns memory that may be written.
    return torch.from_numpy(data.copy()).view(kind).reshape(shape) if len(data) else torch.zeros(shape, dtype=kind)


def _dtype(name: str) -> Any:
    import numpy as np

    try:
        return np.dtype(name)
    except TypeError:
        # The short floats of JAX, such as bfloat16.
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
