"""Further processes of a scan: how they start, and that none outlives the one that started it."""

from __future__ import annotations

import os
import signal
from threading import Thread
from typing import TYPE_CHECKING

from analyzer.limits import use as use_limits
from analyzer.stopping import Pace

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext


def processes() -> SpawnContext:
    """What further processes are started by."""
    from multiprocessing import get_context

    return get_context("spawn")


pace: Pace | None = None  # of this process, where it is one of several


def prepare(shared: Pace | None, changed: dict[str, int]) -> None:
    """Prepare a process: it ends when the one that started it says so, or is no more, not on a
    signal to all.
    """
    global pace
    Thread(target=_end_with_parent, name="watch", daemon=True).start()
    pace = shared
    use_limits(changed)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _end_with_parent() -> None:
    """End this process when the one that started it ends, however that comes to pass."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    # Nobody is left to tell. What is in the middle of something, or waits for a lock that was held
    # when the other one was killed, is not asked.
    os._exit(1)
