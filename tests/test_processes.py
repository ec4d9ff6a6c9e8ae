"""Worker processes: what they are given, how they die, and what is left of them."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import choritsu as ct
from choritsu.decisions import Continue
from choritsu.errors import RedefinedError
from choritsu.executors import ProcessExecutor, surroundings
from choritsu.executors.messages import Ended, as_bytes, raised_by
from choritsu.executors.parcel import Parcel, opened
from choritsu.executors.places import Place, dealt, places, visible_gpus
from choritsu.testing.executors import behave, job
from choritsu.trials import Failed, Finished, Interrupted, Lost, Report, Reported, Status
from choritsu.work import trace_of

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


SETTINGS = surroundings.settings


@pytest.fixture(autouse=True)
def _plain_workers(monkeypatch):
    """Keep workers from importing the frameworks that other tests have imported here."""
    monkeypatch.setattr(surroundings, "settings", dict)


def ran(executor, *jobs, answer=lambda event: Continue(), patience=30.0):
    """Run jobs to their ends; give the events of each."""
    for each in jobs:
        executor.start(each)
    told = {}

    def handle(event):
        told.setdefault(event.number, []).append(event)
        return answer(event)

    last = time.monotonic() + patience
    while executor.running:
        assert time.monotonic() < last
        executor.wait(handle, 0.5)
    return told


def says(make):
    """Give a function that ends its trial with what `make` gives, as the message of a failure."""
    return lambda job, emit: emit(Failed(job.number, job.attempt, {}, make(job)))


def said(executor, number=0, **given):
    return ran(executor, job(number, **given))[number][-1].message


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def is_gone_within(seconds, pids):
    last = time.monotonic() + seconds
    while any(map(is_there, pids)) and time.monotonic() < last:
        time.sleep(0.02)
    return not any(map(is_there, pids))


def children():
    """Give the numbers of this process's children, dead ones that nobody has buried included."""
    stats = {int(path.parent.name): path for path in Path("/proc").glob("[0-9]*/stat")}
    return {pid for pid, path in stats.items() if parent_in(path) == os.getpid()}


def parent_in(stat):
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


class Order(BaseException):
    """An order of a class of this module's own."""


