"""A small forest of regression trees, and what its mean owes to each of its columns: fANOVA.

The unit interval of each column is cut into cells. A leaf of a tree is then a box, a set of cells of each column, and
its volume is the product of the widths of these sets. With U a set of columns, the marginal of a tree is

    a_U(x_U) = sum over leaves, whose box holds x_U, of value * (volume of the box along the other columns)

and the part of its variance that U accounts for beyond its subsets is

    V_U = integral of a_U² - mean² - sum of V_W over all W strictly within U

both exact sums over leaves and cells. The same holds for the mean of all trees, which is smoother than any of them, and
in which what a single tree splits by accident cancels out: its marginals are the means of theirs, and its whole
variance is a sum over the overlaps of all leaves with all others.

A row without a value in a column stands for every value of it, by their widths: what is not used makes no difference.

Source:
    Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014,
    algorithm 2; categories are ordered by their mean at each split after Breiman et al., "Classification and
    Regression Trees", 1984, section 4.2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from choritsu.chance import derive

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

#: How many trees a forest has.
TREES = 32
#: A leaf holds at least so many rows.
LEAST = 3
#: A tree is grown from at most so many rows.
MOST = 256


@dataclass(frozen=True)
class Column:
    """One column of a table, its unit interval cut into cells.

    Args:
        cells: for each row the cell that it lies in; -1 where it has no value.
        widths: the cells' widths, which add up to 1.
        ordered: whether neighbouring cells are alike.
    """

    cells: tuple[int, ...]
    widths: tuple[float, ...]
    ordered: bool = True


@dataclass(frozen=True)
class _Table:
    """Columns as arrays: `cells` [row, column], -1 for no value, `widths` [column, cell], `ordered` [column]."""

    cells: Array
    widths: Array
    ordered: Array

    @classmethod
    def of(cls, columns: Sequence[Column]) -> _Table:
        most = max(len(column.widths) for column in columns)
        # Columns with fewer cells get some without width.
        widths = [[*column.widths, *[0.0] * (most - len(column.widths))] for column in columns]
        cells = np.array([column.cells for column in columns]).T
        return cls(cells, np.array(widths), np.array([column.ordered for column in columns]))

    def taken(self, rows: Array) -> _Table:
        return _Table(self.cells[rows], self.widths, self.ordered)

    def shares_in(self, boxes: Array) -> Array:
        """Give how much of each row lies in each of `boxes` [box, column, cell]: [box, row]."""
        shares = np.ones((len(boxes), len(self.cells)))
        for column, widths in enumerate(self.widths):
            box, cells = boxes[:, column], self.cells[:, column]
            shares *= np.where(cells < 0, (box @ widths)[:, None], box[:, cells])
        return shares


@dataclass(frozen=True)
class _Held:
    """The rows that lie in boxes, one entry for each row and box: their numbers, and the row's weight there."""

    box: Array
    row: Array
    weight: Array

    def sums(self, boxes: int, worth: Array | None = None) -> Array:
        """Add up the weights, times what each row is worth, by box."""
        weight = self.weight if worth is None else self.weight * worth[self.row]
        return np.bincount(self.box, weight, minlength=boxes)


