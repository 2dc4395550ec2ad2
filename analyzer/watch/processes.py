"""Processes as /proc has them: their namespaces, parents, programs and descriptors (proc(5)).

There are ten thousand descriptors on many a host: a Path for each would take half of the time that
there is.

Law: reading alone; nothing is stopped or traced. What may not be read is said, never guessed.
"""

import os
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

PROC = "/proc"
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_RING = "anon_inode:[io_uring]"


class Process:
    """One process; what is asked of it is read when it is asked, and kept."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @cached_property
    def command(self) -> str:
        """The name of its program, as the kernel has it (15 bytes at most)."""
        return _text(self.pid, "comm").strip("\n")

    @cached_property
    def parent(self) -> int:
        """The pid of the process that started it, or has taken it over; 0: none."""
        # The name before it may hold anything, brackets too.
        fields = _text(self.pid, "stat").rpartition(")")[2].split()
        return int(fields[1]) if len(fields) > 1 else 0

    @cached_property
    def program(self) -> str:
        """The path of its program; "" where it may not be read."""
        return _link(self.pid, "exe")

    @cached_property
    def cgroup(self) -> str:
        """Its control group, by the path (cgroups(7))."""
        lines = _text(self.pid, "cgroup").splitlines()
        return next((line.split(":", 2)[2] for line in lines if line.count(":") >= 2), "")

    @property
    def container(self) -> str:
        """The first 12 digits of its container's id, as `docker ps` shows it; "": in none."""
        found = _CONTAINER.search(_text(self.pid, "cgroup"))
        return found[0][:12] if found else ""


class Processes:
    """All processes at one moment."""

    def __init__(self) -> None:
        self.hidden: set[int] = set()  # pids of those whose namespaces may not be read
        names = os.listdir(PROC)  # noqa: PTH208
        self.all = {int(name): Process(int(name)) for name in names if name.isdigit()}

    def namespaces(self) -> dict[int, list[int]]:
        """The pids in each network namespace that may be looked into, by its inode."""
        found: dict[int, list[int]] = {}
        for pid in self.all:
            namespace = namespace_of(pid)
            if namespace is None:
                self.hidden.add(pid)
            elif namespace:
                found.setdefault(namespace, []).append(pid)
        return found

    def ancestors(self, pid: int) -> Iterator[Process]:
        """The processes above one, the nearest first."""
        seen = {pid}
        process = self.all.get(pid)
        while process is not None and (parent := process.parent) not in seen:
            seen.add(parent)
            process = self.all.get(parent)
            if process is not None:
                yield process

    def below(self, pids: Iterable[int]) -> set[int]:
        """Those processes and all that they have started, directly or not."""
        children: dict[int, list[int]] = {}
        for process in self.all.values():
            children.setdefault(process.parent, []).append(process.pid)
        found, left = set(pids), list(pids)
        while left:
            for child in children.get(left.pop(), ()):
                if child not in found:
                    found.add(child)
                    left.append(child)
        return found


def namespace_of(pid: int) -> int | None:
    """The inode of a process's network namespace; 0: it has ended, None: it may not be read."""
    try:
        target = os.readlink(f"{PROC}/{pid}/ns/net")  # noqa: PTH115
        return int(target.partition("[")[2].rstrip("]") or 0)
    except PermissionError:
        return None
    except (OSError, ValueError):
        return 0


def sockets_of(pid: int) -> tuple[dict[int, int], bool] | None:
    """The sockets among a process's descriptors, and whether it has rings of io_uring.

    Inodes by descriptor number. A socket that is registered with a ring (io_uring_register(2)) may
    be no descriptor. None: they may not be read.
    """
    folder = f"{PROC}/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except PermissionError:
        return None
    except OSError:
        return {}, False  # it has ended
    found: dict[int, int] = {}
    ring = False
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
        except PermissionError:
            return None
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            found[int(name)] = int(target[8:-1])
        elif target == _RING:
            ring = True
    return found, ring


def _text(pid: int, name: str) -> str:
    try:
        return Path(PROC, str(pid), name).read_text(errors="backslashreplace")
    except OSError:
        return ""


def _link(pid: int, name: str) -> str:
    try:
        return str(Path(PROC, str(pid), name).readlink())
    except OSError:
        return ""
