"""What all tuners are: one object that is set up, searches, and shows what came out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from choritsu import training
from choritsu.chance import derive
from choritsu.display import make_display
from choritsu.earlier import keras_tuner
from choritsu.elsewhere import Translating
from choritsu.errors import (
    FatalError,
    FatalValueError,
    RedefinedError,
    SpaceError,
    StoreError,
    closest,
)
from choritsu.executors import Executor, InlineExecutor, ProcessExecutor
from choritsu.folds import CrossValidation
from choritsu.frameworks.memory import tidied
from choritsu.halting import Halt
from choritsu.hypermodel import as_hypermodel
from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import BEST
from choritsu.mirrors import Mirror
from choritsu.oracles import Budgeted, Oracle, OracleSettings, Precedents, Stopper, settings_for
from choritsu.running import RunningTrial
from choritsu.search import Clock, Plan, Search
from choritsu.space import Parameter, Space, plain
from choritsu.stores import Identity, Store, load_checkpoint, open_store
from choritsu.training import Repeats
from choritsu.trials import (
    Event,
    Failed,
    Finished,
    Grew,
    History,
    Objective,
    Refused,
    Status,
    as_objective,
)
from choritsu.tuners.agreement import doubts, is_to_redefine, misnamed, other_executions, redefined
from choritsu.tuners.checks import check_budgets, check_limits, check_overrides, check_words, ignored, keywords
from choritsu.tuners.looking import look_around
from choritsu.tuners.opening import check_alone, opened, project_place
from choritsu.tuners.pruning import prune
from choritsu.views import OracleView, TrialView, summarize
from choritsu.work import Perform, describe, perform, trace_of

if TYPE_CHECKING:
    from choritsu.frameworks.keras import Compile
    from choritsu.report import Summary


#: What Optuna's studies and scikit-learn's searches have, and what takes its place.
_ELSEWHERE = {
    "best_estimator_": "get_best_models()[0] gives the best one",
    "best_params": "write get_best_hyperparameters()[0].values",
    "best_params_": "write get_best_hyperparameters()[0].values",
    "best_score_": "write history.best.score",
    "best_trial": "write oracle.get_best_trials()[0]",
    "best_value": "write history.best.score",
    "cv_results_": "to_dataframe() has a row for each trial",
    "fit": "search(...) searches, and get_best_models()[0] gives the best model",
    "optimize": "search(...) searches, for max_trials trials",
    "predict": "get_best_models()[0] gives the best model, which predicts",
    "trials": "history has all trials",
    "trials_dataframe": "to_dataframe() has a row for each trial",
}


class Tuner(Translating):
    """Searches for the best hyperparameters of a function, and keeps everything it finds on disk.

    Running the same script again continues the search in its directory: what is finished is kept, what
    was interrupted is taken up again, and `max_trials` counts all.

    Args:
        oracle: what to try next: `RandomSearchOracle(...)` and its kin, or an oracle of your own.
        hypermodel: a function of hp that returns a compiled Keras model; a function of hp, or of
            (hp, trial), that trains by itself and returns a score or a dict of metrics; or a `HyperModel`.
            None when `run_trial` is overridden.
        max_model_size: the largest number of parameters of a Keras model; a larger one is refused, and
            another is drawn at no cost.
        optimizer: in place of the one that Keras models are compiled with.
        loss: likewise.
        metrics: likewise.
        distribution_strategy: a TensorFlow strategy to build and train under.
        directory: where searches are kept; by default the working directory.
        project_name: the search's own folder inside it.
        logger: ignored; Keras Tuner's.
        tuner_id: ignored; Keras Tuner's.
        overwrite: whether to delete an earlier search of that name.
        executions_per_trial: how often each combination is trained; the score is the mean. With "auto" once, and those
            that may be the best again, as far as the same values score differently: at most one repeat for every two
            trials, and trials are then ordered by what they are expected to score (see `Noise`).
        cross_validation: how to split ``search(x, y)`` into folds instead of using validation data.
        keep_best_models: the weights of this many best trials are kept, the Pareto front's before others; those of
            the rest are deleted. With executions_per_trial="auto" they are at least ten, any of which may yet win.
        accept_changes: whether to go on when the stored search had another space or objective; trials
            made so far stay as they are.
        store: where trials are kept instead of in ``search.db``.
        stopper: ends trials early that are not worth going on with, such as `MedianStopper()`.
        pareto: with a list of objectives, whether trials are compared by each of them, not by their sum:
            `results_summary` and `report` then tell the Pareto front, and `pareto_front` gives it. A trial counts with
            the epoch at which the sum is best; Hyperband, ASHA, stoppers and `patience` go by the sum.
        limits: with an oracle of your own, `objective`, `max_trials`, `seed` and the other fields of
            `OracleSettings`.

    Raises:
        ObjectiveError: when the objective's direction is uncertain.
        ValueError: when a number makes no sense, or arguments do not go together.
        StoreError: when what lies in the directory cannot be used.
        ChangedSearchError: when the script and the search stored there disagree.

    Example:
        >>> import tempfile
        >>> from choritsu.oracles import Random
        >>> def parabola(hp):
        ...     return (hp.Float("x", -1, 1) - 0.3) ** 2
        >>> tuner = Tuner(Random(seed=0), parabola, max_trials=20, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> abs(tuner.get_best_hyperparameters()[0].get("x") - 0.3) < 0.2
        True
    """

    _elsewhere = _ELSEWHERE

    def __init__(
        self,
        oracle: OracleSettings | Oracle,
        hypermodel: Any = None,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        distribution_strategy: Any = None,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        logger: Any = None,  # noqa: ARG002  # Keras Tuner's, without a meaning here
        tuner_id: str | None = None,  # noqa: ARG002  # likewise
        overwrite: bool = False,
        executions_per_trial: int | Literal["auto"] = 1,
        *,
        cross_validation: CrossValidation | None = None,
        keep_best_models: int = 10,
        accept_changes: bool = False,
        store: Store | None = None,
        stopper: Stopper | None = None,
        pareto: bool = False,
        **limits: Any,
    ) -> None:
        check_limits(type(self), limits, complete=isinstance(oracle, OracleSettings))
        self._settings = oracle if isinstance(oracle, OracleSettings) else settings_for(oracle, **limits)
        if hypermodel is not None:
            training.check_hypermodel(hypermodel)
        elif type(self).run_trial is Tuner.run_trial:
            raise TypeError("there is nothing to tune: give hypermodel=..., or override run_trial(self, trial, ...)")
        if isinstance(keep_best_models, bool) or not isinstance(keep_best_models, int) or keep_best_models < 1:
            raise ValueError(f"keep_best_models must be an integer of at least 1, got {keep_best_models!r}")
        check_overrides(type(self), trains=type(self).run_trial is not Tuner.run_trial)
        self._tuned = hypermodel
        self.hypermodel = as_hypermodel(hypermodel)
        self.objective: Objective = as_objective(self._settings.objective, pareto)
        self.executions_per_trial = executions_per_trial
        self._repeats = Repeats(executions_per_trial, cross_validation)
        if self._repeats.as_needed:
            self._check_repeats()
        self._compile_arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "metrics": metrics,
            "max_model_size": max_model_size,
            "distribution_strategy": distribution_strategy,
        }
        self._keep_best_models = keep_best_models
        self._override = _space_of(self._settings.hyperparameters)
        self._stopper = stopper
        self._enqueued: list[dict[str, Any]] = []
        self._running: dict[int, RunningTrial] = {}
        self._notes = list(ignored(os.environ))
        self.project_dir = str(project_place(directory, project_name))
        if store is not None and overwrite:
            raise ValueError("overwrite=True deletes search.db; with store=..., empty the store yourself")
        if store is not None:
            check_alone(store, Path(self.project_dir))
        # First, so that a script that cannot even be begun deletes nothing.
        asked = self._look()
        self._store = store if store is not None else opened(Path(self.project_dir), Clock().now(), overwrite=overwrite)
        self._on_disk = store is None
        self._accepts_changes = accept_changes
        self.seed = self._agree(asked, accept_changes)

    def _check_repeats(self) -> None:
        """Refuse repeats where they would compare what cannot be compared."""
        name, oracle = self._settings.name, self._settings.make(0)
        if isinstance(oracle, Budgeted):
            raise ValueError(  # noqa: TRY004  # the arguments are of the right types, and do not go together
                f'executions_per_trial="auto" repeats whole trainings, and {name} compares trainings of one length; '
                "give a number of executions, or take RandomSearch or BayesianOptimization"
            )
        if self.objective.pareto:
            raise ValueError(
                'executions_per_trial="auto" looks for one winner, and a Pareto front has many; give a number of '
                "executions, or leave pareto out"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.objective} in {self.project_dir}>"

    # -- in a worker process -----------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the searching process; the rest goes to the workers, attributes of users' too."""
        state = {name: value for name, value in vars(self).items() if name not in ("_store", "oracle")}
        return {**state, "_running": {}}

    @cached_property
    def _store(self) -> Store:
        """The store: set where the search runs, and opened anew where a worker's function asks for it."""
        if not self._on_disk:
            raise StoreError("the store given as store=... stays with the search; a worker process cannot ask it")
        return open_store(Path(self.project_dir))

    @cached_property
    def oracle(self) -> OracleView:
        """The trials and the limits, under Keras Tuner's name for them."""
        return OracleView(self._store, self.objective, self._settings.max_trials, lambda: self._running)

    # -- setting up --------------------------------------------------------------------------------

    def _agree(self, asked: Space | None, accept_changes: bool) -> int:
        """Compare the script with the stored search, write down what is new, and give the seed."""
        stored, seed = self._store.identity(), self._settings.seed
        if stored is None:
            drawn = derive(int.from_bytes(os.urandom(8)), "seed") if seed is None else seed
            new = self._identity(drawn, Clock().now(), asked)
            if self._store.begin(new):
                self._notes += self._left_alone()
                self._extend(asked)
                return drawn
            # Of several processes that begin together, one draws the seed for all.
            stored = self._store.identity() or new
        history, objective = self._store.history(), self.objective
        if is_to_redefine(stored, history, objective, asked, self.project_dir, accept=accept_changes):
            # What else the function asks for comes to light only as it runs: it is met anew.
            self._store.redefine(asked or Space())
        self._notes += other_executions(stored, history, self._repeats.each)
        seed = stored.seed if seed is None else seed
        asked = stored.asked if asked is None else asked
        self._store.identify(self._identity(seed, stored.created, asked))
        self._extend(asked)
        return seed

    def _identity(self, seed: int, created: float, asked: Space | None) -> Identity:
        settings = {
            "oracle": self._settings.name,
            "max_trials": self._settings.max_trials,
            "executions_per_trial": self._repeats.each,
            "keep_best_models": self._keep_best_models,
            **self._particulars(),
        }
        oracle = self._settings.make(seed)
        if isinstance(oracle, Budgeted):
            settings["max_epochs"] = oracle.max_epochs
        if self._stopper is not None:
            settings["stopper"] = type(self._stopper).__name__
        return Identity(self.objective, seed, created, asked, settings)

    def _extend(self, asked: Space | None) -> None:
        """Write down what the function was seen to ask for."""
        if asked is not None:
            try:
                self._store.record(Grew(-1, asked.parameters))
            except RedefinedError as error:
                raise redefined(error, self.project_dir) from error

    def _particulars(self) -> dict[str, Any]:
        """Give what else is kept of how this search is set up."""
        return {}

    def _left_alone(self) -> Iterator[str]:
        """Say what becomes of a search of Keras Tuner's in the directory of this one, when this one begins."""
        place = Path(self.project_dir)
        if keras_tuner.lies_in(place) and not any(str(place) in each.name for each in self._settings.precedents):
            yield (
                f"a search of Keras Tuner's lies in {place}, and is left as it is; "
                f"BayesianOptimization(..., warm_start={str(place)!r}) learns from it"
            )

    def _look(self) -> Space | None:
        """Call the function before any training, to learn what it asks for; None if it cannot be told."""
        builder = self._builder()
        if builder is None and not self._override:
            return None

        def ask(hp: HyperParameters) -> bool:
            for parameter in self._override:
                hp.ask(parameter)
            return builder is not None and builder(hp)

        look = look_around(ask, self._recorder)
        for given, error in look.raised:
            told = ", ".join(f"{name}={value!r}" for name, value in given.items()) or "its defaults"
            self._notes.append(f"with {told} the function raised {describe(error)}")
        return look.space

    def _recorder(self, given: Mapping[str, Any], known: Space) -> HyperParameters:
        return HyperParameters(
            given,
            known=known,
            override=self._override,
            tune_new_entries=self._settings.tune_new_entries,
            allow_new_entries=self._settings.allow_new_entries,
        )

    def _builder(self) -> Callable[[HyperParameters], bool] | None:
        """Give what builds a model without training it, and tells whether it did; None where there is no such thing."""
        if training.may_be_called_to_look(self._tuned):
            return lambda hp: training.look(self._tuned, hp, self._compilation)
        return None

    def _compilation(self) -> Compile:
        from choritsu.frameworks.keras import Compile

        return Compile(**self._compile_arguments)

    def enqueue(self, values: Mapping[str, Any]) -> None:
        """Have these values tried first; what they leave open takes its default.

        Values that an earlier run has tried already are not tried again.

        Args:
            values: by name; an empty dict stands for all defaults.

        Raises:
            SpaceError: when a value lies outside a range that is known already.

        Example:
            >>> import tempfile
            >>> from choritsu import RandomSearch
            >>> tuner = RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=2, directory=tempfile.mkdtemp())
            >>> tuner.enqueue({"x": 0.25})
            >>> tuner.search(verbose=0)
            >>> tuner.oracle.get_trial("0000").score
            0.25
        """
        values = {str(name): plain(value) for name, value in values.items()}
        space = self._store.history().space
        for name, value in values.items():
            known = space.named(name)
            if known and not any(parameter.contains(value) for parameter in known):
                raise SpaceError(f"{name!r}: {value!r} is outside {known[0].definition}")
            close = None if known else closest(name, space.names)
            if close is not None:
                raise SpaceError(f"{name!r} is not known, and {close!r} is; write that, or wait until it is asked for")
        self._enqueued.append(values)

    # -- searching ---------------------------------------------------------------------------------

    def search(
        self,
        *fit_args: Any,
        time_limit: float | None = None,
        trial_time_limit: float | None = None,
        max_epochs_total: int | None = None,
        patience: int | None = None,
        workers: int = 1,
        gpus_per_trial: float | None = None,
        mirror: Mirror | None = None,
        **fit_kwargs: Any,
    ) -> None:
        """Search until `max_trials` trials are made, nothing is left to try, or a budget is used up.

        However it ends, also by Ctrl-C or ``kill -9``, the same call goes on from there. The first Ctrl-C lets the
        epoch end, the second does not.

        Args:
            time_limit: after how many seconds to leave, in the middle of a trial if need be; its state is kept.
            trial_time_limit: after how many seconds, since it was last taken up, a trial fails: whatever it does, but
                in native code that does not return; on Windows and in threads, when it reports.
            max_epochs_total: how many epochs are trained in all, earlier runs included.
            patience: leave after this many trials in a row that were no better than the best before them.
            workers: how many trials run at once, each in a process of its own; with 1, in this process. Hooks
                of trials, epochs and batches then run there, on a copy of this tuner as `on_search_begin` left it.
            gpus_per_trial: how many GPUs a trial is given, 0.5 for two trials on one; by default the visible ones
                are dealt out evenly among the workers.
            mirror: where the search is shown besides, such as `OptunaMirror`.
            fit_args: what ``model.fit`` or your ``HyperModel.fit`` takes, such as x and y.
            fit_kwargs: likewise. A hyperparameter in the place of a value is tuned:
                ``batch_size=ct.Choice("batch_size", [32, 64])``, ``epochs=ct.Int("epochs", 5, 20)``.
                ``verbose=0`` silences the search, 2 prints plain lines; given explicitly, it is also passed on.

        Raises:
            ObjectiveError: when the objective needs validation data and there is none.
            TooManyFailuresError: when `max_consecutive_failed_trials` trials in a row failed.
            FatalError: when your function raised one.
            ChangedSearchError: when your function contradicts what the stored search knows.
            StoreError: when the store cannot be written; what it holds is kept, and running again goes on.
        """
        if not training.is_hypermodel(self._tuned) and type(self).run_trial is Tuner.run_trial:
            check_words(fit_kwargs, keywords(Tuner.search))
        training.check_data(fit_args, fit_kwargs, self.objective, self._repeats, keras_fit=self._fits_with_keras())
        if not isinstance(mirror, Mirror | None):
            raise TypeError(f'mirror must be such as OptunaMirror("sqlite:///study.db", "name"), got {mirror!r}')
        check_budgets(
            time_limit=time_limit,
            trial_time_limit=trial_time_limit,
            max_epochs_total=max_epochs_total,
            patience=patience,
        )
        plan = replace(
            self._plan(), max_epochs_total=max_epochs_total, patience=patience, trial_time_limit=trial_time_limit
        )
        longest = plan.oracle.max_epochs if isinstance(plan.oracle, Budgeted) else None
        notes = [*self._notes, *self._surroundings()]
        if longest and "epochs" in fit_kwargs:
            notes.append(f"epochs={fit_kwargs['epochs']} does not count, since {self._settings.name} gives the epochs")
        if patience is not None and longest:
            raise ValueError(
                f"patience={patience} counts whole trainings, and {self._settings.name} cuts most of them short; "
                "limit it by time_limit or max_epochs_total"
            )
        known = self._store.history().space
        notes += [f"learns from {_share(earlier, known)} of {earlier.name}" for earlier in self._settings.precedents]
        display = make_display(
            fit_kwargs.get("verbose"),
            project=self.project_dir,
            objective=self.objective,
            max_trials=self._settings.max_trials,
            executions=len(self._repeats),
            notes=notes,
            epochs=longest or fit_kwargs.get("epochs"),
            scope=f"{self._settings.name} up to epoch {longest}" if longest else "",
        )

        identity = self._store.identity()
        looked_at = identity is not None and identity.asked is not None
        earlier = () if looked_at or self._accepts_changes else self._store.history().completed
        completed: list[int] = []
        self.on_search_begin()
        # Pickled as it is now: with what the hook has made.
        executor = self._executor(partial(self._perform, fit_args, fit_kwargs), workers, gpus_per_trial)
        try:
            display.begin(self._store.history())
            if mirror is not None:
                mirror.begin(self._store.identity() or Identity(), self._store.history(), self._store.reports())
            with tidied() as tidy:

                def watch(event: Event, history: History) -> None:
                    nonlocal earlier
                    display.show(event, history)
                    if mirror is not None:
                        mirror.show(event, history)
                    if isinstance(event, Finished | Failed | Refused):
                        self._prune()
                        tidy()
                    if isinstance(event, Finished):
                        completed.append(event.number)
                        told, earlier = doubts(history[event.number], earlier), ()
                        _warn(told)

                halt = Halt(display.say)
                search = Search(
                    plan, self._store, executor, watch=watch, idle=display.wait, halt=halt, time_limit=time_limit
                )
                # What a process has left that was killed before it came to this.
                self._prune()
                done = search.run()
            history = self._store.history()
            display.end(done, history)
            # Only now, since what one trial has left out another branch may ask for.
            _warn(misnamed((history[number] for number in completed), history.space))
        except RedefinedError as error:
            if known.named(error.name):
                raise redefined(error, self.project_dir) from error
            raise
        finally:
            executor.close()
            display.close()
            if mirror is not None:
                mirror.close()
        self.on_search_end()

    @staticmethod
    def _executor(perform: Perform, workers: int, gpus_per_trial: float | None) -> Executor:
        if workers == 1 and gpus_per_trial is None:
            return InlineExecutor(perform)
        return ProcessExecutor(perform, workers, gpus_per_trial=gpus_per_trial)

    def _plan(self) -> Plan:
        return Plan(
            oracle=self._settings.make(self.seed),
            objective=self.objective,
            seed=self.seed,
            directory=Path(self.project_dir),
            max_trials=self._settings.max_trials,
            max_retries=self._settings.max_retries_per_trial,
            max_consecutive_failures=self._settings.max_consecutive_failed_trials,
            enqueued=tuple(self._enqueued),
            override=self._override,
            tune_new_entries=self._settings.tune_new_entries,
            allow_new_entries=self._settings.allow_new_entries,
            stopper=self._stopper,
            repeats=self._repeats.as_needed,
        )

    def _fits_with_keras(self) -> bool | None:
        if type(self).run_trial is not Tuner.run_trial or self._tuned is None:
            return False
        if not training.is_hypermodel(self._tuned):
            return None if training.takes_trial(self._tuned) else self._builder() is not None
        return training.fits_by_itself(self._tuned)

    def _surroundings(self) -> list[str]:
        """Make ready what the framework can keep between trials, and say what it is."""
        keras = training.keras_if_imported()
        if keras is None:
            return []
        said: str = keras.describe_backend()
        if keras.keras.backend.backend() == "jax":
            import jax

            from choritsu.frameworks.backends import keep_compiled_programs

            keep_compiled_programs(jax)
        return [said]

    def _perform(self, args: Sequence[Any], kwargs: Mapping[str, Any], job: Any, emit: Any) -> None:
        def train(trial: RunningTrial) -> None:
            self._running[trial.number] = trial
            self.on_trial_begin(trial)
            self._take(trial, self.run_trial(trial, *args, **kwargs))
            self._check_folds(trial)
            self._check_pace(trial)

        try:
            trial = perform(job, train, emit, Clock().now)
            if trial is not None:
                self._tell_end(trial)
        finally:
            self._running.pop(job.number, None)

    def _tell_end(self, trial: RunningTrial) -> None:
        try:
            self.on_trial_end(trial)
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001  # a user's hook may raise anything
            # The trial's result is written by now, and the hook of the next one may do better.
            trial_id = trial.trial_id
            warnings.warn(
                f"on_trial_end of trial {trial_id} failed; the trial is kept\n{trace_of(error)}", stacklevel=1
            )

    def _check_pace(self, trial: RunningTrial) -> None:
        """Say that trials are compared that were trained otherwise than the oracle wanted."""
        told = max((report.epoch + 1 for report in trial.reports), default=0)
        if trial.budget is not None and not trial.paced and not trial.stopped and told != trial.budget:
            warnings.warn(
                f"{self._settings.name} has given a trial {trial.budget} epochs in all, and it has reported {told}: "
                "what it trains beyond is in vain, and with less it is compared unfairly; count by `for epoch in "
                "trial.epochs(state=...)`, or train up to epoch trial.until",
                stacklevel=1,
            )

    def _check_folds(self, trial: RunningTrial) -> None:
        """Refuse a `run_trial` of the user's own that has left the folds out."""
        told, wanted = len({report.execution for report in trial.reports}), len(self._repeats)
        if self._repeats.folds is not None and told < wanted and not trial.stopped:
            raise FatalValueError(
                f"cross_validation wants {wanted} results of each trial, one of each fold and execution, and run_trial "
                f"told {told}; return super().run_trial(trial, ...) or a list of {wanted}, "
                "or leave cross_validation out"
            )

    @staticmethod
    def _take(trial: RunningTrial, returned: Any) -> None:
        """Take in what `run_trial` returned: one result, or a list with one for each execution."""
        if isinstance(returned, list):
            for execution, result in enumerate(returned):
                trial.execution = execution
                trial.conclude(result)
        elif returned is not None or not trial.reports:
            trial.conclude(returned)

    def run_trial(self, trial: RunningTrial, *args: Any, **kwargs: Any) -> Any:
        """Train one trial. Override it to train in your own way.

        Args:
            trial: its `hyperparameters` answer with the trial's values, and `report` takes its results.
            args: what `search` was given.
            kwargs: likewise.

        Returns:
            The objective as a number, a dict of metrics, a Keras History, or a list of these with one for
            each execution; None where ``trial.report`` has told everything. Not overridden, what each execution
            gave, as a list.
        """
        return training.train(trial, self._tuned, args, kwargs, self._repeats, self._compilation, self)

    # -- hooks -------------------------------------------------------------------------------------

    def on_search_begin(self) -> None:
        """Run before the first trial; override it."""

    def on_search_end(self) -> None:
        """Run after the last trial; override it."""

    def on_trial_begin(self, trial: RunningTrial) -> None:
        """Run before each trial; override it. ``trial.hyperparameters.values`` has what is known of its values."""

    def on_trial_end(self, trial: RunningTrial) -> None:
        """Run after each trial that ran to its end; override it. ``trial.score`` and ``trial.metrics`` are known."""

    def on_epoch_begin(self, trial: RunningTrial, model: Any, epoch: int, logs: Any = None) -> None:
        """Run before each epoch of a Keras model; override it."""

    def on_epoch_end(self, trial: RunningTrial, model: Any, epoch: int, logs: Any = None) -> None:
        """Run after each epoch of a Keras model; override it."""

    def on_batch_begin(self, trial: RunningTrial, model: Any, batch: int, logs: Any = None) -> None:
        """Run before each batch of a Keras model; override it."""

    def on_batch_end(self, trial: RunningTrial, model: Any, batch: int, logs: Any = None) -> None:
        """Run after each batch of a Keras model; override it."""

    # -- results -----------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        """All trials, read-only."""
        return self._store.history()

    @property
    def summary(self) -> Summary:
        """All that is known of the search, as a value."""
        return summarize(self._store, self.project_dir)

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """Give the values of the best trials, best first; pass one to your function to build its model again."""
        history = self._store.history()
        _warn_of_none(history)
        return [HyperParameters.of(trial.values, history.space) for trial in history.completed[:num_trials]]

    def pareto_front(self) -> list[TrialView]:
        """Give the completed trials that no other one beats in one objective without losing in another.

        Returns:
            Trials, ordered by the first objective, best first; ``trial.metrics`` has all objectives, and
            ``trial.hyperparameters`` the values.

        Example:
            >>> import tempfile
            >>> from choritsu import GridSearch, Objective
            >>> def measure(hp):
            ...     size = hp.Int("size", 1, 4)
            ...     return {"loss": 4 / min(size, 3), "seconds": size}
            >>> goals = ["loss", Objective("seconds", "min")]
            >>> tuner = GridSearch(measure, goals, pareto=True, directory=tempfile.mkdtemp())
            >>> tuner.search(verbose=0)
            >>> [trial.hyperparameters.get("size") for trial in tuner.pareto_front()]
            [3, 2, 1]
        """
        return self.oracle.pareto_front()

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """Build the models of the best trials, with the weights of their best epochs, best first.

        The optimizer's state is not kept: to train on, compile anew or accept a fresh start of it.

        Args:
            num_models: how many, at most `keep_best_models`.

        Raises:
            ValueError: when more are wanted than are kept.
        """
        if num_models > self._keep_best_models:
            raise ValueError(
                f"{num_models} models are wanted, and the weights of the best {self._keep_best_models} are kept; "
                f"set keep_best_models={num_models} before searching"
            )
        _warn_of_none(self._store.history())
        return [self.load_model(trial) for trial in self.oracle.get_best_trials(num_models)]

    def load_model(self, trial: Any) -> Any:
        """Build a trial's model with the weights of its best epoch.

        Args:
            trial: a completed trial, such as ``tuner.oracle.get_best_trials()[0]``.

        Raises:
            FileNotFoundError: when its weights were deleted, since better trials came.
        """
        hp = HyperParameters.of(self._store.history()[int(trial.trial_id)].values, self._store.history().space)
        try:
            return training.rebuilt(self._tuned, hp, Path(self.get_trial_dir(trial.trial_id)), self._compilation)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"no weights of trial {trial.trial_id} are kept: either it was trained by a function of your own, "
                f"or it is not among the best {self._keep_best_models}; its values are in get_best_hyperparameters"
            ) from error

    def best_state(self) -> dict[str, Any]:
        """Give what a function's ``trial.epochs(n, state=...)`` held at the best epoch of the best trial.

        Returns:
            By name, what ``state_dict`` gave: ``model.load_state_dict(tuner.best_state()["model"])``.

        Raises:
            FileNotFoundError: when no state is kept.
        """
        best = self._store.history().best
        if best is None:
            raise FileNotFoundError("no trial has been completed; call search first")
        path = Path(self.get_trial_dir(best.trial_id)) / BEST
        if not path.exists():
            raise FileNotFoundError(
                f"no state of trial {best.trial_id} is kept in {path.parent}: a function that trains by itself keeps "
                'it by `for epoch in trial.epochs(n, state={"model": model, "optimizer": optimizer})`'
            )
        state: dict[str, Any] = load_checkpoint(path)
        return state

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:  # noqa: ARG002  # Keras Tuner's signature
        """Keep a Keras model's weights for a trial, in place of those kept before."""
        from choritsu.frameworks.keras import save_weights

        directory = Path(self.get_trial_dir(trial_id))
        directory.mkdir(parents=True, exist_ok=True)
        save_weights(model, directory)

    def get_trial_dir(self, trial_id: str) -> str:
        """Give the place of a trial's own files; while it runs, its directory is made."""
        if trial_id.isdecimal() and int(trial_id) in self._running:
            return str(self._running[int(trial_id)].directory)
        return str(Path(self.project_dir) / "trials" / trial_id)

    def remaining_trials(self) -> int | None:
        """Give how many trials are left to make; None without a limit."""
        return self.oracle.remaining_trials()

    def search_space_summary(self, extended: bool = False) -> None:  # noqa: ARG002  # Keras Tuner's signature
        """Print each hyperparameter with its kind, default, bounds and conditions, and how many there are."""
        from choritsu.report import print_space

        print_space(self._store.history().space)
        for note in self._notes:
            print(f"Note: {note}.")

    def results_summary(self, num_trials: int = 10) -> None:
        """Print where the results lie, what was done, and the best trials.

        Args:
            num_trials: how many trials to list.
        """
        from choritsu.report import print_results

        print_results(self.summary, num_trials=num_trials)

    def _repr_html_(self) -> str:
        """Show the results in a notebook."""
        from choritsu.report import notebook_html

        return notebook_html(self.summary)

    def report(self, path: str | os.PathLike[str] = "report.html") -> Path:
        """Write everything into one HTML page that needs no network.

        Returns:
            The page's path.
        """
        from choritsu.report import write_html

        write_html(self.summary, Path(path))
        return Path(path)

    def to_dataframe(self) -> Any:
        """Give one row a trial, as a pandas data frame.

        Raises:
            ImportError: when pandas is not installed.
        """
        from choritsu.report import to_dataframe

        return to_dataframe(self.summary)

    def save(self) -> None:
        """Do nothing: everything is on disk the moment it happens."""

    def reload(self) -> None:
        """Do nothing: whoever asks is answered from the disk."""

    def _prune(self) -> None:
        """Delete what of trials is not needed any more."""
        prune(
            Path(self.project_dir),
            self._store.history,
            self._keep_best_models,
            repeats=self._repeats.as_needed,
            promotable=self._promotable,
        )

    def _promotable(self, history: History) -> frozenset[int]:
        oracle = self._settings.make(self.seed)
        return oracle.promotable(history) if isinstance(oracle, Budgeted) else frozenset()


