"""Who runs the trials."""

from choritsu.executors.base import Executor as Executor
from choritsu.executors.base import Handle as Handle
from choritsu.executors.inline import InlineExecutor as InlineExecutor
from choritsu.executors.processes import ProcessExecutor as ProcessExecutor
