"""Schedules can be looked at: as a picture, in a terminal, and from what somebody typed."""

from __future__ import annotations

import subprocess
import sys
import warnings
from contextlib import suppress

import matplotlib as mpl

mpl.use("Agg")

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.figure import Figure
from rich.console import Console

from choritsu import schedules as ct
from choritsu.errors import ScheduleError, UnitError
from choritsu.schedules.drawing.expressions import BUILDERS, METHODS, read_schedule
from choritsu.schedules.drawing.pictures import drawn, plot, write_picture
from choritsu.schedules.drawing.terminal import chart, told
from choritsu.schedules.finding.rate_range import read_range

SCHEDULES = [
    ct.Rate(0.1),
    ct.Rate(0.0),
    0.1 * ct.cosine(steps=90).warmup(10),
    1e-3 * ct.one_cycle(steps=30),
    ct.Rate.piecewise({0: 0.1, 30: 0.01}),
    0.1 * ct.restarts(steps=10, stretch=2.0),
    0.1 * ct.inverse_sqrt(warmup=4000),
    0.1 * ct.linear(steps=ct.epochs(3)).warmup(ct.share(0.1)),
    ct.Rate.constant(0.1, steps=1),
    ct.Rate.linear(0.1, steps=5).after("error"),
]


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    pyplot.close("all")


class TestDrawn:
    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_every_point_is_the_value_at_its_step(self, schedule):
        picture = drawn(schedule)
        assert len(picture.steps) == len(picture.values) <= 2000
        assert list(picture.steps) == sorted(set(picture.steps))
        assert all(picture.schedule(step) == value for step, value in zip(picture.steps, picture.values, strict=True))

    @given(st.integers(1, 10**6), st.integers(1, 50))
    def test_the_ends_are_always_there(self, steps, points):
        picture = drawn(ct.linear(steps=10), steps, points=points)
        assert picture.steps[0] == 0
        assert len(picture.steps) == min(steps, points)
        assert points == 1 or picture.steps[-1] == steps - 1

    def test_numbers_that_were_assumed_are_said(self):
        half = ct.linear(steps=ct.share(0.5))
        assert drawn(half).about == "assuming 1000 in all"
        assert drawn(half, 60).values[30:] == (0.0,) * 30
        assert drawn(half, 60).about == ""
        both = ct.linear(steps=ct.epochs(3)).warmup(ct.share(0.1))
        assert drawn(both).about == "assuming 100 steps an epoch, 1000 in all"
        assert drawn(ct.linear(steps=3)).about == ""

    def test_what_has_no_end_is_shown_for_long_enough(self):
        assert drawn(ct.inverse_sqrt(warmup=4000)).steps[-1] > 15_000
        assert len(drawn(ct.constant(1.0)).steps) == 100

    def test_the_last_of_the_values_by_step_is_seen(self):
        assert drawn(ct.piecewise({0: 1.0, 30: 0.1})).values[-1] == 0.1

    def test_no_steps_are_refused(self):
        with pytest.raises(ScheduleError, match="at least 1 step, got steps=0"):
            drawn(ct.linear(steps=3), 0)


