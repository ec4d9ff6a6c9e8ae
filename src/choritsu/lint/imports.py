"""Where a name comes from, by the imports of its file."""

from __future__ import annotations

import ast

from choritsu.lint.names import Names, Site, dotted

#: Libraries with classes of the same names, by the names they usually go by.
_FOREIGN = frozenset("xgb xgboost lgb lightgbm mx mxnet gluon fluid paddle mindspore ms".split())


def origin(path: str, site: Site, names: Names) -> str | None:
    """Give the full dotted name behind a use; None if the file does not say.

    Args:
        path: a dotted name, as used.
        site: where.
        names: the file.

    Example:
        >>> from choritsu.lint.names import collect
        >>> names = collect(ast.parse("from torch import optim as o"))
        >>> origin("o.SGD", Site(names.module, (9, 0), ()), names)
        'torch.optim.SGD'
    """
    first, _, rest = path.partition(".")
    bindings = names.see(first, site)
    for binding in bindings:
        if binding.kind == "import":
            return f"{binding.origin}.{rest}" if rest else binding.origin
    # What the file itself defines under this name is a namesake.
    return "" if bindings and not rest else None


def called(node: ast.Call, site: Site, names: Names) -> tuple[str, str]:
    """Give what a call calls: as written, and the last part of its name before it was renamed on import.

    Args:
        node: the call.
        site: where it stands.
        names: the file.

    Example:
        >>> from choritsu.lint.names import collect
        >>> names = collect(ast.parse("from keras.callbacks import LearningRateScheduler as L; L(f)"))
        >>> called(names.calls[0].node, names.calls[0].site, names)
        ('L', 'LearningRateScheduler')
    """
    function = node.func
    if isinstance(function, ast.Attribute):
        return dotted(function), function.attr
    if not isinstance(function, ast.Name):
        return "", ""
    for binding in names.see(function.id, site):
        if binding.kind == "import":
            return function.id, binding.origin.rpartition(".")[2]
    return function.id, function.id


def comes_from(path: str, site: Site, names: Names, packages: tuple[str, ...]) -> bool:
    """Whether a name belongs to one of these packages, or the file does not say otherwise.

    Args:
        path: a dotted name, as used.
        site: where.
        names: the file.
        packages: words that one of the dotted name's parts must hold.
    """
    full = origin(path, site, names)
    if full is None:
        return not _FOREIGN & set(path.split("."))
    return any(package in part for part in full.lower().split(".")[:-1] for package in packages)
