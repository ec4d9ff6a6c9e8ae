"""The demonstration runs on the user's own images, and says what is wrong with a file."""

from __future__ import annotations

import numpy as np
import pytest

from choritsu.demo import digits, images_from, run
from choritsu.errors import DemoError


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_a_second_run_continues_with_as_many_trials_more(tmp_path, capsys):
    for made in (1, 2):
        report = run(digits(), tmp_path, trials=1, epochs=1, seed=0)
        assert f"{made}: {made} completed" in capsys.readouterr().out
    assert report.stat().st_size > 10_000


def test_images_in_the_layout_of_keras_datasets_are_read(tmp_path):
    rng = np.random.default_rng(0)
    path = saved(
        tmp_path / "cifar.npz",
        x_train=rng.integers(0, 255, (50, 8, 8, 3), dtype="uint8"),
        y_train=rng.integers(0, 3, (50, 1)),
        x_test=rng.integers(0, 255, (20, 8, 8, 3), dtype="uint8"),
        y_test=rng.integers(0, 3, (20, 1)),
    )
    images = images_from(path, samples=None)
    assert (images.shape, images.classes) == ((8, 8, 3), 3)
    assert [len(part) for part in (*images.train, *images.test)] == [50, 50, 20, 20]
    assert images.train[0].max() <= 1.0
    assert [len(part[0]) for part in (images_from(path, 25).train, images_from(path, 25).test)] == [25, 5]


def test_a_file_that_will_not_do_is_told_in_a_sentence(tmp_path):
    with pytest.raises(DemoError, match="no file"):
        images_from(tmp_path / "nowhere.npz", None)
    (tmp_path / "text.npz").write_text("not a zip")
    with pytest.raises(DemoError, match=r"numpy\.savez"):
        images_from(tmp_path / "text.npz", None)
    with pytest.raises(DemoError, match="has no x_test, y_test; it holds x_train, y_train"):
        images_from(saved(tmp_path / "half.npz", x_train=np.zeros((9, 8, 8)), y_train=np.zeros(9)), None)
    wrong = dict.fromkeys(("x_train", "x_test"), np.zeros((9, 8))) | dict.fromkeys(("y_train", "y_test"), np.zeros(9))
    with pytest.raises(DemoError, match="shape"):
        images_from(saved(tmp_path / "flat.npz", **wrong), None)
    tricky = np.array([{"a": 1}] * 9, dtype=object)
    with pytest.raises(DemoError, match="cannot be read"):
        images_from(saved(tmp_path / "pickled.npz", **(wrong | {"x_train": tricky})), None)
