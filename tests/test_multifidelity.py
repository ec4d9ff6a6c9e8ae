"""Hyperband, ASHA and stoppers: what each promises besides the contract of an oracle."""

import math
import random
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import choritsu as ct
from choritsu.decisions import Continue, Done, Promote, Start, Stop, Wait
from choritsu.errors import FailedTrialError, RedrawTrialError
from choritsu.oracles import (
    ASHA,
    ASHAOracle,
    ASHAStopper,
    Budgeted,
    Grid,
    Hyperband,
    HyperbandOracle,
    MedianStopper,
    QuasiRandom,
    Random,
)
from choritsu.space import Boolean, Float, Int, Space
from choritsu.stores import MemoryStore
from choritsu.testing.oracles import campaign, same
from choritsu.testing.virtual import curves, played, run_search
from choritsu.trials import (
    Claimed,
    Failed,
    Finished,
    History,
    Objective,
    Refused,
    Report,
    Reported,
    Result,
    Rung,
    Status,
    Trial,
)

from .strategies import every_combination, spaces

LOSS = Objective("loss", "min")
LINE = Space((Float("x", 0, 1),))


def line(values, epoch):
    """Rank trials alike at every epoch."""
    return values["x"]


def crossing(values, epoch):
    """Rank trials otherwise at every epoch."""
    return math.sin(1000 * values["x"] * (epoch + 1))


def epochs_of(store):
    return sum(map(len, store.reports().values()))


def searched(oracle, space=LINE, curve=line, **given):
    """Run a search; give its history and how many epochs were trained."""
    store = MemoryStore()
    function = curves(curve, seconds=given.pop("seconds", 1.0), epochs=given.pop("epochs", None))
    history = run_search(oracle, space, function, store=store, **given)
    return history, epochs_of(store)


def reached(history):
    """Count the trials by the budgets that each has used up."""
    return Counter(tuple(rung.until for rung in trial.rungs) for trial in history)


def rungs_of(brackets):
    """Say what `reached` is to give for whole brackets."""
    counts = Counter()
    for bracket in brackets:
        budgets = [epochs for _, epochs in bracket]
        sizes = [size for size, _ in bracket] + [0]
        for rung in range(len(bracket)):
            counts[tuple(budgets[: rung + 1])] += sizes[rung] - sizes[rung + 1]
    return Counter({key: count for key, count in counts.items() if count})


def cost(brackets):
    before = [[0, *(epochs for _, epochs in bracket)] for bracket in brackets]
    return sum(
        size * (epochs - spent)
        for bracket, earlier in zip(brackets, before, strict=True)
        for (size, epochs), spent in zip(bracket, earlier, strict=False)
    )


# -- Hyperband's plan ------------------------------------------------------------------------------


def test_the_brackets_of_the_papers_table_1():
    # Li et al. (2018), table 1: R = 81, eta = 3.
    table = [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]
    brackets = Hyperband(max_epochs=81, factor=3).brackets
    assert [bracket[0] for bracket in brackets] == [bracket[0] for bracket in table]
    assert [[epochs for _, epochs in bracket] for bracket in brackets] == [
        [epochs for _, epochs in bracket] for bracket in table
    ]
    # Keras Tuner rounds up what the paper rounds down.
    for ours, papers in zip(brackets, table, strict=True):
        for (size, _), (least, _) in zip(ours, papers, strict=True):
            assert least <= size <= least + 1
    assert brackets[0] == tuple(table[0])


@pytest.mark.parametrize(
    ("max_epochs", "factor", "trials", "starts", "epochs"), [(100, 3, 254, 172, 2672), (10, 3, 30, 22, 120)]
)
def test_the_numbers_that_keras_tuner_was_seen_to_run(max_epochs, factor, trials, starts, epochs):
    brackets = Hyperband(max_epochs, factor).brackets
    assert sum(size for bracket in brackets for size, _ in bracket) == trials
    assert sum(bracket[0][0] for bracket in brackets) == starts
    assert cost(brackets) == epochs


@given(max_epochs=st.integers(1, 2000), factor=st.integers(2, 12))
def test_the_brackets_are_keras_tuners(max_epochs, factor):
    depth, epochs = -1, float(max_epochs)
    while epochs >= 1:
        depth, epochs = depth + 1, epochs / factor
    tops = math.ceil(1 + math.log(max_epochs, factor))
    assert Hyperband(max_epochs, factor).brackets == tuple(
        tuple(
            (math.ceil(tops / (bracket + 1) * factor ** (bracket - r)), math.ceil(max_epochs / factor ** (bracket - r)))
            for r in range(bracket + 1)
        )
        for bracket in range(depth, -1, -1)
    )


@given(max_epochs=st.integers(1, 10**6), factor=st.integers(2, 20))
def test_every_bracket_halves_and_ends_at_max_epochs(max_epochs, factor):
    brackets = Hyperband(max_epochs, factor).brackets
    assert len({bracket[0][1] for bracket in brackets}) == len(brackets)
    for bracket in brackets:
        assert bracket[-1][1] == max_epochs
        for (size, epochs), (fewer, more) in pairwise(bracket):
            assert fewer == math.ceil(size / factor)
            assert epochs < more


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1}, "factor must be an integer of at least 2, got 1"),
        ({"factor": 2.5}, "factor must be an integer"),
        ({"max_epochs": 0}, "max_epochs must be an integer of at least 1, got 0"),
        ({"max_epochs": True}, "max_epochs must be an integer"),
        ({"hyperband_iterations": 0}, "hyperband_iterations must be an integer of at least 1, or None"),
        ({"hyperband_iterations": 1.5}, "hyperband_iterations"),
        ({"hyperband_iterations": "2"}, "hyperband_iterations"),
        ({"hyperband_iterations": math.nan}, "hyperband_iterations"),
        ({"seed": None}, "seed must be an integer, got None"),
        ({"horizon": "half"}, 'horizon must be "full" or "rung"'),
        ({"oracle": ASHA()}, "ASHA gives budgets itself"),
        ({"oracle": 3}, "oracle must be an oracle such as"),
    ],
)
def test_hyperband_checks_its_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Hyperband(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1}, "factor must be"),
        ({"min_epochs": 0}, "min_epochs must be"),
        ({"max_epochs": 5, "min_epochs": 6}, "min_epochs=6 is more than max_epochs=5"),
        ({"max_epochs": 8, "early_stopping_rate": 2}, "early_stopping_rate=2 leaves no budget"),
        ({"early_stopping_rate": -1}, "early_stopping_rate must be"),
        ({"horizon": None}, "horizon must be"),
        ({"oracle": Hyperband()}, "Hyperband gives budgets itself"),
    ],
)
def test_asha_checks_its_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ASHA(**arguments)


