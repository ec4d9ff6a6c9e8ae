"""A function and its data, written once, and mapped into memory by every process that calls it.

What is large in most searches is NumPy arrays. Their bytes lie in a file, and each process sees them copy-on-write:
all hold one copy between them, and what one of them changes, no other sees.
"""

from __future__ import annotations

import io
import marshal
import mmap
import pickle
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import IO, Any

import cloudpickle

#: Arrays begin at multiples of this, as NumPy's own do.
_ALIGNMENT = 64


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle is not typed
    """Also has the arrays written apart that NumPy itself would not: with gaps, or mapped from a file.

    Code keeps the name of its file, which cloudpickle 3.1.3 leaves out: tracebacks of what is pickled by value would
    show none of its lines. Whoever reads it is the same interpreter.
    """

    def reducer_override(self, thing: Any) -> Any:
        if type(thing) is CodeType:
            # Code that a tool has written anew may hold what only cloudpickle can write.
            with suppress(ValueError):
                return marshal.loads, (marshal.dumps(thing),)
        numpy = sys.modules.get("numpy")
        if (
            numpy is not None
            and type(thing) in (numpy.ndarray, numpy.memmap)
            and not (type(thing) is numpy.ndarray and thing.flags.forc)
            and not thing.dtype.hasobject
        ):
            return numpy.ascontiguousarray(thing).view(numpy.ndarray).__reduce_ex__(5)
        return super().reducer_override(thing)


class Parcel:
    """A pickled thing in a file without a name, which is gone when the last process that has it open has ended.

    Args:
        thing: anything that cloudpickle takes.

    Raises:
        TypeError: when it cannot be pickled.
    """

    def __init__(self, thing: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        stream = io.BytesIO()
        try:
            _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(thing)
        except Exception as error:  # whatever the things inside raise
            why = str(error).rstrip(".")
            raise TypeError(
                f"what is to run in other processes cannot be pickled: {why}. Make it inside the function instead, "
                "such as a dataset, a connection or an open file, or search with workers=1"
            ) from error
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="choritsu-")  # noqa: SIM115  # open until `close`
        pieces = [memoryview(stream.getbuffer()), *(buffer.raw() for buffer in buffers)]
        places = []
        for piece in pieces:
            self._file.seek(-self._file.tell() % _ALIGNMENT, io.SEEK_CUR)
            places.append((self._file.tell(), piece.nbytes, piece.readonly))
            self._file.write(piece)
        index = pickle.dumps(places)
        self._file.write(index)
        self._file.write(len(index).to_bytes(8, "little"))
        self._file.flush()

    def fileno(self) -> int:
        """Give the file's descriptor, for a process to inherit."""
        return self._file.fileno()

    def close(self) -> None:
        """Let go of the file; who has opened the parcel keeps it."""
        self._file.close()


def opened(descriptor: int) -> Callable[[], Any]:
    """Open a parcel that was inherited.

    Returns:
        What reads it. Arrays in it are windows on the file; to change one copies the pages that are changed.
    """
    whole = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    size = len(whole)
    length = int.from_bytes(whole[size - 8 :], "little")
    places = pickle.loads(whole[size - 8 - length : size - 8])
    view = memoryview(whole)
    stream, *buffers = (view[start : start + length] for start, length, _ in places)
    shared = [
        buffer.toreadonly() if readonly else buffer
        for buffer, (_, _, readonly) in zip(buffers, places[1:], strict=True)
    ]
    return lambda: pickle.loads(stream, buffers=shared)
