"""A method's process: trains in part, on a table and with a seed, and prints when the best loss became better.

python -m benchmarks.searching.players.trains MODULE:METHOD TABLE SEED
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import sys
import warnings

from benchmarks.searching.curves import TABLES
from benchmarks.searching.training import Method, Spent, Training


def main() -> None:
    path, table, seed = sys.argv[1:]
    training = Training(TABLES[table], int(seed))
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    name, _, attribute = path.partition(":")
    module = importlib.import_module(name)
    method: Method = getattr(module, attribute)
    with contextlib.suppress(Spent):
        method(training)
    before = [math.inf, *training.bests]
    improvements = [(at, best) for at, best in enumerate(training.bests, start=1) if best < before[at - 1]]
    told = {"version": module.VERSION, "epochs": len(training.bests), "improvements": improvements}
    print(json.dumps(told), file=answers, flush=True)
    # Threads that a library keeps must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
