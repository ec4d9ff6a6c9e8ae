"""Command-line options and their defaults: argparse, click and absl flags, as far as they are written out."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from choritsu.lint.names import Call, Names, Site, dotted


@dataclass(frozen=True)
class Option:
    """An option's default, and where that stands."""

    default: ast.expr
    site: Site


def options(names: Names) -> dict[str, Option]:
    """Find the options that a file declares.

    Args:
        names: the file.

    Example:
        >>> from choritsu.lint.names import collect
        >>> tree = ast.parse("parser.add_argument('--base-lr', type=float, default=0.1)")
        >>> list(options(collect(tree)))
        ['base_lr']
    """
    found: dict[str, Option] = {}
    for call in names.calls:
        name, default = _declared(call)
        if name and default is not None:
            found[name] = Option(default, call.site)
    return found


def _declared(call: Call) -> tuple[str, ast.expr | None]:
    node = call.node
    function = dotted(node.func).rpartition(".")[2]
    words = {word.arg: word.value for word in node.keywords}
    texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if not texts:
        return "", None
    if function in ("add_argument", "add", "option", "add_arg"):
        long = next((text for text in texts if text.startswith("--")), texts[0])
        destination = words.get("dest")
        if isinstance(destination, ast.Constant) and isinstance(destination.value, str):
            long = destination.value
        return long.lstrip("-").replace("-", "_"), words.get("default")
    if function in ("DEFINE_float", "DEFINE_integer") and len(node.args) > 1:
        return texts[0], node.args[1]
    return "", None
