"""The contract of an oracle as tests: subclass `OracleContract`, say how your oracle is made, run pytest.

::

    from choritsu.testing.oracles import OracleContract

    class TestMyOracle(OracleContract):
        def make_oracle(self, seed):
            return MyOracle(seed=seed)

An oracle that gives budgets, as Hyperband does, has more to keep: subclass `BudgetedContract` instead.

For failures that show the values compared, write ``pytest.register_assert_rewrite("choritsu.testing.oracles")``
before the import.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Hashable, Iterator, Mapping
from itertools import count, pairwise
from typing import Any, ClassVar

import pytest

from choritsu.chance import unit
from choritsu.decisions import Decision, Done, Promote, Start, Wait
from choritsu.errors import FailedTrialError, RedrawTrialError
from choritsu.jobs import Job
from choritsu.oracles import Budgeted, Oracle
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Parameter, Space, canonical
from choritsu.stores import MemoryStore
from choritsu.testing.virtual import Happening, Simulate, curves, run_search
from choritsu.trials import (
    Claimed,
    Failed,
    Finished,
    Grew,
    History,
    Interrupted,
    Lost,
    Objective,
    Outcome,
    Refused,
    Reported,
    Result,
    Status,
    Trial,
)

LOSS = Objective("loss", "min")


def _when(name: str, *values: Any) -> tuple[Condition, ...]:
    return (Condition(name, values),)


#: Spaces that hold finitely many combinations.
FINITE: Mapping[str, Space] = {
    "a single value": Space((Int("x", 7, 7),)),
    "single values": Space((Fixed("a", "A"), Float("b", 0.5, 0.5), Choice("c", (None,)), Int("d", 2, 2))),
    "two values": Space((Boolean("deep", default=True),)),
    "look-alikes": Space((Choice("x", (True, 1, 1.0, "1", None, (1,), [1], {"a": 1})),)),
    "a product": Space((Int("a", 1, 6, default=4), Boolean("b"), Float("c", 0, 1, step=0.25))),
    "logarithms": Space((Int("a", 1, 20, sampling="log"), Float("b", 1e-3, 1, step=10, sampling="reverse_log"))),
    "a default between the steps": Space((Int("x", 0, 10, step=5, default=3), Boolean("b"))),
    "a condition": Space((Boolean("deep"), Int("layers", 2, 9, conditions=_when("deep", True)))),
    "conditions on conditions": Space(
        (
            Choice("model", ("tree", "net", "linear")),
            Int("depth", 1, 4, conditions=_when("model", "tree")),
            Boolean("bias", conditions=_when("model", "net", "linear")),
            Choice("optimizer", ("adam", "sgd"), conditions=_when("model", "net")),
            Choice("momentum", (0.0, 0.9, 0.99), conditions=(*_when("model", "net"), *_when("optimizer", "sgd"))),
        )
    ),
    "one name in two places": Space(
        (
            Boolean("deep"),
            Int("layers", 2, 9, conditions=_when("deep", True)),
            Int("layers", 1, 2, conditions=_when("deep", False)),
            Boolean("wide", conditions=_when("layers", 2, 9)),
        )
    ),
}

#: Spaces that hold infinitely many.
INFINITE: Mapping[str, Space] = {
    "a rate": Space((Float("rate", 1e-5, 1e-1, sampling="log", default=1e-3),)),
    "every kind": Space(
        (
            Float("rate", 1e-5, 1e-1, sampling="log"),
            Float("momentum", 0.0, 0.999, sampling="linear"),
            Float("decay", 0.5, 1.0, sampling="reverse_log"),
            Int("units", 1, 4096, sampling="log"),
            Int("layers", 1, 3),
            Choice("activation", ("relu", None, 1, True)),
            Boolean("bias"),
            Fixed("classes", 10),
        )
    ),
    "a rate now and then": Space(
        (Choice("optimizer", ("adam", "sgd")), Float("momentum", 0.0, 1.0, conditions=_when("optimizer", "sgd")))
    ),
    "the widest": Space((Float("x", -1.7e308, 1.7e308), Float("y", 5e-324, 1.7e308, sampling="log"))),
}

SPACES: Mapping[str, Space] = {"nothing": Space(), **FINITE, **INFINITE}


def same(values: Mapping[str, Any]) -> str:
    """Give a text that two combinations share exactly when they are the same one.

    Example:
        >>> same({"a": 1, "b": 2}) == same({"b": 2, "a": 1}) != same({"a": 1.0, "b": 2})
        True
    """
    return canonical(sorted(values.items()))


def same_decision(a: Decision, b: Decision) -> bool:
    """Tell whether two decisions are the same, down to the types of the values."""
    if isinstance(a, Start) and isinstance(b, Start):
        return (same(a.values), a.until) == (same(b.values), b.until)
    return a == b


def misfit(values: Mapping[str, Any], space: Space) -> str:
    """Say what keeps `values` from being a full combination of `space`; "" when nothing does.

    Example:
        >>> misfit({"x": 3}, Space((Boolean("x"),)))
        'x: 3 is outside Boolean(default=False)'
        >>> misfit({}, Space((Int("x", 0, 2),))), misfit({"y": 1}, Space()), misfit({"x": 1}, Space((Int("x", 0, 2),)))
        ('x: has no value', 'y: is not active', '')
    """
    active: dict[str, Parameter] = {}
    for parameter in space.active(values):
        active.setdefault(parameter.name, parameter)
    for name, parameter in active.items():
        if name not in values:
            return f"{name}: has no value"
        if not parameter.contains(values[name]):
            return f"{name}: {values[name]!r} is outside {parameter.definition}"
    return next((f"{name}: is not active" for name in values if name not in active), "")


def outcome_of(trial: int, kind: int, values: Mapping[str, Any], attempt: int = 0) -> Outcome | None:
    """Give one outcome of each kind, counted from 0; the last is None, a trial that still runs."""
    outcomes: tuple[Outcome | None, ...] = (
        Finished(trial, attempt, values, _result((trial * 7 % 11) / 11)),
        Failed(trial, attempt, values, "no memory"),
        Failed(trial, attempt, {}, "it failed before it asked for anything"),
        Refused(trial, attempt, values, "heads must divide width"),
        Interrupted(trial, attempt),
        Lost(trial, attempt),
        None,
    )
    return outcomes[kind % len(outcomes)]


def _result(score: float) -> Result:
    return Result(score, None, {"loss": score}, 0, 0, 1, 1)


#: How many kinds of outcome `outcome_of` gives.
KINDS = 7


def claim_of(history: History, decision: Decision) -> Claimed | None:
    """Give the claim that carries a decision out; None where there is nothing to claim."""
    match decision:
        case Start(values, until):
            return Claimed(len(history), 0, values, until=until)
        case Promote(number, until):
            return _again(history[number], until)
    return None


def _again(trial: Trial, until: int | None) -> Claimed:
    return Claimed(trial.number, trial.attempt + 1, trial.suggested, until=until)


def histories(oracle: Oracle, space: Space, trials: int) -> Iterator[tuple[History, Decision]]:
    """Yield each history of a search whose trials end in every way, with the oracle's answer to it."""
    history = History(space, LOSS)
    for kind in range(trials):
        decision = oracle.suggest(history, len(history))
        yield history, decision
        claim = claim_of(history, decision)
        if claim is None:
            return
        history = history.after(claim)
        outcome = outcome_of(claim.number, kind, claim.values, claim.attempt)
        if outcome is not None:
            history = history.after(outcome)