@dataclass(frozen=True)
class Forest:
    """Trees, each of which is a set of boxes that fill the space.

    Args:
        widths: of the cells [column, cell].
        boxes: of all leaves of all trees [leaf, column, cell], 1 for the cells that belong to one.
        values: the leaves' values.
        trees: the tree of each leaf, from 0.
        explained: how much of the variance of rows is foretold by the trees that have not seen them; 1 for all of it,
            0 or less for none.
    """

    widths: Array
    boxes: Array
    values: Array
    trees: Array
    explained: float

    @cached_property
    def _sides(self) -> Array:
        """The widths of each box along each column [leaf, column]."""
        sides: Array = np.einsum("lcb,cb->lc", self.boxes, self.widths)
        return sides

    @cached_property
    def _weighed(self) -> Array:
        """Value times volume of each leaf."""
        weighed: Array = self.values * self._sides.prod(axis=1)
        return weighed

    @cached_property
    def _bounds(self) -> list[slice]:
        ends = np.flatnonzero(np.diff(self.trees, append=-1)) + 1
        return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    @cached_property
    def _means(self) -> Array:
        return _and_mean(np.array([self._weighed[tree].sum() for tree in self._bounds]))

    @cached_property
    def _relative(self) -> Array:
        """Each box over its widths, so that a sum over leaves leaves these columns open."""
        return self.boxes / self._sides[:, :, None]

    @cached_property
    def marginals(self) -> Array:
        """The marginal of each tree [tree, column, cell], the mean of the tree included."""
        return np.array([np.einsum("l,lcb->cb", self._weighed[tree], self._relative[tree]) for tree in self._bounds])

    @cached_property
    def whole(self) -> Array:
        """The variance over the whole space: of the mean of all trees, then of each."""
        # Tree by tree, since libraries for large matrices wait for all cores, which may be busy with trainings.
        most = max(tree.stop - tree.start for tree in self._bounds)
        boxes, values = np.zeros((len(self._bounds), most, *self.widths.shape)), np.zeros((len(self._bounds), most))
        for index, tree in enumerate(self._bounds):
            leaves = tree.stop - tree.start
            boxes[index, :leaves], values[index, :leaves] = self.boxes[tree], self.values[tree]
        products = []
        for tree in self._bounds:
            common = values[:, None, :] * self.values[None, tree, None]
            for column, widths in enumerate(self.widths):
                common *= (self.boxes[tree, column] * widths) @ boxes[:, :, column].transpose(0, 2, 1)
            products.append(common.sum(axis=(1, 2)))
        whole: Array = np.array([np.mean(products), *np.diag(products)]) - self._means**2
        return whole

    @cached_property
    def singles(self) -> Array:
        """What each column alone accounts for [column], as `whole`."""
        singles: Array = np.einsum("tcb,cb->ct", _and_mean(self.marginals) ** 2, self.widths) - self._means**2
        return singles

    def pair(self, first: int, second: int) -> Array:
        """Give what two columns account for together, beyond each alone, as `whole`."""
        joint = [
            (self._relative[tree, first] * self._weighed[tree, None]).T @ self._relative[tree, second]
            for tree in self._bounds
        ]
        area = np.outer(self.widths[first], self.widths[second])
        squares = np.einsum("tab,ab->t", _and_mean(np.array(joint)) ** 2, area)
        pair: Array = squares - self._means**2 - self.singles[first] - self.singles[second]
        return pair

    def share(self, part: Array) -> tuple[float, float]:
        """Give the share of `part` in the variance of the mean of all trees, and its deviation over the single ones."""
        (mean, *trees), (whole, *wholes) = part, self.whole
        shares = [np.clip(own / all_, 0.0, 1.0) for own, all_ in zip(trees, wholes, strict=True) if all_ > 0]
        return float(np.clip(mean / whole, 0.0, 1.0)), float(np.std(shares))


def _and_mean(trees: Array) -> Array:
    return np.concatenate([trees.mean(axis=0, keepdims=True), trees])


def grown(columns: Sequence[Column], scores: Sequence[float], seed: int) -> Forest | None:
    """Grow a forest; each tree sees as many rows as there are, drawn with replacement.

    Args:
        columns: at least one.
        scores: what is to be foretold, one for each row; about 1 in size, since they are squared.
        seed: of the draws.

    Returns:
        The forest; None where no tree found anything to split.

    Example:
        >>> column = Column(tuple(row // 5 for row in range(10)), (0.5, 0.5))
        >>> forest = grown([column], [0.0] * 5 + [1.0] * 5, seed=0)
        >>> forest.share(forest.singles[0])[0]
        1.0
    """
    table, targets = _Table.of(columns), np.array(scores)
    boxes, values, trees = [], [], []
    foretold, seen = np.zeros(len(targets)), np.zeros(len(targets))
    for tree in range(TREES):
        draw = np.random.default_rng(derive(seed, "tree", tree)).integers(0, len(targets), min(len(targets), MOST))
        weights = np.bincount(draw, minlength=len(targets))
        rows, others = np.flatnonzero(weights), np.flatnonzero(weights == 0)
        box, value = _tree(table.taken(rows), targets[rows], weights[rows].astype(float))
        boxes.append(box)
        values.append(value)
        trees.append(np.full(len(value), tree))
        foretold[others] += value @ table.taken(others).shares_in(box)
        seen[others] += 1
    told = seen > 0
    error = np.square(targets[told] - foretold[told] / seen[told]).sum()
    explained = 1 - error / np.square(targets[told] - targets[told].mean()).sum() if np.ptp(targets[told]) else 0.0
    forest = Forest(table.widths, np.concatenate(boxes), np.concatenate(values), np.concatenate(trees), explained)
    return forest if len(forest.values) > TREES and forest.whole[0] > 0 else None


def _tree(table: _Table, targets: Array, weights: Array) -> tuple[Array, Array]:
    """Split all leaves at once, level by level, until none can be; give their boxes and values."""
    boxes = np.ones((1, *table.widths.shape))
    held = _Held(np.zeros(len(weights), dtype=int), np.arange(len(weights)), weights)
    ended: list[tuple[Array, Array]] = []
    while len(boxes):
        values = held.sums(len(boxes), targets) / held.sums(len(boxes))
        gains, lower = _best_splits(table, targets, boxes, held)
        split = gains > 0
        ended.append((boxes[~split], values[~split]))
        going = split[held.box]
        held = _Held((np.cumsum(split) - 1)[held.box[going]], held.row[going], held.weight[going])
        boxes, lower = boxes[split], lower[split]
        held = _parted(table, boxes, lower, held)
        changed = lower.any(axis=2, keepdims=True)
        boxes = np.concatenate([np.where(changed, lower, boxes), np.where(changed, boxes - lower, boxes)])
    return np.concatenate([box for box, _ in ended]), np.concatenate([value for _, value in ended])


