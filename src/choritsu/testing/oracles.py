"""The contract of an oracle as tests: subclass `OracleContract`, say how your oracle is made, run pytest.

::

    from choritsu.testing.oracles import OracleContract

    class TestMyOracle(OracleContract):
        def make_oracle(self, seed):
            return MyOracle(seed=seed)

For failures that show the values compared, write ``pytest.register_assert_rewrite("choritsu.testing.oracles")``
before the import.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from choritsu.decisions import Decision, Done, Start, Wait
from choritsu.errors import FailedTrialError, RedrawTrialError
from choritsu.oracles import Oracle
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Parameter, Space, canonical
from choritsu.testing.virtual import Simulate, curves, run_search
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
    Result,
    Status,
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


def outcome_of(trial: int, kind: int, values: Mapping[str, Any]) -> Outcome | None:
    """Give one outcome of each kind, counted from 0; the last is None, a trial that still runs."""
    score = (trial * 7 % 11) / 11
    outcomes: tuple[Outcome | None, ...] = (
        Finished(trial, 0, values, Result(score, None, {"loss": score}, 0, 0, 1, 1)),
        Failed(trial, 0, values, "no memory"),
        Failed(trial, 0, {}, "it failed before it asked for anything"),
        Refused(trial, 0, values, "heads must divide width"),
        Interrupted(trial, 0),
        Lost(trial, 0),
        None,
    )
    return outcomes[kind % len(outcomes)]


#: How many kinds of outcome `outcome_of` gives.
KINDS = 7


def histories(oracle: Oracle, space: Space, trials: int) -> Iterator[tuple[History, Decision]]:
    """Yield each history of a search whose trials end in every way, with the oracle's answer to it."""
    history = History(space, LOSS)
    for number in range(trials):
        decision = oracle.suggest(history, number)
        yield history, decision
        if not isinstance(decision, Start):
            return
        history = history.after(Claimed(number, 0, decision.values))
        outcome = outcome_of(number, number, decision.values)
        if outcome is not None:
            history = history.after(outcome)


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
        assert oracle.fill in ("draw", "default")
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
                assert type(answer) is type(decision)
                if isinstance(answer, Start) and isinstance(decision, Start):
                    assert same(answer.values) == same(decision.values)

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
        for number in range(4):
            decision = oracle.suggest(history, number)
            assert isinstance(decision, Start)
            history = history.after_all(
                [
                    Claimed(number, 0, decision.values),
                    Finished(number, 0, decision.values, Result(0.5, None, {"loss": 0.5}, 0, 0, 1, 1)),
                ]
            )
        history = history.after(Grew(3, (Choice("b", ("x", "y")),)))
        for number in range(4, 9):
            decision = oracle.suggest(history, number)
            assert isinstance(decision, Start)
            assert misfit(decision.values, history.space) == ""
            history = history.after(Claimed(number, 0, decision.values))

    def test_what_a_person_enqueued_is_not_suggested_again(self, oracle: Oracle) -> None:
        space = Space((Int("a", 0, 3),))
        history = History(space, LOSS).after(Claimed(0, 0, {"a": 2}, enqueued=True))
        seen = [2]
        for number in range(1, 4):
            decision = oracle.suggest(history, number)
            if isinstance(decision, Start):
                seen.append(decision.values["a"])
                history = history.after(Claimed(number, 0, decision.values))
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
        history = run_search(oracle, INFINITE[name], uneven(), slots=slots, max_trials=40)
        if self.endless:
            assert len(history) - len(history.having(Status.REFUSED)) == 40
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
