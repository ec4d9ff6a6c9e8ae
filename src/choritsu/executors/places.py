"""Which cores and GPUs each worker process may use. Arithmetic on plain values; imports no framework."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: What the libraries that compute read when they are imported.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    # JAX, on systems where a process cannot be bound to cores.
    "NPROC",
)
#: The part of its share that JAX may take beforehand; the rest is for what CUDA itself needs.
_TAKEN = 0.85


@dataclass(frozen=True)
class Place:
    """What one worker may use.

    Args:
        cores: the numbers of its cores; empty where processes cannot be bound to cores.
        threads: how many threads its libraries compute with.
        gpus: the GPUs it sees; None where there are none to deal out.
        share: the part of each GPU that is its own.
    """

    cores: tuple[int, ...] = ()
    threads: int = 1
    gpus: tuple[str, ...] | None = None
    share: float = 1.0

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Give the environment variables that say so to the libraries, where the user has not said otherwise.

        Example:
            >>> Place(threads=2).variables({})["OMP_NUM_THREADS"]
            '2'
        """
        said = {name: str(self.threads) for name in THREADS if name not in environ}
        if self.gpus is None:
            return said
        if self.gpus and self.share < 1:
            mine = {
                "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_TAKEN * self.share:.3f}",
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            }
            said |= {name: value for name, value in mine.items() if name not in environ}
        return said | {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}


def places(
    workers: int,
    cores: Sequence[int],
    gpus: Sequence[str],
    *,
    threads: int | None = None,
    gpus_per_trial: float | None = None,
) -> tuple[Place, ...]:
    """Divide a machine among `workers` processes.

    Args:
        workers: how many.
        cores: the numbers of the cores; where there are fewer than workers, they are shared.
        gpus: the visible GPUs.
        threads: how many cores each gets; by default an equal part of them, and none in common.
        gpus_per_trial: see `dealt`.

    Raises:
        ValueError: when that many cannot be, or there are not enough GPUs.

    Example:
        >>> [place.cores for place in places(2, range(6), ())]
        [(0, 1, 2), (3, 4, 5)]
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be a whole number of at least 1, got {workers!r}")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads must be a whole number of at least 1, got {threads!r}")
    shares = dealt(gpus, workers, gpus_per_trial)
    together = Counter(gpu for share in shares or () for gpu in share)
    part = min(1.0, gpus_per_trial or 1 / max(together.values(), default=1))
    found = []
    for worker in range(workers):
        if threads is None:
            first = worker * len(cores) // workers
            mine = list(cores[first : max((worker + 1) * len(cores) // workers, first + 1)])
        else:
            mine = sorted({cores[(worker * threads + step) % len(cores)] for step in range(threads)})
        found.append(Place(tuple(mine), threads or len(mine), None if shares is None else shares[worker], part))
    return tuple(found)


def dealt(gpus: Sequence[str], workers: int, gpus_per_trial: float | None = None) -> tuple[tuple[str, ...], ...] | None:
    """Say which GPUs each worker sees.

    Args:
        gpus: those visible.
        workers: how many workers there are.
        gpus_per_trial: 2 for two GPUs each, 0.5 for two workers on one; 0 for none; by default all are
            dealt out evenly.

    Returns:
        The GPUs of each; None where there are none and nobody asked for any.

    Raises:
        ValueError: when there are not enough, or a part is no number that can be.

    Example:
        >>> dealt(["0", "1"], 4, 0.5)
        (('0',), ('0',), ('1',), ('1',))
        >>> dealt(["0", "1", "2"], 1)
        (('0', '1', '2'),)
    """
    if gpus_per_trial is None:
        if not gpus:
            return None
        if workers <= len(gpus):
            each = len(gpus) // workers
            return tuple(tuple(gpus[worker * each : (worker + 1) * each]) for worker in range(workers))
        return tuple((gpus[worker * len(gpus) // workers],) for worker in range(workers))
    wanted = float(gpus_per_trial)
    if not (0 <= wanted <= 1 or (wanted > 1 and wanted.is_integer())):
        raise ValueError(f"gpus_per_trial must be a whole number, or a part of one GPU, got {gpus_per_trial!r}")
    if wanted == 0:
        return ((),) * workers
    each, together = (int(wanted), 1) if wanted >= 1 else (1, int(1 / wanted + 1e-9))
    room = len(gpus) // each * together
    if workers > room:
        seen = f"{len(gpus)} can be seen ({', '.join(gpus)})" if gpus else "none can be seen"
        needed = math.ceil(workers / together) * each
        raise ValueError(
            f"workers={workers} with gpus_per_trial={gpus_per_trial:g} need {needed} GPUs, and {seen}, "
            f"enough for {room} workers; lower either of the two"
        )
    return tuple(tuple(gpus[worker // together * each :][:each]) for worker in range(workers))


def visible_gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Name the NVIDIA GPUs that a process may use, as CUDA_VISIBLE_DEVICES does.

    Args:
        environ: the environment variables.

    Example:
        >>> visible_gpus({"CUDA_VISIBLE_DEVICES": "2,3"})
        ('2', '3')
    """
    said = environ.get("CUDA_VISIBLE_DEVICES")
    if said is None:
        return tuple(str(number) for number in range(_counted(environ)))
    found: list[str] = []
    for name in said.split(","):
        # As CUDA does: what follows something that is none is not seen.
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", name.strip()):
            break
        found.append(name.strip())
    return tuple(found)


def _counted(environ: Mapping[str, str]) -> int:
    tool = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if tool is None:
        return 0
    try:
        listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def own_cores() -> tuple[int, ...]:
    """Give the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))
