"""choritsu: hyperparameter tuning for Keras 3, PyTorch, scikit-learn and any Python function.

The names are Keras Tuner's where it has one. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from choritsu.frameworks.backends import choose_backend

if TYPE_CHECKING:
    from choritsu import errors as errors
    from choritsu import oracles as oracles
    from choritsu import schedules as schedules
    from choritsu import space as space
    from choritsu import testing as testing
    from choritsu import tuners as tuners
    from choritsu.earlier import precedents_of as precedents_of
    from choritsu.errors import FailedTrialError as FailedTrialError
    from choritsu.errors import FatalError as FatalError
    from choritsu.errors import RedrawTrialError as RedrawTrialError
    from choritsu.folds import CrossValidation as CrossValidation
    from choritsu.hypermodel import HyperModel as HyperModel
    from choritsu.hyperparameters import HyperParameters as HyperParameters
    from choritsu.mirrors import OptunaMirror as OptunaMirror
    from choritsu.oracles import ASHAStopper as ASHAStopper
    from choritsu.oracles import MedianStopper as MedianStopper
    from choritsu.oracles import OptunaOracle as OptunaOracle
    from choritsu.oracles import Oracle as Oracle
    from choritsu.oracles import Precedent as Precedent
    from choritsu.oracles import Precedents as Precedents
    from choritsu.space import Boolean as Boolean
    from choritsu.space import Choice as Choice
    from choritsu.space import Fixed as Fixed
    from choritsu.space import Float as Float
    from choritsu.space import Int as Int
    from choritsu.space import Parameter as Parameter
    from choritsu.space import Space as Space
    from choritsu.stores import MemoryStore as MemoryStore
    from choritsu.trials import History as History
    from choritsu.trials import Objective as Objective
    from choritsu.trials import Trial as Trial
    from choritsu.tuners import ASHA as ASHA
    from choritsu.tuners import BayesianOptimization as BayesianOptimization
    from choritsu.tuners import GridSearch as GridSearch
    from choritsu.tuners import Hyperband as Hyperband
    from choritsu.tuners import QuasiRandomSearch as QuasiRandomSearch
    from choritsu.tuners import RandomSearch as RandomSearch
    from choritsu.tuners import SklearnTuner as SklearnTuner
    from choritsu.tuners import Tuner as Tuner

__version__ = "0.1.0"

_HOMES = {
    "earlier": ("precedents_of",),
    "errors": ("FailedTrialError", "FatalError", "RedrawTrialError"),
    "folds": ("CrossValidation",),
    "hypermodel": ("HyperModel",),
    "hyperparameters": ("HyperParameters",),
    "mirrors": ("OptunaMirror",),
    "oracles": ("ASHAStopper", "MedianStopper", "OptunaOracle", "Oracle", "Precedent", "Precedents"),
    "space": ("Boolean", "Choice", "Fixed", "Float", "Int", "Parameter", "Space"),
    "stores": ("MemoryStore",),
    "trials": ("History", "Objective", "Trial"),
    "tuners": (
        "ASHA",
        "BayesianOptimization",
        "GridSearch",
        "Hyperband",
        "QuasiRandomSearch",
        "RandomSearch",
        "SklearnTuner",
        "Tuner",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
#: What Keras Tuner has besides, and what takes its place.
_ELSEWHERE = {
    "BaseTuner": "subclass choritsu.Tuner",
    "CloudLogger": "every trial is in search.db: Tuner.to_dataframe, or search(mirror=OptunaMirror(...))",
    "Logger": "every trial is in search.db: Tuner.to_dataframe, or search(mirror=OptunaMirror(...))",
    "MultiExecutionTuner": "write choritsu.Tuner(..., executions_per_trial=...)",
    "applications": "there are no ready-made models; write a function of hp that builds one of keras.applications",
    "distribute": "runs of one script on one directory share the work; on one machine, search(workers=...)",
    "engine": "its classes are at the top, as choritsu.Tuner, HyperModel, HyperParameters, Objective, Oracle and Trial",
    "synchronized": "nothing needs a lock: the store decides which run a trial belongs to",
}
_ROOMS = ("errors", "oracles", "schedules", "space", "testing", "tuners")

__all__ = ["__version__", *_HOME, *_ROOMS]

# Keras reads this once, when it is imported; without TensorFlow its own default cannot work.
_backend = choose_backend(os.environ)
if _backend is not None:
    os.environ["KERAS_BACKEND"] = _backend


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    from choritsu.elsewhere import lacking

    raise lacking(f"module {__name__!r}", name, _ELSEWHERE)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_ROOMS])
