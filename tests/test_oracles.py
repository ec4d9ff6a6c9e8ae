"""Oracles: the contract over each, and what each promises besides."""

import pytest

pytest.register_assert_rewrite("choritsu.testing.oracles")

from choritsu.oracles import Grid, QuasiRandom, Random  # noqa: E402
from choritsu.testing.oracles import OracleContract  # noqa: E402


class TestRandom(OracleContract):
    history_free = True

    def make_oracle(self, seed):
        return Random(seed=seed)


class TestQuasiRandom(OracleContract):
    history_free = True

    def make_oracle(self, seed):
        return QuasiRandom(seed=seed)


class TestGrid(OracleContract):
    history_free = True

    def make_oracle(self, seed):
        return Grid()
