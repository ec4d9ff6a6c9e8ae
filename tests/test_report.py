"""What a report promises: every fact is told, nothing is fetched, nothing breaks it, and it is honest."""

import csv
import html
import json
import math
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from choritsu.report import (
    Summary,
    importance_of,
    print_results,
    print_space,
    render_html,
    results_table,
    to_dataframe,
    to_epochs_dataframe,
    to_records,
    write_csv,
    write_html,
    write_json,
)
from choritsu.report.charts import scale_of, scale_over
from choritsu.report.svg import Categories, Linear, Log, linear_over
from choritsu.report.wording import duration, literal, number
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Space, decode
from choritsu.trials import (
    Claimed,
    Failed,
    Finished,
    History,
    Interrupted,
    Objective,
    Refused,
    Report,
    Result,
    Status,
    result_of,
)

CNN = Space(
    (
        Int("filters", 10, 40, step=10),
        Int("kernel_size", 2, 5, step=1),
        Int("units", 50, 200, step=50),
        Choice("learning_rate", [1e-2, 1e-3, 1e-4]),
    )
)
BEST = {"filters": 10, "kernel_size": 3, "units": 50, "learning_rate": 0.001}
HOSTILE = "<script>alert(1)</script>\"'&]]>\x1b[31m"
NAN = math.nan


def summary_of(space, trials, objective="val_accuracy", epochs=1, **facts):
    """Make a summary; a trial is (values, score), (values, [score, ...]) or (values, a message)."""
    objective = Objective(objective, "min" if "loss" in objective else "max")
    events, reports = [], {}
    for index, (values, outcome) in enumerate(trials):
        at = 1_700_000_000.0 + 60 * index
        events.append(Claimed(index, 0, values, at=at))
        if isinstance(outcome, str):
            events.append(Failed(index, 0, values, outcome, f"Traceback\n  line 1\n{outcome}", at=at + 5))
            continue
        told = [
            Report(execution, epoch, {objective.name: score - (epochs - 1 - epoch) * 1e-3 * abs(score), "lr": 0.1}, at)
            for execution, score in enumerate(outcome if isinstance(outcome, list) else [outcome])
            for epoch in range(epochs)
        ]
        reports[index] = tuple(told)
        events.append(Finished(index, 0, values, result_of(told, objective), at=at + 50))
    history = History(space=space, objective=objective).after_all(events)
    return Summary(
        history, reports=reports, created=1_700_000_000.0, **{"title": "log", "directory": "tuning/log", **facts}
    )


def drawn(space, number, score, seed=0, **facts):
    rng = random.Random(seed)
    values = [space.assign(lambda parameter: parameter.from_unit(rng.random())) for _ in range(number)]
    return summary_of(space, [(held, score(held)) for held in values], **facts)


@pytest.fixture(scope="module")
def five():
    others = [({**BEST, "filters": 40, "units": 50 * index}, 0.5 + index / 100) for index in (1, 2, 3)]
    return summary_of(
        CNN, [*others, (BEST, 0.6094), ({**BEST, "units": 100}, "ValueError: out of memory\nat 0x7f")], epochs=10
    )


def text_of(*printed, width=80):
    console = Console(record=True, width=width, file=open(os.devnull, "w"), highlight=False)  # noqa: SIM115
    with console.file:
        for item in printed:
            console.print(item)
    return console.export_text()


def printed(printer, *told, width=80):
    with open(os.devnull, "w") as nothing:
        console = Console(record=True, width=width, file=nothing)
        printer(*told, console=console)
        return console.export_text()


# -- the terminal ----------------------------------------------------------------------------------


def test_space_summary_tells_every_fact_of_each_hyperparameter_and_how_many_there_are():
    text = printed(print_space, CNN)
    assert "4 hyperparameters, 192 combinations" in text
    rows = {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}
    assert "Int 10 10 to 40, step 10 linear" in rows["filters"]
    assert "Int 2 2 to 5, step 1 linear" in rows["kernel_size"]
    assert "Int 50 50 to 200, step 50 linear" in rows["units"]
    assert "Choice 0.01 0.01, 0.001, 0.0001" in rows["learning_rate"]
    assert max(map(len, text.splitlines())) <= 80


