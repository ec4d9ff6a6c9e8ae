"""Finding a learning rate: the range test, a sweep from a rate that does nothing to one that is too much."""

from __future__ import annotations

from choritsu.schedules.finding.rate_range import RateRange as RateRange
from choritsu.schedules.finding.sweeping import find_rate as find_rate