def _parted(table: _Table, boxes: Array, lower: Array, held: _Held) -> _Held:
    """Deal the rows out to the lower parts of their boxes and, numbered after these, the upper ones."""
    column = lower.any(axis=2).argmax(axis=1)
    index, widths = np.arange(len(boxes)), table.widths[column]
    absent = (lower[index, column] * widths).sum(axis=1) / (boxes[index, column] * widths).sum(axis=1)
    cells = table.cells[held.row, column[held.box]]
    share = np.where(cells < 0, absent[held.box], lower[held.box, column[held.box], cells])
    below, above = share > 0, share < 1
    return _Held(
        np.concatenate([held.box[below], held.box[above] + len(boxes)]),
        np.concatenate([held.row[below], held.row[above]]),
        np.concatenate([(held.weight * share)[below], (held.weight * (1 - share))[above]]),
    )


def _best_splits(table: _Table, targets: Array, boxes: Array, held: _Held) -> tuple[Array, Array]:
    """Find the split of each box that lessens the squared error most.

    Returns:
        By how much, 0 where there is none; and the cells of the lower part [box, column, cell], in one column only.
    """
    counts, sums = _spread(table, boxes, held), _spread(table, boxes, held, targets)
    amount, total = (held.sums(len(boxes), worth)[:, None, None] for worth in (None, targets))
    order = _order(table, boxes, counts, sums, total / amount)
    below = np.cumsum(np.take_along_axis(counts, order, axis=2), axis=2)[:, :, :-1]
    part = np.cumsum(np.take_along_axis(sums, order, axis=2), axis=2)[:, :, :-1]
    enough = (below > LEAST - 1e-6) & (amount - below > LEAST - 1e-6)
    below = np.where(enough, below, amount / 2)
    gains = np.where(enough, part**2 / below + (total - part) ** 2 / (amount - below) - total**2 / amount, 0.0)
    index = np.arange(len(boxes))
    at = gains.argmax(axis=2)
    best = np.take_along_axis(gains, at[:, :, None], axis=2)[:, :, 0]
    column = best.argmax(axis=1)
    at, best = at[index, column], best[index, column]
    # Between two cells with rows, cells without any are shared out evenly.
    alike = enough[index, column] & (np.abs(below[index, column] - below[index, column, at][:, None]) < 1e-6)
    last = alike.shape[1] - 1 - alike[:, ::-1].argmax(axis=1)
    at = np.where(table.ordered[column], (at + last) // 2, at)
    cells = np.zeros((len(boxes), boxes.shape[2]))
    np.put_along_axis(cells, order[index, column], np.arange(boxes.shape[2]) <= at[:, None], axis=1)
    lower = np.zeros_like(boxes)
    lower[index, column] = cells * boxes[index, column]
    rounding = 1e-9 * np.square(targets).mean() * amount[:, 0, 0]
    return np.where(best > rounding, best, 0.0), lower


def _spread(table: _Table, boxes: Array, held: _Held, worth: Array | None = None) -> Array:
    """Add up weights, times what rows are worth, over the cells [box, column, cell].

    A row without a value is spread over the box.
    """
    weight = held.weight if worth is None else held.weight * worth[held.row]
    cells = table.cells[held.row]
    weights = np.broadcast_to(weight[:, None], cells.shape)
    place = held.box[:, None] * cells.shape[1] + np.arange(cells.shape[1])
    absent = cells < 0
    present = np.bincount((place * boxes.shape[2] + cells)[~absent], weights[~absent], minlength=boxes.size)
    without = np.bincount(place[absent], weights[absent], minlength=boxes.shape[0] * boxes.shape[1])
    shares = boxes * table.widths
    shares /= shares.sum(axis=2, keepdims=True)
    spread: Array = present.reshape(boxes.shape) + without.reshape(*boxes.shape[:2], 1) * shares
    return spread


def _order(table: _Table, boxes: Array, counts: Array, sums: Array, mean: Array) -> Array:
    """Give the order of cells along which a column may be split: their own, or that of their mean targets."""
    means = np.where(counts > 1e-9, sums / np.where(counts > 1e-9, counts, 1.0), mean)
    keys = np.where(table.ordered[:, None], np.arange(boxes.shape[2], dtype=float), np.where(boxes > 0, means, np.inf))
    return np.argsort(keys, axis=2, kind="stable")
