"""The frameworks' own schedules, read as values. Nothing here imports a framework before it is handed one's object."""

from __future__ import annotations

from choritsu.schedules.readers.keras import from_keras as from_keras
from choritsu.schedules.readers.optax import from_optax as from_optax
from choritsu.schedules.readers.torch import from_torch as from_torch
from choritsu.schedules.readers.transformers import from_transformers as from_transformers
