"""A stage that works ahead of the next one, in a thread of its own.

Law: what comes out is what went in, in its order, and so are its exceptions; one item is made while
another is worked on, and no third is kept, so that memory stays bounded. It pays where the stage
holds the interpreter's lock seldom: reading, numpy and the compiled kernels.
"""

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class _End(Generic[T]):
    """The end of the items, by an exception perhaps."""

    def __init__(self, problem: BaseException | None = None) -> None:
        self.problem = problem


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made while the one before it is worked on."""
    ready: SimpleQueue[T | _End[T]] = SimpleQueue()
    turn = Semaphore()
    wanted = True

    def work() -> None:
        end = _End[T]()
        try:
            while turn.acquire() and wanted:
                try:
                    ready.put(next(items))
                except StopIteration:
                    break
        except BaseException as problem:
            end = _End(problem)
        ready.put(end)

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            turn.release()
            yield item
            # Not kept while waiting for the next.
            del item
        if item.problem is not None:
            raise item.problem
    finally:
        wanted = False
        turn.release()
        thread.join()
