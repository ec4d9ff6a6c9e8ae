"""Reading: which files there are, and what Python they hold. Nothing read here is ever run."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset((".py", ".pyw", ".ipynb"))
#: Directories that hold other people's code, or none.
SKIPPED = frozenset(
    ".git .hg .svn .tox .nox .venv venv node_modules site-packages dist-packages build dist __pycache__ __pypackages__ "
    ".eggs .mypy_cache .pytest_cache .ruff_cache .ipynb_checkpoints".split()
)
#: A file without any of these has nothing to check.
KEYWORDS = re.compile(r"LambdaLR|MultiplicativeLR|LearningRateScheduler|lr_scheduler|choritsu")
_KEYWORD_BYTES = re.compile(
    "|".join(rf"{word}|{bytes(word, 'utf-16-le').decode('latin-1')}" for word in KEYWORDS.pattern.split("|")).encode(
        "latin-1"
    )
)
#: Larger files are data in disguise.
LARGEST = 10_000_000

_MAGIC = re.compile(r"^(\s*)([%!?]|(?:[\w, ]+=\s*[%!])).*$|^(\s*)[\w.]+\?{1,2}\s*$")
_PYTHON_CELL = re.compile(r"%%(time|timeit|capture|prun|wandb)\b")
_OLD_STATEMENT = re.compile(r"^(\s*)(?:print|exec)\b(?!\s*[(=.\[]).*$")


class UnreadableError(Exception):
    """A file that cannot be read as Python; the message says why.

    Args:
        reason: why.
        line: where, counted from 1.
    """

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = max(line, 1)


@dataclass(frozen=True)
class Source:
    """A file's Python, parsed.

    Args:
        path: as it was given or found.
        lines: the text.
        tree: its syntax tree.
        places: for each line of a notebook, its cell and the line in it; empty for a script.
        damage: what had to be left out, as (reason, line).
    """

    path: str
    lines: Sequence[str]
    tree: ast.Module
    places: Sequence[tuple[int, int]] = ()
    damage: tuple[tuple[str, int], ...] = ()

    def place(self, line: int) -> tuple[int, int]:
        """Give the cell (0 in a script) and the line in it."""
        if not self.places:
            return 0, line
        return self.places[min(max(line, 1), len(self.places)) - 1]


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """List the files to read, each once, in a fixed order.

    Args:
        paths: files and directories; a file that was named is taken whatever its ending.

    Raises:
        FileNotFoundError: nothing is there.
    """
    seen: set[str] = set()
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or directory")
        for file in _walk(path) if path.is_dir() else (path,):
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _walk(directory: Path) -> Iterator[Path]:
    visited: set[str] = set()
    for root, folders, files in os.walk(directory, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED and not name.endswith(".egg-info") and not _is_environment(Path(root, name))
        )
        for name in sorted(files):
            file = Path(root, name)
            if file.suffix in SUFFIXES and file.is_file():
                yield file


def _is_environment(directory: Path) -> bool:
    return (directory / "pyvenv.cfg").exists()


def read(path: Path, *, named: bool = False) -> Source | None:
    """Read one file; None if it has nothing to check.

    Args:
        path: a script or a notebook.
        named: it was asked for by name, so that it is to be readable even with nothing to check.

    Raises:
        UnreadableError: it is no Python that can be understood.
    """
    try:
        if path.stat().st_size > LARGEST:
            return None
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    wanted = _KEYWORD_BYTES.search(data) is not None
    source = parse(data, str(path)) if wanted or named else None
    return source if wanted else None


def parse(data: bytes, path: str) -> Source:
    """Make a syntax tree of a file's bytes.

    Args:
        data: what the file holds.
        path: its name; a notebook ends in .ipynb.

    Raises:
        UnreadableError: it is no Python that can be understood.

    Example:
        >>> parse(b"rate = 0.1", "a.py").tree.body[0].lineno
        1
    """
    text = _decoded(data)
    if path.endswith(".ipynb"):
        return _notebook(text, path)
    try:
        return Source(path, text.splitlines(), _tree(text))
    except UnreadableError as error:
        mended = _mended(text)
        if mended is None:
            raise
        return Source(path, mended.splitlines(), _tree(mended), damage=((error.reason, error.line),))


def _decoded(data: bytes) -> str:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UnreadableError(f"cannot decode it: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")


def _tree(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            # Whoever wrote an invalid escape is told by Python, not by us.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise UnreadableError(f"{error.msg or 'invalid syntax'}", error.lineno or 1) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise UnreadableError(str(error) or type(error).__name__) from error


def _mended(text: str) -> str | None:
    """Blank the print statements of Python 2 and the tabs it mixed; None if that does not help."""
    lines = text.expandtabs(8).split("\n")
    mended = "\n".join(_OLD_STATEMENT.sub(r"\1pass", line) for line in lines)
    mended = re.sub(r"^(\s*except\s+[\w.()]+(?:\s*,\s*[\w.]+\))?)\s*,\s*(\w+)\s*:", r"\1 as \2:", mended, flags=re.M)
    try:
        _tree(mended)
    except UnreadableError:
        return None
    return mended


def _notebook(text: str, path: str) -> Source:
    try:
        document = json.loads(text)
        cells = document.get("cells") or document["worksheets"][0]["cells"]
        codes = [_cell_text(cell) for cell in cells if cell.get("cell_type") == "code"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError("it is no notebook: its JSON holds no cells") from error
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    damage: list[tuple[str, int]] = []
    for number, code in enumerate(codes, start=1):
        code = code.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")
        kept, reason, line = _cell(code)
        if reason and KEYWORDS.search(code):
            damage.append((reason, len(lines) + line))
        for index, content in enumerate(kept.split("\n"), start=1):
            lines.append(content)
            places.append((number, index))
    return Source(path, lines, _tree("\n".join(lines)), places, tuple(damage))


def _cell_text(cell: dict[str, object]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _cell(code: str) -> tuple[str, str, int]:
    """Give the cell's Python, and why and where it had to be dropped; both have the same number of lines."""
    try:
        _tree(code)
    except UnreadableError:
        pass
    else:
        return code, "", 0
    lines = code.split("\n")
    blank = "\n" * (len(lines) - 1)
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not _PYTHON_CELL.match(first):
        return blank, "", 0
    plain = "\n".join(_MAGIC.sub(lambda found: f"{found[1] or found[3] or ''}pass", line) for line in lines)
    for attempt in (plain, _mended(plain)):
        if attempt is None:
            continue
        try:
            _tree(attempt)
        except UnreadableError as error:
            reason, line = error.reason, error.line
        else:
            return attempt, "", 0
    return blank, reason, line
