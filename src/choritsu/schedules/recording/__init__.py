"""Noting what learning rate was really used, and holding it against what was declared."""

from __future__ import annotations

from choritsu.schedules.recording.comparing import Comparison as Comparison
from choritsu.schedules.recording.recorder import record as record