def test_the_settings_have_keras_tuners_order():
    settings = HyperbandOracle("loss", 27, 3, 2, 5, None, True, True, 1, 7)
    assert settings.make(5) == Hyperband(27, 3, 2, seed=5)
    assert (settings.name, settings.max_trials, settings.seed) == ("Hyperband", None, 5)
    assert (settings.max_retries_per_trial, settings.max_consecutive_failed_trials) == (1, 7)
    assert HyperbandOracle(horizon="rung").make(0).horizon == "rung"
    assert ASHAOracle("loss", 40, 27, seed=0, early_stopping_rate=1).make(3) == ASHA(27, early_stopping_rate=1, seed=3)
    with pytest.raises(ValueError, match="factor"):
        HyperbandOracle(factor=1)


# -- Hyperband's searches --------------------------------------------------------------------------


@pytest.mark.parametrize("curve", [line, crossing])
@pytest.mark.parametrize("slots", [1, 3, 20, 500])
@pytest.mark.parametrize(("max_epochs", "factor", "times"), [(9, 3, 1), (20, 3, 1), (16, 2, 2), (1, 3, 2), (4, 5, 1)])
def test_every_bracket_is_run_as_planned(max_epochs, factor, times, slots, curve):
    oracle = Hyperband(max_epochs, factor, times, seed=3)
    history, epochs = searched(oracle, curve=curve, slots=slots, seconds=lambda job: 1 + job.number * 37 % 11)
    planned = oracle.brackets * times
    assert reached(history) == rungs_of(planned)
    assert epochs == cost(planned)
    assert isinstance(oracle.suggest(history, len(history)), Done)
    assert not oracle.promotable(history)


def test_done_says_what_was_done():
    oracle = Hyperband(max_epochs=3)
    history, _ = searched(oracle)
    assert oracle.suggest(history, len(history)) == Done(
        "all 2 brackets of Hyperband are complete (max_epochs=3, factor=3, hyperband_iterations=1)"
    )


@pytest.mark.parametrize("times", [None, math.inf])
def test_hyperband_without_end(times):
    history, _ = searched(Hyperband(max_epochs=3, hyperband_iterations=times), max_trials=100)
    assert len(history) == 100


@settings(max_examples=25)
@given(slots=st.integers(2, 40), seed=st.integers(0, 5), wait=st.integers(1, 30))
def test_any_number_of_slots_runs_the_same_search(slots, seed, wait):
    oracle = Hyperband(max_epochs=9, seed=seed)
    alone, _ = searched(oracle, curve=crossing)
    crowd, _ = searched(oracle, curve=crossing, slots=slots, seconds=lambda job: 1 + job.number * 37 % wait)
    assert [(trial.values, trial.rungs) for trial in alone] == [(trial.values, trial.rungs) for trial in crowd]


def test_brackets_begin_in_order_the_most_aggressive_first():
    history, _ = searched(Hyperband(max_epochs=9), slots=50)
    assert [trial.rungs[0].until for trial in history] == [1] * 9 + [3] * 5 + [9] * 3


def test_nobody_idles_while_a_rung_is_incomplete():
    oracle = Hyperband(max_epochs=9)
    history = History(LINE, LOSS)
    for number in range(17):
        decision = oracle.suggest(history, number)
        assert isinstance(decision, Start)
        history = history.after(Claimed(number, 0, decision.values, until=decision.until))
    assert oracle.suggest(history, 17) == Wait()
    # Eight of the nine have ended: the two best are certain to go on, whatever the last one reaches.
    for number in range(8):
        history = history.after(finished(number, 0, number))
    assert oracle.suggest(history, 17) == Promote(0, 3)
    history = history.after(Claimed(0, 1, {}, until=3))
    assert oracle.suggest(history, 17) == Promote(1, 3)
    history = history.after(Claimed(1, 1, {}, until=3))
    assert oracle.suggest(history, 17) == Wait()
    assert oracle.promotable(history) == {2}
    history = history.after(finished(8, 0, 1.5))
    assert oracle.suggest(history, 17) == Promote(8, 3)
    assert oracle.promotable(history) == {8}


def finished(number, attempt, score):
    return Finished(number, attempt, {"x": float(number)}, Result(score, None, {"loss": score}, 0, 0, 1, 1))


def begun(oracle, space=LINE, trials=9):
    history = History(space, LOSS)
    for number in range(trials):
        decision = oracle.suggest(history, number)
        history = history.after(Claimed(number, 0, decision.values, until=decision.until))
    return history


def followed(oracle, history, outcome, until_number):
    """Carry out promotions, one after another, until the oracle begins a new trial; give their numbers."""
    promoted = []
    while isinstance(decision := oracle.suggest(history, len(history)), Promote):
        promoted.append(decision)
        attempt = history[decision.number].attempt + 1
        history = history.after(Claimed(decision.number, attempt, {}, until=decision.until))
        history = history.after(outcome(decision.number, attempt))
    assert len(history) == until_number
    return promoted, history


