"""Starting a Python process that inherits an open connection and an open file, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

if sys.platform == "win32":
    import msvcrt
    from multiprocessing.connection import PipeConnection


def start(module: str, connection: Connection, file: int, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` out of reach of this terminal's Ctrl-C.

    Args:
        module: a module of the standard library's form of a program.
        connection: handed over; the caller closes its own.
        file: the descriptor of a file, likewise.
        environ: the environment variables.
    """
    # -P: a file in the working directory must not stand in for a module of the same name.
    command = [sys.executable, *subprocess._args_from_interpreter_flags(), "-P", "-m", module]  # type: ignore[attr-defined]
    if sys.platform == "win32":
        handles = [connection.fileno(), msvcrt.get_osfhandle(file)]
        for handle in handles:
            os.set_handle_inheritable(handle, True)
        return subprocess.Popen(
            [*command, *map(str, handles)],
            stdin=subprocess.DEVNULL,
            env=environ,
            startupinfo=subprocess.STARTUPINFO(lpAttributeList={"handle_list": handles}),
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    handles = [connection.fileno(), file]
    return subprocess.Popen(
        [*command, *map(str, handles)],
        stdin=subprocess.DEVNULL,
        env=environ,
        pass_fds=handles,
        start_new_session=True,
    )


def received(arguments: Sequence[str]) -> tuple[Connection, int]:
    """Take up, in the new process, the connection and the file's descriptor."""
    first, second = map(int, arguments)
    if sys.platform == "win32":
        return PipeConnection(first), msvcrt.open_osfhandle(second, os.O_RDONLY)
    for handle in (first, second):
        os.set_inheritable(handle, False)
    return Connection(first), second


def end(process: subprocess.Popen[bytes]) -> int:
    """End a process that `start` has started and those that it has started; one that has ended already is buried.

    Returns:
        Its exit code; minus the signal's number where one has ended it.
    """
    if process.returncode is None:
        if sys.platform == "win32":
            process.kill()
        else:
            # Not buried yet, so the number is still its own. It may have ended, and its children not.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def how_it_ended(code: int) -> str:
    """Say what an exit code means.

    Example:
        >>> how_it_ended(-9), how_it_ended(3)
        ('killed by SIGKILL, perhaps for want of memory', 'ended with exit code 3')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
