"""The command from its start to its end: standard input, another's ring, signals, kill -9."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap
from tests.watch.test_recorder import until

HERE = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "analyzer", "watch", "--keep"]
capturing = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("tcpdump"), reason="needs root and tcpdump, to capture"
)


@contextmanager
def started(
    folder: Path, *more: str, stdin: Any = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder.parent / f"{folder.name}.out").open("ab") as out:
        watch = subprocess.Popen(
            [*COMMAND, str(folder), *more], cwd=HERE, stdin=stdin, stdout=out, stderr=out,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            yield watch
        finally:
            if watch.poll() is None:
                watch.kill()
            watch.wait()


def said(folder: Path) -> str:
    return (folder.parent / f"{folder.name}.out").read_text()


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "incidents.jsonl"
    return [json.loads(one) for one in path.read_text().splitlines()] if path.exists() else []


def frames() -> bytes:
    return pcap(in_time(ordinary(), *(one.frames for one in swap()), epilogue()))


def test_a_capture_on_standard_input_is_kept_and_judged(tmp_path: Path) -> None:
    source = tmp_path / "source.pcap"
    source.write_bytes(frames())
    kept = tmp_path / "kept"
    for _ in range(2):  # the second time it is told already
        with source.open("rb") as stdin, started(kept, "-", stdin=stdin) as watch:
            assert watch.wait(60) in (0, 1)
    (line,) = lines(kept)
    assert (line["verdict"], line["kind"]) == ("finding", "misdelivered")
    assert line["evidence"]["found_again"]
    packets = kept / line["evidence"]["packets"]
    explained = subprocess.run(
        [sys.executable, "-m", "analyzer", "explain", str(packets)],
        cwd=HERE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert explained.returncode == 1
    assert line["incident"] in explained.stdout
    assert b"".join(p.read_bytes()[24:] for p in (kept / "ring").iterdir()).count(
        b"vet-report HTTP"
    ) == 2 * frames().count(b"vet-report HTTP")
    status = subprocess.run([*COMMAND, str(kept), "--status"], cwd=HERE, capture_output=True)
    assert line["incident"].encode() in status.stdout
    assert b"ended" in status.stdout


def test_the_files_of_somebody_else_are_read_and_left_alone(tmp_path: Path) -> None:
    ring, kept = tmp_path / "ring", tmp_path / "kept"
    ring.mkdir()
    whole = frames()
    growing = ring / "part.pcap"
    growing.write_bytes(whole[: len(whole) // 2])  # in the middle of a record
    with started(kept, "--ring", str(ring), "--no-sockets") as watch:
        until(lambda: "watching the files" in said(kept), 30)
        growing.write_bytes(whole)
        until(lambda: lines(kept), 30)
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(30) == 1
    assert growing.read_bytes() == whole
    assert [one["kind"] for one in lines(kept)] == ["misdelivered"]


class Server(threading.Thread):
    """Answers a few requests quickly; one for /slow it does not answer until it is told to."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = self.listener.getsockname()
        self.release = threading.Event()

    def run(self) -> None:
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one: socket.socket) -> None:
        with one:
            asked = one.recv(4096)
            if b"/slow" in asked:
                self.release.wait(60)
            body = b'{"pony": 7, "name": "Willow"}'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            one.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def ask(self, target: str) -> socket.socket:
        client = socket.create_connection(self.place)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: ponies\r\n\r\n".encode())
        return client

    def answered(self, count: int) -> None:
        for n in range(count):
            with self.ask(f"/ponies/{n}") as client:
                while client.recv(4096):
                    pass


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    one.start()
    try:
        yield one
    finally:
        one.release.set()
        one.listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


