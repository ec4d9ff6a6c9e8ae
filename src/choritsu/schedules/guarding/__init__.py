"""Watching a training for learning rates that are hardly meant: rules over numbers, and what collects them."""

from __future__ import annotations

from choritsu.schedules.guarding.guard import guard as guard
from choritsu.schedules.guarding.traps import Suspicion as Suspicion
from choritsu.schedules.guarding.traps import Trap as Trap
from choritsu.schedules.guarding.traps import meant as meant