def campaign(
    oracle: Oracle, space: Space, *, slots: int, seed: int = 0, trials: int = 100, trouble: float = 0.25
) -> Iterator[tuple[History, Decision]]:
    """Yield each history of a search by several workers whose trials end in any order, with the oracle's answer to it.

    Args:
        oracle: says what to try next.
        space: what is known from the start.
        slots: how many trials run at once.
        seed: of the order of ending, and of what comes out: scores, of which some are equal, or trouble.
        trials: no more trials are begun; those that have, go on.
        trouble: the share of attempts that fail, for good or not, are refused, interrupted or lost.

    Raises:
        AssertionError: when the oracle waits and nothing runs.
    """
    history = History(space, LOSS)
    running: list[int] = []
    asking = True
    for step in count():
        claim = None
        if len(running) < slots:
            broken = history.having(Status.INTERRUPTED)
            if broken:
                claim = _again(broken[0], broken[0].until)
            elif asking:
                decision = oracle.suggest(history, len(history))
                yield history, decision
                assert running or not isinstance(decision, Wait), "the oracle waits, and nothing runs"
                full = isinstance(decision, Start) and len(history) >= trials
                claim = None if full else claim_of(history, decision)
                asking = claim is not None
        if claim is not None:
            history = history.after(claim)
            running.append(claim.number)
        elif running:
            number = running.pop(int(unit(seed, "which", step) * len(running)))
            history = history.after(_ending(history[number], seed, trouble))
            asking = True
        else:
            return


