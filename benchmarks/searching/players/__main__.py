"""A player's process: reads messages, one a line, and answers each with a line.

Suggestions are timed in seconds of the processor, of which a player has a single thread's: on a machine that does
other things as well, the clock on the wall would tell about these.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import time
import warnings
from typing import Any

from benchmarks.searching.players import Factory, Player
from choritsu.space import Space


def factory_of(path: str) -> tuple[Factory, str]:
    """Import a factory, and say of which version it is."""
    name, _, attribute = path.partition(":")
    found = importlib.import_module(name)
    if name.startswith(f"{__package__}."):
        return getattr(found, attribute), found.VERSION
    from benchmarks.searching.players.ours import VERSION, playing

    return playing(getattr(found, attribute)), VERSION


class Seat:
    """Answers messages for one player after the other."""

    def __init__(self, factory: Factory, version: str) -> None:
        self._factory = factory
        self._version = version
        self._player: Player | None = None

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if "begin" in message:
            given = message["begin"]
            self._player = self._factory(Space.from_json(given["space"]), given["seed"], given["trials"])
            return {"version": self._version}
        assert self._player is not None
        told, begun = message["ask"], time.process_time()
        if told is not None:
            self._player.tell(told["values"], math.nan if told["loss"] is None else told["loss"])
        values = self._player.ask()
        return {"values": values, "seconds": time.process_time() - begun}


def main() -> None:
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    seat: Seat | None = None
    for line in sys.stdin:
        try:
            seat = seat or Seat(*factory_of(sys.argv[1]))
            answer = seat.answer(json.loads(line))
        except BaseException as error:  # whatever a peer raises, up to leaving the interpreter, is its end here
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
