"""A model whose hyperparameters are yet to be chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from choritsu.hyperparameters import HyperParameters


class HyperModel:
    """Subclass it to define how a model is built, and, if need be, how it is trained.

    Args:
        name: for people.
        tunable: when False, what `build` asks for keeps its defaults and stays out of the space.

    Example:
        >>> class Network(HyperModel):
        ...     def build(self, hp):
        ...         import keras
        ...         units = hp.Int("units", 8, 64, step=8)
        ...         model = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1)])
        ...         model.compile("adam", loss="mse")
        ...         return model
        ...     def fit(self, hp, model, *args, **kwargs):
        ...         return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)
    """

    def __init__(self, name: str | None = None, tunable: bool = True) -> None:
        self.name = name
        self.tunable = tunable

    def build(self, hp: HyperParameters) -> Any:
        """Build a compiled model from the values that `hp` gives."""
        raise NotImplementedError(f"{type(self).__name__} must define build(self, hp) and return a compiled model")

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002  # for subclasses
        """Train the model; the arguments are those given to ``tuner.search``.

        Pass `kwargs` on to ``model.fit``: its ``callbacks`` report each epoch and keep the best weights.

        Returns:
            The Keras History, or the objective as a number, or a dict of metrics.
        """
        return model.fit(*args, **kwargs)

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        """Ask for hyperparameters ahead of `build`; nothing by default."""


class BuiltBy(HyperModel):
    """A hypermodel whose models a function builds.

    Example:
        >>> BuiltBy(lambda hp: hp.Int("units", 8, 64)).build(HyperParameters())
        8
    """

    def __init__(self, function: Callable[[HyperParameters], Any]) -> None:
        super().__init__(name=getattr(function, "__name__", None))
        self.function = function

    def build(self, hp: HyperParameters) -> Any:
        """Call the function."""
        return self.function(hp)


def as_hypermodel(thing: Any) -> Any:
    """Give `thing` itself if it has a ``build`` method, and a `BuiltBy` if it is a function; None stays None."""
    return thing if thing is None or callable(getattr(thing, "build", None)) else BuiltBy(thing)