class Stubborn(ct.FatalError):
    """An error that cannot be pickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.lock = threading.Lock()


# -- what a worker is given ------------------------------------------------------------------------


def test_closures_and_lambdas_work():
    factor = 3
    with closing(ProcessExecutor(says(lambda job: job.given["x"] * factor), 1)) as executor:
        assert said(executor, x=14) == 42


def test_a_worker_is_warm_for_the_next_trial():
    with closing(ProcessExecutor(says(lambda job: os.getpid()), 1)) as executor:
        assert said(executor, 0) == said(executor, 1) != os.getpid()


def test_a_function_reads_the_scripts_arguments():
    with closing(ProcessExecutor(says(lambda job: sys.argv), 1)) as executor:
        assert said(executor) == sys.argv


def test_what_cannot_be_pickled_is_refused_with_a_sentence():
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"cannot be pickled.*lock.*Make it inside the function"):
        ProcessExecutor(lambda job, emit: lock, 1)


def test_what_a_function_prints_is_seen(capfd):
    with closing(
        ProcessExecutor(says(lambda job: print("from afar", file=sys.stderr) or print("here")), 1)
    ) as executor:
        said(executor)
    assert capfd.readouterr() == ("here\n", "from afar\n")


def test_modules_are_found_where_the_script_finds_them(tmp_path, monkeypatch):
    (tmp_path / "nearby_module.py").write_text("def perform(job, emit):\n    behave(job, emit)\nfrom "
                                               "choritsu.testing.executors import behave\n")  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    import nearby_module

    with closing(ProcessExecutor(nearby_module.perform, 1)) as executor:
        assert isinstance(ran(executor, job(0))[0][-1], Finished)


def test_the_path_to_this_package_is_not_left_in_the_environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(ct.__file__).parents[1]), "/nowhere"]))
    with closing(ProcessExecutor(says(lambda job: (os.environ["PYTHONPATH"], sys.path)), 1)) as executor:
        assert said(executor) == (os.environ["PYTHONPATH"], sys.path)


def test_a_script_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from choritsu.decisions import Continue
        from choritsu.executors import ProcessExecutor
        from choritsu.errors import FatalError
        from choritsu.testing.executors import job
        from choritsu.trials import Failed

        print("begun")

        class Mine(FatalError):
            pass

        class Thing:
            def __call__(self, job, emit):
                if job.number == 2:
                    raise Mine("enough")
                emit(Failed(job.number, job.attempt, {}, "failed"))

        executor = ProcessExecutor(Thing(), 2)
        for number in range(2):
            executor.start(job(number))
        while executor.running:
            executor.wait(lambda event: print(event.message) or Continue(), 1.0)
        executor.start(job(2))
        try:
            executor.wait(lambda event: Continue(), 10.0)
        except Mine as error:
            print(error)
        # Without close: nothing may be left behind.
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("begun\nfailed\nfailed\nenough\n", "")


def test_frameworks_are_set_as_the_script_has_set_them(monkeypatch):
    torch, keras, jax = (pytest.importorskip(name) for name in ("torch", "keras", "jax"))
    monkeypatch.setattr(surroundings, "settings", SETTINGS)
    monkeypatch.setattr(sys, "modules", {**sys.modules, "torch": torch, "keras": keras, "jax": jax})
    standard = surroundings.settings()
    keras.config.set_dtype_policy("mixed_bfloat16")
    torch.set_default_dtype(torch.float64)
    try:
        found = surroundings.settings()
        keras.config.set_dtype_policy("float32")
        torch.set_default_dtype(torch.float32)
        surroundings.apply(found)
        assert surroundings.settings() == found
        assert found == {"keras": {"dtype_policy": "mixed_bfloat16"}, "torch": {"default_dtype": "float64"}}
    finally:
        keras.config.set_dtype_policy("float32")
        torch.set_default_dtype(torch.float32)
    assert surroundings.settings() == standard == {"keras": {}, "torch": {}}
    variables = surroundings.variables()
    assert variables["KERAS_BACKEND"] == keras.backend.backend()
    assert variables["JAX_ENABLE_X64"] == "False"


# -- data ------------------------------------------------------------------------------------------


@linux
def test_arrays_are_shared_and_nobody_sees_what_another_writes():
    array, gaps = np.zeros(12_500_000), np.zeros(25_000_000)[::2]  # 100 MB each

    def look(job):
        from choritsu.executors.worker import memory

        own = memory()
        mean = array.mean() + gaps.mean()
        array[0] += 1.0 + job.number
        return float(mean), float(array[0]), array.flags.writeable, memory(), memory() - own

    with closing(ProcessExecutor(says(look), 2)) as executor:
        told = ran(executor, job(0), job(1))
        results = [told[number][-1].message for number in range(2)]
    assert [result[:3] for result in results] == [(0.0, 1.0, True), (0.0, 2.0, True)]
    assert all(own < 100_000_000 and grown < 20_000_000 for *_, own, grown in results)
    assert array[0] == 0.0


def test_arrays_of_all_kinds_arrive(tmp_path):
    on_disk = np.memmap(tmp_path / "numbers", dtype="int16", mode="w+", shape=(7,))
    on_disk[:] = range(7)
    sealed = np.arange(5.0)
    sealed.flags.writeable = False
    arrays = {
        "empty": np.zeros((0, 3)),
        "with gaps": np.arange(20.0)[::3],
        "transposed": np.arange(6).reshape(2, 3).T,
        "objects": np.array([{}, "text"], dtype=object),
        "on disk": on_disk,
        "sealed": sealed,
        "a number": np.float32(2.5),
        "complex": np.arange(3) * 1j,
    }
    parcel = Parcel(arrays)
    back = opened(parcel.fileno())()
    parcel.close()
    assert all(np.array_equal(back[name], array) for name, array in arrays.items())
    assert [back[name].flags.writeable for name in ("with gaps", "sealed", "on disk")] == [True, False, True]


def test_the_same_array_twice_is_one():
    array = np.arange(1000.0)[::2]
    parcel = Parcel([array, array])
    first, second = opened(parcel.fileno())()
    parcel.close()
    assert first is second


# -- death -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "how"),
    [
        (lambda: os._exit(3), "it ended with exit code 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "it was killed by SIGKILL, perhaps for want of memory"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "it was killed by SIGSEGV"),
    ],
)
def test_a_worker_that_dies_costs_its_attempt_only(way, how):
    def perform(job, emit):
        emit(Reported(job.number, job.attempt, Report(0, 0, {"loss": 1.0})))
        if job.number == 1 and job.attempt == 0:
            way()
        behave(job, emit)

    with closing(ProcessExecutor(perform, 2)) as executor:
        told = ran(executor, job(0, epochs=50), job(1))
        assert [type(event) for event in told[1]] == [Reported, Lost]
        assert (told[1][-1].attempt, told[1][-1].message) == (0, how)
        assert isinstance(told[0][-1], Finished)
        assert executor.free == 2
        told = ran(executor, job(1, attempt=1), job(2))
        assert isinstance(told[1][-1], Finished)
        assert isinstance(told[2][-1], Finished)


def test_who_dies_between_two_trials_is_replaced_unseen():
    with closing(ProcessExecutor(says(lambda job: os.getpid()), 1)) as executor:
        first = said(executor)
        os.kill(first, signal.SIGKILL)
        assert is_gone_within(5, [first])
        assert said(executor, 1) != first


def test_a_trial_that_goes_on_before_its_worker_has_left_it_takes_a_place(tmp_path):
    def perform(job, emit):
        emit(Failed(job.number, job.attempt, {}, ""))
        while not (tmp_path / "leave").exists():
            time.sleep(0.01)

    told = []
    with closing(ProcessExecutor(perform, 2)) as executor:
        for attempt in (0, 1):
            executor.start(job(0, attempt=attempt))
            while len(told) == attempt:
                executor.wait(lambda event: told.append(event) or Continue(), 1.0)
        assert executor.free == 0
        (tmp_path / "leave").touch()
        ran(executor)
        assert executor.free == 2


def test_a_function_without_an_outcome_is_lost():
    with closing(ProcessExecutor(lambda job, emit: None, 1)) as executor:
        (event,) = ran(executor, job(0))[0]
        assert (type(event), event.message) == (Lost, "it ended without an outcome")


@linux
def test_the_parents_death_ends_its_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, subprocess, sys
        from choritsu.decisions import Continue
        from choritsu.executors import ProcessExecutor
        from choritsu.testing.executors import job

        def perform(job, emit):
            child = subprocess.Popen(["sleep", "60"]) if job.number else None
            # In one piece, however standard output is buffered.
            os.write(1, f"{os.getpid()} {child.pid if child else ''}\\n".encode())
            while True:
                pass

        executor = ProcessExecutor(perform, 2)
        executor.start(job(0))
        executor.start(job(1))
        executor.wait(lambda event: Continue(), 60.0)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(pid) for _ in range(2) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(is_there, pids))
        parent.kill()
        assert is_gone_within(2.0, pids)


@linux
def test_closing_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = children()

    def perform(job, emit):
        if job.number:
            child = subprocess.Popen(["sleep", "60"])
            emit(Reported(job.number, job.attempt, Report(0, 0, {"pid": child.pid})))
            time.sleep(60)
        behave(job, emit)

    executor = ProcessExecutor(perform, 2)
    ran(executor, job(0))
    executor.start(job(1))
    told = []
    executor.wait(lambda event: told.append(event) or Continue(), 10.0)
    begun = time.monotonic()
    executor.close()
    executor.close()
    assert time.monotonic() - begun < 4.0
    assert (executor.running, executor.free) == (frozenset(), 2)
    assert children() <= before
    assert is_gone_within(1.0, [int(told[0].report.metrics["pid"])])
    assert list(tmp_path.iterdir()) == []


# -- orders ----------------------------------------------------------------------------------------


def asleep():
    time.sleep(60)


def busy():
    while True:
        pass


def deaf():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(60)


def interrupted(executor, way, seconds):
    """Interrupt trials a moment after they have begun; give their events and how long they took to leave."""
    executor.start(job(0))
    executor.start(job(1))
    told = []

    def handle(event):
        told.append(event)
        return Continue()

    while len(told) < 2:
        executor.wait(handle, 10.0)
    threading.Timer(0.2, executor.interrupt).start()
    begun = time.monotonic()
    while executor.running:
        assert time.monotonic() < begun + seconds
        executor.wait(handle, 0.5)
    return told[2:]


@pytest.mark.parametrize("way", [asleep, busy])
def test_interrupting_breaks_off_what_runs(way):
    def perform(job, emit):
        try:
            emit(Reported(job.number, job.attempt, Report(0, 0, {"loss": 1.0})))
            way()
        except KeyboardInterrupt:
            emit(Interrupted(job.number, job.attempt, at=7.0))
            raise

    with closing(ProcessExecutor(lambda job, emit: (perform if job.number < 2 else behave)(job, emit), 2)) as executor:
        assert set(interrupted(executor, way, 3.0)) == {Interrupted(0, 0, at=7.0), Interrupted(1, 0, at=7.0)}
        # The workers are as good as before.
        assert isinstance(ran(executor, job(2))[2][-1], Finished)


def test_who_does_not_let_itself_be_interrupted_is_killed(monkeypatch):
    monkeypatch.setattr("choritsu.executors.processes.GRACE", 0.5)

    def perform(job, emit):
        emit(Reported(job.number, job.attempt, Report(0, 0, {"loss": 1.0})))
        deaf()

    with closing(ProcessExecutor(perform, 2)) as executor:
        assert {(type(event), event.number) for event in interrupted(executor, deaf, 3.0)} == {
            (Interrupted, 0),
            (Interrupted, 1),
        }


def test_a_trial_that_has_not_begun_is_interrupted_too():
    with closing(ProcessExecutor(behave, 1)) as executor:
        executor.start(job(0, epochs=10**9))
        executor.interrupt()
        assert [type(event) for event in ran(executor)[0]] == [Interrupted]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to a group of processes")
def test_ctrl_c_in_the_terminal_does_not_reach_a_worker():
    with closing(ProcessExecutor(says(lambda job: os.getpgrp()), 1)) as executor:
        assert said(executor) != os.getpgrp()


@pytest.mark.parametrize(
    "error", [ct.errors.FatalValueError("no data"), RedefinedError("x", "a", "b", "twice"), Order()]
)
def test_an_order_arrives_with_its_traceback(error):
    def perform(job, emit):
        raise error

    with closing(ProcessExecutor(perform, 1)) as executor:
        executor.start(job(0))
        with pytest.raises(type(error)) as caught:
            ran(executor)
        assert "in perform\n    raise error" in caught.value.__notes__[0]
        assert str(caught.value) == str(error)
        assert executor.free == 1


def test_code_may_hold_what_only_cloudpickle_can_write():
    def perform(job, emit):
        emit(Failed(job.number, job.attempt, {}, str(frozenset)))

    code = perform.__code__
    holding = tuple(frozenset if each is None else each for each in code.co_consts)
    perform.__code__ = code.replace(co_consts=(*holding, frozenset))
    with closing(ProcessExecutor(perform, 1)) as executor:
        assert ran(executor, job(0))[0][-1].message == "<class 'frozenset'>"


def test_an_order_that_cannot_be_pickled_arrives_as_its_kin():
    def perform(job, emit):
        raise Stubborn("one", "two")

    with closing(ProcessExecutor(perform, 1)) as executor:
        executor.start(job(0))
        with pytest.raises(ct.FatalError, match="Stubborn: one and two"):
            ran(executor)


def test_an_order_whose_class_is_not_found_here_arrives_as_text():
    def perform(job, emit):
        module = types.ModuleType("only_there")
        sys.modules["only_there"] = module
        module.Odd = type("Odd", (Exception,), {"__module__": "only_there"})
        raise module.Odd("who knows me?")

    with closing(ProcessExecutor(perform, 1)) as executor:
        executor.start(job(0))
        with pytest.raises(RuntimeError, match=r"only_there.Odd: who knows me"):
            ran(executor)


def test_any_exception_can_be_sent():
    errors = [UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), SystemExit(3), KeyError("x"), Stubborn(1, 2), Order("a")]
    assert [type(pickle.loads(as_bytes(error))) for error in errors] == [
        UnicodeDecodeError,
        SystemExit,
        KeyError,
        ct.FatalError,
        Order,
    ]


def test_an_error_of_the_listener_is_the_trials_to_handle():
    def perform(job, emit):
        try:
            emit(Reported(job.number, job.attempt, Report(0, 0, {"loss": 1.0})))
        except RedefinedError as error:
            emit(Failed(job.number, job.attempt, {}, error.asked))

    def answer(event):
        if isinstance(event, Reported):
            raise RedefinedError("x", "Int", "Float", "x has two definitions")
        return Continue()

    with closing(ProcessExecutor(perform, 1)) as executor:
        assert ran(executor, job(0), answer=answer)[0][-1] == Failed(0, 0, {}, "Float")


def test_an_error_of_the_listener_comes_back_as_it_was():
    raised = OSError("the disk is full")

    def answer(event):
        raise raised

    with closing(ProcessExecutor(behave, 1)) as executor:
        with pytest.raises(OSError, match="disk") as caught:
            ran(executor, job(0), answer=answer)
        assert caught.value is raised
        assert not hasattr(raised, "__notes__")


def test_events_of_several_threads_find_their_answers():
    def perform(job, emit):
        def tell(execution):
            for epoch in range(20):
                emit(Reported(job.number, job.attempt, Report(execution, epoch, {"loss": 1.0})))

        threads = [threading.Thread(target=tell, args=[execution]) for execution in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        emit(Failed(job.number, job.attempt, {}, "done"))

    with closing(ProcessExecutor(perform, 1)) as executor:
        assert len(ran(executor, job(0))[0]) == 81


# -- memory ----------------------------------------------------------------------------------------


@linux
def test_a_worker_that_swells_is_renewed():
    kept = []

    def hoard(job):
        if job.number:
            kept.append(b"x" * 100_000_000)
        return os.getpid()

    with closing(ProcessExecutor(says(hoard), 1, renew=150_000_000)) as executor:
        pids = [said(executor, number) for number in range(4)]
    assert pids[0] == pids[1] == pids[2] != pids[3]


# -- cores and GPUs --------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processes bound to cores")
def test_workers_have_cores_of_their_own(monkeypatch):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs two cores")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")

    def look(job):
        return sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]

    with closing(ProcessExecutor(says(look), 2)) as executor:
        told = ran(executor, job(0), job(1))
    half = len(cores) // 2
    assert [told[number][-1].message for number in range(2)] == [
        (cores[:half], str(half), "7"),
        (cores[half:], str(len(cores) - half), "7"),
    ]


@pytest.mark.parametrize(
    ("workers", "threads", "expected"),
    [
        (1, None, [(0, 1, 2, 3, 4)]),
        (2, None, [(0, 1), (2, 3, 4)]),
        (7, None, [(0,), (0,), (1,), (2,), (2,), (3,), (4,)]),
        (2, 3, [(0, 1, 2), (0, 3, 4)]),
        (2, 9, [(0, 1, 2, 3, 4)] * 2),
    ],
)
def test_cores_are_divided(workers, threads, expected):
    found = places(workers, range(5), (), threads=threads)
    assert [place.cores for place in found] == expected
    assert [place.threads for place in found] == [threads or len(cores) for cores in expected]


@pytest.mark.parametrize(
    ("gpus", "workers", "each", "expected"),
    [
        ("", 3, None, None),
        ("", 2, 0, ((), ())),
        ("01", 2, 0, ((), ())),
        ("0123", 4, None, (("0",), ("1",), ("2",), ("3",))),
        ("01234", 2, None, (("0", "1"), ("2", "3"))),
        ("01", 3, None, (("0",), ("0",), ("1",))),
        ("0123", 2, 2, (("0", "1"), ("2", "3"))),
        ("01", 4, 0.5, (("0",), ("0",), ("1",), ("1",))),
        ("0", 3, 1 / 3, (("0",), ("0",), ("0",))),
        ("01", 2, 0.4, (("0",), ("0",))),
    ],
)
def test_gpus_are_dealt_out(gpus, workers, each, expected):
    assert dealt(gpus, workers, each) == expected


@pytest.mark.parametrize(
    ("gpus", "workers", "each", "message"),
    [
        ("", 1, 1, "workers=1 with gpus_per_trial=1 need 1 GPUs, and none can be seen, enough for 0 workers"),
        ("01", 3, 1, "need 3 GPUs, and 2 can be seen .0, 1., enough for 2 workers"),
        ("012", 2, 2, "need 4 GPUs, and 3 can be seen .0, 1, 2., enough for 1 workers"),
        ("0", 3, 0.5, "need 2 GPUs"),
        ("0", 1, -1, "whole number, or a part"),
        ("0", 1, 1.5, "whole number, or a part"),
        ("0", 1, float("nan"), "whole number, or a part"),
        ("0", 1, float("inf"), "whole number, or a part"),
    ],
)
def test_gpus_that_are_not_there(gpus, workers, each, message):
    with pytest.raises(ValueError, match=message):
        dealt(gpus, workers, each)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers_are_a_whole_number(workers):
    with pytest.raises(ValueError, match="workers must be a whole number of at least 1"):
        ProcessExecutor(behave, workers)
    with pytest.raises(ValueError, match="threads must be a whole number of at least 1"):
        ProcessExecutor(behave, 1, threads=workers)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("2, 3", ("2", "3")),
        ("0,-1,1", ("0",)),
        ("GPU-8932f937,MIG-11", ("GPU-8932f937", "MIG-11")),
    ],
)
def test_the_gpus_that_may_be_used(said, expected):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": said}) == expected


def test_gpus_are_counted_without_a_framework(tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\necho '  MIG 1g'\necho 'GPU 1: NVIDIA H100'\n")
    tool.chmod(0o755)
    assert visible_gpus({"PATH": str(tmp_path)}) == ("0", "1")
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus({"PATH": str(tmp_path)}) == ()
    assert visible_gpus({"PATH": ""}) == ()


def test_what_a_place_says_to_the_libraries():
    (first, _) = places(2, range(4), ["0"])
    said = first.variables({"OMP_NUM_THREADS": "5"})
    assert "OMP_NUM_THREADS" not in said
    assert said["OPENBLAS_NUM_THREADS"] == said["TF_NUM_INTRAOP_THREADS"] == "2"
    assert said["CUDA_VISIBLE_DEVICES"] == "0"
    assert said["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.425"
    assert (
        first.variables({"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.2"}).keys().isdisjoint({"XLA_PYTHON_CLIENT_MEM_FRACTION"})
    )
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in Place(gpus=("0",)).variables({})
    assert Place(gpus=(), share=0.5).variables({})["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in Place().variables({})


def test_a_worker_sees_its_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    with closing(
        ProcessExecutor(says(lambda job: os.environ["CUDA_VISIBLE_DEVICES"]), 2, gpus_per_trial=1)
    ) as executor:
        told = ran(executor, job(0), job(1))
        assert [told[number][-1].message for number in range(2)] == ["4", "6"]


def test_an_error_that_cannot_be_loaded_here_is_told_as_text():
    try:
        raise ValueError("no disk")
    except ValueError as error:
        told = raised_by(Ended(b"junk", trace_of(error), False, 0))
    assert str(told) == "ValueError: no disk"


@pytest.mark.usefixtures("plain_workers")
def test_other_workers_begin_as_soon_as_the_first_has_asked_for_its_parameters(tmp_path):
    def train(hp, pause=60.0):
        x, n = hp.Float("x", 0, 1), hp.Int("n", 1, 9)
        # Both wait for each other, which they can only do at the same time.
        (tmp_path / f"begun-{x}").touch()
        limit = time.monotonic() + pause
        while len(list(tmp_path.glob("begun-*"))) < 2 and time.monotonic() < limit:
            time.sleep(0.05)
        return x + n

    tuner = ct.RandomSearch(train, max_trials=2, seed=0, directory=tmp_path / "both")
    tuner.search(workers=2, verbose=0)
    first, second = tuner.history
    assert second.started < first.ended
    assert set(second.suggested) == {"x", "n"}
    alone = ct.RandomSearch(lambda hp: train(hp, 0.0), max_trials=2, seed=0, directory=tmp_path / "alone")
    alone.search(verbose=0)
    assert [trial.values for trial in alone.history] == [first.values, second.values]


@pytest.mark.slow
@pytest.mark.usefixtures("plain_workers")
@pytest.mark.parametrize("tuner", [ct.GridSearch, ct.RandomSearch])
def test_a_combination_that_kills_its_process_is_known_and_the_others_are_tried(tmp_path, tuner):
    def deadly(hp):
        kind = hp.Choice("kind", ["a", "b", "c"])
        if kind == "a":
            os._exit(9)
        return {"b": 2.0, "c": 3.0}[kind]

    search = tuner(deadly, max_trials=10, seed=0, directory=tmp_path)
    search.search(workers=1, gpus_per_trial=0, verbose=0)
    (failed,) = search.history.having(Status.FAILED)
    assert failed.values == {"kind": "a"}
    assert "its process died 3 times" in failed.message
    assert sorted(trial.values["kind"] for trial in search.history.completed) == ["b", "c"]


@pytest.mark.slow
@pytest.mark.usefixtures("plain_workers")
def test_what_is_tried_does_not_depend_on_how_long_the_first_trial_takes(tmp_path):
    def train(hp, pause=0.0):
        x = hp.Float("x", 0, 1)
        time.sleep(pause)
        return x + hp.Float("y", 0, 1)

    def tried(directory, function, **options):
        search = ct.QuasiRandomSearch(function, max_trials=2, seed=0, directory=directory)
        search.search(verbose=0, **options)
        return [trial.values for trial in search.history]

    assert tried(tmp_path / "two", lambda hp: train(hp, 3), workers=2) == tried(tmp_path / "one", train)


@pytest.mark.usefixtures("plain_workers")
def test_what_is_asked_for_late_is_tuned_too(tmp_path):
    def train(hp):
        x = hp.Float("x", 0, 1)
        (tmp_path / f"begun-{x}").touch()
        limit = time.monotonic() + 60
        while len(list(tmp_path.glob("begun-*"))) < 2 and time.monotonic() < limit:
            time.sleep(0.05)
        return x + hp.Int("n", 1, 9)

    tuner = ct.RandomSearch(train, max_trials=2, seed=0, directory=tmp_path / "search")
    tuner.search(workers=2, verbose=0)
    # The second began when nobody knew of n.
    assert set(tuner.history[1].suggested) == {"x"}
    assert [set(trial.values) for trial in tuner.history] == [{"x", "n"}] * 2
    assert len({trial.values["x"] for trial in tuner.history}) == 2