def test_what_fails_holds_its_place_as_the_worst():
    oracle = Hyperband(max_epochs=9)
    history = begun(oracle)
    for number in range(7):
        history = history.after(Failed(number, 0, {}, "no memory"))
    history = history.after(finished(7, 0, 2.0)).after(finished(8, 0, 1.0))
    # Three places and two that can take them; the better one then fails, and the other takes the only place left.
    promoted, history = followed(
        oracle,
        history,
        lambda number, attempt: (
            Failed(8, attempt, {"x": 8.0}, "no memory") if number == 8 else finished(number, attempt, 2.0)
        ),
        9,
    )
    assert promoted == [Promote(8, 3), Promote(7, 3), Promote(7, 9)]
    assert history[8].status is Status.COMPLETED
    assert not oracle.promotable(history)
    assert oracle.suggest(history, 9).until == 3


def test_a_bracket_in_which_all_fail_is_over():
    def failing(values, epoch):
        if epoch == 0:
            raise FailedTrialError("no memory")
        return 1.0

    history, epochs = searched(Hyperband(max_epochs=9), curve=failing, slots=4)
    assert len(history.having(Status.FAILED)) == len(history) == 17
    assert epochs == 0


def test_a_score_that_is_not_finite_does_not_go_on():
    oracle = Hyperband(max_epochs=9)
    history = begun(oracle)
    scores = [math.nan, math.inf, -math.inf, 5, math.nan, math.inf, 4, math.nan, math.nan]
    for number, score in enumerate(scores):
        history = history.after(finished(number, 0, score))
    promoted, _ = followed(oracle, history, lambda number, attempt: finished(number, attempt, 1.0), 9)
    assert promoted == [Promote(6, 3), Promote(3, 3), Promote(3, 9)]


def test_equal_scores_go_by_number_and_large_ones_can_be_the_best():
    oracle = Hyperband(max_epochs=9)
    history = begun(oracle)
    history = History(LINE, Objective("accuracy", "max"), history.trials)
    for number in range(9):
        history = history.after(finished(number, 0, 0.9 if number in (2, 5, 7, 8) else 0.1))
    promoted, _ = followed(oracle, history, lambda number, attempt: finished(number, attempt, 0.5), 9)
    assert promoted == [Promote(2, 3), Promote(5, 3), Promote(7, 3), Promote(2, 9)]


@pytest.mark.parametrize("slots", [1, 4, 60])
def test_refused_trials_take_no_place(slots):
    def picky(values, epoch):
        if values["x"] > 0.5:
            raise RedrawTrialError("too large")
        return crossing(values, epoch)

    oracle = Hyperband(max_epochs=9, seed=1)
    history, epochs = searched(oracle, curve=picky, slots=slots)
    counts = reached(history)
    assert len(history.having(Status.REFUSED)) == counts.pop(()) > 3
    assert counts == rungs_of(oracle.brackets)
    assert epochs == cost(oracle.brackets)


def test_a_late_refusal_leaves_a_vacancy_that_the_next_trial_takes():
    oracle = Hyperband(max_epochs=9)
    history = begun(oracle, trials=11)
    assert [trial.until for trial in history] == [1] * 9 + [3] * 2
    history = history.after(Refused(4, 0, {"x": 0.5}))
    assert oracle.suggest(history, 11).until == 1
    assert oracle.suggest(begun(oracle, trials=11), 11).until == 3


def test_a_full_rung_stays_as_it_is_though_others_turn_out_better():
    """As when a refusal in an earlier iteration moves a trial that has gone on into this one."""

    def trial(number, until):
        rungs = tuple(Rung(epochs, float(number)) for epochs in (1, 3) if epochs <= until)
        values = {"x": number / 9}
        return Trial(number, Status.COMPLETED, values, values, until=until, rungs=rungs)

    oracle = Hyperband(max_epochs=9)
    history = History(LINE, LOSS, tuple(trial(number, 3 if number in (0, 7, 8) else 1) for number in range(9)))
    # Of the three that came there the best goes on; of those below, nobody does.
    assert oracle.suggest(history, 9) == Promote(0, 9)
    history = history.after(Claimed(0, 1, {}, until=9))
    assert isinstance(oracle.suggest(history, 9), Start)


def test_a_trial_refused_after_it_has_gone_on_keeps_its_place():
    oracle = Hyperband(max_epochs=9)
    history = begun(oracle)
    for number in range(9):
        history = history.after(finished(number, 0, number))
    history = history.after(Claimed(0, 1, {}, until=3)).after(Refused(0, 1, {"x": 0.0}))
    assert history[0].status is Status.COMPLETED
    assert oracle.suggest(history, 9) == Promote(1, 3)


def test_a_person_s_trial_takes_the_place_of_the_one_it_replaces():
    oracle = Hyperband(max_epochs=9)
    history = History(LINE, LOSS).after(Claimed(0, 0, {"x": 0.123}, enqueued=True, until=1))
    for number in range(1, 9):
        decision = oracle.suggest(history, number)
        assert decision.until == 1
        history = history.after(Claimed(number, 0, decision.values, until=1))
    assert oracle.suggest(history, 9).until == 3


def test_trials_without_a_budget_take_no_place():
    oracle = Hyperband(max_epochs=9)
    trials = (
        Trial(0, Status.COMPLETED, {"x": 0.1}),
        Trial(1, Status.COMPLETED, {"x": 0.2}, until=5, rungs=(Rung(5, 0.0),)),
        Trial(2, Status.FAILED, {"x": 0.3}),
    )
    history = History(LINE, LOSS, trials)
    assert oracle.suggest(history, 3).until == 1
    assert not oracle.promotable(history)
    assert not ASHA(max_epochs=9).promotable(history)


