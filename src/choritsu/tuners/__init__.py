"""Keras Tuner's face over the search."""

from typing import TYPE_CHECKING, NoReturn

from choritsu.elsewhere import lacking
from choritsu.tuners.base import Tuner as Tuner
from choritsu.tuners.searches import ASHA as ASHA
from choritsu.tuners.searches import BayesianOptimization as BayesianOptimization
from choritsu.tuners.searches import GridSearch as GridSearch
from choritsu.tuners.searches import Hyperband as Hyperband
from choritsu.tuners.searches import QuasiRandomSearch as QuasiRandomSearch
from choritsu.tuners.searches import RandomSearch as RandomSearch
from choritsu.tuners.sklearn import SklearnTuner as SklearnTuner

#: What to write for names that Keras Tuner had before.
_RENAMED = {"BaseTuner": "write Tuner", "MultiExecutionTuner": "write Tuner", "Sklearn": "write SklearnTuner"}

# Not for type checkers, to which any name would then do.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> NoReturn:
        raise lacking(f"module {__name__!r}", name, _RENAMED)