def _warn(told: Iterable[str]) -> None:
    for doubt in told:
        warnings.warn(doubt, stacklevel=3)


def _warn_of_none(history: History) -> None:
    """Say why there is no result, which may have gone by unseen."""
    failed = history.having(Status.FAILED)
    if failed and not history.completed:
        warnings.warn(
            f"none of {len(history)} trials has been completed; the last to fail, trial {failed[-1].trial_id}, did so "
            f"with: {failed[-1].message}",
            stacklevel=3,
        )


def _space_of(hyperparameters: Any) -> Space:
    """Read the `hyperparameters` argument: a `HyperParameters`, a `Space`, or a list of parameters."""
    if hyperparameters is None:
        return Space()
    parameters = getattr(hyperparameters, "space", hyperparameters)
    if isinstance(parameters, Space):
        return parameters
    if isinstance(parameters, Sequence) and all(isinstance(item, Parameter) for item in parameters):
        return Space(tuple(parameters))
    raise SpaceError(f"hyperparameters must be a HyperParameters or a Space, got {hyperparameters!r}")


def _share(earlier: Precedents, space: Space) -> str:
    """Say how many trials of an earlier search a space can express, as far as that is known."""
    count = f"{len(earlier.trials)} trials"
    return f"{len(earlier.fitting(space))} of {count}" if len(space) else f"those of {count} that fit"