class TestPlot:
    @pytest.mark.parametrize("log", [False, True])
    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_any_schedule_can_be_drawn(self, schedule, log):
        axes = plot(schedule, log=log)
        axes.figure.canvas.draw()
        assert axes.get_ylabel() == "learning rate"
        assert axes.get_yscale() == ("log" if log else "linear")

    def test_the_line_has_the_values(self, ax):
        rate = 0.1 * ct.cosine(steps=20)
        (line,) = plot(rate, ax=ax).lines
        assert list(line.get_xdata()) == list(range(20))
        assert list(line.get_ydata()) == rate.table()

    def test_units_are_told(self, ax):
        assert plot(ct.linear(steps=3), ax=ax).get_ylabel() == "factor of the learning rate"
        assert plot(0.1 * ct.linear(steps=3), ax=ax).get_ylabel() == "learning rate"
        with pytest.raises(UnitError, match="no axis in common"):
            plot([ct.linear(steps=3), 0.1 * ct.linear(steps=3)], ax=ax)

    def test_several_are_a_list(self, ax):
        for others in [(0.1 * ct.cosine(steps=3),), (None, ct.linear(steps=3))]:
            with pytest.raises(ScheduleError, match=r"as a list: plot\(\[a, b\]\)"):
                plot(ct.linear(steps=3), *others)

    def test_the_axis_tells_what_was_assumed(self, ax):
        assert plot(ct.linear(steps=ct.epochs(3)), ax=ax).get_xlabel() == "step (assuming 100 steps an epoch)"
        assert plot(ct.constant(1.0), ax=ax).get_xlabel() == "step (no end)"

    def test_several_have_a_legend_and_go_on_as_long_as_the_longest(self):
        axes = plot([ct.Rate(0.1), 0.1 * ct.linear(steps=500)], labels=["a", "costs $5 and $6"])
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", r"costs \$5 and \$6"]
        assert [line.get_xdata()[-1] for line in axes.lines] == [499, 499]
        axes.figure.canvas.draw()

    def test_the_users_figures_are_left_alone(self):
        mine, axes = pyplot.subplots()
        axes.set_title("mine")
        axes.set_ylim(-1, 1)
        assert plot(0.1 * ct.linear(steps=3), ax=axes) is axes
        assert pyplot.get_fignums() == [mine.number]
        assert axes.get_title() == "mine"
        assert axes.get_ylim() == (-1, 1)
        plot(ct.linear(steps=3))
        assert len(pyplot.get_fignums()) == 2

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (([],), "list of one kind"),
            ((["linear"],), "list of one kind"),
            ((ct.linear(steps=3), 0), "at least 1 step"),
        ],
    )
    def test_what_cannot_be_drawn_is_refused_and_leaves_no_empty_figure(self, arguments, reason):
        with pytest.raises(ScheduleError, match=reason):
            plot(*arguments)
        with pytest.raises(ScheduleError, match="1 schedules need as many labels"):
            plot(ct.linear(steps=3), labels="ab")
        assert pyplot.get_fignums() == []

    @pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
    def test_files_are_written_without_a_window(self, tmp_path, ending):
        write_picture([0.1 * ct.linear(steps=9), ct.Rate(0.05)], tmp_path / f"rates.{ending}", log=True)
        assert (tmp_path / f"rates.{ending}").stat().st_size > 1000
        assert pyplot.get_fignums() == []
        with pytest.raises(ScheduleError, match=r"end it with .png"):
            write_picture(ct.linear(steps=3), tmp_path / "rates.docx")

    def test_without_matplotlib_it_says_what_to_install(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        for draw in (lambda: plot(ct.linear(steps=3)), lambda: write_picture(ct.linear(steps=3), tmp_path / "a.png")):
            with pytest.raises(ScheduleError, match=r"pip install 'choritsu\[plot\]'"):
                draw()

    def test_matplotlib_is_imported_only_to_draw(self):
        program = (
            "import sys\nimport choritsu.schedules.drawing.pictures, choritsu.schedules.finding.sweeping\n"
            "import choritsu.schedules.drawing.terminal, choritsu.schedules.drawing.expressions\n"
            "print(sorted({'matplotlib', 'torch', 'keras', 'numpy', 'rich'} & set(sys.modules)))"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "[]"


class TestARange:
    def found(self):
        rates = [1e-6 * 10 ** (k / 15) for k in range(100)]
        return read_range(rates, [[2 - 1 / (1 + (0.001 / rate)) + (rate / 0.1) ** 2 for rate in rates]] * 2)

    def test_is_drawn_with_its_numbers(self):
        axes = self.found().plot()
        axes.figure.canvas.draw()
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert f"suggested {self.found().suggested:.2g}" in texts
        assert axes.get_xscale() == "log"
        assert axes.get_xlabel() == "learning rate"

    def test_is_drawn_where_the_user_wants(self, ax):
        assert self.found().plot(ax) is ax
        assert pyplot.get_fignums() == []


class TestTheTerminal:
    @given(
        st.lists(st.floats(0, 1e300), min_size=1, max_size=200),
        st.integers(1, 120),
        st.integers(1, 20),
        st.booleans(),
    )
    @example([5e-324, 0.0], 10, 3, True)
    def test_a_chart_of_anything_has_its_size(self, values, width, height, log):
        lines = chart(values, width=width, height=height, log=log).splitlines()
        assert len(lines) == height + 2
        assert len({line.find("┤") for line in lines[:height]}) == 1
        assert lines[height].count("─") == width

    def test_columns_are_as_high_as_values(self):
        lines = chart([1.0, 0.5, 0.25, 0.0], width=4, height=4).splitlines()
        columns = ["".join(line[5:].ljust(4)[place] for line in lines[:4]) for place in range(4)]
        assert columns == ["████", "  ██", "   █", "    "]

    def test_a_logarithmic_chart_is_even_where_the_rate_falls_exponentially(self):
        lines = chart([10.0**-k for k in range(8)], width=8, height=8, log=True).splitlines()
        heights = [sum(line[9:].ljust(9)[place] != " " for line in lines[:8]) for place in range(8)]
        assert heights == sorted(heights, reverse=True)
        assert len(set(heights)) >= 7

    def test_nothing_is_refused(self):
        with pytest.raises(ScheduleError, match="needs values"):
            chart([])

    @pytest.mark.parametrize("width", [20, 60, 200])
    @pytest.mark.parametrize("log", [False, True])
    @pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
    def test_any_schedule_is_told_at_any_width(self, schedule, log, width):
        console = Console(width=width)
        with console.capture() as captured:
            console.print(told(schedule, log=log, width=width))
        text = captured.get()
        assert max(map(len, text.splitlines())) <= width
        assert "step" in text
        assert "learning" in text


def expressions():
    """Expressions as people write them, sensible or not."""
    numbers = st.integers(-3, 200).map(str) | st.floats(-1, 1e4).map(repr) | st.sampled_from(["1e-3", "inf", "1/25"])
    spans = numbers | st.integers(1, 9).map("epochs({})".format) | st.just("share(0.1) + 5")
    texts = st.sampled_from(["'cosine'", "'hold'", "'mirror'", "[1, 2]", "{0: 1.0, 5: 0.1}", "()", "True"])
    words = st.sampled_from(
        "start end steps power decay every up down low high times scale curve warmup stable".split()
    )

    def call(inner):
        values = st.one_of(spans, texts, inner)
        arguments = st.lists(values, max_size=2).map(", ".join)
        named = st.dictionaries(words, values, max_size=3).map(
            lambda chosen: ", ".join(f"{name}={value}" for name, value in chosen.items())
        )
        both = st.tuples(arguments, named).map(lambda parts: ", ".join(filter(None, parts)))
        return st.one_of(
            st.builds("{}({})".format, st.sampled_from(sorted(BUILDERS)), both),
            st.builds("{}.{}({})".format, inner, st.sampled_from([*METHODS, "table", "to_json"]), both),
            st.builds("{} {} {}".format, st.one_of(numbers, inner), st.sampled_from("*/+-"), inner),
        )

    return st.recursive(
        st.sampled_from(["linear(steps=10)", "0.1 * cosine(steps=100)", "one_cycle(steps=30)", "Rate(0.1)"]),
        call,
        max_leaves=6,
    )


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "schedule"),
        [
            ("0.1 * cosine(steps=90).warmup(10)", 0.1 * ct.cosine(steps=90).warmup(10)),
            ("linear(1.0, 0.0, steps=5) * 1e-3", 1e-3 * ct.linear(steps=5)),
            ("ct.schedules.one_cycle(steps=10*10, start=1/25)", ct.one_cycle(steps=100)),
            ("choritsu.schedules.Rate.linear(0.1, 0, steps=5)", ct.Rate.linear(0.1, 0.0, steps=5)),
            ("schedules.Rate(0.1)", ct.Rate(0.1)),
            (" Rate(0.1) / 0.1 ", ct.Rate(0.1) / 0.1),
            ("piecewise({0: 1, 30: -(-0.1)}, between='linear')", ct.piecewise({0: 1, 30: 0.1}, between="linear")),
            ("piecewise([1, 0.5])", ct.piecewise([1, 0.5])),
            ("linear(steps=epochs(5) + 100)", ct.linear(steps=ct.epochs(5) + 100)),
            ("wsd(warmup=share(.1), stable=share(.7), decay=share(.2)).bind(horizon=100)",
             ct.wsd(warmup=10, stable=70, decay=20)),
            ("restarts(steps=10).clip(low=0.1, high=inf)", ct.restarts(steps=10).clip(0.1)),
            ("linear(steps=5).then(constant(0.5)).after('hold')", ct.linear(steps=5).then(0.5).after("hold")),
            ("(\n0.1 *\n linear(steps=5)\n)", 0.1 * ct.linear(steps=5)),
        ],
    )  # fmt: skip
    def test_are_read_as_python_would(self, text, schedule):
        assert read_schedule(text) == schedule

    def test_json_is_read_too(self):
        for schedule in SCHEDULES:
            assert read_schedule(schedule.to_json()) == schedule

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "is empty"),
            ("0.1", "is a number and no schedule; write one such as Rate"),
            ("epochs(5)", "is a length and no schedule"),
            ("[linear(steps=3)]", "is a list and no schedule"),
            ("cosinus(steps=3)", "cosinus is not known here; known are constant, cosine"),
            ("cosine(step=3)", "cosine.step=3.: .*step"),
            ("cosine()", "steps"),
            ("cosine(steps=0)", "steps must be a number of steps above 0"),
            ("linear(steps=3", "cannot be read, at character"),
            ("linear(steps=3).table()", r"\.table\(\) is not read here"),
            ("(0.1).warmup(3)", r"is a number, and has no \.warmup"),
            ("Rate(0.1) * Rate(0.1)", "rate squared"),
            ("0.1 * Rate(0.1)", "is the number a factor"),
            ("linear(steps=3) + 1", "raised"),
            ("1 / 0 * linear(steps=3)", "cannot be read as a schedule: .*zero"),
            ("linear(**{'steps': 3})", r"\* and \*\* are not read"),
            ("linear(*[1, 0], steps=3)", r"\* and \*\* are not read"),
            ("[9] * 9", "a list, where a number or a schedule is wanted"),
            ("'9' * 99999999", "a text, where a number or a schedule is wanted"),
            ("9 ** 9 ** 9", "is not read here"),
            ("1 if 1 else 2", "is not read here"),
            ("(lambda: linear(steps=3))()", "is not read here"),
            ("(x := linear(steps=3))", "is not read here"),
            ("f'{linear}'", "is not read here"),
            ("linear", "is not read here"),
            ("linear.__globals__", "is not read here"),
            ("linear(steps=3).shape", "is not read here"),
            ("linear(steps=3).__class__()", "is not read here"),
            ("Rate.from_function(print)", "from_function is not known here"),
            ("__import__('os').system('true')", "not read here"),
            ("open('/etc/passwd')", "open is not known here"),
            ("import os", "cannot be read"),
            ("1" * 5000, "at most 2000 characters"),
            ("(" * 1000, "cannot be read"),
            ("-" * 1900 + "1", "cannot be read"),
            ("linear(steps=3)" + ".warmup(1)" * 180, ""),
            ("{", "no schedule can be read"),
            ('{"unit": "rate", "shape": {"kind": "function", "function": "print"}}', "unknown kind"),
            ('{"unit": "rate", "shape": 5}', "no schedule can be read"),
            ("\0", "cannot be read"),
            ("[" * 90 + "]" * 90, ""),
        ],
    )
    def test_what_is_none_is_refused_with_a_reason(self, text, reason):
        if reason:
            with pytest.raises((ScheduleError, UnitError), match=reason):
                read_schedule(text)
        else:
            with suppress(ScheduleError):
                read_schedule(text)

    @pytest.mark.filterwarnings("ignore::choritsu.errors.ScheduleWarning")
    @given(expressions())
    def test_whatever_is_written_gives_a_schedule_or_a_sentence(self, text):
        try:
            schedule = read_schedule(text)
        except (ScheduleError, UnitError) as error:
            assert str(error)[:3].strip()  # noqa: PT017  # either is right
        else:
            assert isinstance(schedule, ct.Schedule)

    @given(st.text(max_size=200) | st.text("linearcos()[]{}.*/+-=,'0123456789 _", max_size=60))
    @example("\ud800")
    @example("'\\N{x}'")
    @example("1_0_")
    @example("'\\d'")
    def test_any_text_at_all_gives_a_schedule_or_a_sentence(self, text):
        with suppress(ScheduleError, UnitError):
            read_schedule(text)

    def test_nothing_is_run(self, tmp_path):
        """Python's own audit would tell of any import, file or code object; its hooks stay until the process ends."""
        texts = [
            "__import__('os').system('touch made')",
            "linear(steps=open('made', 'w'))",
            "Rate.from_function(exec)",
            "linear(steps=().__class__.__bases__[0].__subclasses__())",
            "0.1 * linear(steps=breakpoint())",
        ]
        program = (
            "import sys\nfrom choritsu.errors import ScheduleError\n"
            "from choritsu.schedules.drawing.expressions import read_schedule\n"
            "seen, refused = [], 0\n"
            "sys.addaudithook(lambda event, details: seen.append(event))\n"
            f"for text in {texts!r}:\n"
            "    try:\n        read_schedule(text)\n    except ScheduleError:\n        refused += 1\n"
            "events = {event.partition('.')[0] for event in seen}\n"
            "print(refused, sorted(events & {'os', 'open', 'import', 'exec', 'subprocess', 'builtins'}))"
        )
        run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == f"{len(texts)} []"
        assert list(tmp_path.iterdir()) == []

    def test_a_warning_of_python_about_the_text_is_no_error(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for text in (r"piecewise({0: 1}, between='\d')", "1 is 1", "0x1for 1", "(1)(2)"):
                with pytest.raises(ScheduleError):
                    read_schedule(text)