def test_space_summary_tells_sampling_and_conditions():
    space = Space(
        (
            Choice("optimizer", ["adam", "sgd"], default="sgd"),
            Float("momentum", 0.0, 0.9, conditions=(Condition("optimizer", ("sgd",)),)),
            Float("decay", 1e-5, 1e-1, step=10, sampling="log"),
            Fixed("classes", 10),
            Boolean("bias", prior=True),
        )
    )
    text = " ".join(printed(print_space, space, width=120).split())
    for fact in (
        "sgd adam, sgd",
        "optimizer = sgd",
        "1e-5 to 0.1, times 10 log",
        "Fixed 10 10",
        "Boolean False True False, True",
    ):
        assert fact in text
    assert "infinitely many combinations" in text
    assert "No hyperparameters" in printed(print_space, Space())


def test_results_summary_tells_where_how_many_and_the_best(five):
    text = printed(print_results, five)
    for fact in ("tuning/log", "5: 4 completed, 1 failed", "4 over 40 epochs", "val_accuracy, larger is better"):
        assert fact in text
    assert "0.6094 in trial 0003, epoch 10/10" in text
    assert " ".join(f"{name}={value}," for name, value in BEST.items())[:-1] in " ".join(text.split())
    assert "trial 0004: ValueError: out of memory" in text
    assert "Traceback" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_reasons_of_failures_are_told_whole_under_each_other():
    reason = f"the objective 'val_acc' was not among the metrics reported: {', '.join(f'metric_{n}' for n in range(9))}"
    endless = f"ValueError: {'[shape] ' * 1000}"
    text = printed(print_results, summary_of(CNN, [(BEST, 0.5), ({}, reason), ({}, endless)]))
    _, _, failed = text.partition("Failed\n")
    first = failed[: failed.index("  trial 0002:")]
    assert first.startswith("  trial 0001: the objective 'val_acc'")
    assert " ".join(first.split()) == f"trial 0001: {reason}"
    assert all(line.startswith(" " * len("  trial 0001: ")) for line in first.splitlines()[1:])
    assert len(failed.splitlines()) < 15
    assert max(map(len, text.splitlines())) <= 80


def test_results_come_as_rows_where_they_fit_and_as_paragraphs_where_not(five):
    wide = printed(print_results, five, width=110)
    assert "rank" in wide
    assert [line.split()[:3] for line in wide.splitlines() if line.split()[:1] == ["1"]] == [["1", "0003", "0.6094"]]
    many = Space(tuple(Float(f"a_rather_long_name_{index}", 0, 1) for index in range(25)))
    narrow = printed(print_results, drawn(many, 3, lambda values: sum(values.values())))
    assert all(narrow.count(f"a_rather_long_name_{index}=") == 4 for index in range(25))
    assert max(map(len, narrow.splitlines())) <= 80


def test_num_trials_spread_and_long_values():
    space = Space((Choice("words", ["x" * 500, "y"]), Choice("[red]markup", [1, 2])))
    summary = summary_of(
        space, [({"words": "x" * 500, "[red]markup": 1}, [0.5, 0.7]), ({"words": "y", "[red]markup": 2}, 0.1)]
    )
    text = printed(print_results, summary, 1, width=120)
    assert "0.6 ± 0.14" in text
    assert "[red]markup" in text
    assert "x" * 41 not in text
    assert "trial 0001" not in text
    assert "The best 1 of 2" not in text


def test_all_the_other_statuses_are_counted():
    history = History(objective=Objective("loss")).after_all(
        [Claimed(number, 0, {"a": number}) for number in range(4)]
        + [Refused(1, 0, {"a": 1}, "heads must divide width"), Interrupted(2, 0), Failed(3, 0, {}, "")]
    )
    summary = Summary(history)
    assert summary.counts == {Status.RUNNING: 1, Status.INTERRUPTED: 1, Status.FAILED: 1, Status.REFUSED: 1}
    text = printed(print_results, summary)
    assert "4: 1 running, 1 interrupted, 1 failed, 1 refused" in text
    assert "none yet" in text
    assert "no reason was given" in text
    assert "heads must divide width" in render_html(summary)


