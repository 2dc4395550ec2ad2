"""Who holds a connection: asked of the kernel this runs on, about sockets that the test makes."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer import sockets
from analyzer.errors import InputError
from analyzer.sockets import Standing
from analyzer.watch import kernel
from analyzer.watch.asking import Scope, Wanted, ask

LOOPBACK = "127.0.0.1"
MINE = Scope(pid=os.getpid())
PATIENT = 5.0  # seconds: the tests may share their processor with many

pytestmark = pytest.mark.skipif(not kernel.available(), reason="needs pyroute2 (extra: watch)")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look into all processes")


@contextmanager
def listening(host: str = LOOPBACK) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        yield server


def name(one: tuple[str, int]) -> str:
    return f"[{one[0]}]:{one[1]}" if ":" in one[0] else f"{one[0]}:{one[1]}"


def wanted(client: socket.socket) -> Wanted:
    return Wanted(((name(client.getsockname()[:2]), name(client.getpeername()[:2])),))


def looked(client: socket.socket) -> tuple[sockets.Snapshot, sockets.Socket]:
    snapshot = ask([wanted(client)], MINE, "a test", patience=PATIENT)
    (found,) = snapshot.sockets
    return snapshot, found


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
def test_a_process_that_listens_and_holds_the_connection_serves(host: str) -> None:
    with listening(host) as server, socket.create_connection(server.getsockname()[:2]) as client:
        taken, _ = server.accept()
        with taken:
            client.send(b"GET / HTTP/1.1\r\n")
            snapshot, found = looked(client)
            held = [h for h in found.holders if h.pid == os.getpid()]
            assert found.standing is Standing.SERVER
            assert [h.descriptor for h in held] == [taken.fileno()]
            assert held[0].parent == os.getppid()
            assert found.state == "ESTABLISHED"
            assert found.unread == 16
            assert found.inode == os.fstat(taken.fileno()).st_ino
            (listener,) = snapshot.listeners
            assert listener.address == name(server.getsockname()[:2])
            mine = {(d.pid, d.descriptor) for d in snapshot.descriptors}
            assert (os.getpid(), server.fileno()) in mine


def test_a_client_of_ipv4_at_a_server_of_ipv6() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection((LOOPBACK, server.getsockname()[1])) as client,
    ):
        taken, _ = server.accept()
        with taken:
            assert looked(client)[1].standing is Standing.SERVER


def test_one_that_nobody_has_accepted_is_in_the_queue() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        snapshot, found = looked(client)
        assert found.standing is Standing.UNACCEPTED
        assert found.holders == ()
        assert [one.waiting for one in snapshot.listeners] == [1]


def test_one_that_was_closed_is_not_held() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        taken.close()
        assert looked(client)[1].standing is Standing.CLOSED
        server_side = wanted(client)
    snapshot = ask([server_side], MINE, "a test", patience=PATIENT)
    assert snapshot.sockets[0].standing in (Standing.GONE, Standing.CLOSED)
    assert not snapshot.sockets[0].holders


@contextmanager
def inheriting(taken: socket.socket, *, beside: socket.socket | None = None, number: int = 0,
               program: str = "sleep") -> Iterator[int]:  # fmt: skip
    """A child that holds the connection, and maybe another socket, and sleeps."""
    sleep = shutil.which("sleep")
    assert sleep is not None
    argv = {
        "sleep": [sleep, "60"],
        "python": [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
    }[program]
    passed = [s.fileno() for s in (taken, beside) if s is not None]
    on: dict[str, Any] = {"stdin": taken.fileno()} if number == 0 else {"pass_fds": passed}
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, **on)
    try:
        if program == "python":
            assert child.stdout is not None
            child.stdout.readline()
        else:
            _wait_for_program(child.pid, sleep)
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def _wait_for_program(pid: int, program: str) -> None:
    wanted = os.path.realpath(program)
    deadline = time.monotonic() + 5
    while str(Path(f"/proc/{pid}/exe").readlink()) != wanted and time.monotonic() < deadline:
        time.sleep(0.005)


@as_root
def test_a_child_that_inherited_it_is_a_bystander() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with inheriting(taken, number=1) as child:
            descriptor = taken.fileno()
            assert looked(client)[1].standing is Standing.SERVER  # it still has it, too
            taken.close()
            _, found = looked(client)
            assert found.standing is Standing.BYSTANDER
            (holder,) = found.holders
            assert (holder.pid, holder.command, holder.descriptor, holder.parent) == (
                child, "sleep", descriptor, os.getpid(),
            )  # fmt: skip


@as_root
def test_what_may_be_a_worker_is_never_called_a_bystander() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        copy = taken.dup()
        with inheriting(taken, number=1, program="python"):
            taken.close()
            copy.close()
            _, same_program = looked(client)
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with inheriting(taken, number=0):
            taken.close()
            _, as_input = looked(client)
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with inheriting(taken, number=1, beside=server):
            taken.close()
            _, both = looked(client)
    for found in (same_program, as_input, both):
        assert found.standing is Standing.UNKNOWN
        assert found.why


def test_what_was_not_seen_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from analyzer.watch import asking

    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with taken:
            monkeypatch.setattr(asking, "sockets_of", lambda pid: None)
            snapshot, found = looked(client)
    assert found.standing is Standing.UNKNOWN
    assert "could be looked into" in found.why
    assert any("root" in remark for remark in snapshot.remarks)


def test_there_is_no_time_to_wait() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with taken:
            snapshot = ask([wanted(client)], MINE, "a test", patience=0.0)
    assert snapshot.sockets[0].standing is Standing.UNKNOWN
    assert any("within 0 ms" in remark for remark in snapshot.remarks)


def test_a_process_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="--pid 999999999"):
        ask([], Scope(pid=999999999), "a test")
    with pytest.raises(InputError, match="--container feedfacecafe"):
        ask([], Scope(container="feedfacecafe"), "a test")


def test_what_was_closed_between_two_looks() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        before, _ = looked(client)
        number, inode = taken.fileno(), os.fstat(taken.fileno()).st_ino
        taken.close()
        after, _ = looked(client)
    mine = [d for d in sockets.closed_since(before, after) if d.pid == os.getpid()]
    assert [(d.descriptor, d.inode) for d in mine] == [(number, inode)]
    assert sockets.closed_since(before, replace(after, descriptors=())) == ()


def test_a_snapshot_survives_json() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        with taken:
            snapshot, _ = looked(client)
    again = sockets.from_dict(snapshot.as_dict())
    assert again == snapshot


def test_one_that_is_on_its_way_between_two_is_held_by_nobody() -> None:
    with listening() as server, socket.create_connection(server.getsockname()) as client:
        taken, _ = server.accept()
        one, two = socket.socketpair()
        with one, two:
            socket.send_fds(one, [b"x"], [taken.fileno()])
            taken.close()
            _, found = looked(client)
    assert found.state == "ESTABLISHED"
    assert found.inode
    assert found.holders == ()
    # Where any process may not be looked into it may have it.
    assert found.standing in (Standing.NOBODY, Standing.UNKNOWN)
