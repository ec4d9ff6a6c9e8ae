"""A search shown elsewhere while it runs: in a storage of Optuna's, where optuna-dashboard looks at it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from choritsu.oracles.optuna import quiet
from choritsu.space import Float, Int, Parameter, encode
from choritsu.stores import Identity
from choritsu.trials import Event, Grew, History, Report, Reported, Status, Trial

if TYPE_CHECKING:
    import optuna

    Distribution: TypeAlias = optuna.distributions.BaseDistribution

#: Beyond this a float does not tell neighbouring integers apart, and Optuna keeps all numbers as floats.
_EXACT = 2**53

_ENDED = (Status.COMPLETED, Status.FAILED, Status.REFUSED)


@runtime_checkable
class Mirror(Protocol):
    """Is told what a search does, to show it elsewhere; the search itself takes nothing from it."""

    def begin(self, identity: Identity, history: History, reports: Mapping[int, Sequence[Report]]) -> None:
        """Take in what was done before; called once, before the first event of each search.

        Args:
            identity: which search it is.
            history: every trial claimed so far.
            reports: what they have reported, by trial number.
        """
        ...

    def show(self, event: Event, history: History) -> None:
        """Take in what happens, with the history after it."""
        ...

    def close(self) -> None:
        """Let go of files and connections; `begin` may follow once more."""
        ...


@dataclass(frozen=True)
class _Row:
    """What stands for a trial over there: the latest one that was made for it."""

    id: int
    attempt: int
    open: bool


class OptunaMirror:
    """Writes a search into a study of Optuna's as it goes on: ``tuner.search(..., mirror=OptunaMirror(...))``.

    Every trial is written with what it asked for, the objective at each epoch of its first execution, its score, or
    why it failed. What was done before, also without a mirror, is written first; nothing is written twice. What
    Optuna holds to be over cannot go on there: a trial that Hyperband promotes stands there once for each budget.
    A trial that a stopper ended counts with what it had reached, and stands there as complete, not as pruned.

    Should the storage fail while the search runs, the search goes on without; the next one writes what is missing.

    Args:
        storage: an address such as ``"sqlite:///study.db"``, or a storage of Optuna's.
        study_name: of the study to write; made if need be, and for one search alone.

    Raises:
        ValueError: for what is no address or no name.

    Example:
        >>> import tempfile, optuna
        >>> from choritsu import RandomSearch
        >>> tuner = RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=3, seed=0, directory=tempfile.mkdtemp())
        >>> storage = optuna.storages.InMemoryStorage()
        >>> tuner.search(mirror=OptunaMirror(storage, "unit interval"), verbose=0)
        >>> study = optuna.load_study(study_name="unit interval", storage=storage)
        >>> study.best_params == tuner.history.best.values
        True
    """

    def __init__(self, storage: str | optuna.storages.BaseStorage, study_name: str) -> None:
        if isinstance(storage, str) and "://" not in storage:
            raise ValueError(f'storage is an address such as "sqlite:///study.db", got {storage!r}')
        if not isinstance(study_name, str) or not study_name:
            raise ValueError(f"study_name must be a non-empty string, got {study_name!r}")
        self._given = storage
        self._name = study_name
        self._storage: Any = None
        self._study = -1
        self._rows: dict[int, _Row] = {}
        self._known: dict[str, Distribution] = {}
        self._fails = False

    def begin(self, identity: Identity, history: History, reports: Mapping[int, Sequence[Report]]) -> None:
        """Open the study, and write what is missing there.

        Raises:
            ImportError: when Optuna is not installed.
            ValueError: when the study holds something else than this search.
        """
        try:
            import optuna
        except ImportError as error:
            raise ImportError("OptunaMirror needs Optuna: pip install 'choritsu[optuna]'") from error
        with quiet():
            given = self._given
            self._storage = optuna.storages.RDBStorage(given) if isinstance(given, str) else given
            self._study = self._opened(identity, history)
            self._rows, self._known, self._fails = {}, {}, False
            for row in self._storage.get_all_trials(self._study, deepcopy=False):
                self._known.update(row.distributions)
                number, attempt = row.user_attrs["trial"], row.user_attrs["attempt"]
                self._rows[number] = _Row(row._trial_id, attempt, open=not row.state.is_finished())
            # What runs now is begun again if its process is gone; else that process shows it.
            for trial in history.having(Status.INTERRUPTED, *_ENDED):
                self._tell(trial, history, reports.get(trial.number, ()))

    def show(self, event: Event, history: History) -> None:
        """Write what an event has changed."""
        if self._fails or isinstance(event, Grew):
            return
        try:
            with quiet():
                told = [event.report] if isinstance(event, Reported) else []
                self._tell(history[event.number], history, told)
        except Exception as error:  # noqa: BLE001  # a search does not end because nobody can look at it
            self._fails = True
            warnings.warn(
                f"the study {self._name!r} cannot be written any more ({error}); the search goes on without it, and "
                "the next search with this mirror writes what is missing",
                stacklevel=2,
            )

    def close(self) -> None:
        """Let go of the storage's connections, where it was opened here."""
        if isinstance(self._given, str) and self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()
        self._storage = None

    # -- studies -----------------------------------------------------------------------------------

    def _opened(self, identity: Identity, history: History) -> int:
        """Find the study or make it, and make sure that it is this search's."""
        from optuna.exceptions import DuplicatedStudyError
        from optuna.study import StudyDirection

        wanted = StudyDirection.MAXIMIZE if history.objective.direction == "max" else StudyDirection.MINIMIZE
        mark = {"search": identity.created, "objective": history.objective.name}
        try:
            study: int = self._storage.create_new_study([wanted], self._name)
        except DuplicatedStudyError:
            study = self._storage.get_study_id_from_name(self._name)
            held = self._storage.get_study_user_attrs(study)
            same = all(held.get(key) == value for key, value in mark.items())
            if not same or list(self._storage.get_study_directions(study)) != [wanted]:
                raise ValueError(
                    f"the study {self._name!r} holds something else than this search; give another study_name"
                ) from None
            return study
        for key, value in mark.items():
            self._storage.set_study_user_attr(study, key, value)
        return study

    # -- trials ------------------------------------------------------------------------------------

    def _tell(self, trial: Trial, history: History, reports: Iterable[Report]) -> None:
        row = self._rows.get(trial.number)
        curve = {
            report.epoch: report.metrics[history.objective.name]
            for report in reports
            if report.execution == 0 and history.objective.name in report.metrics
        }
        if row is None or (not row.open and trial.attempt > row.attempt):
            self._add(trial, history, curve)
        elif row.open:
            for epoch, value in curve.items():
                self._storage.set_trial_intermediate_value(row.id, epoch, value)
            if trial.status in _ENDED:
                self._end(row, trial, history)

    def _add(self, trial: Trial, history: History, curve: Mapping[int, float]) -> None:
        from optuna.trial import FrozenTrial

        state, value = _outcome(trial)
        known = self._parameters(trial, history) if state.is_finished() else {}
        row = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=state,
            value=value,
            datetime_start=datetime.fromtimestamp(trial.started),
            datetime_complete=datetime.fromtimestamp(trial.ended) if state.is_finished() and trial.ended else None,
            params={label: told for label, (_, told) in known.items()},
            distributions={label: distribution for label, (distribution, _) in known.items()},
            user_attrs=_notes(trial),
            system_attrs={},
            intermediate_values=dict(curve),
        )
        made = self._storage.create_new_trial(self._study, template_trial=row)
        self._rows[trial.number] = _Row(made, trial.attempt, open=not state.is_finished())

    def _end(self, row: _Row, trial: Trial, history: History) -> None:
        for label, (distribution, told) in self._parameters(trial, history).items():
            self._storage.set_trial_param(row.id, label, distribution.to_internal_repr(told), distribution)
        written = {"trial": trial.number, "attempt": row.attempt}
        for key, note in _notes(trial).items():
            if written.get(key) != note:
                self._storage.set_trial_user_attr(row.id, key, note)
        state, value = _outcome(trial)
        self._storage.set_trial_state_values(row.id, state, None if value is None else [value])
        self._rows[trial.number] = _Row(row.id, trial.attempt, open=False)

    # -- parameters --------------------------------------------------------------------------------

    def _parameters(self, trial: Trial, history: History) -> dict[str, tuple[Distribution, Any]]:
        """Give what a trial asked for, by the names under which it is shown; nothing that the space has outgrown."""
        told: dict[str, tuple[Distribution, Any]] = {}
        seen: set[str] = set()
        for parameter in history.space.active(trial.values):
            if parameter.name not in trial.values or parameter.name in seen:
                continue
            seen.add(parameter.name)
            if parameter.contains(trial.values[parameter.name]):
                distribution, value = _shown(parameter, trial.values[parameter.name])
                told[self._label(parameter, distribution)] = (distribution, value)
        return told

    def _label(self, parameter: Parameter, distribution: Distribution) -> str:
        """Give a parameter's name; with its definition where Optuna knows the name for something else."""
        plain = self._known.setdefault(parameter.name, distribution)
        if _alike(plain, distribution):
            return parameter.name
        label = f"{parameter.name}: {parameter.without_prior.definition}"
        self._known[label] = distribution
        return label