def test_a_pipe_gets_plain_text(five):
    script = (
        "import sys, pickle; from choritsu.report import print_results; print_results(pickle.load(sys.stdin.buffer))"
    )
    for encoding in ("utf-8", "ascii"):
        repeated = summary_of(CNN, [(BEST, [0.5, 0.6])])
        ran = subprocess.run(
            [sys.executable, "-c", script],
            input=pickle.dumps(repeated),
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        assert b"\x1b" not in ran.stdout
        assert ("± 0.071" if encoding == "utf-8" else "+/- 0.071") in ran.stdout.decode(encoding)


def test_importing_the_report_loads_nothing_heavy():
    heavy = ("numpy", "scipy", "rich", "jinja2", "pandas")
    code = f"import sys, choritsu.report; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert ran.stdout.strip() == "[]"


# -- the value -------------------------------------------------------------------------------------


def test_best_so_far_never_gets_worse_and_ends_with_the_best():
    summary = drawn(CNN, 30, lambda values: values["units"] / values["filters"], objective="val_loss")
    standings = summary.progress()
    assert [standing.trial.number for standing in standings] == list(range(30))
    bests = [standing.best for standing in standings]
    assert bests == sorted(bests, reverse=True)
    assert bests[-1] == summary.best.score == min(standing.score for standing in standings)


def test_curves_keep_what_was_reported_and_pair_training_with_validation():
    reports = {
        0: tuple(
            Report(execution, epoch, {"val_loss": NAN if epoch else 1.0, "loss": 2.0, "lr": 0.1})
            for execution in (0, 1)
            for epoch in range(3)
        )
    }
    summary = Summary(History(objective=Objective("val_loss")).after(Claimed(0, 0, {})), reports=reports)
    assert summary.pairs == (("val_loss", "loss"), ("lr", None))
    curves = summary.curves("val_loss")
    assert [(curve.execution, curve.points[0]) for curve in curves] == [(0, (0, 1.0)), (1, (0, 1.0))]
    assert math.isnan(curves[0].points[2][1])
    assert (summary.executions, summary.epochs) == (2, 6)
    render_html(summary)


# -- importance ------------------------------------------------------------------------------------

MIXED = Space(
    (
        Float("a", 0, 1),
        Float("b", 1e-6, 1.0, sampling="log"),
        Int("c", 1, 4),
        Choice("d", ["x", "y", "z"]),
        Boolean("e"),
    )
)
EFFECTS = {
    "a": lambda value: (value - 0.5) ** 2,
    "b": lambda value: -math.log(value),
    "c": lambda value: value % 3,
    "d": lambda value: {"x": 3, "y": 1, "z": 2}[value],
    "e": lambda value: value,
}


@settings(max_examples=8, deadline=None)
@given(name=st.sampled_from(sorted(EFFECTS)), seed=st.integers(0, 10**6))
def test_the_only_parameter_that_acts_has_nearly_all_the_share(name, seed):
    told = importance_of(drawn(MIXED, 60, lambda values: float(EFFECTS[name](values[name])), seed=seed).history)
    assert told.items[0].name == name
    assert told.items[0].share > 0.9
    assert told.explained > 0.5


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), scores=st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_shares_add_up_to_at_most_one_and_the_order_of_trials_is_irrelevant(seed, scores):
    rng = random.Random(seed)
    values = [MIXED.assign(lambda parameter: parameter.from_unit(rng.random())) for _ in scores]
    pairs = list(zip(values, map(float, scores), strict=True))
    told = importance_of(summary_of(MIXED, pairs).history)
    rng.shuffle(pairs)
    assert importance_of(summary_of(MIXED, pairs).history) == told
    parts = [item.share for item in (*told.items, *told.pairs)]
    assert all(0 <= share <= 1 for share in parts)
    assert sum(parts) <= 1 + 1e-9


SQUARE = Space((Float("x", 0, 1), Float("y", 0, 1)))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_adds_up_does_not_interact_and_its_effects_have_their_shapes(seed):
    told = importance_of(
        drawn(
            SQUARE, 80, lambda values: values["x"] + 3 * (values["y"] - 0.5) ** 2, seed=seed, objective="loss"
        ).history
    )
    assert told.pairs[0].share < 0.06
    effects = {effect.name: effect for effect in told.effects}
    for name, true in (("x", lambda x: x + 0.25), ("y", lambda y: 0.5 + 3 * (y - 0.5) ** 2)):
        effect = effects[name]
        errors = [abs(mean - true(value)) for value, mean in zip(effect.values, effect.means, strict=True)]
        assert sum(errors) / len(errors) < 0.1
        assert all(spread >= 0 for spread in effect.spreads)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_product_acts_through_the_pair(seed):
    told = importance_of(
        drawn(SQUARE, 120, lambda values: (values["x"] - 0.5) * (values["y"] - 0.5), seed=seed).history
    )
    assert (told.pairs[0].names, told.reason) == (("x", "y"), "")
    assert told.pairs[0].share > 0.6


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), names=st.permutations(["p", "q", "r", "s"]))
def test_the_names_and_order_of_unordered_choices_are_irrelevant(seed, names):
    def told(labels):
        space = Space((Choice("kind", labels), Float("x", 0, 1)))
        merit = dict(zip(labels, (0.0, 0.9, 0.2, 0.7), strict=True))
        rng = random.Random(seed)
        drawn = [({"kind": labels[rng.randrange(4)], "x": rng.random()}) for _ in range(40)]
        trials = [(values, merit[values["kind"]] * (1 + values["x"])) for values in drawn]
        return importance_of(summary_of(space, trials).history)

    one, other = told(["a", "b", "c", "d"]), told(names)
    for first, second in zip((*one.items, *one.pairs), (*other.items, *other.pairs), strict=True):
        assert first.names == second.names
        assert first.share == pytest.approx(second.share, abs=1e-9)


