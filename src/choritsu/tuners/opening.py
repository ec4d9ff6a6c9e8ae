"""Where a search lies, and whether a tuner may have it."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path

from choritsu.errors import StoreError
from choritsu.stores import Store, open_store, read_store, remove_store
from choritsu.workers import is_gone, is_mine, process_of


def project_place(directory: str | os.PathLike[str] | None, project_name: str | None) -> Path:
    """Give the directory of a search's own."""
    return Path(directory or ".") / (project_name or "untitled_project")


def opened(directory: Path, now: float, *, overwrite: bool) -> Store:
    """Open the search in a directory, or begin one.

    Args:
        directory: the search's own.
        now: the time, in seconds since 1970.
        overwrite: whether to delete one that lies there.

    Raises:
        StoreError: when what lies there cannot be used, or is to be deleted while somebody runs it.
    """
    if overwrite and directory.exists():
        _check_idle(directory, now)
        remove_store(directory)
        shutil.rmtree(directory / "trials", ignore_errors=True)
    return open_store(directory)


def check_alone(store: Store, directory: Path) -> None:
    """Refuse another store than that of the search which lies in a directory, whose files would be deleted.

    Raises:
        StoreError: when it is another one.
    """
    try:
        lies = read_store(directory).identity()
    except StoreError:
        return
    given = store.identity()
    if lies is not None and (given is None or (given.seed, given.created) != (lies.seed, lies.created)):
        raise StoreError(
            f"another search lies in {directory}, and its trials' files would be taken for those of the store given "
            "as store=...; give another project_name"
        )


def _check_idle(directory: Path, now: float) -> None:
    """Refuse to delete a search that somebody is running."""
    try:
        with closing(open_store(directory, create=False)) as store:
            leases = store.leases().values()
    except StoreError:
        # There is none, or none that anybody could run.
        return
    for lease in leases:
        if lease.until > now and not is_gone(lease.worker) and not is_mine(lease.worker):
            raise StoreError(
                f"the search in {directory} is running in process {process_of(lease.worker)}, and overwrite=True "
                "would delete it there; stop that one first, or give another project_name"
            )
