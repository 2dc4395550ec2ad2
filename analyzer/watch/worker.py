"""The process that judges, apart from the one that records: it may take long, fail or be killed.

Law: one task at a time. The recording process never waits for it, and starts it again when it has
ended, with nothing lost but the task.
"""

import gc
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from analyzer.errors import InputError
from analyzer.limits import changed as changed_limits
from analyzer.sockets import Snapshot
from analyzer.watch import judging
from analyzer.watch.judging import Asked, Kept, Learnt, Round
from analyzer.workers import prepare, processes

MOST_TASKS = 500  # for one process: whatever it gathers ends with it
LONGEST = 300.0  # seconds that a task may take
_NICE = 10  # behind whatever this host is there for


@dataclass(frozen=True, slots=True)
class Judge:
    """Judge a window, and say what became of requests."""

    paths: tuple[str, ...]
    after: tuple[Asked, ...] = ()
    baseline: str = ""


@dataclass(frozen=True, slots=True)
class Glance:
    """See which requests wait at the end of a short window."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """Write the evidence of incidents."""

    paths: tuple[str, ...]
    folder: str
    incidents: tuple[str, ...]
    sockets: tuple[Snapshot, ...] = ()
    baseline: str = ""


@dataclass(frozen=True, slots=True)
class Learn:
    """Add what is usual in files to a baseline."""

    paths: tuple[str, ...]
    baseline: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A task was not done; `gone`: nor is there a process any more."""

    why: str
    gone: bool = False


Task = Judge | Glance | Keep | Learn
Answer = Round | list[Kept] | Learnt | Failed


def do(task: Task) -> Answer:
    """Do a task, whatever comes of it."""
    try:
        if isinstance(task, Judge):
            return judging.judge(task.paths, task.after, task.baseline)
        if isinstance(task, Glance):
            return judging.glance(task.paths)
        if isinstance(task, Learn):
            return judging.learn(task.paths, task.baseline)
        return judging.keep(task.paths, task.folder, task.incidents, task.sockets, task.baseline)
    except InputError as error:
        return Failed("; ".join(map(str, error.args)))
    except OSError as error:
        return Failed(f"{error.filename or 'the captures'}: {error.strerror or error}")
    except MemoryError:
        return Failed("there was not enough memory to judge the window")
    except Exception as error:
        # Our bug. Recording goes on, and it is said.
        return Failed(f"{type(error).__name__}: {error} (a mistake of this program)")


def _serve(tasks: Connection, limits: dict[str, int]) -> None:
    prepare(None, limits)
    os.nice(_NICE)
    gc.disable()  # nothing built here has cycles that matter while it is in use
    with suppress(EOFError, OSError):
        for _ in range(MOST_TASKS):
            tasks.send(do(tasks.recv()))
            gc.collect()


class Worker:
    """The judging process; started when there is something to do, and again when it has ended."""

    def __init__(self) -> None:
        self.began = 0.0  # when the task under way was given, by the monotonic clock
        self.took = 0.0  # seconds that the last task took
        self.deaths = 0  # ends that nobody wanted, ever
        self._tasks: Connection | None = None
        self._process: BaseProcess | None = None
        self._left = 0
        self._task: Task | None = None

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return self._task is not None

    @property
    def task(self) -> Task | None:
        """The task under way."""
        return self._task

    @property
    def pid(self) -> int | None:
        """Its process, where there is one."""
        return self._process.pid if self._process is not None else None

    def waits_on(self) -> Sequence[Connection]:
        """What to wait on for its answer."""
        return [self._tasks] if self._tasks is not None and self.busy else []

    def give(self, task: Task) -> None:
        """Begin a task; none may be under way."""
        assert not self.busy
        if self._process is None or not self._left or not self._process.is_alive():
            self.end()
            context = processes()
            self._tasks, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(theirs, changed_limits()), name="judge", daemon=True
            )
            process.start()
            self._process = process
            theirs.close()
            self._left = MOST_TASKS
        assert self._tasks is not None
        self._task, self.began = task, time.monotonic()
        self._left -= 1
        with suppress(OSError):  # it has been killed: that is seen when its answer is asked for
            self._tasks.send(task)

    def answer(self) -> Answer | None:
        """What came of the task; None: it is under way still, or there is none."""
        if self._task is None or self._tasks is None:
            return None
        late = time.monotonic() - self.began > LONGEST
        try:
            if not late and not self._tasks.poll():
                return None
            told: Answer = Failed(f"it took longer than {LONGEST:.0f} s", gone=True)
            if not late:
                told = self._tasks.recv()
        except (EOFError, OSError):
            told = Failed("the judging process was ended from outside", gone=True)
        self.took = time.monotonic() - self.began
        self._task = None
        if isinstance(told, Failed) and told.gone:
            self.deaths += 1
            self.end()
        return told

    def end(self) -> None:
        """End the process; a task under way is lost."""
        if self._tasks is not None:
            self._tasks.close()
        if self._process is not None:
            self._process.join(0.2)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(5)
        self._tasks = self._process = self._task = None
