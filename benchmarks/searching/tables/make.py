"""Trains what the tables hold: some ten minutes on one core.

python -m benchmarks.searching.tables.make [NAME ...]
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_diabetes, load_digits, make_classification, make_friedman1
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.preprocessing import StandardScaler

from benchmarks.searching.curves import TABLES, Table

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
#: What decides a compiled program; all the rest is trained side by side within it.
STATIC = ("batch", "width", "depth", "activation")


def split(x: np.ndarray, y: np.ndarray, training: int) -> Split:
    order = np.random.default_rng(0).permutation(len(x))
    first, rest = order[:training], order[training:]
    scaler = StandardScaler().fit(x[first])
    return scaler.transform(x[first]), y[first], scaler.transform(x[rest]), y[rest]


def train(
    data: Split,
    metric: Callable[..., Any],
    adam: bool,
    epochs: int,
    static: Mapping[str, Any],
    free: Mapping[str, Any],
    seed: int,
) -> Any:
    """Train a perceptron and give its validation loss after each epoch."""
    x, y, x_val, y_val = map(jnp.asarray, data)
    steps = len(x) // static["batch"]
    sizes = [x.shape[1], *[static["width"]] * static["depth"], int(data[1].max()) + 1]
    act = jnp.tanh if static.get("activation") == "tanh" else jax.nn.relu
    key, *keys = jax.random.split(jax.random.key(seed), len(sizes))
    weights = [
        (jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), jnp.zeros(b))
        for k, a, b in zip(keys, sizes, sizes[1:], strict=False)
    ]

    def logits(weights, x, key=None):
        for index, (w, b) in enumerate(weights[:-1]):
            x = act(x @ w + b)
            if key is not None:
                kept = jax.random.bernoulli(jax.random.fold_in(key, index), 1 - free["dropout"], x.shape)
                x = x * kept / (1 - free["dropout"])
        return x @ weights[-1][0] + weights[-1][1]

    def cost(weights, rows, key):
        return cross_entropy(logits(weights, x[rows], key), y[rows])

    def step(state, given):
        weights, first, second, number = state
        rows, key = given
        gradient = jax.grad(cost)(weights, rows, key)
        share = number / (epochs * steps)
        rate = free["rate"] * jnp.where(free["schedule"], 0.5 * (1 + jnp.cos(jnp.pi * share)), 1.0)
        if adam:
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
            t = number + 1
            change = jax.tree.map(lambda m, v: m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), first, second)
        else:
            first = jax.tree.map(lambda m, g: free["momentum"] * m + g, first, gradient)
            change = first
        weights = jax.tree.map(lambda w, c: w - rate * (c + free["decay"] * w), weights, change)
        return (weights, first, second, number + 1), None

    def epoch(state, key):
        order = jax.random.permutation(key, len(x))[: steps * static["batch"]].reshape(steps, -1)
        state, _ = jax.lax.scan(step, state, (order, jax.random.split(jax.random.fold_in(key, 1), steps)))
        return state, metric(logits(state[0], x_val), y_val)

    still = jax.tree.map(jnp.zeros_like, weights)
    _, curve = jax.lax.scan(epoch, (weights, still, still, 0.0), jax.random.split(key, epochs))
    return curve


def cross_entropy(logits, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()


def error_rate(logits, y):
    wrong = (logits.argmax(1) != y).mean()
    # One error more or less than none at all keeps the logarithm finite.
    return jnp.where(jnp.isfinite(logits).all(), wrong + 0.5 / len(y), jnp.nan)


def network(table: Table, data: Split, metric: Callable[..., Any], adam: bool) -> np.ndarray:
    names = list(table.levels)
    fixed = [name for name in names if name in STATIC]
    free = [name for name in names if name not in STATIC]
    losses = np.empty(table.shape)
    combinations = list(itertools.product(*(range(len(table.levels[name])) for name in free)))
    columns = {
        name: jnp.array([_number(table.levels[name][chosen[i]]) for chosen in combinations], jnp.float32)
        for i, name in enumerate(free)
    }
    for levels in itertools.product(*(range(len(table.levels[name])) for name in fixed)):
        static = {name: table.levels[name][level] for name, level in zip(fixed, levels, strict=True)}
        side_by_side = jax.jit(jax.vmap(partial(train, data, metric, adam, table.epochs, static), (0, None)))
        for repeat in range(table.repeats):
            found = np.asarray(side_by_side(columns, repeat))
            for chosen, curve in zip(combinations, found, strict=True):
                level_of = dict(zip(fixed + free, (*levels, *chosen), strict=True))
                losses[(repeat, *(level_of[name] for name in names))] = curve
    return losses


def _number(value: Any) -> float:
    return float(value == "cosine") if isinstance(value, str) else float(value)


def digits_network(table: Table) -> np.ndarray:
    return network(table, split(*load_digits(return_X_y=True), 1000), cross_entropy, adam=False)


def noisy_network(table: Table) -> np.ndarray:
    x, y = make_classification(
        1600, 20, n_informative=8, n_redundant=4, n_classes=3, flip_y=0.15, class_sep=0.8, random_state=1
    )
    return network(table, split(x, y, 600), error_rate, adam=True)


def combinations(table: Table) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    for levels in itertools.product(*(range(len(values)) for values in table.levels.values())):
        yield levels, {name: values[i] for (name, values), i in zip(table.levels.items(), levels, strict=True)}


def friedman_boosting(table: Table) -> np.ndarray:
    x, y, x_val, y_val = split(*make_friedman1(1300, 15, noise=1.0, random_state=2), 300)
    losses = np.empty(table.shape)
    for levels, v in combinations(table):
        model = GradientBoostingRegressor(
            learning_rate=v["rate"],
            n_estimators=5 * table.epochs,
            max_depth=v["depth"],
            subsample=v["sample"],
            max_features=v["features"],
            min_samples_leaf=v["leaf"],
            random_state=0,
        ).fit(x, y)
        staged = [((told - y_val) ** 2).mean() for told in model.staged_predict(x_val)]
        losses[(0, *levels)] = staged[4::5]
    return losses


def diabetes_forest(table: Table) -> np.ndarray:
    x, y, x_val, y_val = split(*load_diabetes(return_X_y=True), 250)
    losses = np.empty(table.shape)
    counts = table.levels["trees"]
    kinds = {"forest": RandomForestRegressor, "extra": ExtraTreesRegressor}
    for levels, v in combinations(table):
        if levels[0]:
            continue  # A smaller forest is the beginning of the largest one.
        for repeat in range(table.repeats):
            model = kinds[v["kind"]](
                max(counts),
                max_features=v["features"],
                max_depth=v["depth"],
                min_samples_leaf=v["leaf"],
                bootstrap=v["bootstrap"],
                random_state=repeat,
            ).fit(x, y)
            told = np.cumsum([tree.predict(x_val) for tree in model.estimators_], 0)
            for index, count in enumerate(counts):
                losses[(repeat, index, *levels[1:])] = ((told[count - 1] / count - y_val) ** 2).mean()
    return losses


def main() -> None:
    makers = {
        "digits-network": digits_network,
        "noisy-network": noisy_network,
        "friedman-boosting": friedman_boosting,
        "diabetes-forest": diabetes_forest,
    }
    for name in sys.argv[1:] or makers:
        begun = time.perf_counter()
        TABLES[name].keep(makers[name](TABLES[name]))
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
