"""Which trial is worth training once more: among those that may be the best, when the same values score differently.

A pure function of the history, like an oracle.
"""

from __future__ import annotations

import math

from choritsu.trials import History, Status, Trial

#: Before so many trials are completed, which ones will matter is anybody's guess.
FIRST = 5
#: One repeat for so many completed trials in the end, so that repeats cost at most half as much again; half of them on
#: the way, since many that lead there are overtaken before the end.
EVERY, ON_THE_WAY = 2, 4
#: After so many repeats that scored exactly what the first training did, the function is held to be deterministic.
ALIKE = 3
#: How many degrees of freedom an estimate of the noise needs to be of use; with 3 it is mostly within a factor of 2.
ENOUGH = 3
#: So many standard errors behind the best, a trial is hardly the best: one time in ten.
BEHIND = 1.28
#: Beyond so many executions of a trial, a further one tells little: its mean moves by a tenth of the noise.
MOST = 5
#: Of so many trials, the best, any may be repeated; their weights are kept for that.
RACED = 10


def contender(history: History, *, over: bool = False) -> int | None:
    """Give the number of the trial that is to be trained once more; None for none.

    First the best trials, until the noise is known; from then on the best one or its nearest rival, whichever has been
    trained less, as long as one is near.

    Args:
        history: every trial.
        over: whether no further trial is to come.

    Source:
        Kalyanakrishnan et al., "PAC subset selection in stochastic multi-armed bandits" (2012), whose LUCB samples the
        best and its strongest challenger.

    Example:
        >>> from choritsu.trials import Objective, Result
        >>> results = [Result(score, None, {}, 0, 0, 1, 1) for score in (0.5, 0.1, 0.2, 0.3, 0.4)]
        >>> trials = tuple(Trial(n, Status.COMPLETED, result=result) for n, result in enumerate(results))
        >>> contender(History(objective=Objective("loss"), trials=trials))
        1
    """
    completed = history.completed
    if len(completed) < FIRST and not over:
        return None
    repeats = sum(asked(trial) - 1 for trial in completed)
    if repeats >= len(completed) // (EVERY if over else ON_THE_WAY):
        return None
    noise = history.noise
    leading, few = completed[:RACED], RACED
    if noise is None or noise.deviation == 0.0:
        if repeats >= ALIKE:
            return None
    elif noise.degrees >= ENOUGH:
        best, *others = leading

        def lag(trial: Trial) -> float:
            doubt = math.hypot(noise.doubt(_had(best)), noise.doubt(_had(trial)))
            return (history.expected_badness(trial) - history.expected_badness(best)) / (doubt or math.ulp(0.0))

        rivals = sorted((trial for trial in others if lag(trial) < BEHIND), key=lag)
        # Between the best and its nearest rival lies most of the doubt which one is the best.
        leading, few = (best, *rivals) if rivals else (), 2
    free = [trial for trial in leading if _is_free(trial)][:few]
    # Of equal ones the first, which is the best.
    return min(free, key=asked).number if free else None


def asked(trial: Trial) -> int:
    """Give how many executions a trial is to have in all, those to come included."""
    return max(trial.executions or 1, _had(trial))


def _had(trial: Trial) -> int:
    return trial.result.executions if trial.result is not None else 0


def _is_free(trial: Trial) -> bool:
    """Tell whether a trial can be repeated: it neither runs, nor has a repeat failed."""
    return trial.status is Status.COMPLETED and asked(trial) == _had(trial) < MOST