@capturing
def test_an_alarm_comes_while_the_client_waits_and_says_who_holds_it(
    tmp_path: Path, server: Server
) -> None:
    pytest.importorskip("pyroute2")
    pytest.importorskip("prometheus_client")
    kept, told, port = tmp_path / "kept", tmp_path / "told", free_port()
    options = (
        *("-i", "lo", "--filter", f"tcp port {server.place[1]}", "--pid", str(os.getpid())),
        *("--on-alarm", f"cat >> {told}", "--metrics", str(port)),
    )
    with started(kept, *options) as watch:
        until(lambda: " watching " in said(kept), 30)
        second = subprocess.run([*COMMAND, str(kept)], cwd=HERE, capture_output=True)
        assert second.returncode == 2 and b"another watch" in second.stderr
        server.answered(12)
        client = server.ask("/slow")
        until(lambda: "alarm 1" in said(kept), 30)
        assert f"python (pid {os.getpid()}" in said(kept)
        # What it asked is judged by another process, which may be killed, as the recorder may.
        children = Path(f"/proc/{watch.pid}/task/{watch.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        until(lambda: "captures again" in said(kept), 30)
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url) as page:
            text = page.read().decode()
        assert "wrangler_forensics_watch_alarms_total 1.0" in text
        assert "wrangler_forensics_watch_open_alarms 1.0" in text
        server.release.set()
        while client.recv(4096):
            pass
        until(lambda: "alarm 1 is withdrawn" in said(kept), 30)
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(30) == 0
    assert "Traceback" not in said(kept)
    first = json.loads(told.read_text().partition("}{")[0].partition("}\n{")[0] + "}")
    assert first["event"] == "alarm"
    (held,) = first["sockets"][0]["sockets"]
    assert held["standing"] == "server"
    state = json.loads((kept / "state.json").read_text())
    assert any("was not running" in one["why"] for one in state["losses"])


@capturing
def test_after_kill_9_the_next_one_goes_on_with_what_is_kept(
    tmp_path: Path, server: Server
) -> None:
    kept = tmp_path / "kept"
    options = ("-i", "lo", "--filter", f"tcp port {server.place[1]}", "--no-sockets")
    with started(kept, *options) as watch:
        until(lambda: " watching " in said(kept), 30)
        server.answered(12)
        with server.ask("/slow"):
            time.sleep(0.5)
        # The client has left without an answer. Before that is told the watch is killed.
        until(lambda: sum(p.stat().st_size for p in (kept / "ring").iterdir()) > 9_000, 10)
        time.sleep(0.3)
        watch.kill()
        watch.wait()
    server.release.set()
    assert lines(kept) == []
    with started(kept, *options) as watch:
        until(lambda: lines(kept), 30)
        watch.send_signal(signal.SIGTERM)
        watch.wait(30)
    (line,) = lines(kept)
    assert line["requests"][0]["request"] == "GET /slow"
    assert line["kind"] == "unanswered"
    assert "Traceback" not in said(kept)


@capturing
@pytest.mark.skipif(not shutil.which("ip"), reason="needs ip, for network namespaces")
def test_the_story_under_watch_names_who_held_the_socket() -> None:
    pytest.importorskip("pyroute2")
    from captures.lab import scenario, watching
    from captures.lab.errors import LabError, RecordingFailed

    if not os.access("/var/run", os.W_OK):
        pytest.skip("network namespaces need a writable /var/run")
    story = scenario.choose(("story",), scenario.load_all(), "14")[0]
    try:
        told = watching.show(story, lambda _: None, prefix="wt-")
    except (LabError, RecordingFailed) as missing:
        pytest.skip(str(missing))
    (line,) = told.incidents
    assert (line["verdict"], line["kind"], line["cause"]) == (
        "finding", "misdelivered", "server/descriptor",
    )  # fmt: skip
    early = line["sockets"][0]["sockets"][0]
    assert early["standing"] == "bystander"
    (holder,) = early["holders"]
    assert (holder["command"], holder["descriptor"]) == ("sleep", 3)
    hung = next(one for one in told.clients if one["outcome"] == "timeout")
    raised = line["sockets"][0]["time"] / 1e9
    assert hung["sent"] < raised < hung["sent"] + 3  # while client 1 still hangs
