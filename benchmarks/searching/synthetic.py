"""Functions shaped as the losses of trainings are: valleys, cliffs, plateaus, branches, noise, and a few classics.

Where constants look arbitrary, they are: optima lie neither in the middle nor on a round number, and some on the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.searching.problems import Problem, Values
from choritsu.space import Boolean, Choice, Condition, Float, Int, Parameter, Space


def when(name: str, *values: Any) -> tuple[Condition, ...]:
    return (Condition(name, values),)


def noisy(loss: Callable[[Values], float], spread: float) -> Callable[[Values, int], float]:
    """Add normal noise of the given standard deviation."""
    return lambda values, seed: loss(values) + spread * float(np.random.default_rng(seed).standard_normal())


def soft(x: float) -> float:
    """Give about x above 0 and about 0 below."""
    return math.log1p(math.exp(-abs(5 * x))) / 5 + max(x, 0.0)


def units(parameters: Sequence[Parameter], values: Values) -> np.ndarray:
    return np.array([parameter.to_unit(values[parameter.name]) for parameter in parameters])


# -- rates -----------------------------------------------------------------------------------------


def rate_valley() -> Problem:
    space = Space(
        (
            Float("rate", 1e-6, 1.0, sampling="log"),
            Int("batch", 8, 512, sampling="log"),
            Float("momentum", 0.0, 0.99),
            Float("decay", 1e-7, 1e-1, sampling="log"),
        )
    )

    def loss(v: Values) -> float:
        step = math.log10(v["rate"] / (1 - v["momentum"]))
        off = step - (-1.4 + 0.6 * math.log10(v["batch"] / 64))
        if off > 0.8:
            return math.nan
        slow = 2.0 * (1 - math.exp(-((max(-off, 0.0) / 1.3) ** 1.6)))
        fast = 1.8 * max(off, 0.0) ** 2
        lean = 0.06 * (math.log2(v["batch"] / 48) / 2) ** 2 + 0.12 * (-math.log10(1 - v["momentum"]) - 1.1) ** 2
        decay = 0.08 * math.tanh((math.log10(v["rate"] * v["decay"]) + 5.7) / 2) ** 2
        return 0.31 + slow + fast + lean + decay

    return Problem("rate-valley", "a narrow valley of rate, batch and momentum beside a cliff", space, loss)


def cooling() -> Problem:
    space = Space((Float("rate", 1e-5, 1e-1, sampling="log"), Float("end", 1e-4, 1.0, sampling="log")))

    def loss(v: Values) -> float:
        peak, end = math.log10(v["rate"]), math.log10(v["rate"] * v["end"])
        start = 1.2 * (1 - math.exp(-((peak + 2.3) ** 2) / 0.9))
        return 0.08 + start + 0.5 * soft(end + 4.1) + 0.05 * soft(-end - 5.5)

    return Problem("cooling", "a rate and what it ends with", space, loss)


def optimizers() -> Problem:
    space = Space(
        (
            Choice("optimizer", ("sgd", "adam", "rmsprop", "lion")),
            Float("sgd/rate", 1e-4, 10.0, sampling="log", conditions=when("optimizer", "sgd")),
            Float("sgd/momentum", 0.0, 0.99, conditions=when("optimizer", "sgd")),
            Boolean("sgd/nesterov", conditions=when("optimizer", "sgd")),
            Float("adam/rate", 1e-6, 1e-1, sampling="log", conditions=when("optimizer", "adam")),
            Float("adam/beta1", 0.5, 0.99, conditions=when("optimizer", "adam")),
            Float("adam/forget", 1e-4, 1e-1, sampling="log", conditions=when("optimizer", "adam")),
            Float("rmsprop/rate", 1e-6, 1e-1, sampling="log", conditions=when("optimizer", "rmsprop")),
            Float("rmsprop/rho", 0.5, 0.999, conditions=when("optimizer", "rmsprop")),
            Float("lion/rate", 1e-7, 1e-2, sampling="log", conditions=when("optimizer", "lion")),
            Float("decay", 1e-6, 1e-1, sampling="log"),
            Float("warmup", 0.0, 0.3),
        )
    )

    def bowl(rate: float, best: float, width: float) -> float:
        off = math.log10(rate) - best
        return math.nan if off > 2.2 * width else 1 - math.exp(-((off / width) ** 2) / (2.0 if off < 0 else 0.6))

    def loss(v: Values) -> float:
        warm = v["warmup"]
        decay = math.log10(v["decay"])
        match v["optimizer"]:
            case "sgd":
                rate = v["sgd/rate"] / (1 - v["sgd/momentum"])
                own = 0.21 + bowl(rate, 0.35 + warm, 0.55) - (0.015 if v["sgd/nesterov"] else 0.0)
                best_decay = -3.4
            case "adam":
                own = 0.27 + bowl(v["adam/rate"], -2.8 + 0.5 * warm, 0.9) + 0.1 * (v["adam/beta1"] - 0.88) ** 2
                own += 0.02 * (math.log10(v["adam/forget"]) + 2.2) ** 2
                best_decay = -2.1
            case "rmsprop":
                own = 0.30 + bowl(v["rmsprop/rate"], -3.1, 0.8) + 0.2 * (v["rmsprop/rho"] - 0.93) ** 2
                best_decay = -3.0
            case _:
                own = 0.25 + bowl(v["lion/rate"], -4.2 + 2 * warm, 0.45)
                best_decay = -1.3
        return own + 0.015 * (decay - best_decay) ** 2 + 0.3 * (warm - 0.07) ** 2

    return Problem(
        "optimizers", "four optimizers with parameters of their own; the best one has the narrowest valley", space, loss
    )


# -- architectures ---------------------------------------------------------------------------------


def capacity() -> Problem:
    space = Space(
        (
            Int("layers", 1, 8),
            Int("units", 8, 1024, step=2, sampling="log"),
            Choice("activation", ("relu", "tanh", "gelu", "sigmoid", "swish")),
            Boolean("normalise"),
            Float("dropout", 0.0, 0.7),
            Float("rate", 1e-5, 1e-1, sampling="log"),
            Float("decay", 1e-6, 1e-1, sampling="log"),
            Float("smoothing", 0.0, 0.2),
            Int("shuffle_buffer", 100, 10000, sampling="log"),
        )
    )
    gain = {"relu": 0.0, "tanh": 0.05, "gelu": -0.02, "sigmoid": 0.12, "swish": -0.01}

    def loss(v: Values) -> float:
        depth, width = v["layers"], v["units"]
        size = math.log10(depth * width * width)
        held_back = 1.3 * v["dropout"] + 0.25 * (math.log10(v["decay"]) + 6)
        bias = 0.9 * math.exp(-(size - 1.0) / 1.4) * (1 + 0.4 * held_back) + 0.05 * (depth < 2)
        variance = 0.12 * soft(size - 3.6 - held_back)
        tolerated = 3 if v["activation"] in ("sigmoid", "tanh") else 5
        lost = soft((depth - (tolerated + (4 if v["normalise"] else 0))) / 2)
        off = math.log10(v["rate"]) - (-2.4 - 0.25 * (size - 4) + (0.6 if v["normalise"] else 0.0))
        trained = 1 - math.exp(-(off**2) / (1.1 if v["normalise"] else 0.5))
        return 0.2 + bias + variance + 0.5 * lost + 0.8 * trained + gain[v["activation"]] + 0.4 * v["smoothing"] ** 2

    return Problem("capacity", "too small, too large, too deep; one parameter does nothing", space, loss)


def memory() -> Problem:
    space = Space(
        (
            Int("batch", 8, 1024, sampling="log"),
            Int("units", 32, 4096, sampling="log"),
            Int("layers", 1, 24),
            Boolean("checkpointing"),
            Choice("precision", ("single", "half", "mixed")),
            Float("rate", 1e-5, 1e-1, sampling="log"),
        )
    )

    def loss(v: Values) -> float:
        kept = math.sqrt(v["layers"]) if v["checkpointing"] else v["layers"]
        bytes_ = {"single": 4, "half": 2, "mixed": 3}[v["precision"]]
        if v["batch"] * v["units"] * kept * bytes_ + 12 * v["layers"] * v["units"] ** 2 > 4e7:
            raise MemoryError("out of memory")
        size = math.log10(12 * v["layers"] * v["units"] ** 2)
        off = math.log10(v["rate"]) - (-2.2 - 0.3 * (size - 5) + 0.4 * math.log10(v["batch"] / 64))
        if v["precision"] == "half" and off > 0.1:
            return math.nan
        rounding = {"single": 0.0, "half": 0.06, "mixed": 0.01}[v["precision"]]
        slow = 0.03 * v["checkpointing"] + 0.05 * abs(math.log2(v["batch"] / 100)) ** 1.5 / 3
        shape = 0.04 * (math.log10(v["units"] / (28 * v["layers"]))) ** 2
        return 3.1 - 0.38 * size + 0.6 * (1 - math.exp(-(off**2))) + rounding + slow + shape

    return Problem("memory", "larger is better until the memory is full, which many combinations exceed", space, loss)


def families() -> Problem:
    space = Space(
        (
            Choice("model", ("linear", "kernel", "forest", "boosting", "network")),
            Float("linear/penalty", 1e-5, 1e3, sampling="log", conditions=when("model", "linear")),
            Float("linear/mix", 0.0, 1.0, conditions=when("model", "linear")),
            Choice("kernel/kind", ("rbf", "poly"), conditions=when("model", "kernel")),
            Float("kernel/c", 1e-3, 1e4, sampling="log", conditions=when("model", "kernel")),
            Float("kernel/gamma", 1e-5, 1e2, sampling="log", conditions=when("kernel/kind", "rbf")),
            Int("kernel/degree", 2, 6, conditions=when("kernel/kind", "poly")),
            Int("forest/trees", 10, 1000, sampling="log", conditions=when("model", "forest")),
            Int("forest/leaf", 1, 30, sampling="log", conditions=when("model", "forest")),
            Float("forest/features", 0.05, 1.0, conditions=when("model", "forest")),
            Float("boosting/rate", 1e-3, 1.0, sampling="log", conditions=when("model", "boosting")),
            Int("boosting/trees", 10, 2000, sampling="log", conditions=when("model", "boosting")),
            Int("boosting/depth", 1, 10, conditions=when("model", "boosting")),
            Float("boosting/sample", 0.3, 1.0, conditions=when("model", "boosting")),
            Int("network/units", 4, 512, sampling="log", conditions=when("model", "network")),
            Float("network/rate", 1e-5, 1e0, sampling="log", conditions=when("model", "network")),
            Float("network/dropout", 0.0, 0.8, conditions=when("model", "network")),
        )
    )

    def loss(v: Values) -> float:
        match v["model"]:
            case "linear":
                return 0.34 + 0.01 * (math.log10(v["linear/penalty"]) - 0.3) ** 2 * (0.5 + v["linear/mix"])
            case "kernel" if v["kernel/kind"] == "poly":
                return 0.33 + 0.03 * (v["kernel/degree"] - 3) ** 2 + 0.01 * (math.log10(v["kernel/c"]) - 1) ** 2
            case "kernel":
                c, gamma = math.log10(v["kernel/c"]), math.log10(v["kernel/gamma"])
                return 0.5 - 0.325 * math.exp(-0.5 * (c + gamma + 0.4) ** 2 - 0.25 * (gamma + 1.6) ** 2)
            case "forest":
                few = 0.3 / math.sqrt(v["forest/trees"])
                return 0.235 + few + 0.02 * math.log10(v["forest/leaf"]) + 0.1 * (v["forest/features"] - 0.35) ** 2
            case "boosting":
                effort = math.log10(v["boosting/rate"] * v["boosting/trees"])
                depth = v["boosting/depth"]
                fit = 0.06 * (effort - 1.5 + 0.12 * depth) ** 2 + 0.004 * (depth - 4) ** 2
                return 0.19 + fit + 0.12 * v["boosting/rate"] + 0.05 * (v["boosting/sample"] - 0.72) ** 2
            case _:
                off = math.log10(v["network/rate"]) + 2.1 + 0.4 * math.log10(v["network/units"] / 64)
                if off > 1.7:
                    return math.nan
                fit = 0.4 * (1 - math.exp(-(off**2))) + 0.05 * (math.log10(v["network/units"]) - 2.2) ** 2
                return 0.215 + fit + 0.08 * (v["network/dropout"] - 0.3) ** 2

    return Problem("families", "five kinds of model of which three come close to each other", space, loss)


def augmentations() -> Problem:
    names = ("flip", "crop", "rotate", "colour", "cutout", "mixup", "noise", "blur")
    best = (None, 0.62, 0.2, 0.45, None, 0.15, 0.05, 0.0)
    worth = (0.10, 0.14, 0.05, 0.06, 0.05, 0.08, -0.03, -0.05)
    parameters: list[Parameter] = []
    for name, strength in zip(names, best, strict=True):
        parameters.append(Boolean(name))
        if strength is not None:
            parameters.append(Float(f"{name}/strength", 0.0, 1.0, conditions=when(name, True)))
    space = Space(tuple(parameters))

    def loss(v: Values) -> float:
        gained, total = 0.0, 0.0
        for name, strength, each in zip(names, best, worth, strict=True):
            if v[name]:
                given = v.get(f"{name}/strength", 0.5)
                off = 0.0 if strength is None else given - strength
                gained += each * (1 - 3 * off**2) if each > 0 else each * given
                total += given
        both = 0.06 * (v["cutout"] and v["mixup"]) + 0.04 * (v["crop"] and v["rotate"])
        return 0.6 - gained + both + 0.05 * soft(total - 1.6) ** 2

    return Problem(
        "augmentations", "switches, most of which open a strength; too many spoil it", space, loss, noisy(loss, 0.01)
    )


def pipeline() -> Problem:
    rng = np.random.default_rng(20)
    names = ("impute", "scale", "encode", "select", "reduce", "balance", "model", "ensemble")
    sizes = (3, 4, 3, 4, 3, 3, 6, 2)
    space = Space(
        (
            *(Choice(name, tuple(f"{name}-{i}" for i in range(n))) for name, n in zip(names, sizes, strict=True)),
            Float("keep", 0.05, 1.0),
            Float("penalty", 1e-4, 1e2, sampling="log"),
        )
    )
    alone = [rng.exponential(0.05, size) for size in sizes]
    pairs = [(6, 1), (6, 4), (3, 4), (2, 6), (0, 5)]
    together = [rng.normal(0, 0.05, (sizes[a], sizes[b])) for a, b in pairs]
    penalties = rng.uniform(-3, 1, sizes[6])

    def loss(v: Values) -> float:
        chosen = [int(v[name].rsplit("-", 1)[1]) for name in names]
        told = sum(effect[i] for effect, i in zip(alone, chosen, strict=True))
        told += sum(effect[chosen[a], chosen[b]] for effect, (a, b) in zip(together, pairs, strict=True))
        kept = 0.2 * (v["keep"] - (0.3 + 0.15 * chosen[3])) ** 2
        return 0.5 + float(told) + kept + 0.012 * (math.log10(v["penalty"]) - penalties[chosen[6]]) ** 2

    return Problem("pipeline", "eight unordered choices that depend on each other in pairs", space, loss)


# -- surfaces --------------------------------------------------------------------------------------


def plateaus() -> Problem:
    space = Space(
        (
            Int("depth", 1, 12),
            Int("bins", 16, 256, step=16),
            Float("sample", 0.1, 1.0, step=0.1),
            Choice("leaves", (4, 8, 16, 32, 64, 128)),
            Float("gain", 1e-4, 1e1, sampling="log"),
        )
    )

    def loss(v: Values) -> float:
        grown = min(v["depth"], math.log2(v["leaves"]) + 0.0, 2.0 + 4 * v["sample"])
        pruned = math.floor(2 * (math.log10(v["gain"]) + 4)) / 10
        fit = abs(grown - 5) / 5 + 0.3 * abs(pruned - 0.4)
        coarse = 0.1 * (v["bins"] < 96) + 0.05 * (v["bins"] > 208)
        return round(0.2 + 0.4 * fit + coarse + 0.1 * (v["sample"] > 0.85), 2)

    return Problem(
        "plateaus", "steps, and limits of which only the tightest counts: most moves change nothing", space, loss
    )


def edges() -> Problem:
    names = ("a", "b", "c", "d", "e")
    space = Space(
        (
            *(Float(name, 1e-4, 1.0, sampling="log") for name in names[:3]),
            *(Float(name, 0.0, 1.0) for name in names[3:]),
            Int("f", 1, 9),
        )
    )

    def loss(v: Values) -> float:
        a, b, c, d, e, f = units(space.parameters, v)
        return float(1.2 - 0.4 * a * (1 - b) + 0.3 * c**2 - 0.3 * (1 - (d - 0.97) ** 2) * a + 0.25 * e * f + 0.1 * b)

    return Problem("edges", "the best is in a corner of the space", space, loss)


def doubtful() -> Problem:
    space = Space(
        (
            Float("rate", 1e-5, 1.0, sampling="log"),
            Float("clip", 0.1, 10.0, sampling="log"),
            Float("gamma", 0.9, 0.9999),
        )
    )

    def loss(v: Values) -> float:
        rate, clip, gamma = units(space.parameters, v)
        return float(
            1 - math.exp(-8 * (rate - 0.41 - 0.3 * (clip - 0.5)) ** 2 - 2 * (clip - 0.7) ** 2 - 3 * (gamma - 0.83) ** 2)
        )

    return Problem(
        "doubtful", "as much noise as there is to gain, as in reinforcement learning", space, loss, noisy(loss, 0.2)
    )


def deceptive() -> Problem:
    space = Space(tuple(Float(name, 0.0, 1.0) for name in "abcd"))
    wide, narrow = np.array([0.68, 0.3, 0.62, 0.55]), np.array([0.17, 0.74, 0.21, 0.38])

    def loss(v: Values) -> float:
        x = units(space.parameters, v)
        return float(1 - 0.7 * np.exp(-2.0 * ((x - wide) ** 2).sum()) - 1.0 * np.exp(-45 * ((x - narrow) ** 2).sum()))

    return Problem("deceptive", "a wide valley, and a narrow deeper one elsewhere", space, loss)


def rippled() -> Problem:
    space = Space((*(Float(name, -3.0, 5.0) for name in "abc"), Float("d", 1e-3, 1e2, sampling="log"), Int("e", 0, 60)))
    best, rates = np.array([0.61, 0.27, 0.44, 0.72, 0.36]), np.array([37.0, 29.0, 43.0, 31.0, 17.0])
    weights = np.array([1.0, 3.0, 0.5, 2.0, 1.0])

    def loss(v: Values) -> float:
        off = units(space.parameters, v) - best
        return float((weights * off**2).sum() + 0.03 * (1 - np.cos(rates * off)).sum())

    return Problem("rippled", "a bowl whose sides are rough", space, loss)


def curved() -> Problem:
    space = Space(tuple(Float(f"x{i}", -2.0, 2.0) for i in range(6)))
    turn, _ = np.linalg.qr(np.random.default_rng(6).standard_normal((6, 6)))
    shift = np.array([0.6, -0.9, 0.3, 1.1, -0.4, 0.2])

    def loss(v: Values) -> float:
        x = turn @ (np.array([v[f"x{i}"] for i in range(6)]) - shift) + 1
        return float(np.log1p((20 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))

    hint = {f"x{i}": float(shift[i]) for i in range(6)}
    return Problem("curved", "Rosenbrock's valley, turned and shifted, on a log scale", space, loss, hint=hint)


def sparse() -> Problem:
    # Hartmann's function of six of twenty parameters; the constants are its own.
    a = np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    )
    p = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    weights = np.array([1.0, 1.2, 3.0, 3.2])
    counting = [3, 4, 8, 11, 14, 18]
    parameters: list[Parameter] = [
        Float(f"x{i}", 1e-4, 1.0, sampling="log") if i % 3 else Float(f"x{i}", -1.0, 1.0) for i in range(15)
    ]
    parameters += [
        Int("x15", 1, 5),
        Boolean("x16"),
        Choice("x17", ("p", "q", "r")),
        Float("x18", 0.0, 0.5),
        Boolean("x19"),
    ]
    space = Space(tuple(parameters))

    def loss(v: Values) -> float:
        x = units([space.parameters[i] for i in counting], v)
        return float(-(weights * np.exp(-(a * (x - p) ** 2).sum(1))).sum())

    return Problem("sparse", "twenty parameters, of which six count", space, loss)


def mixed_ten() -> Problem:
    space = Space(
        (
            *(Float(f"f{i}", 0.0, 1.0) for i in range(4)),
            *(Int(f"i{i}", 0, 9 + 6 * i) for i in range(3)),
            *(Choice(f"c{i}", tuple("uvwx")) for i in range(2)),
            Boolean("b"),
        )
    )
    best = np.array([0.31, 0.78, 0.12, 0.64])
    whole = (7, 4, 17)
    order = ({"u": 0.5, "v": 0.0, "w": 0.9, "x": 0.3}, {"u": 0.2, "v": 0.8, "w": 0.6, "x": 0.0})

    def loss(v: Values) -> float:
        off = [
            *(np.array([v[f"f{i}"] for i in range(4)]) - best),
            *((v[f"i{i}"] - w) / (9 + 6 * i) for i, w in enumerate(whole)),
            *(0.6 * order[i][v[f"c{i}"]] for i in range(2)),
            0.3 * v["b"],
        ]
        x = 6 * np.array(off)
        return float(20 - 20 * np.exp(-0.2 * np.sqrt((x**2).mean())) + np.e - np.exp(np.cos(2 * np.pi * x).mean()))

    return Problem("mixed-ten", "Ackley's function of floats, integers, choices and a switch", space, loss)


def problems() -> list[Problem]:
    return [
        make()
        for make in (
            rate_valley,
            cooling,
            optimizers,
            capacity,
            memory,
            families,
            augmentations,
            pipeline,
            plateaus,
            edges,
            doubtful,
            deceptive,
            rippled,
            curved,
            sparse,
            mixed_ten,
        )
    ]
