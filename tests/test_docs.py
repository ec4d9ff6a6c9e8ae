"""The documents say what is so."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import choritsu as ct
from choritsu.cli import app
from choritsu.stores import Store

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
GUIDES = [
    example
    for guide in ("learning-rates.md", "going-on.md", "better-trials.md", "from-keras-tuner.md")
    for example in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / guide).read_text(encoding="utf-8"), flags=re.DOTALL
    )
]
PUBLIC = [name for name in ct.__all__ if not name.startswith("_")]


#: Runs examples one after another, each as a script in a directory of its own; Keras is imported once.
RUNNER = """
import json, os, sys

for place, example in json.load(sys.stdin).items():
    os.mkdir(place)
    os.chdir(place)
    with open("printed", "w") as sys.stdout:
        exec(compile(example, place, "exec"), {"__name__": "__main__"})
"""


def run_examples(examples: list[str], directory: Path) -> Iterator[tuple[str, Path, str]]:
    """Run all examples; give each with the directory that it ran in and what it printed."""
    # Workers import what their search has imported: first those that need the least.
    ordered = sorted(examples, key=lambda example: ("keras" in example, "torch" in example))
    places = {str(directory / str(number)): example for number, example in enumerate(ordered)}
    run = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(places),
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    for place, example in places.items():
        yield example, Path(place), Path(place, "printed").read_text()


@pytest.mark.slow
def test_readme_examples_run(tmp_path):
    assert len(EXAMPLES) >= 5
    for example, place, printed in run_examples(EXAMPLES, tmp_path):
        assert printed, example
        if "search(" in example:
            assert "Done:" in printed, example
            assert (place / "tuning").is_dir(), example


@pytest.mark.slow
def test_examples_of_the_guides_run(tmp_path):
    assert len(GUIDES) >= 8
    for example, _, printed in run_examples(GUIDES, tmp_path):
        assert printed, example


@pytest.mark.slow
def test_one_schedule_gives_both_frameworks_the_rates_of_2019(tmp_path):
    """Both columns, as the optimizers hold them; a few images stand in for MNIST."""
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((64, 28, 28), "uint8"), y_train=np.arange(64) % 10)
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "one_schedule_two_frameworks.py"), str(tmp_path / "mnist.npz")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    in_keras, _, in_torch = run.stdout.partition("PyTorch")
    rates = [re.findall(r"Epoch \d+: learning rate ([\d.e-]+)", text) for text in (in_keras, in_torch)]
    told = (
        "0.00099999 0.000899991 0.000799992 0.000699993 0.000599994 "
        "0.000499995 0.000399996 0.000299997 0.000199998 9.9999e-05"
    )
    assert rates[0] == told.split()
    assert rates[1] == "0.001 0.0009 0.0008 0.0007 0.0006 0.0005 0.0004 0.0003 0.0002 0.0001".split()


def test_every_command_is_in_the_readme_and_has_help():
    runner = CliRunner()
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert len(commands) >= 5
    for command in commands:
        assert f"choritsu {command}" in README
        result = runner.invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert len(result.output) > 200


def test_all_names_exist_and_nothing_else_is_public():
    for name in ct.__all__:
        assert getattr(ct, name) is not None
    assert set(dir(ct)) >= set(ct.__all__)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = ct.Nonsense


@pytest.mark.parametrize(
    ("home", "name", "says"),
    [
        (ct, "applications", "no ready-made models"),
        (ct, "engine", "at the top"),
        (ct, "synchronized", "nothing needs a lock"),
        (ct, "Logger", "to_dataframe"),
        (ct.tuners, "Sklearn", "write SklearnTuner"),
        (ct.tuners, "Nonsense", "no attribute 'Nonsense'$"),
        (ct.oracles, "RandomSearch", "write RandomSearchOracle"),
    ],
)
def test_names_of_keras_tuner_that_are_missing_say_what_takes_their_place(home, name, says):
    with pytest.raises(AttributeError, match=says):
        getattr(home, name)
    assert not hasattr(home, name)
    with pytest.raises(ImportError):
        exec(f"from {home.__name__} import {name}")


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_a_docstring(name):
    thing = getattr(ct, name)
    first = (inspect.getdoc(thing) or "").splitlines()[0]
    assert first.endswith((".", ")", "="))


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isclass(getattr(ct, name))])
def test_public_classes_and_their_methods_are_documented(name):
    thing = getattr(ct, name)
    if not getattr(thing, "_is_protocol", False) and name not in {"Parameter", "Trial", "FatalError"}:
        assert ">>>" in inspect.getdoc(thing), f"{name} lacks an example"
    for attribute, value in vars(thing).items():
        told_by_contract = attribute in vars(Store) or attribute in {"contains", "details"}
        if not attribute.startswith("_") and inspect.isfunction(value) and not told_by_contract:
            assert inspect.getdoc(value), f"{name}.{attribute} lacks a docstring"


def test_architecture_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "src" / "choritsu").iterdir():
        if path.name.startswith("_") or path.name == "py.typed":
            continue
        room = f"{path.name}/" if path.is_dir() else path.name
        assert f"`{room}`" in text, room


def test_importing_is_light():
    program = (
        "import sys, choritsu\n"
        "heavy = {'numpy', 'scipy', 'sqlalchemy', 'keras', 'torch', 'jax', 'tensorflow', 'rich', 'pandas', 'optuna'}\n"
        "print(sorted(heavy & set(sys.modules)), sum(name.startswith('choritsu') for name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded, count = run.stdout.rsplit(maxsplit=1)
    assert loaded == "[]"
    assert int(count) < 10


def test_sources_parse_on_the_oldest_python_we_promise():
    for path in (ROOT / "src").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
