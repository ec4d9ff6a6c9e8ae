"""Executors: the contract over each, and virtual time."""

import pytest

pytest.register_assert_rewrite("choritsu.testing.executors")

from choritsu.executors import InlineExecutor  # noqa: E402
from choritsu.testing.executors import ExecutorContract  # noqa: E402
from choritsu.testing.virtual import VirtualClock, VirtualExecutor, performed  # noqa: E402


class TestInlineExecutor(ExecutorContract):
    def make_executor(self, perform):
        return InlineExecutor(perform)


class TestVirtualExecutor(ExecutorContract):
    def make_executor(self, perform):
        return VirtualExecutor(3, performed(perform), VirtualClock())
