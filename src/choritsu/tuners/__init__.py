"""Keras Tuner's face over the search."""

from choritsu.tuners.base import Tuner as Tuner
from choritsu.tuners.searches import ASHA as ASHA
from choritsu.tuners.searches import BayesianOptimization as BayesianOptimization
from choritsu.tuners.searches import GridSearch as GridSearch
from choritsu.tuners.searches import Hyperband as Hyperband
from choritsu.tuners.searches import QuasiRandomSearch as QuasiRandomSearch
from choritsu.tuners.searches import RandomSearch as RandomSearch
from choritsu.tuners.sklearn import SklearnTuner as SklearnTuner