def test_what_a_score_is_measured_in_is_irrelevant():
    held = drawn(MIXED, 30, lambda values: values["a"] + values["c"])
    scaled = drawn(MIXED, 30, lambda values: -8 * (values["a"] + values["c"]), objective="loss")
    for first, second in zip(importance_of(held.history).items, importance_of(scaled.history).items, strict=True):
        assert (first.names, first.share) == (second.names, pytest.approx(second.share))


@pytest.mark.parametrize("unit", [2.0**1023, 2.0**-1000])
def test_scores_may_be_as_large_or_small_as_floats_are(unit):
    held = drawn(MIXED, 30, lambda values: (values["a"] + values["c"]) / 8)
    scaled = drawn(MIXED, 30, lambda values: unit * ((values["a"] + values["c"]) / 8))
    told, usual = importance_of(scaled.history), importance_of(held.history)
    assert (told.items, told.pairs, told.explained) == (usual.items, usual.pairs, usual.explained)
    for effect, other in zip(told.effects, usual.effects, strict=True):
        assert effect.means == tuple(unit * mean for mean in other.means)
    assert "foretold" not in render_html(scaled)


@pytest.mark.parametrize("values", [(1, 1.0), (0.0, -0.0), (0.0, 5e-324)])
def test_two_values_that_are_one_number_are_told_apart_as_categories(values):
    trials = [({"x": values[number % 2]}, float(number % 2)) for number in range(12)]
    told = importance_of(summary_of(Space(), trials).history)
    assert (told.items[0].name, told.reason) == ("x", "")
    assert told.items[0].share == pytest.approx(1.0)


def test_noise_seldom_passes_for_influence():
    alarms = 0
    for seed in range(20):
        rng = random.Random(seed + 1)
        history = drawn(MIXED, 25, lambda _, rng=rng: rng.random(), seed=seed).history
        alarms += not importance_of(history).reason
    assert alarms < 4


@pytest.mark.parametrize("diverged", [1e9, 1e200, 1.7e308])
def test_one_diverged_trial_does_not_drown_the_rest(diverged):
    rng = random.Random(0)
    trials = [({"x": x, "y": y}, x) for x, y in ((rng.random(), rng.random()) for _ in range(40))]
    told = importance_of(summary_of(SQUARE, [*trials, ({"x": 0.5, "y": 0.5}, diverged)], objective="loss").history)
    assert told.items[0].name == "x"
    assert told.items[0].share > 0.9


def test_a_conditional_parameter_matters_where_it_is_used():
    space = Space(
        (Choice("optimizer", ["adam", "sgd"]), Float("momentum", 0, 1, conditions=(Condition("optimizer", ("sgd",)),)))
    )
    shifted = importance_of(drawn(space, 60, lambda values: values.get("momentum", -1.0)).history)
    assert shifted.items[0].name == "optimizer"
    assert 0.01 < shifted.items[1].share < 0.1
    # Half of the variance is momentum's, and half is whether there is any.
    centred = importance_of(drawn(space, 60, lambda values: values.get("momentum", 0.5)).history)
    assert centred.items[0].name == "momentum"
    assert 0.3 < centred.items[0].share < 0.75
    assert centred.items[0].share + centred.pairs[0].share > 0.9


def budgeted(reached, objective="loss"):
    """Make a history of trials that paused at budgets: (values, {until: score})."""
    events = []
    for index, (values, scores) in enumerate(reached):
        for attempt, (until, score) in enumerate(scores.items()):
            events.append(Claimed(index, attempt, values, until=until))
            events.append(Finished(index, attempt, values, Result(score, None, {}, until - 1, 0, 1, until)))
    return History(SQUARE, Objective(objective)).after_all(events)