def _ending(trial: Trial, seed: int, trouble: float) -> Outcome:
    number, attempt = trial.number, trial.attempt
    kind = int(unit(seed, "kind", number, attempt) * 5)
    if unit(seed, "trouble", number, attempt) >= trouble or (kind == 0 and trial.rungs):
        return Finished(number, attempt, trial.suggested, _result(int(unit(seed, number, trial.until or 0) * 30) / 30))
    troubles: tuple[Outcome, ...] = (
        Refused(number, attempt, trial.suggested, "heads must divide width"),
        Failed(number, attempt, trial.suggested, "no memory"),
        Failed(number, attempt, trial.suggested, "no memory", final=False),
        Interrupted(number, attempt),
        Lost(number, attempt),
    )
    return troubles[kind]


def hardship(values: Mapping[str, Any], epoch: int) -> float:
    """Score a combination, fail it, or refuse it: a function of its values alone."""
    chance = sum(same(values).encode()) + epoch
    if chance % 5 == 0:
        raise RedrawTrialError("this combination makes no sense")
    if chance % 5 == 1:
        raise FailedTrialError("out of memory")
    return float("nan") if chance % 5 == 2 else chance / 7


def _flat(values: Mapping[str, Any], epoch: int) -> float:  # noqa: ARG001  # nothing matters
    return 1.0


def uneven(epochs: int = 3) -> Simulate:
    """Simulate trials that last longer or shorter and fail at times, in an order that 7 slots mix up."""
    return curves(hardship, epochs=epochs, seconds=lambda job: 1.0 + job.number * 37 % 11)


