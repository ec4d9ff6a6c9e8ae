"""Who a worker is, and whether it is still alive."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from pathlib import Path

#: Ends the name of a worker whose trials run in other processes.
_APART = "+"


def _machine() -> str:
    """Name this machine, and on Linux its boot and process namespace: where process numbers mean something."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass
    return "|".join(parts)


def _birth(pid: int) -> str:
    """Tell when a process began, so that a reused number is not taken for the old process; "" if unknown."""
    try:
        # The command's name may hold spaces and brackets; the fields are counted from behind it.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def me(*, apart: bool = False) -> str:
    """Name this process so that no other has its name.

    Args:
        apart: whether its trials run in other processes, so that none of them can be what kills it.

    Example:
        >>> is_gone(me())
        False
    """
    pid = os.getpid()
    return f"{_machine()}#{pid}#{_birth(pid)}#{uuid.uuid4().hex[:8]}{_APART if apart else ''}"


def _read(worker: str) -> tuple[str, int, str]:
    """Give the machine, the process and its birth from a worker's name; of one that `me` did not give, nobody's."""
    parts = worker.split("#")
    return (parts[0], int(parts[1]), parts[2]) if len(parts) == 4 else ("", -1, "")


def process_of(worker: str) -> int:
    """Give the number of a worker's process, on its own machine.

    Example:
        >>> process_of(me()) == os.getpid()
        True
    """
    return _read(worker)[1]


def is_mine(worker: str) -> bool:
    """Tell whether a worker was this very process.

    Example:
        >>> is_mine(me()), is_mine(f"another-machine#{os.getpid()}#1#0")
        (True, False)
    """
    machine, pid, _ = _read(worker)
    return machine == _machine() and pid == os.getpid()


def has_restarted(worker: str) -> bool:
    """Tell whether the machine of this process was a worker's, and has been started anew since.

    Example:
        >>> has_restarted(me())
        False
    """
    then, now = _read(worker)[0].split("|"), _machine().split("|")
    return len(then) == len(now) > 1 and then[0] == now[0] and then[1] != now[1]


def is_apart(worker: str) -> bool:
    """Tell whether a worker's trials ran in other processes than its own.

    Example:
        >>> is_apart(me(apart=True))
        True
    """
    return worker.endswith(_APART)


def is_alive(worker: str) -> bool:
    """Tell whether a worker's process is certainly alive; False when that cannot be known from here.

    Args:
        worker: what `me` gave in that process.

    Example:
        >>> is_alive(me()), is_alive("another-machine#1#1#0")
        (True, False)
    """
    machine, pid, birth = _read(worker)
    return machine == _machine() and birth != "" and _birth(pid) == birth


def is_gone(worker: str) -> bool:
    """Tell whether a worker is certainly dead; False when that cannot be known from here.

    Args:
        worker: what `me` gave in that process.

    Example:
        >>> is_gone("another-machine#1#1#0")
        False
    """
    machine, pid, birth = _read(worker)
    if machine != _machine() or sys.platform == "win32":
        return False
    if birth:
        return _birth(pid) != birth
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
