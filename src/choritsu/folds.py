"""Cross-validation: one score from several splits of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from choritsu.chance import derive


@dataclass(frozen=True)
class CrossValidation:
    """Score each trial by the mean over `folds` trainings, each validated on another part of the data.

    Args:
        folds: how many parts, at least 2.
        stratified: whether each part keeps the proportions of the classes in `y`.
        seed: which shuffle; by default it follows the search's seed. Every trial gets the same parts.

    Raises:
        ValueError: for fewer than two folds.

    Example:
        >>> CrossValidation(5, stratified=True)
        CrossValidation(folds=5, stratified=True, seed=None)
    """

    folds: int = 5
    stratified: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.folds, bool) or not isinstance(self.folds, int) or self.folds < 2:
            raise ValueError(f"folds must be an integer of at least 2, got {self.folds!r}")

    def splits(self, x: Any, y: Any, seed: int) -> list[tuple[Any, Any]]:
        """Give (training indices, validation indices) for each fold.

        Args:
            x: the inputs; an array, or a list or dict of arrays of one length.
            y: the targets; needed when stratified. One-hot rows count as classes.
            seed: the search's seed.

        Raises:
            ImportError: when scikit-learn, which makes the splits, is not installed.
            ValueError: when the data cannot be split so.
        """
        try:
            from sklearn.model_selection import KFold, StratifiedKFold
        except ImportError as error:
            raise ImportError("CrossValidation needs scikit-learn; install it: pip install scikit-learn") from error
        import numpy as np

        state = derive(seed, "folds") if self.seed is None else self.seed
        if not self.stratified:
            return list(KFold(self.folds, shuffle=True, random_state=state).split(np.zeros(length(x))))
        if y is None:
            raise ValueError("a stratified CrossValidation needs y in search(x, y, ...)")
        labels = np.asarray(y)
        if labels.ndim > 1 and labels.shape[-1] > 1:
            labels = labels.argmax(axis=-1)
        splitter = StratifiedKFold(self.folds, shuffle=True, random_state=state)
        return list(splitter.split(np.zeros(length(x)), labels.ravel()))


def length(data: Any) -> int:
    """Give the number of samples in an array, or in a list or dict of arrays."""
    if isinstance(data, dict):
        return length(next(iter(data.values())))
    if _is_inputs(data):
        return length(data[0])
    return len(data)


def take(data: Any, indices: Sequence[int]) -> Any:
    """Give the samples at `indices` of an array or data frame, or of each in a list or dict of them."""
    if data is None:
        return None
    if isinstance(data, dict):
        return {key: take(item, indices) for key, item in data.items()}
    if _is_inputs(data):
        return type(data)(take(item, indices) for item in data)
    return rows(data, indices)


def rows(data: Any, indices: Sequence[int]) -> Any:
    """Give the samples at `indices` of an array, a data frame, or a list with one item a sample."""
    if hasattr(data, "iloc"):
        return data.iloc[indices]
    if hasattr(data, "shape"):
        return data[indices]
    return [data[index] for index in indices]


def _is_inputs(data: Any) -> bool:
    """Tell whether this is a list of several inputs, each an array of samples, and not one of samples."""
    return isinstance(data, list | tuple) and len(data) > 0 and bool(getattr(data[0], "shape", ()))
