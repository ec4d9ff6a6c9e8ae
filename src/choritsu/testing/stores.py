"""The contract of a store as tests: subclass `StoreContract`, say how your store is opened, run pytest.

::

    import pytest
    from choritsu.testing.stores import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def opener(self, tmp_path):
            return lambda name: MyStore(tmp_path / name)

For failures that show the values compared, write ``pytest.register_assert_rewrite("choritsu.testing.stores")``
before the import. Hypothesis is needed too.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choritsu.errors import RedefinedError
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Space, canonical
from choritsu.stores import Identity, Lease, MemoryStore, Store
from choritsu.trials import (
    DEFAULT_OBJECTIVE,
    Claimed,
    Event,
    Failed,
    Finished,
    Grew,
    History,
    Interrupted,
    Lost,
    Objective,
    Outcome,
    Refused,
    Report,
    Reported,
    Result,
    Rung,
    Status,
    as_objective,
)

#: Gives an open store by name: the same search under the same name, by another handle if there are handles,
#: and a new, empty one under a new name.
Opener: TypeAlias = Callable[[str], Store]
Reopen: TypeAlias = Callable[[], Store]

RESULT = Result(0.25, 0.5, {"loss": 0.25, "accuracy": 1}, best_epoch=3, best_execution=1, executions=2, epochs=8)
SPACE = Space(
    (
        Boolean("deep"),
        Int("layers", 2, 9, conditions=(Condition("deep", (True,)),)),
        Int("layers", 1, 2, conditions=(Condition("deep", (False,)),)),
        Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3),
        Choice("betas", ((0.9, 0.999), None, {"a": [1, 2.0]}, "x", math.inf)),
        Fixed("größe", "日本"),
    )
)
#: Everything that a parameter's value may be.
VALUES: Mapping[str, Any] = {
    "none": None,
    "true": True,
    "one": 1,
    "float": 1.0,
    "tiny": 5e-324,
    "third": 1 / 3,
    "long": 2**70,
    "text": "naïve \"quotes\" 'and' \\ \n \x00 \U0001f600",
    "empty": "",
    "tuple": (3, (0.5, None)),
    "list": [1, [2, "x"]],
    "dict": {"a": (1,), 2: {"b": None}},
    "inf": math.inf,
    "-inf": -math.inf,
    "": "a name without letters",
}


def outcomes_of(number: int, attempt: int) -> tuple[Outcome, ...]:
    """Give one outcome of each kind, with nothing left at its default."""
    return (
        Finished(number, attempt, {"units": 64, "betas": (0.9, None)}, RESULT, at=5.5),
        Finished(number, attempt, {}, Result(1.5, None, {"loss": 1.5}, 0, 0, 1, 1), at=5.5),
        Failed(number, attempt, {"units": 65}, "no memory", "Traceback ...\n", final=True, at=6.5),
        Failed(number, attempt, {"units": 65}, "no memory", "Traceback ...\n", final=False, at=6.5),
        Refused(number, attempt, {"units": 66}, "heads must divide width", at=7.5),
        Interrupted(number, attempt, at=8.5),
        Lost(number, attempt, 9.5, "killed by SIGSEGV", 7),
        Lost(number, attempt, 9.5, blamed=False),
    )


KINDS = range(len(outcomes_of(0, 0)))


class StoreContract:
    """What every store must do. Override `opener`; the rest are tests."""

    @pytest.fixture
    def opener(self) -> Opener:
        """Say how a store is opened; a store in memory may give the same object again."""
        raise NotImplementedError("override the fixture `opener` with a function from a name to an open store")

    @pytest.fixture
    def store(self, opener: Opener) -> Iterator[Store]:
        """Open a new store."""
        with closing(opener("search")) as store:
            yield store

    @pytest.fixture
    def reopen(self, opener: Opener, store: Store) -> Iterator[Reopen]:  # noqa: ARG002 - it is the one opened again
        """Open the same search once more, while `store` stays open."""
        with ExitStack() as opened:
            yield lambda: opened.enter_context(closing(opener("search")))

    # -- identity ----------------------------------------------------------------------------------

    def test_new_store_has_no_identity(self, store: Store) -> None:
        assert store.identity() is None

    def test_identity_comes_back(self, store: Store, reopen: Reopen) -> None:
        identity = Identity(
            Objective("score", "max"),
            seed=2**100,
            created=1.7e9,
            asked=SPACE,
            settings={"oracle": "random", "max_trials": 5, "nested": {"a": [1, None, True, 0.5]}},
        )
        store.identify(identity)
        assert store.identity() == identity
        assert reopen().identity() == identity

    def test_identity_without_a_space_differs_from_one_with_an_empty_space(self, store: Store) -> None:
        store.identify(Identity(asked=Space()))
        assert store.identity() == Identity(asked=Space())
        store.identify(Identity(asked=None))
        assert store.identity() == Identity(asked=None)

    def test_last_identity_counts(self, store: Store) -> None:
        store.identify(Identity(seed=1, settings={"oracle": "grid"}))
        store.identify(Identity(seed=2))
        assert store.identity() == Identity(seed=2)

    def test_a_search_is_begun_once(self, store: Store, reopen: Reopen) -> None:
        assert store.begin(Identity(seed=1, settings={"oracle": "grid"}))
        assert not reopen().begin(Identity(seed=2))
        assert store.identity() == Identity(seed=1, settings={"oracle": "grid"})
        store.identify(Identity(seed=3))
        assert not store.begin(Identity(seed=4))
        assert store.identity() == Identity(seed=3)

    def test_of_many_that_begin_one_is_first(self, store: Store, reopen: Reopen) -> None:
        handles = [store, reopen(), reopen(), reopen()]
        begun = _at_once([partial(handle.begin, Identity(seed=seed)) for seed, handle in enumerate(handles)])
        assert sorted(begun) == [False, False, False, True]
        assert store.identity() == Identity(seed=begun.index(True))

    # -- history -----------------------------------------------------------------------------------

    def test_new_store_is_empty(self, store: Store) -> None:
        assert store.history() == History()
        assert store.reports() == {}
        assert store.leases() == {}

    def test_objective_is_that_of_the_identity(self, store: Store) -> None:
        assert store.history().objective == DEFAULT_OBJECTIVE
        store.claim(Claimed(0, 0, {}), until=60.0)
        store.identify(Identity(Objective("f1", "max")))
        assert store.history().objective == Objective("f1", "max")
        store.identify(Identity(Objective("loss", "min")))
        assert store.history().objective == Objective("loss", "min")
        several = as_objective(["loss", "accuracy"], pareto=True)
        store.identify(Identity(several))
        assert store.history().objective == several
        assert len(store.history()) == 1

    def test_claimed_trial_runs(self, store: Store) -> None:
        claim = Claimed(0, 0, {"units": 64}, enqueued=True, worker="host:1", at=3.5)
        assert store.claim(claim, until=60.0)
        assert store.history() == History().after(claim)
        assert store.history()[0].status is Status.RUNNING

    @pytest.mark.parametrize("kind", KINDS)
    def test_history_is_what_its_events_amount_to(self, store: Store, reopen: Reopen, kind: int) -> None:
        first, second, again = (
            Claimed(0, 0, {"units": 64}, worker="a", at=1.0),
            Claimed(1, 0, {"units": 32}, worker="b", at=2.0),
            Claimed(0, 1, {"units": 64}, worker="c", at=10.0),
        )
        events: list[Event] = [
            first,
            second,
            outcomes_of(0, 0)[kind],
            again,
            Finished(0, 1, {"units": 1}, RESULT, 20.0),
        ]
        for done, event in enumerate(events, 1):
            assert store.claim(event, until=60.0) if isinstance(event, Claimed) else store.record(event)
            assert store.history() == History().after_all(events[:done])
        assert reopen().history() == History().after_all(events)

    def test_history_holds_what_others_wrote(self, store: Store, reopen: Reopen) -> None:
        other = reopen()
        for number in range(0, 6, 2):
            assert store.claim(Claimed(number, 0, {}, at=float(number)), until=60.0)
            assert other.claim(Claimed(number + 1, 0, {}, at=float(number)), until=60.0)
            assert other.record(Lost(number, 0))
            assert store.history() == other.history()
            assert store.claim(Claimed(number, 1, {}), until=60.0)
            assert other.record(Finished(number, 1, {}, RESULT))
        assert store.history() == other.history()
        assert [trial.number for trial in store.history()] == list(range(6))

    def test_values_come_back_with_their_types(self, store: Store, reopen: Reopen) -> None:
        store.claim(Claimed(0, 0, VALUES), until=60.0)
        assert canonical(dict(reopen().history()[0].suggested)) == canonical(dict(VALUES))
        store.record(Finished(0, 0, VALUES, RESULT))
        assert canonical(dict(reopen().history()[0].values)) == canonical(dict(VALUES))

    def test_numbers_that_are_not_finite_come_back(self, store: Store, reopen: Reopen) -> None:
        metrics = {"loss": math.nan, "up": math.inf, "down": -math.inf, "zero": -0.0}
        result = Result(math.nan, math.inf, metrics, 0, 0, 2, 2)
        store.claim(Claimed(0, 0, {}), until=60.0)
        store.record(Reported(0, 0, Report(0, 0, metrics)))
        store.record(Finished(0, 0, {}, result))
        assert repr(reopen().reports()[0][0].metrics) == repr(metrics)
        assert repr(reopen().history()[0].result) == repr(result)

    def test_any_text_may_stand_in_a_message(self, store: Store, reopen: Reopen) -> None:
        store.claim(Claimed(0, 0, {}, worker="host\udcff"), until=60.0)
        assert store.record(Failed(0, 0, {}, "no such file: caf\udce9", "日本 \U0001f600 'quotes' \"quotes\" \\ \r\n"))
        trial = reopen().history()[0]
        assert trial.message.startswith("no such file: caf")
        assert trial.traceback == "日本 \U0001f600 'quotes' \"quotes\" \\ \r\n"

    def test_store_keeps_copies(self, store: Store) -> None:
        values, metrics = {"layers": [1, 2]}, {"loss": 1.0}
        store.claim(Claimed(0, 0, values), until=60.0)
        store.record(Reported(0, 0, Report(0, 0, metrics)))
        store.record(Failed(0, 0, values, "no memory"))
        values["layers"].append(3)
        metrics["loss"] = 2.0
        assert store.history()[0].suggested == store.history()[0].values == {"layers": [1, 2]}
        assert store.reports()[0][0].metrics == {"loss": 1.0}

    # -- reports -----------------------------------------------------------------------------------

    def test_reports_come_in_order(self, store: Store, reopen: Reopen) -> None:
        places = [(1, 0), (0, 1), (0, 10), (0, 2), (0, 0), (1, 1)]
        for number in (0, 1, 2):
            store.claim(Claimed(number, 0, {}), until=60.0)
        for number in (2, 0):
            for execution, epoch in places:
                report = Report(execution, epoch, {"loss": number + epoch / 8, "step": epoch}, at=float(epoch))
                assert store.record(Reported(number, 0, report))
        expected = {
            number: tuple(
                Report(execution, epoch, {"loss": number + epoch / 8, "step": epoch}, at=float(epoch))
                for execution, epoch in sorted(places)
            )
            for number in (0, 2)
        }
        assert reopen().reports() == expected
        assert list(store.reports()) == [0, 2]
        assert store.reports(2) == {2: expected[2]}
        assert store.reports(1) == {}
        assert store.reports(7) == {}

    def test_latest_attempt_counts(self, store: Store) -> None:
        for attempt, epochs in enumerate([(0, 1, 2, 3), (2, 3, 4), (3,)]):
            store.claim(Claimed(0, attempt, {}), until=60.0)
            for epoch in epochs:
                assert store.record(Reported(0, attempt, Report(0, epoch, {"attempt": attempt})))
            store.record(Interrupted(0, attempt))
        assert [report.metrics["attempt"] for report in store.reports(0)[0]] == [0, 0, 1, 2, 1]

    def test_what_a_failed_attempt_told_counts_until_it_is_tried_again(self, store: Store, reopen: Reopen) -> None:
        def told(attempt: int, *epochs: int, execution: int = 0) -> None:
            for epoch in epochs:
                assert store.record(Reported(0, attempt, Report(execution, epoch, {"loss": float(attempt)})))

        def known() -> list[tuple[int, int, float]]:
            assert reopen().reports() == store.reports()
            return [(one.execution, one.epoch, one.metrics["loss"]) for one in store.reports(0).get(0, ())]

        store.claim(Claimed(0, 0, {}), until=60.0)
        told(0, 0, 1)
        store.record(Interrupted(0, 0))
        store.claim(Claimed(0, 1, {}), until=60.0)
        told(1, 2, 3)
        store.record(Failed(0, 1, {}, "diverged", final=False))
        assert known() == [(0, 0, 0.0), (0, 1, 0.0), (0, 2, 1.0), (0, 3, 1.0)]
        store.claim(Claimed(0, 2, {}), until=60.0)
        assert known() == []
        assert store.reports() == {}
        told(2, 0, 1)
        store.record(Finished(0, 2, {}, Result(2.0, None, {"loss": 2.0}, 0, 0, 1, 2)))
        # A repeat that fails takes nothing from what had a result before.
        store.claim(Claimed(0, 3, {}, executions=2), until=60.0)
        told(3, 0, 1, 2, execution=1)
        store.record(Failed(0, 3, {}, "diverged"))
        store.claim(Claimed(0, 4, {}, executions=2), until=60.0)
        told(4, 0, execution=1)
        assert known() == [(0, 0, 2.0), (0, 1, 2.0), (1, 0, 4.0)]

    def test_report_twice_is_refused(self, store: Store) -> None:
        store.claim(Claimed(0, 0, {}), until=60.0)
        assert store.record(Reported(0, 0, Report(0, 0, {"loss": 1.0})))
        assert not store.record(Reported(0, 0, Report(0, 0, {"loss": 2.0})))
        assert store.reports(0)[0] == (Report(0, 0, {"loss": 1.0}),)

    @pytest.mark.parametrize("kind", KINDS)
    def test_report_of_an_ended_attempt_is_refused(self, store: Store, kind: int) -> None:
        store.claim(Claimed(0, 0, {}), until=60.0)
        store.record(outcomes_of(0, 0)[kind])
        assert not store.record(Reported(0, 0, Report(0, 0, {"loss": 1.0})))
        store.claim(Claimed(0, 1, {}), until=60.0)
        assert not store.record(Reported(0, 0, Report(0, 0, {"loss": 1.0})))
        assert store.reports() == {}

    # -- claims and leases -------------------------------------------------------------------------

    def test_second_claim_loses_and_writes_nothing(self, store: Store, reopen: Reopen) -> None:
        assert store.claim(Claimed(0, 0, {"x": 1}, worker="first", at=1.0), until=60.0)
        assert not reopen().claim(Claimed(0, 0, {"x": 2}, worker="second", at=2.0), until=70.0)
        assert store.history() == History().after(Claimed(0, 0, {"x": 1}, worker="first", at=1.0))
        assert store.leases() == {0: Lease(0, 0, "first", 60.0)}

    def test_next_attempt_waits_for_the_end_of_the_last(self, store: Store) -> None:
        store.claim(Claimed(0, 0, {}, worker="first"), until=60.0)
        assert not store.claim(Claimed(0, 1, {}, worker="second"), until=70.0)
        store.record(Interrupted(0, 0))
        assert store.claim(Claimed(0, 1, {}, worker="second"), until=70.0)
        assert not store.claim(Claimed(0, 1, {}, worker="third"), until=80.0)
        assert store.leases() == {0: Lease(0, 1, "second", 70.0)}

    def test_completed_trial_may_be_taken_up_again(self, store: Store) -> None:
        store.claim(Claimed(0, 0, {}), until=60.0)
        store.record(Finished(0, 0, {}, RESULT))
        assert store.claim(Claimed(0, 1, {}), until=60.0)
        assert store.history()[0].status is Status.RUNNING

    def test_number_of_executions_asked_for_is_kept(self, store: Store, reopen: Reopen) -> None:
        for attempt, executions in enumerate([None, 2, 2, 3]):
            assert store.claim(Claimed(0, attempt, {}, executions=executions), until=60.0)
            assert store.history()[0].executions == reopen().history()[0].executions == executions
            store.record(Interrupted(0, attempt) if attempt == 1 else Finished(0, attempt, {}, RESULT, float(attempt)))
        (trial,) = reopen().history()
        assert (trial.status, trial.executions, trial.reached) == (Status.COMPLETED, 3, 0.0)

    def test_budgets_that_were_reached_are_kept(self, store: Store, reopen: Reopen) -> None:
        for attempt, (until, outcome) in enumerate(
            [(3, Finished), (9, Interrupted), (9, Finished), (27, Failed), (None, Finished)]
        ):
            assert store.claim(Claimed(0, attempt, {"x": 1}, until=until), until=60.0)
            assert store.history()[0].until == until
            if outcome is Finished:
                store.record(Finished(0, attempt, {"x": 1}, replace(RESULT, score=float(attempt))))
            elif outcome is Interrupted:
                store.record(Interrupted(0, attempt))
            else:
                store.record(Failed(0, attempt, {"x": 1}, "no memory", final=True))
        (trial,) = reopen().history()
        # What failed later on keeps what it had reached.
        assert trial.rungs == (Rung(3, 0.0), Rung(9, 2.0))
        assert trial.status is Status.COMPLETED

    def test_claim_must_follow_what_is_there(self, store: Store) -> None:
        for number, attempt in [(1, 0), (0, 1)]:
            with pytest.raises(ValueError, match="claimed"):
                store.claim(Claimed(number, attempt, {}), until=60.0)
        store.claim(Claimed(0, 0, {}), until=60.0)
        for number, attempt in [(2, 0), (0, 2), (1, 1)]:
            with pytest.raises(ValueError, match="claimed"):
                store.claim(Claimed(number, attempt, {}), until=60.0)
        assert len(store.history()) == len(store.leases()) == 1

    def test_lease_can_be_renewed_until_the_end(self, store: Store, reopen: Reopen) -> None:
        store.claim(Claimed(0, 0, {}, worker="first"), until=60.0)
        assert store.renew(0, 0, 90.0)
        assert reopen().leases() == {0: Lease(0, 0, "first", 90.0)}
        assert not store.renew(0, 1, 99.0)
        reopen().record(Lost(0, 0))
        assert not store.renew(0, 0, 120.0)
        store.claim(Claimed(0, 1, {}, worker="second"), until=100.0)
        assert not store.renew(0, 0, 120.0)
        assert not store.renew(1, 0, 120.0)
        assert store.leases() == {0: Lease(0, 1, "second", 100.0)}

    @pytest.mark.parametrize("kind", KINDS)
    def test_outcome_ends_the_lease(self, store: Store, kind: int) -> None:
        for number in (0, 1):
            store.claim(Claimed(number, 0, {}, worker="host"), until=60.0)
        assert store.record(outcomes_of(0, 0)[kind])
        assert store.leases() == {1: Lease(1, 0, "host", 60.0)}

    # -- outcomes ----------------------------------------------------------------------------------

    def test_first_outcome_wins(self, store: Store) -> None:
        for number, (first, second) in enumerate(itertools.product(KINDS, KINDS)):
            store.claim(Claimed(number, 0, {"units": 1}), until=60.0)
            assert store.record(outcomes_of(number, 0)[first])
            history = store.history()
            assert not store.record(outcomes_of(number, 0)[second])
            assert store.history() == history

    @pytest.mark.parametrize("kind", KINDS)
    def test_late_outcome_leaves_the_next_attempt_alone(self, store: Store, kind: int) -> None:
        store.claim(Claimed(0, 0, {}, worker="first"), until=60.0)
        store.record(Lost(0, 0))
        store.claim(Claimed(0, 1, {}, worker="second"), until=70.0)
        assert not store.record(outcomes_of(0, 0)[kind])
        assert store.leases() == {0: Lease(0, 1, "second", 70.0)}
        assert store.history()[0].status is Status.RUNNING

    def test_nothing_is_kept_of_what_was_never_claimed(self, store: Store) -> None:
        for event in (*outcomes_of(0, 0), Reported(0, 0, Report(0, 0, {"loss": 1.0}))):
            with pytest.raises(ValueError, match="never claimed"):
                store.record(event)
        assert store.history() == History()
        assert store.reports() == {}

    def test_claim_is_not_recorded_but_claimed(self, store: Store) -> None:
        with pytest.raises(TypeError, match="claim"):
            store.record(Claimed(0, 0, {}))

    # -- the space ---------------------------------------------------------------------------------

    def test_space_grows(self, store: Store, reopen: Reopen) -> None:
        for parameter in SPACE:
            assert store.record(Grew(0, (parameter,)))
        assert store.record(Grew(1, SPACE.parameters))
        assert store.history().space == reopen().history().space == SPACE

    def test_one_name_keeps_one_definition(self, store: Store, reopen: Reopen) -> None:
        store.record(Grew(0, SPACE.parameters))
        with pytest.raises(RedefinedError):
            reopen().record(Grew(1, (Int("new", 1, 2), Boolean("deep", default=True))))
        assert store.history().space == SPACE

    def test_of_beliefs_the_latest_counts(self, store: Store, reopen: Reopen) -> None:
        store.record(Grew(0, SPACE.parameters))
        believed = Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3, prior=1e-2)
        for latest in (believed, believed.without_prior):
            store.record(Grew(1, (latest, Boolean("new"))))
            wanted = [latest if parameter.name == "rate" else parameter for parameter in SPACE]
            assert reopen().history().space == Space((*wanted, Boolean("new")))

    def test_redefined_space_replaces_the_old_and_keeps_trials(self, store: Store, reopen: Reopen) -> None:
        other = reopen()
        store.record(Grew(0, SPACE.parameters))
        store.claim(Claimed(0, 0, {"deep": True}), until=60.0)
        assert other.history().space == SPACE
        space = Space((Boolean("deep", default=True), Int("width", 1, 3)))
        store.redefine(space)
        assert other.history() == replace(History().after(Claimed(0, 0, {"deep": True})), space=space)
        store.record(Grew(0, (Int("depth", 1, 3),)))
        assert other.history().space == space.extended((Int("depth", 1, 3),))
        store.redefine(Space())
        assert other.history().space == Space()

    # -- lifetime ----------------------------------------------------------------------------------

    def test_closing_twice_is_harmless(self, opener: Opener) -> None:
        store = opener("closed")
        store.claim(Claimed(0, 0, {}), until=60.0)
        store.close()
        store.close()

    def test_another_name_is_another_search(self, store: Store, opener: Opener) -> None:
        store.claim(Claimed(0, 0, {}), until=60.0)
        with closing(opener("another")) as another:
            assert another.history() == History()

    def test_everything_outlives_a_handle(self, opener: Opener) -> None:
        with closing(opener("search")) as store:
            store.identify(Identity(Objective("loss"), seed=3))
            store.record(Grew(0, SPACE.parameters))
            store.claim(Claimed(0, 0, {"deep": True}, worker="host", at=1.0), until=60.0)
            store.record(Reported(0, 0, Report(0, 0, {"loss": 1.0}, at=2.0)))
            store.claim(Claimed(1, 0, {"deep": False}, worker="host", at=3.0), until=60.0)
            store.record(Failed(1, 0, {"deep": False}, "no memory", at=4.0))
            before = (store.identity(), store.history(), store.reports(), store.leases())
        with closing(opener("search")) as store:
            assert (store.identity(), store.history(), store.reports(), store.leases()) == before

    # -- many at once ------------------------------------------------------------------------------

    def test_each_number_is_claimed_once(self, store: Store, reopen: Reopen) -> None:
        handles = [store, store, reopen(), reopen()]
        won = _at_once([partial(_claim_until, handle, 20) for handle in handles])
        assert sorted(itertools.chain.from_iterable(won)) == list(range(20))
        assert [trial.number for trial in store.history()] == list(range(20))
        assert sorted(store.leases()) == list(range(20))

    def test_one_of_many_outcomes_wins(self, store: Store, reopen: Reopen) -> None:
        other = reopen()
        for number in range(10):
            store.claim(Claimed(number, 0, {}), until=60.0)
            outcomes: list[Outcome] = [
                Lost(number, 0),
                Finished(number, 0, {}, RESULT),
                Failed(number, 0, {}, "no memory"),
            ]
            handles = (store, other, store)
            won = _at_once([partial(h.record, outcome) for h, outcome in zip(handles, outcomes, strict=True)])
            assert sum(won) == 1
            assert (
                store.history()[number]
                == History().after_all(
                    [*(Claimed(before, 0, {}) for before in range(number + 1)), outcomes[won.index(True)]]
                )[number]
            )

    def test_lease_is_renewed_while_another_thread_records(self, store: Store) -> None:
        store.claim(Claimed(0, 0, {}), until=0.0)

        def renew() -> list[bool]:
            return [store.renew(0, 0, float(second)) for second in range(1, 31)]

        def record() -> list[bool]:
            return [store.record(Reported(0, 0, Report(0, epoch, {"loss": 1.0}))) for epoch in range(30)]

        assert all(itertools.chain.from_iterable(_at_once([renew, record])))
        assert store.leases()[0].until == 30.0
        assert len(store.reports(0)[0]) == 30

    # -- all of it at once -------------------------------------------------------------------------

    def test_does_as_the_store_in_memory_does(self, opener: Opener) -> None:
        names = (f"model{index}" for index in itertools.count())

        @settings(max_examples=25, deadline=None)
        @given(st.lists(_CALLS, max_size=25))
        def agree(calls: list[tuple[str, tuple[Any, ...]]]) -> None:
            name = next(names)
            model = MemoryStore()
            with closing(opener(name)) as one, closing(opener(name)) as two:
                for handle, (method, arguments) in zip(itertools.cycle((one, two, two)), calls, strict=False):
                    assert _answer(handle, method, arguments) == _answer(model, method, arguments)
                for store in (one, two):
                    for method in ("identity", "history", "reports", "leases"):
                        assert _answer(store, method, ()) == _answer(model, method, ())

        agree()


def _at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call each in a thread of its own, all at the same moment."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def _claim_until(store: Store, count: int) -> list[int]:
    won = []
    while (number := len(store.history())) < count:
        if store.claim(Claimed(number, 0, {}), until=60.0):
            won.append(number)
    return won


def _answer(store: Store, method: str, arguments: tuple[Any, ...]) -> str:
    """Give what a call returns or refuses, as text, in which nan equals nan."""
    try:
        return repr(getattr(store, method)(*arguments))
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


# Few numbers and attempts, so that calls meet.
_NUMBERS, _ATTEMPTS = st.integers(0, 3), st.integers(0, 2)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_SETTINGS = st.dictionaries(
    st.text(max_size=3), st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=2), max_leaves=3), max_size=3
)
_METRICS = st.dictionaries(st.sampled_from(["loss", "accuracy"]), st.floats())
_REPORTED = st.builds(Reported, _NUMBERS, _ATTEMPTS, st.builds(Report, st.integers(0, 1), _NUMBERS, _METRICS))
_OUTCOMES = st.tuples(_NUMBERS, _ATTEMPTS, st.sampled_from(KINDS)).map(lambda drawn: outcomes_of(*drawn[:2])[drawn[2]])
_CLAIMS = st.builds(Claimed, _NUMBERS, _ATTEMPTS, _SETTINGS, st.booleans(), st.text(max_size=3))
_PARAMETERS = st.lists(st.sampled_from([*SPACE, Boolean("deep", default=True), Int("rate", 1, 2)]), max_size=3)
_CALLS = st.one_of(
    st.tuples(st.just("claim"), st.tuples(_CLAIMS, st.just(60.0))),
    st.tuples(st.just("claim"), st.tuples(_CLAIMS, st.just(60.0))),
    st.tuples(st.just("record"), st.tuples(_REPORTED | _OUTCOMES)),
    st.tuples(st.just("record"), st.tuples(_OUTCOMES)),
    st.tuples(st.just("record"), st.tuples(st.builds(Grew, _NUMBERS, _PARAMETERS.map(tuple)))),
    st.tuples(st.just("renew"), st.tuples(_NUMBERS, _ATTEMPTS, st.floats(0, 1e9))),
    st.tuples(st.just("redefine"), st.tuples(st.sampled_from([SPACE, Space(), Space((Int("rate", 1, 2),))]))),
    st.tuples(
        st.just("identify"),
        st.tuples(st.builds(Identity, st.just(Objective("f1", "max")), st.integers(0), settings=_SETTINGS)),
    ),
    st.tuples(st.just("history"), st.just(())),
    st.tuples(st.just("reports"), st.tuples(st.none() | _NUMBERS)),
)