def test_scores_at_different_budgets_are_not_mixed():
    rng = random.Random(0)
    points = [{"x": rng.random(), "y": rng.random()} for _ in range(40)]
    # After one epoch it is x that counts, after three it is y, and what trained longer is far better.
    reached = [
        (values, {1: 5 + values["x"], **({3: values["y"]} if number < 20 else {}), **({9: 0.0} if number < 4 else {})})
        for number, values in enumerate(points)
    ]
    told = importance_of(budgeted(reached))
    assert (told.trials, told.until, told.items[0].name) == (20, 3, "y")
    assert told.items[0].share > 0.9
    assert "after epoch 3" in render_html(Summary(budgeted(reached)))
    few = importance_of(budgeted(reached[:5]))
    assert few.reason == "5 trials have come as far as epoch 3; at least 8 are needed"


def test_where_nothing_can_be_said_the_reason_is():
    few = summary_of(CNN, [(BEST, 0.1), ({**BEST, "units": 100}, 0.2)])
    assert "at least 8" in importance_of(few.history).reason
    assert "2 completed so far; at least 8" in " ".join(printed(print_results, few).split())
    constant = drawn(CNN, 10, lambda _: 0.5)
    assert "same score" in importance_of(constant.history).reason
    assert "same score" in render_html(constant)
    assert importance_of(summary_of(CNN, [(BEST, index / 10) for index in range(8)]).history).reason
    assert importance_of(summary_of(Space(), [({}, index / 10) for index in range(8)]).history).reason
    rng = random.Random(0)
    assert "foretells" in importance_of(drawn(MIXED, 25, lambda _: rng.random()).history).reason
    varied = importance_of(
        drawn(Space((Fixed("classes", 10), Float("a", 0, 1))), 12, lambda values: values["a"]).history
    )
    assert [item.name for item in varied.items] == ["a"]
    assert varied.untold == ("classes",)


def test_two_hundred_trials_of_ten_parameters_take_less_than_two_seconds():
    wide = Space(tuple(Float(f"p{index}", 0, 1) for index in range(10)))
    history = drawn(wide, 200, lambda values: values["p1"] * values["p2"] + values["p3"]).history
    began = time.process_time()
    assert {item.name for item in importance_of(history).items[:3]} == {"p1", "p2", "p3"}
    assert time.process_time() - began < 2


def test_the_page_and_the_terminal_tell_and_draw_what_matters():
    summary = drawn(MIXED, 60, lambda values: {"x": 0.9, "y": 0.1, "z": 0.5}[values["d"]] + 0.4 * values["a"])
    reader = read(render_html(summary))
    labels = [value for name, value in reader.attributes if name == "aria-label"]
    assert "val_accuracy by d alone" in labels
    assert "val_accuracy by a alone" in labels
    styles = [value for name, value in reader.attributes if name == "class"]
    assert styles.count("reach") == 3
    assert styles.count("band") == styles.count("effect") >= 1
    text = " ".join(printed(print_results, summary).split())
    first = summary.importances.items[0]
    assert f"what matters d {first.share:.0%} ± {100 * first.spread:.0f}, a" in text
    assert "of the variance (60 trials" in text


# -- the page --------------------------------------------------------------------------------------


class Reader(HTMLParser):
    VOID = frozenset(("meta", "link", "br", "path"))

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    names = {name for name, _ in reader.attributes}
    assert not names & {"src", "srcset", "action", "data", "poster", "onclick", "onload"}
    for name, value in reader.attributes:
        if name in ("href", "xlink:href"):
            assert value.startswith(("#", "data:,"))
            assert value in ("#", "data:,") or value[1:] in reader.ids
    assert reader.tags.count("script") == 1
    for name, value in reader.attributes:
        if name in ("d", "cx", "cy", "x", "y", "width"):
            assert "nan" not in value
            assert "inf" not in value
    return reader