class OracleContract:
    """What every oracle must do. Override `make_oracle`; the rest are tests.

    Attributes:
        history_free: whether results leave the suggestions alone, as in random search; then any number of
            parallel workers must try the same combinations.
        exhaustive: whether a finite space is tried to the end, every combination once.
        endless: whether an infinite space has no end; a grid lists a few values of each float.
    """

    history_free: ClassVar[bool] = False
    exhaustive: ClassVar[bool] = True
    endless: ClassVar[bool] = True

    def make_oracle(self, seed: int) -> Oracle:
        """Give an oracle."""
        raise NotImplementedError("override make_oracle(self, seed) so that it gives your oracle")

    @pytest.fixture
    def oracle(self) -> Oracle:
        """Give the oracle under test."""
        return self.make_oracle(0)

    # -- a value -----------------------------------------------------------------------------------

    def test_it_is_an_immutable_value(self, oracle: Oracle) -> None:
        assert isinstance(oracle, Oracle)
        assert oracle.fill in ("draw", "default", "believe")
        assert dataclasses.is_dataclass(oracle)
        assert oracle == self.make_oracle(0)
        assert hash(oracle) == hash(self.make_oracle(0))
        assert pickle.loads(pickle.dumps(oracle)) == oracle
        for field in dataclasses.fields(oracle):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(oracle, field.name, getattr(oracle, field.name))

    @pytest.mark.parametrize("name", SPACES)
    def test_the_same_question_has_the_same_answer(self, oracle: Oracle, name: str) -> None:
        asked = list(histories(oracle, SPACES[name], 12))
        twin = pickle.loads(pickle.dumps(oracle))
        # Asked again, backwards, and after a restart: nothing is remembered.
        for history, decision in reversed(asked):
            for again in (oracle, twin, self.make_oracle(0)):
                answer = again.suggest(pickle.loads(pickle.dumps(history)), len(history))
                assert same_decision(answer, decision)

    @pytest.mark.parametrize("name", SPACES)
    def test_it_leaves_the_history_alone(self, oracle: Oracle, name: str) -> None:
        for history, _ in histories(oracle, SPACES[name], 9):
            before = copy.deepcopy(history)
            oracle.suggest(history, len(history))
            assert history.space == before.space
            assert repr(history.trials) == repr(before.trials)

    # -- suggestions -------------------------------------------------------------------------------

    @pytest.mark.parametrize("seed", [0, 1, 2**63])
    @pytest.mark.parametrize("name", SPACES)
    def test_suggestions_are_whole_combinations_of_the_space(self, name: str, seed: int) -> None:
        space = SPACES[name]
        for _, decision in histories(self.make_oracle(seed), space, 30):
            if isinstance(decision, Start):
                assert misfit(decision.values, space) == ""

    @pytest.mark.parametrize("name", SPACES)
    def test_nothing_is_suggested_twice_whatever_became_of_it(self, oracle: Oracle, name: str) -> None:
        seen: set[str] = set()
        for _, decision in histories(oracle, SPACES[name], 200 if name in FINITE else 40):
            if isinstance(decision, Start):
                assert same(decision.values) not in seen
                seen.add(same(decision.values))

    def test_a_space_that_grows_is_searched_on(self, oracle: Oracle) -> None:
        history = History(Space((Int("a", 0, 9),)), LOSS)
        while len(history) < 4:
            claim = claim_of(history, oracle.suggest(history, len(history)))
            assert claim is not None
            history = history.after_all([claim, Finished(claim.number, claim.attempt, claim.values, _result(0.5))])
        history = history.after(Grew(3, (Choice("b", ("x", "y")),)))
        while len(history) < 9:
            decision = oracle.suggest(history, len(history))
            claim = claim_of(history, decision)
            assert claim is not None
            if isinstance(decision, Start):
                assert misfit(decision.values, history.space) == ""
            history = history.after(claim)

    def test_what_a_person_enqueued_is_not_suggested_again(self, oracle: Oracle) -> None:
        space = Space((Int("a", 0, 3),))
        history = History(space, LOSS).after(Claimed(0, 0, {"a": 2}, enqueued=True))
        seen = [2]
        for number in range(1, 4):
            decision = oracle.suggest(history, number)
            if isinstance(decision, Start):
                seen.append(decision.values["a"])
                history = history.after(Claimed(number, 0, decision.values, until=decision.until))
        assert len(set(seen)) == len(seen)

    # -- whole searches ----------------------------------------------------------------------------

    @pytest.mark.parametrize("slots", [1, 7])
    @pytest.mark.parametrize("name", FINITE)
    def test_a_finite_space_is_tried_to_the_end_and_no_further(self, oracle: Oracle, name: str, slots: int) -> None:
        space = FINITE[name]
        history = run_search(oracle, space, uneven(), slots=slots)
        tried = [same(trial.values) for trial in history]
        assert len(set(tried)) == len(tried)
        assert all(misfit(trial.values, space) == "" for trial in history)
        if self.exhaustive:
            assert not any(isinstance(oracle.suggest(history, len(history)), Start | Wait) for _ in range(2))
            # A default between the steps is a combination of its own.
            assert space.size is not None
            assert space.size <= len(tried) <= 2 * space.size

    @pytest.mark.parametrize("slots", [1, 7])
    def test_with_nothing_to_tune_there_is_one_trial(self, oracle: Oracle, slots: int) -> None:
        history = run_search(oracle, Space(), curves(_flat), slots=slots, max_trials=50)
        assert len(history.completed) >= 1
        if slots == 1:
            assert len(history) == 1

    def test_done_says_why(self, oracle: Oracle) -> None:
        if self.exhaustive:
            history = run_search(oracle, FINITE["two values"], curves(_flat))
            decision = oracle.suggest(history, len(history))
            assert isinstance(decision, Done)
            assert decision.reason

    @pytest.mark.parametrize("slots", [1, 7])
    @pytest.mark.parametrize("name", INFINITE)
    def test_an_infinite_space_fills_max_trials(self, oracle: Oracle, name: str, slots: int) -> None:
        history = run_search(oracle, INFINITE[name], uneven(), slots=slots, max_trials=25)
        if self.endless:
            assert len(history) - len(history.having(Status.REFUSED)) == 25
        assert len({same(trial.values) for trial in history}) == len(history)

    @pytest.mark.parametrize("name", [*FINITE, *INFINITE])
    def test_parallel_workers_try_the_same(self, name: str) -> None:
        if self.history_free:
            lonely, crowded = (
                run_search(self.make_oracle(3), SPACES[name], uneven(), slots=slots, max_trials=40) for slots in (1, 7)
            )
            # A crowd may start a few more before it hears that one was refused.
            shared = min(len(lonely), len(crowded))
            assert shared > 0
            assert [same(trial.suggested) for trial in lonely[:shared]] == [
                same(trial.suggested) for trial in crowded[:shared]
            ]