def test_a_search_that_is_made_longer_goes_on():
    store, simulate = MemoryStore(), curves(line)
    run_search(Hyperband(max_epochs=9), LINE, simulate, store=store)
    history = run_search(Hyperband(max_epochs=27), LINE, simulate, store=store)
    assert max(rung.until for trial in history for rung in trial.rungs) == 27
    best = history.best
    assert [rung.until for rung in best.rungs] in ([1, 3, 9, 27], [3, 9, 27], [9, 27], [27])


# -- finite spaces ---------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    size=st.integers(1, 40),
    slots=st.sampled_from([1, 2, 7, 100]),
    oracle=st.sampled_from(
        [
            Hyperband(max_epochs=27),
            Hyperband(max_epochs=9, hyperband_iterations=None),
            Hyperband(max_epochs=9, oracle=Grid(), hyperband_iterations=2),
            ASHA(max_epochs=27),
            ASHA(max_epochs=27, oracle=Grid()),
        ]
    ),
)
def test_a_finite_space_is_tried_without_repetition_and_somebody_is_trained_to_the_end(size, slots, oracle):
    history, _ = searched(oracle, Space((Int("x", 1, size),)), slots=slots)
    tried = [trial.values["x"] for trial in history]
    assert len(set(tried)) == len(tried)
    assert len(tried) == size or isinstance(oracle.suggest(history, len(history)), Done)
    assert any(rung.until == oracle.max_epochs for rung in history.best.rungs)
    assert not history.having(Status.RUNNING)


@settings(max_examples=25)
@given(space=spaces(largest=3), slots=st.sampled_from([1, 3, 20]))
def test_every_combination_of_any_finite_space(space, slots):
    combinations = every_combination(space)
    if len(combinations) <= 100:
        for oracle in (Hyperband(max_epochs=9, hyperband_iterations=None), ASHA(max_epochs=9)):
            history, _ = searched(
                oracle, space, lambda values, epoch: len(same(values)), slots=slots if len(space) else 1
            )
            assert sorted(same(trial.values) for trial in history) == sorted(map(same, combinations))


@pytest.mark.parametrize("slots", [1, 6])
def test_the_last_bracket_is_completed_with_fewer(slots):
    history, epochs = searched(Hyperband(max_epochs=9), Space((Int("x", 1, 6),)), slots=slots)
    assert reached(history) == {(1,): 4, (1, 3): 1, (1, 3, 9): 1}
    assert epochs == 6 + 2 * 2 + 6
    assert [trial.values["x"] for trial in history if len(trial.rungs) > 1] in ([1, 2], [2, 1])


def test_nobody_goes_on_in_the_last_bracket_while_more_may_be_found():
    oracle = Hyperband(max_epochs=9)
    history = begun(oracle, Space((Int("x", 1, 4),)), trials=4)
    for number in range(3):
        history = history.after(Finished(number, 0, history[number].suggested, finished(0, 0, number).result))
    # The last one may find a parameter yet, and thirty more combinations with it.
    assert oracle.suggest(history, 4) == Wait()
    history = history.after(Finished(3, 0, history[3].suggested, finished(0, 0, 9.0).result))
    assert oracle.suggest(history, 4) == Promote(0, 3)


def test_an_empty_space_is_one_trial_trained_to_the_end():
    for oracle in (Hyperband(max_epochs=9), ASHA(max_epochs=9)):
        history, epochs = searched(oracle, Space(), curve=lambda values, epoch: 1.0)
        assert reached(history) == {(1, 3, 9): 1}
        assert epochs == 9


@pytest.mark.parametrize("slots", [1, 5])
@pytest.mark.parametrize("oracle", [Hyperband(max_epochs=9), ASHA(max_epochs=9)], ids=["Hyperband", "ASHA"])
def test_a_space_that_only_the_function_knows(oracle, slots):
    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        extra = hp.Float("y", 0, 1) if x > 0.5 else 0.0
        for epoch in trial.epochs(9):
            trial.report(loss=x + extra + 1 / (epoch + 1))

    history = run_search(oracle, Space(), played(function), slots=slots, max_trials=17)
    assert len(history.completed) == len(history) == 17
    assert len({same(trial.values) for trial in history}) == 17
    assert {len(trial.values) for trial in history} == {1, 2}
    assert any(len(trial.rungs) == 3 for trial in history)


# -- what draws the values -------------------------------------------------------------------------


@dataclass(frozen=True)
class Patient:
    """Waits for the first nine trials, as an oracle that learns from them does."""

    fill = "draw"

    def suggest(self, history, number):
        if number >= 9 and sum(trial.status is not Status.RUNNING for trial in history) < 9:
            return Wait()
        return Random(seed=4).suggest(history, number)


@pytest.mark.parametrize("slots", [1, 4, 30])
def test_any_oracle_can_draw_the_values(slots):
    for draws in (QuasiRandom(seed=2), Patient(), Grid()):
        history, _ = searched(Hyperband(max_epochs=9, oracle=draws), slots=slots)
        assert sum(reached(history).values()) == (10 if draws == Grid() else 17)
        assert Hyperband(oracle=draws).fill == draws.fill == ASHA(oracle=draws).fill
    quasi, _ = searched(QuasiRandom(seed=2), max_trials=17)
    history, _ = searched(Hyperband(max_epochs=9, oracle=QuasiRandom(seed=2)), slots=slots)
    assert [trial.values for trial in history] == [trial.values for trial in quasi]


def test_asha_waits_only_with_the_oracle_that_draws():
    history = begun(ASHA(max_epochs=9, oracle=Patient()))
    assert ASHA(max_epochs=9, oracle=Patient()).suggest(history, 9) == Wait()
    for history, decision in campaign(ASHA(max_epochs=9), LINE, slots=300, seed=1, trials=300):
        assert not isinstance(decision, Wait | Done), len(history)