def degenerate():
    space = Space((Int("units", 1, 9), Float("rate", 1e-5, 1.0, sampling="log")))
    wide = Space(tuple(Float(f"p{index:02}", 0, 1) for index in range(30)))
    huge = [1e308, -1e308, 1e-320, 0.0, 5.0, 1e12]
    odd = Space(
        (
            Choice("odd", [None, (1, 2.0), {"k": [math.inf]}, True, 1, 1.0, "one"]),
            Float("mirrored", 0.9, 0.999, sampling="reverse_log"),
        )
    )
    twice = Space(
        (
            Choice("kind", ["a", "b"]),
            Int("n", 1, 5, conditions=(Condition("kind", ("a",)),)),
            Choice("n", ["few", "many"], conditions=(Condition("kind", ("b",)),)),
        )
    )
    return {
        "no trials": Summary(History(space=space)),
        "nothing at all": Summary(History()),
        "one trial": drawn(space, 1, lambda values: 0.5),
        "two equal": drawn(space, 2, lambda values: 0.5, epochs=2),
        "all failed": summary_of(space, [({"units": 1}, "ValueError: no"), ({}, "")]),
        "one parameter": drawn(Space((Boolean("b"),)), 6, lambda values: float(values["b"]), epochs=3),
        "no parameters": summary_of(Space(), [({}, 0.1 * index) for index in range(6)]),
        "thirty parameters": drawn(wide, 20, lambda values: values["p07"]),
        "huge": summary_of(
            space, [({"units": 1 + index, "rate": 0.1}, score) for index, score in enumerate(huge)], epochs=2
        ),
        "tiny": summary_of(space, [({"units": 1 + index, "rate": 0.1}, 1e-15 * index) for index in range(6)]),
        "alike": summary_of(space, [({"units": 1 + index, "rate": 0.1}, 1.0 + 1e-16 * index) for index in range(6)]),
        "odd values": drawn(odd, 20, lambda values: values["mirrored"]),
        "one name twice": drawn(twice, 20, lambda values: float(len(str(values["n"])))),
        "unknown values": summary_of(Space(), [({"gone": value}, 0.5 + value) for value in (0.1, 0.2, math.inf)][:2]),
        "infinite value": summary_of(
            Space((Choice("clip", [1.0, math.inf]),)), [({"clip": value}, 0.5) for value in (1.0, math.inf)]
        ),
        "outside its range": summary_of(space, [({"units": -7, "rate": 0.0}, 0.5), ({"units": 3, "rate": 0.1}, 0.6)]),
    }


@pytest.mark.parametrize("case", sorted(degenerate()))
def test_whatever_happened_the_page_and_the_tables_stand(case, tmp_path):
    summary = degenerate()[case]
    read(render_html(summary))
    for width in (20, 80, 200):
        assert text_of(results_table(summary), width=width)
    printed(print_space, summary.space)
    write_csv(summary, tmp_path / "trials.csv")
    json.loads(write_json(summary, tmp_path / "trials.json").read_text(encoding="utf-8"))
    to_dataframe(summary)


def test_the_page_tells_the_facts_and_fetches_nothing(five):
    page = render_html(five)
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page
    reader = read(page)
    text = " ".join(" ".join(reader.text).split())
    for fact in ("val_accuracy, larger is better", "0.6094", "4 completed, 1 failed", "tuning/log", "192 combinations"):
        assert fact in text
    block = page.split('<pre id="values"')[1].split(">", 1)[1].split("</pre>")[0]
    assert eval(html.unescape(block)) == BEST
    assert {f"trial-{trial.number}" for trial in five.history} <= set(reader.ids)
    assert "ValueError: out of memory" in text
    assert "prefers-color-scheme: dark" in page
    assert reader.tags.count("svg") >= 6
    labels = [value for name, value in reader.attributes if name == "aria-label"]
    assert "Score by trial" in labels


def test_hostile_names_and_values_stay_text():
    space = Space((Choice(HOSTILE, [HOSTILE, "b"]), Float(f"{HOSTILE}2", 0, 1)))
    trials = [({HOSTILE: HOSTILE, f"{HOSTILE}2": index / 9}, index / 9) for index in range(8)]
    trials += [({HOSTILE: "b", f"{HOSTILE}2": 0.5}, HOSTILE)]
    summary = summary_of(
        space, trials, objective=HOSTILE, epochs=3, title=HOSTILE, directory=HOSTILE, settings={HOSTILE: HOSTILE}
    )
    page = render_html(summary)
    read(page)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    assert "\x1b" not in printed(print_results, summary)


def test_nan_in_curves_breaks_the_line_and_nothing_else():
    reports = {0: tuple(Report(0, epoch, {"val_loss": NAN if epoch == 2 else 1.0 / (epoch + 1)}) for epoch in range(5))}
    objective = Objective("val_loss")
    history = History(objective=objective).after_all(
        [Claimed(0, 0, {}), Finished(0, 0, {}, result_of(reports[0], objective))]
    )
    page = render_html(Summary(history, reports=reports))
    read(page)
    assert any(
        part.split('d="')[1].split('"')[0].count("M") == 2 for part in page.split("<path")[1:] if 'class="curve' in part
    )


