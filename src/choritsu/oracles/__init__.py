"""What to try next. Pure: (history, number) in, a decision out."""

from typing import TYPE_CHECKING, NoReturn

from choritsu.elsewhere import lacking
from choritsu.oracles.asha import ASHA as ASHA
from choritsu.oracles.base import Budgeted as Budgeted
from choritsu.oracles.base import Curves as Curves
from choritsu.oracles.base import DrawnByName as DrawnByName
from choritsu.oracles.base import Forecasting as Forecasting
from choritsu.oracles.base import Horizon as Horizon
from choritsu.oracles.base import Oracle as Oracle
from choritsu.oracles.base import Stopper as Stopper
from choritsu.oracles.base import is_drawn_by_name as is_drawn_by_name
from choritsu.oracles.bayesian import BayesianOptimization as BayesianOptimization
from choritsu.oracles.grid import Grid as Grid
from choritsu.oracles.hyperband import Hyperband as Hyperband
from choritsu.oracles.optuna import OptunaOracle as OptunaOracle
from choritsu.oracles.precedents import Precedent as Precedent
from choritsu.oracles.precedents import Precedents as Precedents
from choritsu.oracles.quasirandom import QuasiRandom as QuasiRandom
from choritsu.oracles.random import Random as Random
from choritsu.oracles.settings import ASHAOracle as ASHAOracle
from choritsu.oracles.settings import BayesianOptimizationOracle as BayesianOptimizationOracle
from choritsu.oracles.settings import GridSearchOracle as GridSearchOracle
from choritsu.oracles.settings import HyperbandOracle as HyperbandOracle
from choritsu.oracles.settings import OracleSettings as OracleSettings
from choritsu.oracles.settings import QuasiRandomSearchOracle as QuasiRandomSearchOracle
from choritsu.oracles.settings import RandomSearchOracle as RandomSearchOracle
from choritsu.oracles.settings import settings_for as settings_for
from choritsu.oracles.stoppers import ASHAStopper as ASHAStopper
from choritsu.oracles.stoppers import MedianStopper as MedianStopper

#: What to write for names that Keras Tuner had before.
_RENAMED = {"GridSearch": "write GridSearchOracle", "RandomSearch": "write RandomSearchOracle"}

# Not for type checkers, to which any name would then do.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> NoReturn:
        raise lacking(f"module {__name__!r}", name, _RENAMED)
