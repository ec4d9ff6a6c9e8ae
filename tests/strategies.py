"""What hypothesis draws: values, parameters of every kind, and whole spaces with conditions."""

import math

from hypothesis import settings
from hypothesis import strategies as st

from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Space, canonical

# A shared machine may be slow at any moment; what is too slow has a test of its own.
settings.register_profile("choritsu", deadline=None, max_examples=30)
settings.load_profile("choritsu")

SAMPLINGS = ("linear", "log", "reverse_log")

names = st.text(min_size=1, max_size=8)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from([0, 1, 2, 0.0, 1.0, 2.0, True, False, "1", ""])
)

#: All that a choice may offer.
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def integers(draw, name="x", widest=2**50, samplings=SAMPLINGS):
    """Draw an Int with at most about `widest` values, wherever on the number line."""
    sampling = draw(st.sampled_from(samplings))
    low = draw(st.integers(-(2**80), 2**80) | st.integers(-20, 20))
    if sampling != "linear":
        low = draw(st.integers(1, 2**20) | st.integers(1, 5))
    width = draw(st.integers(0, widest) | st.integers(0, 40))
    least = 1 if sampling == "linear" else 2
    step = draw(st.none() | st.integers(least, 12) | st.integers(least, max(width, least)))
    default = draw(st.none() | st.integers(low, low + width))
    prior = draw(st.none() | st.integers(low, low + width))
    return Int(name, low, low + width, step, sampling, default, prior=prior)


@st.composite
def floats(draw, name="x", stepped=None, samplings=SAMPLINGS):
    """Draw a Float, its ends anywhere among the floats, its steps readable or not."""
    sampling = draw(st.sampled_from(samplings))
    least = -1e308 if sampling == "linear" else 5e-324
    ends = st.floats(least, 1e308) | st.floats(max(least, 1e-6), 1e3) | st.integers(1, 50).map(lambda n: n / 10)
    low, high = sorted([draw(ends), draw(ends)])
    if sampling == "reverse_log":
        # Its finest steps, of the size of `low`, must be seen beside `high`.
        low = max(low, high / 1e9)
    if stepped is not False and sampling == "log":
        # Below this a float has no longer all its digits.
        low, high = max(low, 1e-300), max(high, 1e-300)
    step = None
    if stepped or (stepped is None and draw(st.booleans())):
        if sampling == "linear":
            # At most 10,000 steps, in decimals or not.
            high = min(high, low + 1e300)
            smallest = max((high - low) / 10_000, 5e-324)
            largest = max(high - low, smallest)
            step = draw(st.floats(smallest, largest) | st.sampled_from([0.1, 0.2, 0.25, 0.01, 3.0]))
            if (high - low) / step > 10_000:
                step = smallest
        else:
            step = draw(st.floats(1.001, 1e6) | st.sampled_from([2.0, 10.0, 1.5]))
    default = draw(st.none() | st.floats(low, high))
    prior = draw(st.none() | st.floats(low, high))
    return Float(name, low, high, step, sampling, default, prior=prior)


@st.composite
def choices(draw, name="x"):
    offered = draw(st.lists(values, min_size=1, max_size=6))
    default, prior = (draw(st.none() | st.sampled_from(offered)) for _ in range(2))
    return Choice(name, offered, draw(st.none() | st.booleans()), default, prior=prior)


def booleans(name="x"):
    return st.builds(Boolean, st.just(name), st.booleans(), prior=st.none() | st.booleans())


def fixed(name="x"):
    return st.builds(Fixed, st.just(name), values)


def parameters(name="x"):
    return integers(name) | floats(name) | choices(name) | booleans(name) | fixed(name)


@st.composite
def small_parameters(draw, name="x"):
    """Draw a parameter with at most six values, its default among them."""
    kind = draw(st.sampled_from(["int", "log", "float", "choice", "boolean", "fixed"]))
    low = draw(st.integers(1, 9))
    width = draw(st.integers(0, 4))
    made = {
        "int": lambda: Int(name, -low, -low + 2 * width, step=2),
        "log": lambda: Int(name, low, low + width, sampling="log"),
        "float": lambda: Float(name, low / 10, (low + width) / 10, step=0.1),
        "choice": lambda: draw(choices(name)),
        "boolean": lambda: draw(booleans(name)),
        "fixed": lambda: draw(fixed(name)),
    }[kind]()
    default = draw(st.none() | st.sampled_from(made.listed()))
    if kind in ("int", "log", "float") and default is not None:
        return type(made)(name, made.min_value, made.max_value, made.step, made.sampling, default)
    return made


@st.composite
def spaces(draw, parameter=small_parameters, largest=5):
    """Draw a space whose conditions look back at any earlier parameters, a name at times used twice."""
    made = []
    for index in range(draw(st.integers(0, largest))):
        conditions = []
        for parent in draw(st.lists(st.sampled_from(made), max_size=2)) if made else ():
            listed = parent.listed() if parent.size is None or parent.size < 50 else (parent.start,)
            wanted = draw(st.lists(st.sampled_from(listed), min_size=1, max_size=3))
            # Some conditions can never hold.
            wanted += draw(st.lists(values, max_size=1))
            conditions.append(Condition(parent.name, tuple(wanted)))
        again = draw(st.integers(0, 5)) == 0 and len(made) > 0
        name = draw(st.sampled_from([earlier.name for earlier in made])) if again else f"p{index}"
        child = draw(parameter(name)).under(tuple(conditions))
        if all(child.key != earlier.key for earlier in made) and all(c.name != name for c in conditions):
            made.append(child)
    return Space(tuple(made))


def same(combination):
    """Give a text that two combinations share exactly when they are the same one."""
    return canonical(sorted(combination.items()))


def every_combination(space):
    """Give each combination of a finite space once, found the slow way: by walking the whole tree."""
    found = {}

    def walk(rest, chosen):
        while rest:
            parameter, *rest = rest
            if parameter.name not in chosen and all(condition.holds(chosen) for condition in parameter.conditions):
                for value in parameter.listed():
                    walk(rest, {**chosen, parameter.name: value})
                return
        found.setdefault(same(chosen), chosen)

    walk(list(space), {})
    return list(found.values())


def close(a, b, scale=0.0):
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9 * scale)