def test_five_hundred_trials_are_drawn_at_once():
    summary = drawn(MIXED, 500, lambda values: values["a"], epochs=5)
    began = time.process_time()
    page = render_html(summary)
    assert time.process_time() - began < 5
    assert len(page) < 3_000_000
    assert page.count('id="trial-') == 500


def test_trials_with_smaller_budgets_are_told_apart():
    points = [
        ({"x": number / 9, "y": 0.5}, {3: 1.0 - number / 10, **({9: 0.05} if number > 7 else {})})
        for number in range(10)
    ]
    page = render_html(Summary(budgeted(points)))
    read(page)
    by_trial, by_x = page.split('aria-label="Score by trial"')[1], page.split('aria-label="loss by x"')[1]
    for chart in (by_trial.split("</svg>")[0], by_x.split("</svg>")[0]):
        hollow = {
            part.split("<title>")[1].split("</title>")[0]
            for part in chart.split("<circle")
            if "part" in part.split(">")[0]
        }
        assert {text.split(":")[0] for text in hollow} == {f"trial {number}" for number in range(8)}
        assert all(text.endswith(" after epoch 3") for text in hollow)
    assert page.count("A hollow dot is a trial that has not come as far as epoch 9.") == 2
    assert "hollow" not in render_html(drawn(MIXED, 10, lambda values: values["a"])).split("</style>")[1]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MEASURE = """<script>
addEventListener("load", () => document.body.replaceChildren(JSON.stringify(
  [...document.querySelectorAll(".grid svg")].map(chart => chart.clientWidth / chart.viewBox.baseVal.width))))
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no browser is here")
@pytest.mark.parametrize("width", [800, 1200, 1900])
def test_letters_are_alike_in_all_charts(width, tmp_path):
    held = drawn(MIXED, 9, lambda values: values["a"], epochs=4)
    # One metric, and so one chart of learning curves, beside two of progress and several slices.
    reports = {
        number: tuple(replace(report, metrics={"val_accuracy": report.metrics["val_accuracy"]}) for report in told)
        for number, told in held.reports.items()
    }
    page = tmp_path / "page.html"
    page.write_text(render_html(replace(held, reports=reports)).replace("</body>", MEASURE), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    told = subprocess.run(
        [*command, f"--window-size={width},2000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    scales = json.loads(told.stdout.split("<body>")[1].split("</body>")[0])
    assert len(scales) >= 7
    assert max(scales) < 1.2 * min(scales)


def test_the_page_replaces_the_old_one_whole(five, tmp_path, monkeypatch):
    path = tmp_path / "out" / "report.html"
    assert write_html(five, path) == path.resolve()
    assert path.read_text(encoding="utf-8") == render_html(five)

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_html(replace(five, title="new"), path)
    assert path.read_text(encoding="utf-8") == render_html(five)
    assert [held.name for held in path.parent.iterdir()] == ["report.html"]


# -- scales ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_any_finite_scores_have_a_scale_with_places_and_ticks_inside(scores):
    for scale in (linear_over(scores), scale_over(scores, keep=scores[:1])):
        assert all(0 <= scale.at(score) <= 1 for score in scores)
        ticks = scale.ticks()
        assert 0 < len(ticks) <= 14
        assert all(0 <= place <= 1 for place, _ in ticks)
        places = [scale.at(score) for score in sorted(scores)]
        assert places == sorted(places)


@given(st.floats(1e-12, 1e12), st.floats(1.01, 1e12), st.booleans())
def test_log_scales_keep_the_order_and_their_ends(low, factor, mirrored):
    scale = Log(low, low * factor, mirrored)
    assert scale.at(low) == pytest.approx(0, abs=1e-4)
    assert scale.at(low * factor) == pytest.approx(1, abs=1e-4)
    places = [place for place, _ in scale.ticks()]
    assert places == sorted(places)
    assert places


def test_ticks_are_round_and_told_apart():
    assert [label for _, label in Linear(0.98, 1.0).ticks()] == ["0.98", "0.985", "0.99", "0.995", "1"]
    assert [label for _, label in Linear(0, 37, integral=True).ticks()] == ["0", "10", "20", "30"]
    assert [label for _, label in Linear(1, 3, integral=True).ticks()] == ["1", "2", "3"]
    assert [label for _, label in Log(1e-6, 1e-2).ticks()] == ["1e-6", "1e-5", "0.0001", "0.001", "0.01"]


def test_outliers_go_to_the_edge_and_the_best_stays():
    scores = [0.9, 0.8, 0.85, 0.7, 0.75, -1e9]
    scale = scale_over(scores, keep=[0.9])
    assert scale.at(-1e9) == 0
    assert scale.at(0.9) - scale.at(0.7) > 0.5


def test_a_hyperparameter_is_drawn_as_it_is_sampled():
    summary = drawn(MIXED, 10, lambda values: values["a"])
    assert scale_of(summary, "a") == Linear(0.0, 1.0)
    assert scale_of(summary, "b") == Log(1e-6, 1.0)
    assert scale_of(summary, "c").marks == (1, 2, 3, 4)
    assert isinstance(scale_of(summary, "d"), Categories)
    rates = drawn(CNN, 4, lambda values: 0.5)
    assert [label for _, label in scale_of(rates, "learning_rate").ticks()] == ["0.0001", "0.001", "0.01"]


# -- exports ---------------------------------------------------------------------------------------


def test_json_holds_everything_and_is_valid(tmp_path):
    space = Space((Choice("betas", [(0.9, 0.999), None]), Float("clip", 0, 1)))
    told = (Report(0, 0, {"loss": NAN, "acc": 0.1}), Report(0, 1, {"loss": 0.5, "acc": math.inf}))
    objective = Objective("loss")
    values = {"betas": (0.9, 0.999), "clip": 0.1}
    history = History(space=space, objective=objective).after_all(
        [
            Claimed(0, 0, values),
            Finished(0, 0, values, result_of(told, objective)),
            Claimed(1, 0, {}),
            Failed(1, 0, {}, "調律"),
        ]
    )
    summary = Summary(history, reports={0: told}, settings={"oracle": "random", "odd": {1: (math.inf, object)}})

    def refuse(constant):
        raise AssertionError(constant)

    data = json.loads(write_json(summary, tmp_path / "a.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert Space.from_json(data["space"]) == space
    first, second = data["trials"]
    assert {name: decode(value) for name, value in first["values"].items()} == values
    assert [report["metrics"] for report in first["reports"]] == [
        {"loss": None, "acc": 0.1},
        {"loss": 0.5, "acc": None},
    ]
    assert (first["result"]["score"], second["result"], second["message"]) == (0.5, None, "調律")
    assert data["objective"] == {"name": "loss", "direction": "min"}


def test_csv_comes_back_as_it_was(five, tmp_path):
    with open(write_csv(five, tmp_path / "trials.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    records = to_records(five)
    assert [int(row["trial"]) for row in rows] == [record["trial"] for record in records]
    assert [float(row["hp.learning_rate"]) for row in rows] == [record["hp.learning_rate"] for record in records]
    assert [row["score"] and float(row["score"]) for row in rows] == [record["score"] or "" for record in records]
    assert rows[4]["message"] == "ValueError: out of memory\nat 0x7f"


def test_a_name_of_ours_is_not_overwritten_by_one_of_yours():
    summary = summary_of(Space((Int("epochs", 1, 5),)), [({"epochs": 4}, 0.5)])
    record = to_records(summary)[0]
    assert (record["epochs"], record["hp.epochs"]) == (1, 4)


def test_dataframes(five):
    pytest.importorskip("pandas")
    trials, epochs = to_dataframe(five), to_epochs_dataframe(five)
    assert trials["score"].max() == 0.6094
    assert list(trials.loc[trials["score"].idxmax(), ["hp.filters", "hp.units"]]) == [10, 50]
    assert len(epochs) == 40
    assert epochs["metric.val_accuracy"].max() == 0.6094
    assert list(to_dataframe(Summary(History())).columns)[:3] == ["trial", "status", "score"]


def test_without_pandas_the_cure_is_named(five, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        to_dataframe(five)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_best_values_can_be_pasted(value):
    assert eval(literal(value)) == value


@given(st.floats(0, 1e9))
def test_durations_never_say_sixty(seconds):
    assert "60" not in duration(seconds).split()


def test_numbers_are_short():
    assert [number(value) for value in (0.6094, 1e-8, 12.0, 1234567.0, 1e30, NAN)] == [
        "0.6094",
        "1e-8",
        "12",
        "1234567",
        "1e30",
        "nan",
    ]


def test_result_values_that_were_not_reported_do_not_matter():
    history = History(objective=Objective("loss")).after_all(
        [Claimed(0, 0, {}, at=5.0), Finished(0, 0, {}, Result(0.5, None, {"loss": 0.5}, 1, 0, 2, 6), at=9.0)]
    )
    summary = Summary(history)
    assert (summary.executions, summary.epochs, summary.seconds, summary.begun) == (2, 6, 4.0, 5.0)
    read(render_html(summary))
