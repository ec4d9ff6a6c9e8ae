"""The static checker: learning-rate mistakes in Python source, found without running it.

`sources` reads files, `names` says what names mean, `values` what expressions may be, in the units of `quantities`;
`torch_rules`, `keras_rules` and `steps` judge; `check` puts it together, `formats` writes it down.
"""

from choritsu.lint.check import Report, check_paths, check_text
from choritsu.lint.finding import RULES, Finding, Outcome, Rule
from choritsu.lint.formats import FORMATS, as_github, as_json, as_sarif, as_text

__all__ = [
    "FORMATS",
    "RULES",
    "Finding",
    "Outcome",
    "Report",
    "Rule",
    "as_github",
    "as_json",
    "as_sarif",
    "as_text",
    "check_paths",
    "check_text",
]
