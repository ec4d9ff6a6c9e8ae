"""Small trainings of scikit-learn's that run while they are tuned, each in a few hundredths of a second at most."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks.searching.problems import Problem, Values
from choritsu.space import Boolean, Choice, Condition, Float, Int, Space


def when(name: str, *values: Any) -> tuple[Condition, ...]:
    return (Condition(name, values),)


@cache
def digits(training: int, validation: int) -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_digits

    return _split(*load_digits(return_X_y=True), training, validation)


@cache
def cancer() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_breast_cancer

    return _split(*load_breast_cancer(return_X_y=True), 200, 369)


@cache
def diabetes() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_diabetes

    return _split(*load_diabetes(return_X_y=True), 250, 192)


@cache
def houses() -> tuple[np.ndarray, ...]:
    """Make up prices that depend on place and size as real ones do: bumpy, skewed, with outliers."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (1400, 8))
    centres = rng.uniform(-1, 1, (6, 2))
    place = sum(np.exp(-8 * ((x[:, :2] - centre) ** 2).sum(1)) for centre in centres)
    y = np.exp(0.6 * place + 0.5 * x[:, 2] + 0.3 * (x[:, 3] > 0.2) * x[:, 4]) + 0.1 * rng.standard_t(3, 1400)
    return _split(x, y, 600, 800)


def _split(x: np.ndarray, y: np.ndarray, training: int, validation: int) -> tuple[np.ndarray, ...]:
    order = np.random.default_rng(1).permutation(len(x))
    first, second = order[:training], order[training : training + validation]
    return x[first], y[first], x[second], y[second]


def quietly(loss: Callable[[Values], float]) -> Callable[[Values], float]:
    """Keep warnings of trainings that did not converge to themselves: tuners try such, and see what they give."""

    def quiet(values: Values) -> float:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return loss(values)

    return quiet


def kernel_machine() -> Problem:
    space = Space(
        (
            Choice("kernel", ("rbf", "poly", "sigmoid", "linear")),
            Float("c", 1e-4, 1e4, sampling="log"),
            Float("gamma", 1e-6, 1e1, sampling="log", conditions=when("kernel", "rbf", "poly", "sigmoid")),
            Int("degree", 2, 5, conditions=when("kernel", "poly")),
            Float("coef0", -1.0, 1.0, conditions=when("kernel", "poly", "sigmoid")),
            Boolean("shrinking"),
        )
    )

    def loss(v: Values) -> float:
        from sklearn.svm import SVC

        x, y, x_val, y_val = digits(250, 600)
        arguments = {key: v[key] for key in ("gamma", "degree", "coef0") if key in v}
        model = SVC(kernel=v["kernel"], C=v["c"], shrinking=v["shrinking"], max_iter=2000, **arguments)
        return 1 - model.fit(x / 16, y).score(x_val / 16, y_val)

    return Problem("kernel-machine", "support vectors on 250 images of digits; error rate", space, quietly(loss))


def neighbours() -> Problem:
    space = Space(
        (
            Choice("scale", ("none", "standard", "unit")),
            Boolean("reduce"),
            Int("components", 2, 60, sampling="log", conditions=when("reduce", True)),
            Boolean("whiten", conditions=when("reduce", True)),
            Int("neighbours", 1, 100, sampling="log"),
            Choice("weights", ("uniform", "distance")),
            Choice("distance", ("euclidean", "manhattan", "chebyshev", "cosine")),
        )
    )

    def loss(v: Values) -> float:
        from sklearn.decomposition import PCA
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.preprocessing import Normalizer, StandardScaler

        x, y, x_val, y_val = digits(400, 600)
        steps: list[Any] = []
        if v["scale"] != "none":
            steps.append(StandardScaler() if v["scale"] == "standard" else Normalizer())
        if v["reduce"]:
            steps.append(PCA(v["components"], whiten=v["whiten"], random_state=0))
        for step in steps:
            x = step.fit_transform(x)
            x_val = step.transform(x_val)
        model = KNeighborsClassifier(
            v["neighbours"], weights=v["weights"], metric=v["distance"], algorithm="brute"
        ).fit(x, y)
        told = np.clip(model.predict_proba(x_val), 1e-3, 1)
        return float(-np.log(told[np.arange(len(y_val)), y_val]).mean())

    return Problem(
        "neighbours", "nearest neighbours after scaling and reducing, on digits; cross-entropy", space, quietly(loss)
    )


def tree() -> Problem:
    space = Space(
        (
            Int("depth", 1, 30),
            Int("split", 2, 100, sampling="log"),
            Int("leaf", 1, 100, sampling="log"),
            Float("features", 0.1, 1.0),
            Float("prune", 1e-6, 1e-1, sampling="log"),
            Choice("criterion", ("squared_error", "friedman_mse", "poisson")),
            Choice("splitter", ("best", "random")),
        )
    )

    def loss(v: Values, seeds: range = range(3)) -> float:
        from sklearn.tree import DecisionTreeRegressor

        x, y, x_val, y_val = houses()
        losses = []
        for seed in seeds:
            model = DecisionTreeRegressor(
                max_depth=v["depth"],
                min_samples_split=v["split"],
                min_samples_leaf=v["leaf"],
                max_features=v["features"],
                ccp_alpha=v["prune"],
                criterion="squared_error" if v["criterion"] == "friedman_mse" else v["criterion"],
                splitter=v["splitter"],
                random_state=seed,
            ).fit(x, np.maximum(y, 0.0))
            losses.append(((model.predict(x_val) - y_val) ** 2).mean())
        return float(np.mean(losses))

    return Problem(
        "tree",
        "a single tree on made-up prices of houses, with the noise of its own chance",
        space,
        quietly(loss),
        lambda values, seed: loss(values, range(seed % 3, seed % 3 + 1)),
    )


