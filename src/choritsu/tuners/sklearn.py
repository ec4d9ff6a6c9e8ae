"""Searches over scikit-learn's estimators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from choritsu import training
from choritsu.chance import derive
from choritsu.errors import ChangedSearchError, ObjectiveError
from choritsu.frameworks.seeding import seed_everything
from choritsu.frameworks.sklearn import SCORE, Scoring, check_lengths, cross_validate
from choritsu.hyperparameters import HyperParameters
from choritsu.oracles import Budgeted, Oracle, OracleSettings
from choritsu.running import RunningTrial
from choritsu.space import Space
from choritsu.trials import Objective
from choritsu.tuners.base import Tuner
from choritsu.tuners.checks import check_words, keywords


class SklearnTuner(Tuner):
    """Tunes scikit-learn estimators by cross-validation.

    Args:
        oracle: as for `Tuner`; without an objective, the mean score over the folds is made large.
        hypermodel: a function of hp that returns an estimator.
        scoring: a scikit-learn scorer or its name; by default the estimator's own ``score``.
        metrics: what is recorded besides: a function (y_true, y_pred) -> float, the name of a scorer, or a list of
            such.
        cv: a scikit-learn splitter, a list of (training indices, validation indices), or a number of folds; by default
            5. Folds are shuffled; ``StratifiedKFold(5)`` keeps the shares of classes in each.
        kwargs: what `Tuner` takes.

    Raises:
        ChangedSearchError: when the trials of the directory were scored by another `scoring`.
        ValueError: for an oracle that trains in parts, such as Hyperband.
        FatalError: when scoring, metrics or cv cannot be what they are said to be.

    Example:
        >>> import tempfile
        >>> from choritsu.oracles import RandomSearchOracle
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> def build(hp):
        ...     return KNeighborsClassifier(hp.Int("neighbours", 1, 15, step=2))
        >>> tuner = SklearnTuner(RandomSearchOracle(max_trials=3, seed=0), build, directory=tempfile.mkdtemp())
        >>> X, y = load_iris(return_X_y=True)
        >>> tuner.search(X, y, verbose=0)
        >>> model = tuner.get_best_models()[0]
        >>> model.score(X, y) > 0.9
        True
    """

    def __init__(
        self,
        oracle: OracleSettings | Oracle,
        hypermodel: Any = None,
        scoring: Any = None,
        metrics: Any = None,
        cv: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("executions_per_trial") == "auto":
            raise ValueError(
                'executions_per_trial="auto" repeats whole trainings, and SklearnTuner trains each trial on several '
                "folds already; leave it out, or give a cv with more folds or repeats, such as RepeatedKFold"
            )
        if isinstance(oracle, OracleSettings) and oracle.objective is None:
            oracle = replace(oracle, objective=Objective(SCORE, "max"))
        elif not isinstance(oracle, OracleSettings):
            kwargs.setdefault("objective", Objective(SCORE, "max"))
        elif oracle.objective == SCORE:
            oracle = replace(oracle, objective=Objective(SCORE, "max"))
        made = oracle.make(0) if isinstance(oracle, OracleSettings) else oracle
        if isinstance(made, Budgeted) and not self._trains_otherwise():
            raise ValueError(
                f"{type(made).__name__} trains for some epochs and goes on later, and scikit-learn's estimators are "
                "fitted in one go; take RandomSearchOracle, BayesianOptimizationOracle or GridSearchOracle, or give "
                "ct.Hyperband or ct.ASHA a function of (hp, trial) that counts trees or iterations by trial.epochs"
            )
        self._scoring = Scoring.of(scoring, metrics, cv)
        self._data: tuple[Any, Any, Any] | None = None
        super().__init__(oracle, hypermodel, **kwargs)

    def _look(self) -> Space | None:
        """Refuse an objective that no fold will tell, before anything else."""
        told = [SCORE, *self._scoring.metrics]
        others = [part.name for part in self.objective.measured if part.name not in told]
        if others and not self._trains_otherwise():
            raise ObjectiveError(
                f"SklearnTuner reports {', '.join(told)}, and not {', '.join(map(repr, others))}; write "
                f"scoring={others[0]!r} and leave the objective out, or metrics=[{others[0]!r}]"
            )
        return super()._look()

    def _agree(self, asked: Space | None, accept_changes: bool) -> int:
        """Compare the scoring, too: scores of two kinds cannot be ranked together."""
        stored = self._store.identity()
        earlier = {} if stored is None or not self._store.history().completed else stored.settings
        now = self._scoring.described()
        scores = any(one.name == SCORE for one in self.objective.measured)
        was = earlier.get("scoring", now["scoring"])
        if was != now["scoring"] and scores and not accept_changes:
            raise ChangedSearchError(
                f"the trials in {self.project_dir} are scored by {was}, and scoring is now {now['scoring']}, which "
                "cannot be compared; undo the change, give another project_name, or overwrite=True to begin anew. If "
                "both are the same under two names: accept_changes=True"
            )
        if earlier.get("cv", now["cv"]) != now["cv"]:
            self._notes.append(f"trials made earlier were split by {earlier['cv']}, those to come by {now['cv']}")
        return super()._agree(asked, accept_changes)

    @classmethod
    def _trains_otherwise(cls) -> bool:
        """Whether this is a subclass that trains in its own way, which may take more, and other data."""
        return cls.run_trial is not SklearnTuner.run_trial

    def _particulars(self) -> dict[str, Any]:
        return dict(self._scoring.described())

    def search(  # type: ignore[override]  # the data that a fit takes have scikit-learn's names here
        self,
        X: Any,  # noqa: N803
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        **kwargs: Any,
    ) -> None:
        """Search, scoring each trial by cross-validation on X and y.

        Args:
            X: samples.
            y: targets.
            sample_weight: one weight a sample.
            groups: one group a sample, for splitters that keep groups together.
            kwargs: ``verbose``, ``workers``, and the budgets that ``Tuner.search`` takes.

        Raises:
            FatalTypeError: for arguments that it does not take.
            FatalValueError: for data of different numbers of samples.
        """
        others = self._trains_otherwise()
        check_words(kwargs, [*keywords(Tuner.search), "verbose", "sample_weight", "groups"], others=others)
        if not others:
            check_lengths(X, y=y, sample_weight=sample_weight, groups=groups)
        self._data = (X, y, sample_weight)
        super().search(X, y, sample_weight, groups, **kwargs)

    def run_trial(self, trial: RunningTrial, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002  # verbose is not for us
        """Cross-validate one trial."""
        cross_validate(trial, self.hypermodel_build, self._scoring, *args)

    def hypermodel_build(self, hp: HyperParameters) -> Any:
        """Build an estimator, whether `hypermodel` is a function or a `HyperModel`."""
        return training.built(self._tuned, hp) if training.is_hypermodel(self._tuned) else self._tuned(hp)

    def _builder(self) -> Callable[[HyperParameters], bool]:
        # Estimators say themselves whether they are true, and some cannot before they are fitted.
        return lambda hp: self.hypermodel_build(hp) is not None

    def load_model(self, trial: Any) -> Any:
        """Fit the trial's estimator on all the data that `search` was given.

        Nothing is unpickled: a pickle from a directory can run any code.

        Raises:
            ObjectiveError: when `search` has not been called in this process.
        """
        if self._data is None:
            raise ObjectiveError(
                "the best estimator is fitted anew on the data given to search(X, y); call search first "
                "(a finished search returns at once), or fit hypermodel(get_best_hyperparameters()[0]) yourself"
            )
        x, y, weights = self._data
        history = self._store.history()
        # The same estimator each time, also where nobody gave it a seed.
        seed_everything(derive(self.seed, "refit", int(trial.trial_id)))
        estimator = self.hypermodel_build(HyperParameters.of(history[int(trial.trial_id)].values, history.space))
        return estimator.fit(x, y) if weights is None else estimator.fit(x, y, sample_weight=weights)