# -- ASHA ------------------------------------------------------------------------------------------


def test_asha_s_budgets():
    assert ASHA(max_epochs=81).budgets == (1, 3, 9, 27, 81)
    assert ASHA(max_epochs=50, min_epochs=4, factor=2).budgets == (4, 8, 16, 50)
    assert ASHA(max_epochs=9, min_epochs=9).budgets == (9,)
    assert ASHA(max_epochs=2, min_epochs=1).budgets == (2,)
    assert ASHA(max_epochs=27, early_stopping_rate=3).budgets == (27,)


@pytest.mark.parametrize("slots", [1, 8, 200])
@pytest.mark.parametrize("seed", range(3))
def test_asha_promotes_whoever_is_in_the_top_third_at_that_moment(slots, seed):
    oracle = ASHA(max_epochs=27)
    budgets = oracle.budgets

    def rung(history, epochs):
        """Give the badness and number of each that used this budget up, or failed on its way there."""
        for trial in history:
            scores = [rung.score for rung in trial.rungs if rung.until == epochs]
            failed = trial.until == epochs and trial.status in (Status.COMPLETED, Status.FAILED)
            if scores or failed:
                yield (scores[0] if scores else math.inf), trial.number

    for history, decision in campaign(oracle, LINE, slots=slots, seed=seed, trials=150):
        promotable = [
            Promote(number, more)
            for epochs, more in reversed(list(pairwise(budgets)))
            for ended in [sorted(rung(history, epochs))]
            for badness, number in ended[: len(ended) // 3]
            if badness < math.inf and history[number].until < more
        ]
        assert decision == promotable[0] if promotable else isinstance(decision, Start)


@pytest.mark.parametrize("curve", [line, crossing])
@pytest.mark.parametrize("slots", [1, 10, 100])
def test_asha_promotes_about_one_in_three(slots, curve):
    history, epochs = searched(ASHA(max_epochs=27), curve=curve, slots=slots, max_trials=400)
    counts = [sum(len(trial.rungs) > rung for trial in history) for rung in range(4)]
    assert counts[0] == 400
    # Those promoted too early, as later ones turned out better, are of the order of the square root.
    for below, above in pairwise(counts):
        assert below // 3 <= above <= below / 3 + 2 * math.sqrt(below)
    assert epochs < 400 * 27 / 4


def test_asha_counts_what_failed_as_the_worst():
    oracle = ASHA(max_epochs=9)
    history = History(LINE, LOSS)
    for number in range(3):
        history = history.after(Claimed(number, 0, {"x": float(number)}, until=1))
    history = history.after(finished(2, 0, 1.0)).after(Failed(0, 0, {}, "no memory"))
    assert isinstance(oracle.suggest(history, 3), Start)
    assert oracle.suggest(history.after(Failed(1, 0, {}, "no memory")), 3) == Promote(2, 3)
    assert isinstance(oracle.suggest(history.after(Refused(1, 0, {})), 3), Start)


# -- forecasts -------------------------------------------------------------------------------------


def slow_starters(values, epoch):
    """Rank trials by x at first and the other way round in the end."""
    return values["x"] + (1 - 2 * values["x"]) * epoch / 8


@dataclass(frozen=True)
class Foreteller(Random):
    """Knows where trials end."""

    def forecast(self, history):
        return {trial.number: slow_starters(trial.values, 8) for trial in history if trial.rungs}


@pytest.mark.parametrize("slots", [1, 4])
def test_who_is_foretold_to_become_good_goes_on_in_hyperband(slots):
    def ends(oracle):
        made = Hyperband(max_epochs=9, oracle=oracle)
        history, epochs = searched(made, curve=slow_starters, slots=slots)
        firsts = [trial for trial in history if trial.rungs[0].until == 1]
        return firsts, [trial for trial in firsts if trial.rungs[-1].until == 9], epochs

    firsts, (winner,), epochs = ends(Foreteller(seed=3))
    assert winner.values["x"] == max(trial.values["x"] for trial in firsts)
    firsts, (other,), _ = ends(Random(seed=3))
    assert other.values["x"] == min(trial.values["x"] for trial in firsts)
    assert epochs == cost(Hyperband(max_epochs=9).brackets)


def test_states_are_kept_while_forecasts_may_change():
    """Of nine that have paused, three go on; who they are is settled once all three places are taken."""
    history = History(LINE, LOSS)
    for number in range(9):
        history = history.after_all([Claimed(number, 0, {"x": number / 9}, until=1), finished(number, 0, number)])
    foretelling, ranking = Hyperband(max_epochs=9, oracle=Foreteller()), Hyperband(max_epochs=9)
    assert foretelling.promotable(history) == set(range(9))
    assert ranking.promotable(history) == {0, 1, 2}
    for number in (8, 7, 6):
        assert foretelling.suggest(history, 9) == Promote(number, 3)
        history = history.after_all([Claimed(number, 1, {"x": number / 9}, until=3), finished(number, 1, number)])
    assert foretelling.promotable(history) == {6, 7, 8}


@pytest.mark.parametrize("slots", [1, 4])
def test_who_is_foretold_to_become_good_goes_on_in_asha(slots):
    def middle(oracle):
        made = ASHA(max_epochs=9, oracle=oracle)
        history, _ = searched(made, curve=slow_starters, slots=slots, max_trials=60)
        return sorted(trial.values["x"] for trial in history if len(trial.rungs) > 1)[10]

    assert middle(Foreteller(seed=3)) > 0.6
    assert middle(Random(seed=3)) < 0.4


def test_where_nothing_is_foretold_trials_go_on_by_rank():
    class Silent(Foreteller):
        def forecast(self, history):
            return {}

    silent, _ = searched(Hyperband(max_epochs=27, oracle=Silent(seed=1)), curve=crossing)
    ranked, _ = searched(Hyperband(max_epochs=27, oracle=Random(seed=1)), curve=crossing)
    assert silent == ranked


def counted(decide):
    """Give an oracle that draws at random where `decide` gives None, and the list of what it is asked for."""
    asked = []

    @dataclass(frozen=True)
    class Counted(Random):
        def suggest(self, history, number):
            asked.append(number)
            return decide(history, number) or super().suggest(history, number)

    return Counted(), asked


def test_who_waits_is_asked_again_only_once_something_has_changed():
    oracle, asked = counted(lambda history, _: Wait() if history.having(Status.RUNNING) else None)
    history, epochs = searched(oracle, slots=2, max_trials=4, epochs=50)
    assert (len(history), epochs) == (4, 200)
    assert len(asked) == 2 * 4 - 1


def test_who_is_done_while_a_trial_runs_is_asked_again_only_once_that_has_ended():
    oracle, asked = counted(lambda _, number: None if number < 3 else Done("three are enough"))
    history, epochs = searched(oracle, slots=2, max_trials=9, epochs=50)
    assert (len(history), epochs) == (3, 150)
    assert len(asked) <= 3 + 3


# -- both ------------------------------------------------------------------------------------------

BUDGETED = [Hyperband(max_epochs=27, hyperband_iterations=2), ASHA(max_epochs=27)]
both = pytest.mark.parametrize("oracle", BUDGETED, ids=["Hyperband", "ASHA"])


@st.composite
def wild_histories(draw):
    """Draw histories that no search would bring about."""
    trials = []
    for number in range(draw(st.integers(0, 30))):
        budgets = sorted(draw(st.sets(st.sampled_from([1, 2, 3, 9, 27, 81]), max_size=4)))
        scores = st.floats() | st.sampled_from([0.0, 1.0])
        trials.append(
            Trial(
                number,
                draw(st.sampled_from(list(Status))),
                {"x": number / 31},
                {"x": number / 31},
                until=draw(st.sampled_from([None, 1, 3, 9, 27, 81, *budgets])),
                rungs=tuple(Rung(until, draw(scores)) for until in budgets),
            )
        )
    return History(LINE, draw(st.sampled_from([LOSS, Objective("accuracy", "max")])), tuple(trials))


@both
@given(history=wild_histories())
def test_any_history_has_one_answer(oracle, history):
    assert isinstance(oracle, Budgeted)
    decision = oracle.suggest(history, len(history))
    again = History(history.space, history.objective, tuple(history))
    assert decision == oracle.suggest(again, len(again))
    assert oracle.promotable(history) == oracle.promotable(again)
    assert isinstance(decision, Start | Promote | Wait)
    if isinstance(decision, Promote):
        assert decision.until <= 27


@both
def test_suggesting_costs_no_more_than_in_proportion(oracle, monkeypatch):
    """The work done is counted: how often a score is looked at."""
    looked = 0
    badness = Objective.badness

    def counted(self, score):
        nonlocal looked
        looked += 1
        return badness(self, score)

    oracle = Hyperband(max_epochs=27, hyperband_iterations=None) if isinstance(oracle, Hyperband) else oracle
    history = History(LINE, LOSS)
    for number in range(1500):
        history = history.after_all([Claimed(number, 0, {"x": number / 1500}, until=1), finished(number, 0, number)])
    monkeypatch.setattr(Objective, "badness", counted)
    costs = []
    for trials in (500, 1500):
        looked = 0
        oracle.suggest(History(LINE, LOSS, history.trials[:trials]), trials)
        costs.append(looked)
    assert costs[0] < 500 * 6
    assert costs[1] < 3.5 * costs[0]


@pytest.mark.parametrize("seed", range(3))
def test_hyperband_finds_the_best_with_far_fewer_epochs_than_random_search(seed):
    """The loss falls to a floor that the rate decides; noise hides the floor less and less."""
    space = Space((Float("rate", 1e-5, 1.0, sampling="log"), Float("momentum", 0, 1), Boolean("useless")))

    def learning(values, epoch):
        floor = (math.log10(values["rate"]) + 2) ** 2 + (values["momentum"] - 0.7) ** 2
        noise = math.sin(1e6 * values["rate"] * (epoch + 1))
        return floor + 3 * math.exp(-epoch / 15) + 0.3 * noise / (epoch + 1)

    halved, epochs = searched(Hyperband(max_epochs=81, seed=seed), space, learning, slots=8)
    stepwise, steps = searched(ASHA(max_epochs=81, seed=seed), space, learning, slots=8, max_trials=143)
    # As many trials as Hyperband, each trained to the end.
    everything, full = searched(
        Random(seed=seed), space, lambda values, epoch: learning(values, 80), slots=8, max_trials=len(halved)
    )
    full *= 81
    assert len(halved) == len(stepwise) == 143
    assert epochs < full / 5
    assert steps < full / 5
    best = everything.best.score
    assert halved.best.score < best + 0.02
    assert stepwise.best.score < best + 0.05
    # For the same number of epochs, random search gets less.
    fewer, _ = searched(Random(seed=seed), space, lambda values, epoch: learning(values, 80), max_trials=epochs // 81)
    assert halved.best.score <= fewer.best.score + 0.02


# -- stoppers --------------------------------------------------------------------------------------


def reports_of(*curve, execution=0, name="loss"):
    return [Report(execution, epoch, {name: value}) for epoch, value in enumerate(curve)]


def verdict(stopper, others, own, *, objective=LOSS, execution=0, running=False):
    """Ask about the last report of `own`, a trial's reports, the others having ended with theirs."""
    status = Status.RUNNING if running else Status.COMPLETED
    trials = (*(Trial(number, status) for number in range(len(others))), Trial(len(others), Status.RUNNING))
    told = dict(enumerate([*others, own]))
    last = next(report for report in reversed(own) if report.execution == execution)
    return stopper.decide(History(LINE, objective, trials), told, Reported(len(others), 0, last))


def stops(*arguments, **given):
    return isinstance(verdict(*arguments, **given), Stop)


MEDIAN = MedianStopper(grace_epochs=1, min_trials=3)
#: Their averages over two epochs are 2, 3 and 4.
THREE = [reports_of(3, 1), reports_of(4, 2), reports_of(5, 3)]


def test_worse_than_the_median_of_the_averages_is_stopped():
    assert stops(MEDIAN, THREE, reports_of(9, 3.1))
    assert not stops(MEDIAN, THREE, reports_of(9, 3.0))
    # The best epoch counts, not the last.
    assert not stops(MEDIAN, THREE, reports_of(2.9, 9))
    # Only what came as far is compared, and only until there.
    assert stops(MEDIAN, [*THREE, reports_of(9)], reports_of(9, 3.1))
    assert not stops(MEDIAN, [*THREE, reports_of(4, 4, 0, 0, 0)], reports_of(9, 3.1))


def test_the_median_stopper_says_why():
    assert verdict(MEDIAN, THREE, reports_of(9, 3.25)) == Stop(
        "after epoch 2 its best loss is 3.25; the median of 3 trials was 3 on average"
    )
    accuracies = [reports_of(value, value, name="accuracy") for value in (0.7, 0.8, 0.9)]
    accuracy = Objective("accuracy", "max")
    assert verdict(MEDIAN, accuracies, reports_of(0.1, 0.75, name="accuracy"), objective=accuracy) == Stop(
        "after epoch 2 its best accuracy is 0.75; the median of 3 trials was 0.8 on average"
    )
    assert not stops(MEDIAN, accuracies, reports_of(0.1, 0.85, name="accuracy"), objective=accuracy)


def test_the_median_stopper_leaves_trials_time():
    assert not stops(MedianStopper(grace_epochs=3, min_trials=3), THREE, reports_of(9, 9))
    assert stops(MedianStopper(grace_epochs=2, min_trials=3), THREE, reports_of(9, 9))
    assert not stops(MedianStopper(grace_epochs=1, min_trials=4), THREE, reports_of(9, 9))
    assert not stops(MEDIAN, THREE, reports_of(9, 9), running=True)
    assert not stops(MEDIAN, THREE, reports_of(9, 9, 9))


def test_what_is_not_finite_counts_as_the_worst():
    assert stops(MEDIAN, THREE, reports_of(math.nan, math.inf))
    assert verdict(MEDIAN, THREE, reports_of(math.nan, -math.inf)).reason.startswith(
        "after epoch 2 its best loss is not finite"
    )
    assert not stops(MEDIAN, THREE, reports_of(math.nan, 2.9))
    assert not stops(MEDIAN, [reports_of(math.nan, 1)] * 3, reports_of(9, 9))
    assert stops(ASHAStopper(), [reports_of(1.0)], reports_of(math.nan))
    assert not stops(ASHAStopper(), [reports_of(math.nan)], reports_of(1e9))


@pytest.mark.parametrize("stopper", [MEDIAN, ASHAStopper()])
def test_a_fold_is_compared_with_the_same_fold(stopper):
    # The second fold is harder for all.
    others = [[*reports_of(1), *reports_of(11, execution=1)] for _ in range(3)]
    assert not stops(stopper, others, [*reports_of(1), *reports_of(11, execution=1)], execution=1)
    assert stops(stopper, others, [*reports_of(1), *reports_of(12, execution=1)], execution=1)
    assert not stops(stopper, [reports_of(1)] * 3, [*reports_of(1), *reports_of(12, execution=1)], execution=1)


@pytest.mark.parametrize("stopper", [MEDIAN, ASHAStopper()])
def test_epochs_without_the_objective_are_passed_over(stopper):
    told = [Report(0, 0, {"loss": 99.0}), Report(0, 2, {"other": 1.0})]
    assert verdict(stopper, THREE, told) == Continue()
    assert verdict(stopper, [[Report(0, 0, {"other": 1.0})]] * 5, reports_of(3.0)) == Continue()


def test_asha_stops_at_rungs_only():
    stopper = ASHAStopper(min_epochs=2, factor=3)
    others = [reports_of(*[0.0] * 60)] * 5
    stopped = [length for length in range(1, 60) if stops(stopper, others, reports_of(*[1.0] * length))]
    assert stopped == [2, 6, 18, 54]


@pytest.mark.parametrize(("others", "go_on"), [(0, 1), (1, 1), (2, 1), (3, 2), (5, 2), (6, 3), (29, 10)])
def test_asha_lets_the_best_third_go_on(others, go_on):
    seen = [reports_of(float(k)) for k in range(others)]
    verdicts = [stops(ASHAStopper(), seen, reports_of(rank - 0.5)) for rank in range(others + 1)]
    assert verdicts == [False] * min(go_on, others + 1) + [True] * (others + 1 - go_on)


def test_asha_counts_running_trials_and_lets_equals_go_on():
    assert stops(ASHAStopper(), [reports_of(1.0)] * 2, reports_of(2.0), running=True)
    assert not stops(ASHAStopper(), [reports_of(1.0)] * 20, reports_of(1.0))
    assert verdict(ASHAStopper(), [reports_of(1.0)] * 2, reports_of(2.0)) == Stop(
        "after epoch 1 its best loss, 2, is number 3 of 3; the best 1 go on"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: MedianStopper(grace_epochs=-1),
        lambda: MedianStopper(min_trials=0),
        lambda: ASHAStopper(min_epochs=0),
        lambda: ASHAStopper(factor=1),
        lambda: ASHAStopper(factor=2.0),
    ],
)
def test_stoppers_check_their_arguments(make):
    with pytest.raises(ValueError, match="must be an integer of at least"):
        make()


@settings(max_examples=30)
@given(st.lists(st.lists(st.floats(), min_size=1, max_size=5), min_size=1, max_size=8))
def test_stoppers_answer_the_same_question_the_same_way(told):
    *others, own = [reports_of(*curve) for curve in told]
    for stopper in (MEDIAN, ASHAStopper()):
        assert verdict(stopper, others, own) == verdict(stopper, others, own)
        assert hash(stopper) == hash(type(stopper)(**vars(stopper)))


@pytest.mark.parametrize("slots", [1, 5])
@pytest.mark.parametrize(("stopper", "saving"), [(MedianStopper(2, 5), 0.8), (ASHAStopper(), 0.5)])
def test_a_search_with_a_stopper_trains_less_and_finds_the_best(stopper, saving, slots):
    def falling(values, epoch):
        return values["x"] + 1 / (epoch + 1)

    store = MemoryStore()
    simulate = curves(falling, epochs=27)
    history = run_search(Random(seed=2), LINE, simulate, slots=slots, max_trials=80, stopper=stopper, store=store)
    assert len(history.completed) == 80
    assert epochs_of(store) < saving * 80 * 27
    best = min(trial.values["x"] for trial in history)
    assert history.best.values["x"] == best
    assert history.best.result.epochs == 27


# -- virtual time ----------------------------------------------------------------------------------


def test_a_promoted_trial_is_trained_from_where_it_was():
    trained = Counter()

    def counted(values, epoch):
        trained[values["x"], epoch] += 1
        return values["x"]

    history, epochs = searched(Hyperband(max_epochs=9), curve=counted, slots=3)
    assert set(trained.values()) == {1}
    assert trained.total() == epochs == cost(Hyperband(max_epochs=9).brackets)
    assert history.best.result.epochs == 9


def test_a_trial_ends_where_its_training_does_though_its_budget_is_larger():
    store = MemoryStore()
    history = run_search(Hyperband(max_epochs=9), LINE, curves(line, epochs=2), store=store)
    assert max(trial.result.epochs for trial in history) == 2
    assert reached(history) == rungs_of(Hyperband(max_epochs=9).brackets)


# -- trainings that end by themselves --------------------------------------------------------------


def broken_off_early(hp, trial):
    x = hp.Float("x", 0, 1)
    for epoch in trial.epochs(state={"random": random.Random(0)}):
        trial.report(loss=x / (epoch + 1))
        if epoch == 1:
            break


def shorter(hp, trial):
    x = hp.Float("x", 0, 1)
    for epoch in trial.epochs(2, state={"random": random.Random(0)}):
        trial.report(loss=x / (epoch + 1))


@pytest.mark.parametrize("function", [broken_off_early, shorter])
@pytest.mark.parametrize("make", [ct.Hyperband, partial(ct.ASHA, max_trials=17)])
def test_a_training_that_ends_early_keeps_its_values_and_its_place(tmp_path, function, make):
    tuner = make(function, "loss", max_epochs=9, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.history) == 17
    assert all(trial.values.keys() == {"x"} for trial in tuner.history)
    best = tuner.history.best
    assert best.values["x"] == min(trial.values["x"] for trial in tuner.history.deepest)
    assert best.rungs[-1].until == 9


def in_full(hp, trial):
    x = hp.Float("x", 0, 1)
    for epoch in range(9):
        trial.report(loss=x / (epoch + 1))


@pytest.mark.parametrize("function", [in_full, lambda hp: {"loss": hp.Float("x", 0, 1)}])
def test_a_function_that_heeds_no_budget_is_told_so(tmp_path, function):
    tuner = ct.Hyperband(function, "loss", max_epochs=9, seed=0, directory=tmp_path)
    with pytest.warns(UserWarning, match="Hyperband has given a trial . epochs in all, and it has reported .: "):
        tuner.search(verbose=0)
    assert all(trial.values for trial in tuner.history)


def test_a_function_that_reads_its_budget_is_believed(tmp_path):
    def heeding(hp, trial):
        return hp.Float("x", 0, 1) / trial.until

    tuner = ct.Hyperband(heeding, "loss", max_epochs=9, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.history) == 17


def declining(hp, trial):
    x = hp.Float("x", 0, 1)
    for epoch in trial.epochs():
        trial.report(loss=x + 1 / (epoch + 1))


@pytest.mark.parametrize("trials", [1, 2, 5, 20])
def test_asha_trains_its_best_to_the_end_also_when_no_more_trials_may_begin(tmp_path, trials):
    tuner = ct.ASHA(declining, "loss", max_epochs=27, max_trials=trials, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.history) == trials
    assert tuner.history.best.rungs[-1].until == 27
    assert tuner.history.best.values["x"] == min(trial.values["x"] for trial in tuner.history)


def test_a_bracket_that_may_not_be_filled_is_run_with_what_there_is(tmp_path):
    oracle = ct.oracles.Hyperband(max_epochs=9, seed=0)
    tuner = ct.Tuner(oracle, declining, objective="loss", max_trials=6, directory=tmp_path)
    tuner.search(verbose=0)
    assert sorted(trial.rungs[-1].until for trial in tuner.history) == [1, 1, 1, 1, 3, 9]


def test_what_is_enqueued_after_hyperband_has_ended_is_trained_as_the_best_were(tmp_path):
    tuner = ct.Hyperband(declining, "loss", max_epochs=3, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    before = len(tuner.history)
    tuner.enqueue({"x": 0.5})
    tuner.search(verbose=0)
    assert [[rung.until for rung in trial.rungs] for trial in tuner.history[before:]] == [[3]]