def _outcome(trial: Trial) -> tuple[optuna.trial.TrialState, float | None]:
    from optuna.trial import TrialState

    if trial.status not in _ENDED:
        return TrialState.RUNNING, None
    if trial.status is Status.COMPLETED and trial.score is not None and math.isfinite(trial.score):
        return TrialState.COMPLETE, trial.score
    return TrialState.FAIL, None


def _notes(trial: Trial) -> dict[str, Any]:
    """Give what Optuna has no place for."""
    notes: dict[str, Any] = {"trial": trial.number, "attempt": trial.attempt}
    if trial.status not in _ENDED:
        # What it asks for is certain only when it has ended.
        notes["suggested"] = {name: encode(value) for name, value in trial.suggested.items()}
    if trial.message:
        notes["message"] = trial.message
    return notes


def _shown(parameter: Parameter, value: Any) -> tuple[Distribution, Any]:
    """Give a parameter as Optuna knows such, and a value as it is written there."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match parameter:
        case Int(min_value=low, max_value=high, sampling=sampling) if max(abs(low), abs(high)) <= _EXACT:
            return IntDistribution(low, high, log=sampling == "log"), value
        case (
            Int(min_value=low, max_value=high, sampling=sampling)
            | Float(min_value=low, max_value=high, sampling=sampling)
        ):
            return FloatDistribution(float(low), float(high), log=sampling == "log"), float(value)
    listed = parameter.listed()
    plain = all(item is None or isinstance(item, bool | int | float | str) for item in listed)
    if plain and not any(one == other for one, other in combinations(listed, 2)):
        return CategoricalDistribution(listed), value
    return CategoricalDistribution([repr(item) for item in listed]), repr(value)


def _alike(one: Distribution, other: Distribution) -> bool:
    """Tell whether Optuna takes both under one name."""
    from optuna.distributions import CategoricalDistribution

    if isinstance(one, CategoricalDistribution) or type(one) is not type(other):
        return bool(one == other)
    return bool(one.log == other.log)
