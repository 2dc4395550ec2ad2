"""Ending a scan before its captures end: behind the same block in every process.

Law: what was read is judged as though the captures had ended there, so every process has to stop
behind the same block. None begins a block behind the goal, and the goal is never set before a block
that one of them has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

_NEVER = 1 << 62


class Stopped(Exception):
    """Raised in the middle of waiting for input that may never come."""


class _Own:
    """A number of this process, in the form of a shared one."""

    def __init__(self, value: int) -> None:
        self.value = value
        self._lock = RLock()

    def get_lock(self) -> Any:
        return self._lock


class Pace:
    """Blocks of captures are counted while they are read, and it is said when to stop.

    `ask` may be called from a signal handler, in the process that made this. Shared with other
    processes it stops them all behind the same block.
    """

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False
        self._furthest: Any = _Own(-1)
        self._goal: Any = _Own(_NEVER)

    def share(self, context: BaseContext) -> None:
        """From here on this counts for processes that it is handed to when they start."""
        self._furthest = context.Value("q", -1)
        self._goal = context.Value("q", _NEVER)

    def ask(self) -> None:
        """Stop as soon as all processes can. Raises Stopped into `waited`."""
        self.asked = True
        if self._waiting:
            raise Stopped

    def halt(self) -> None:
        """No process is to begin another block: nobody wants what they read."""
        self.asked = True
        self._goal.value = -1

    def waited(self, read: Callable[[int], bytes], size: int) -> bytes:
        """`read(size)`, or nothing when it was asked to stop before or while that waits."""
        try:
            self._waiting = True
            return b"" if self.asked else read(size)
        except Stopped:
            return b""
        finally:
            self._waiting = False

    def may_read(self, block: int) -> bool:
        """Whether block number `block` (from 0, counted over all captures) is to be read."""
        with self._furthest.get_lock():
            if self.asked:
                self._goal.value = min(self._goal.value, self._furthest.value)
            if block > self._goal.value:
                return False
            self._furthest.value = max(self._furthest.value, block)
            return True