def penalties() -> Problem:
    space = Space(
        (
            Choice("features", ("plain", "powers", "products")),
            Int("power", 2, 3, conditions=when("features", "powers", "products")),
            Choice("model", ("ridge", "elastic", "huber")),
            Float("alpha", 1e-5, 1e3, sampling="log"),
            Float("mix", 0.0, 1.0, conditions=when("model", "elastic")),
            Float("epsilon", 1.01, 5.0, conditions=when("model", "huber")),
        )
    )

    def loss(v: Values) -> float:
        from sklearn.linear_model import ElasticNet, HuberRegressor, Ridge
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        x, y, x_val, y_val = diabetes()
        if v["features"] == "products":
            made = PolynomialFeatures(v["power"], include_bias=False, interaction_only=True)
            x, x_val = made.fit_transform(20 * x), made.transform(20 * x_val)
        elif v["features"] == "powers":
            x, x_val = (np.hstack([(20 * part) ** n for n in range(1, v["power"] + 1)]) for part in (x, x_val))
        scaler = StandardScaler().fit(x)
        match v["model"]:
            case "ridge":
                model = Ridge(v["alpha"])
            case "elastic":
                model = ElasticNet(v["alpha"], l1_ratio=v["mix"], max_iter=200)
            case _:
                model = HuberRegressor(alpha=v["alpha"], epsilon=v["epsilon"], max_iter=50)
        told = model.fit(scaler.transform(x), y).predict(scaler.transform(x_val))
        return float(((told - y_val) ** 2).mean())

    return Problem(
        "penalties", "linear models of powers and products, on diabetes; mean squared error", space, quietly(loss)
    )


def descent() -> Problem:
    space = Space(
        (
            Choice("loss", ("hinge", "log_loss", "modified_huber", "squared_hinge")),
            Choice("penalty", ("l2", "l1", "elasticnet")),
            Float("mix", 0.0, 1.0, conditions=when("penalty", "elasticnet")),
            Float("alpha", 1e-7, 1e-1, sampling="log"),
            Choice("schedule", ("constant", "invscaling", "adaptive", "optimal")),
            Float("rate", 1e-5, 1e1, sampling="log", conditions=when("schedule", "constant", "invscaling", "adaptive")),
            Float("power", 0.1, 0.9, conditions=when("schedule", "invscaling")),
            Boolean("average"),
            Int("epochs", 1, 10),
        )
    )

    def loss(v: Values, seeds: range = range(4)) -> float:
        from sklearn.linear_model import SGDClassifier

        x, y, x_val, y_val = cancer()
        middle, spread = x.mean(0), x.std(0)
        losses = []
        for seed in seeds:
            model = SGDClassifier(
                loss=v["loss"],
                penalty=v["penalty"],
                l1_ratio=v.get("mix", 0.15),
                alpha=v["alpha"],
                learning_rate=v["schedule"],
                eta0=v.get("rate", 0.01),
                power_t=v.get("power", 0.5),
                average=v["average"],
                max_iter=v["epochs"],
                tol=None,
                random_state=seed,
            ).fit((x - middle) / spread, y)
            losses.append(1 - model.score((x_val - middle) / spread, y_val))
        return float(np.mean(losses))

    return Problem(
        "descent",
        "linear classifiers by SGD on breast cancer, with the noise of its own chance",
        space,
        quietly(loss),
        lambda values, seed: quietly(lambda v: loss(v, range(seed % 4, seed % 4 + 1)))(values),
    )


def subset() -> Problem:
    names = tuple(f"use-{i}" for i in range(16))
    space = Space((*(Boolean(name) for name in names), Float("penalty", 1e-4, 1e3, sampling="log")))
    rng = np.random.default_rng(7)
    hidden = rng.standard_normal((220, 6))
    x = hidden @ rng.standard_normal((6, 16)) + 0.7 * rng.standard_normal((220, 16))
    y = x[:, [1, 4, 5, 10, 13]] @ np.array([1.0, -0.8, 0.6, 0.9, -0.5]) + 1.5 * rng.standard_normal(220)

    def loss(v: Values) -> float:
        used = [i for i, name in enumerate(names) if v[name]]
        if not used:
            return float((y[60:] ** 2).mean())
        a = x[:60, used]
        told = x[60:, used] @ np.linalg.solve(a.T @ a + v["penalty"] * np.eye(len(used)), a.T @ y[:60])
        return float(((told - y[60:]) ** 2).mean())

    return Problem("subset", "which of sixteen features to use; ridge regression on 60 rows", space, loss)


def problems() -> list[Problem]:
    return [kernel_machine(), neighbours(), tree(), penalties(), descent(), subset()]
