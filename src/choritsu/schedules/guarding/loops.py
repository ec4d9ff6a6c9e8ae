"""Whether a training runs through all that its loops go over, as far as its source says so.

A run that a ``break`` has ended looks like one that was planned to be so short; only the source tells them apart.
"""

from __future__ import annotations

import ast
import functools
import linecache
import warnings
from types import FrameType

#: What gives all that it was given, or as many numbers as it says.
_WHOLE = frozenset("range enumerate zip reversed list tuple tqdm trange track islice".split())
_LEAVING = (ast.Break, ast.Continue, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Await)
_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.Match, ast.Try, ast.TryStar, ast.With, ast.AsyncWith)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Their code goes on whatever happens, and has nothing to say about how long a training is.
_PASSED_OVER = frozenset(("choritsu", "torch"))


def runs_through(frame: FrameType | None, until: tuple[int, int]) -> bool:
    """Tell whether a training surely goes on to the end of its loops, from where it stands now.

    There is a loop over numbers or a list, and no loop around this place can be left before its end.

    Args:
        frame: where it stands.
        until: the frame, by its identity, and the line from which on it is a training.
    """
    outermost: ast.stmt | None = None
    while frame is not None:
        last = id(frame) == until[0]
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _PASSED_OVER:
            blocks = _around(frame)
            if blocks is None:
                return False
            blocks = [block for block in blocks if not last or block.lineno > until[1]]
            if not all(map(_goes_on, blocks)):
                return False
            loops = [block for block in blocks if isinstance(block, ast.For)]
            outermost = loops[0] if loops else outermost
        if last:
            return isinstance(outermost, ast.For) and _is_whole(outermost.iter)
        frame = frame.f_back
    return False


def _around(frame: FrameType) -> list[ast.stmt] | None:
    """List the blocks around the line at which a frame stands, the outermost first; None without its source."""
    blocks = _blocks("".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals)))
    line = frame.f_lineno
    found = [node for node in blocks if node.lineno <= line <= (node.end_lineno or node.lineno)]
    own = [index for index, node in enumerate(found) if getattr(node, "name", "") == frame.f_code.co_name]
    inside = [node for node in found[own[-1] + 1 if own else 0 :] if not isinstance(node, _FUNCTIONS)]
    return inside if blocks else None


@functools.lru_cache(maxsize=8)
def _blocks(source: str) -> tuple[ast.stmt, ...]:
    """List the blocks and functions of a file in their order; none where it cannot be read."""
    try:
        with warnings.catch_warnings():
            # Whoever wrote an invalid escape was told by Python.
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    found: list[ast.stmt] = [node for node in ast.walk(tree) if isinstance(node, (*_BLOCKS, *_FUNCTIONS))]
    return tuple(sorted(found, key=lambda node: (node.lineno, node.col_offset)))


def _goes_on(block: ast.stmt) -> bool:
    match block:
        case ast.For():
            return not any(isinstance(node, _LEAVING) for node in ast.walk(block))
        case ast.If(test=test):
            # Gradients that are accumulated are applied once in a number of batches.
            return any(isinstance(node, ast.Mod) for node in ast.walk(test))
        case ast.Try(handlers=handlers):
            return not handlers
        case ast.With(items=items):
            return not any(word in ast.unparse(item) for item in items for word in ("suppress", "raises"))
    return False


def _is_whole(iterated: ast.expr) -> bool:
    match iterated:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in _WHOLE:
            # As ``tqdm(range(9))`` and ``tqdm(loader)`` do, but not what a function of their own gives.
            return all(_is_whole(part) for part in args if isinstance(part, ast.Call))
        case ast.List() | ast.Tuple():
            return True
    return False
