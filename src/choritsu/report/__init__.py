"""What came out of a search: one pure value, and tables, a page and files made of it. Loaded when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from choritsu.report.data import Curve as Curve
    from choritsu.report.data import Standing as Standing
    from choritsu.report.data import Summary as Summary
    from choritsu.report.export import to_dataframe as to_dataframe
    from choritsu.report.export import to_epochs_dataframe as to_epochs_dataframe
    from choritsu.report.export import to_records as to_records
    from choritsu.report.export import write_csv as write_csv
    from choritsu.report.export import write_json as write_json
    from choritsu.report.html import render_html as render_html
    from choritsu.report.html import write_html as write_html
    from choritsu.report.importance import Effect as Effect
    from choritsu.report.importance import Importance as Importance
    from choritsu.report.importance import Importances as Importances
    from choritsu.report.importance import importance_of as importance_of
    from choritsu.report.tables import notebook_html as notebook_html
    from choritsu.report.tables import print_results as print_results
    from choritsu.report.tables import print_space as print_space
    from choritsu.report.tables import results_table as results_table
    from choritsu.report.tables import space_table as space_table

_HOMES = {
    "data": ("Curve", "Standing", "Summary"),
    "export": ("to_dataframe", "to_epochs_dataframe", "to_records", "write_csv", "write_json"),
    "html": ("render_html", "write_html"),
    "importance": ("Effect", "Importance", "Importances", "importance_of"),
    "tables": ("notebook_html", "print_results", "print_space", "results_table", "space_table"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