def broken_off(simulate: Simulate, report: int) -> Simulate:
    """Have a search stopped by Ctrl-C, as it were, at its report of this number, counted from 0 over all trials."""
    reports = count()

    def broken(job: Job) -> Iterator[Happening]:
        for seconds, what in simulate(job):
            yield seconds, what
            if isinstance(what, Reported) and next(reports) == report:
                yield 0.0, KeyboardInterrupt()

    return broken


class BudgetedContract(OracleContract):
    """What an oracle must do besides, that gives trials a part of their training first.

    Attributes:
        factor: of the trials that compete, one in so many goes on, rounded up; None where more may, as in ASHA, which
            does not wait to see who is best.
    """

    factor: ClassVar[int | None] = 3

    #: How many workers, and the seed of the order in which their trials end.
    crowds = pytest.mark.parametrize(("slots", "seed"), [(1, 0), (2, 1), (5, 2), (30, 3), (1000, 4)])
    spaces = pytest.mark.parametrize("name", ["every kind", "a product", "conditions on conditions"])

    def make_oracle(self, seed: int) -> Budgeted:
        """Give an oracle."""
        raise NotImplementedError("override make_oracle(self, seed) so that it gives your oracle")

    def cohort(self, history: History, trial: Trial) -> Hashable:  # noqa: ARG002  # others may need it
        """Give a key that trials share that compete with each other; by default the budget they begin with."""
        return trial.rungs[0].until if trial.rungs else trial.until

    @pytest.fixture
    def oracle(self) -> Budgeted:
        """Give the oracle under test."""
        return self.make_oracle(0)

    def test_it_says_what_it_gives(self, oracle: Budgeted) -> None:
        assert isinstance(oracle, Budgeted)
        assert oracle.max_epochs >= 1
        assert oracle.horizon in ("full", "rung")

    @crowds
    @spaces
    def test_budgets_grow_up_to_the_largest(self, oracle: Budgeted, name: str, slots: int, seed: int) -> None:
        for history, decision in campaign(oracle, SPACES[name], slots=slots, seed=seed):
            if isinstance(decision, Start):
                assert decision.until is not None
                assert 1 <= decision.until <= oracle.max_epochs
            elif isinstance(decision, Promote):
                trial = history[decision.number]
                assert _paused(trial), f"trial {trial.number} has not paused"
                assert trial.rungs[-1].until < decision.until <= oracle.max_epochs

    @crowds
    @spaces
    def test_what_goes_on_has_kept_its_state(self, oracle: Budgeted, name: str, slots: int, seed: int) -> None:
        deleted: set[int] = set()
        for history, decision in campaign(oracle, SPACES[name], slots=slots, seed=seed):
            kept = oracle.promotable(history)
            assert all(_paused(history[number]) for number in kept)
            deleted |= {trial.number for trial in history.having(Status.COMPLETED)} - kept
            if isinstance(decision, Promote):
                assert decision.number not in deleted

    @crowds
    @spaces
    def test_the_best_go_on_the_older_of_equal_ones(self, oracle: Budgeted, name: str, slots: int, seed: int) -> None:
        for history, decision in campaign(oracle, SPACES[name], slots=slots, seed=seed):
            if isinstance(decision, Promote):
                trial = history[decision.number]
                rung = trial.rungs[-1]
                rivals = [
                    (history.objective.badness(other.rungs[-1].score), other.number)
                    for other in history
                    if _paused(other)
                    and other.rungs[-1].until == rung.until
                    and self.cohort(history, other) == self.cohort(history, trial)
                ]
                assert min(rivals) == (history.objective.badness(rung.score), trial.number)

    @crowds
    @spaces
    def test_no_rung_is_over_filled(self, oracle: Budgeted, name: str, slots: int, seed: int) -> None:
        if self.factor is None:
            return
        for history, _ in campaign(oracle, SPACES[name], slots=slots, seed=seed):
            cohorts: dict[Hashable, dict[int, int]] = {}
            for trial in history:
                if trial.until is not None and (trial.rungs or trial.status is not Status.REFUSED):
                    counts = cohorts.setdefault(self.cohort(history, trial), {})
                    for until in {trial.until, *(rung.until for rung in trial.rungs)}:
                        counts[until] = counts.get(until, 0) + 1
            for counts in cohorts.values():
                for below, above in pairwise(sorted(counts)):
                    assert counts[above] <= -(-counts[below] // self.factor)

    @crowds
    @spaces
    def test_it_comes_to_an_end(self, oracle: Budgeted, name: str, slots: int, seed: int) -> None:
        # That it never waits for nothing, `campaign` itself asserts.
        for trouble in (0.0, 0.25, 0.9):
            *_, (history, decision) = campaign(oracle, SPACES[name], slots=slots, seed=seed, trouble=trouble)
            assert isinstance(decision, Done | Start)
            assert not history.having(Status.RUNNING, Status.INTERRUPTED)
            assert len({same(trial.suggested) for trial in history}) == len(history)
            if not trouble:
                assert any(rung.until == oracle.max_epochs for trial in history for rung in trial.rungs)

    @crowds
    def test_a_restart_in_the_middle_decides_the_same(self, oracle: Budgeted, slots: int, seed: int) -> None:
        asked = list(campaign(oracle, SPACES["every kind"], slots=slots, seed=seed, trials=60))
        for history, decision in reversed(asked):
            restarted = pickle.loads(pickle.dumps(history))
            assert same_decision(self.make_oracle(0).suggest(restarted, len(restarted)), decision)

    @pytest.mark.parametrize("report", [0, 1, 5, 20])
    def test_a_search_broken_off_ends_as_if_it_had_not_been(self, oracle: Budgeted, report: int) -> None:
        space = SPACES["every kind"]
        simulate, store = curves(hardship), MemoryStore()
        with pytest.raises(KeyboardInterrupt):
            run_search(oracle, space, broken_off(simulate, report), max_trials=30, store=store)
        resumed = run_search(oracle, space, simulate, max_trials=30, store=store)
        assert resumed.having(Status.COMPLETED)
        assert [_outcome(trial) for trial in resumed] == [
            _outcome(trial) for trial in run_search(oracle, space, curves(hardship), max_trials=30)
        ]


def _paused(trial: Trial) -> bool:
    return trial.status is Status.COMPLETED and bool(trial.rungs) and trial.rungs[-1].until == trial.until


def _outcome(trial: Trial) -> tuple[object, ...]:
    return trial.number, trial.status, same(trial.values), trial.rungs, trial.score
