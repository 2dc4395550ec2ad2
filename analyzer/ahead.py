"""A stage that works ahead of the next one, in a thread of its own.

Law: what comes out is what went in, in its order, and so are its exceptions; only one item is ready
before it is asked for, so that memory stays bounded. It pays where the stage holds the
interpreter's lock seldom: reading, numpy and the compiled kernels.
"""

from collections.abc import Iterator
from queue import Empty, Queue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class _End(Generic[T]):
    """The end of the items, by an exception perhaps."""

    def __init__(self, problem: BaseException | None = None) -> None:
        self.problem = problem


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made while the one before it is worked on."""
    ready: Queue[T | _End[T]] = Queue(1)
    wanted = True

    def work() -> None:
        end = _End[T]()
        try:
            for item in items:
                ready.put(item)
                if not wanted:
                    return
        except BaseException as problem:
            end = _End(problem)
        ready.put(end)

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.problem is not None:
            raise item.problem
    finally:
        wanted = False
        while thread.is_alive():
            # Room for what it still has to give.
            try:
                ready.get(timeout=0.01)
            except Empty:
                continue
        thread.join()
