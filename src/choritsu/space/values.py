"""Values of hyperparameters as plain JSON and back, without losing their type."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def plain(value: Any) -> Any:
    """Turn a NumPy scalar, alone or inside a container, into the Python value it stands for."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def encode(value: Any) -> Json:
    """Encode a value as JSON; tuples, dicts and non-finite numbers are tagged so that they come back.

    Args:
        value: None, a bool, int, float or str, or a tuple, list or dict of such.

    Returns:
        A value that `json.dumps` writes as valid JSON.

    Raises:
        TypeError: for anything else.

    Example:
        >>> encode((3, None)), encode(float("inf"))
        ({'tuple': [3, None]}, {'float': 'inf'})
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        case tuple():
            return {"tuple": [encode(item) for item in value]}
        case list():
            return [encode(item) for item in value]
        case dict():
            return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
        case _:
            raise TypeError(f"{value!r} ({type(value).__name__}) cannot be kept as JSON")


def decode(data: Json) -> Any:
    """Undo `encode`.

    Example:
        >>> decode(encode({"betas": (0.9, 0.999)}))
        {'betas': (0.9, 0.999)}
    """
    match data:
        case {"float": str(text)}:
            return float(text)
        case {"tuple": list(items)}:
            return tuple(decode(item) for item in items)
        case {"dict": list(pairs)}:
            return {decode(pair[0]): decode(pair[1]) for pair in pairs if isinstance(pair, list)}
        case list(items):
            return [decode(item) for item in items]
        case dict():
            raise ValueError(f"{data!r} was not written by encode")
        case _:
            return data


def canonical(value: Any) -> str:
    """Give a text that two values share exactly when they are the same value of the same type.

    Python holds True, 1 and 1.0 to be equal; as hyperparameters they are three choices.

    Example:
        >>> canonical(1), canonical(1.0), canonical(True)
        ('1', '1.0', 'true')
    """
    if value.__class__ is int or value.__class__ is float:
        return repr(value)
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"))
