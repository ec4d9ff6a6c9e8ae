"""Stores: what was tried, kept. The SQL ones are imported when first asked for, and SQLAlchemy with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from choritsu.stores.base import Identity as Identity
from choritsu.stores.base import Lease as Lease
from choritsu.stores.base import Store as Store
from choritsu.stores.memory import MemoryStore as MemoryStore

if TYPE_CHECKING:
    from choritsu.stores.checkpoints import Packed as Packed
    from choritsu.stores.checkpoints import load_checkpoint as load_checkpoint
    from choritsu.stores.checkpoints import packed as packed
    from choritsu.stores.checkpoints import save_checkpoint as save_checkpoint
    from choritsu.stores.opening import open_store as open_store
    from choritsu.stores.opening import read_store as read_store
    from choritsu.stores.opening import remove_store as remove_store
    from choritsu.stores.sql import SqlStore as SqlStore

_LAZY = {
    "Packed": "choritsu.stores.checkpoints",
    "SqlStore": "choritsu.stores.sql",
    "load_checkpoint": "choritsu.stores.checkpoints",
    "open_store": "choritsu.stores.opening",
    "packed": "choritsu.stores.checkpoints",
    "read_store": "choritsu.stores.opening",
    "remove_store": "choritsu.stores.opening",
    "save_checkpoint": "choritsu.stores.checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
