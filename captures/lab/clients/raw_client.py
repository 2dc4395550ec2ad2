"""A client of bare sockets, for what no polite library does: pipelining, idling, reading a surplus.

A worker's `style` is one of
- `serial`: one after the other on one connection; whatever else arrives at its end is a surplus,
- `pipeline`: every request sent at once, then all answers read in order,
- `half-close`: a FIN right after each request,
- `tiny`: a small receive buffer that is left full while a step stalls,
- `upgrade`: a WebSocket that sends a few frames,
- `listen`: nothing is sent, and whatever arrives is a surplus.
"""

import socket
import time
from typing import Any

from captures.lab.clients.journal import Journal, answered, delay, failed, in_threads, opening

WITHOUT_BODY = (204, 304)


class Ended(Exception):
    """The connection ended: how, and whether a response had begun."""

    def __init__(self, outcome: str, began: bool) -> None:
        self.outcome, self.began = outcome, began


class Reader:
    """Responses from one socket, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def more(self, began: bool) -> None:
        """Receive something, or say how the connection ended."""
        try:
            data = self.sock.recv(65536)
        except TimeoutError as error:
            raise Ended("timeout", began or bool(self.buffer)) from error
        except ConnectionResetError as error:
            raise Ended("reset", began or bool(self.buffer)) from error
        if not data:
            raise Ended("closed", began or bool(self.buffer))
        self.buffer += data

    def take(self, length: int) -> bytes:
        """Exactly so many bytes."""
        while len(self.buffer) < length:
            self.more(True)
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def line(self) -> bytes:
        """Up to the next CRLF, without it."""
        while b"\r\n" not in self.buffer:
            self.more(bool(self.buffer))
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def response(self, method: str) -> tuple[int, bytes]:
        """The next final response: its status and body."""
        while True:
            status = int(self.line().split()[1])
            headers = {}
            while line := self.line():
                key, _, value = line.partition(b":")
                headers[key.strip().lower()] = value.strip()
            if status >= 200 or status == 101:
                break
        if method == "HEAD" or status in WITHOUT_BODY or status == 101:
            return status, b""
        if b"chunked" in headers.get(b"transfer-encoding", b""):
            body = b""
            while size := int(self.line().split(b";")[0], 16):
                body += self.take(size)
                self.take(2)
            while self.line():
                pass
            return status, body
        if b"content-length" in headers:
            return status, self.take(int(headers[b"content-length"]))
        try:
            while True:
                self.more(True)
        except Ended as end:
            if end.outcome != "closed":
                raise
        body, self.buffer = self.buffer, b""
        return status, body


def connect(plan: dict[str, Any], step: dict[str, Any], tiny: bool = False) -> socket.socket:
    """A new connection, from a chosen port or with a tiny window where wanted."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if tiny:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    if step.get("port"):
        sock.bind(("", step["port"]))
    sock.settimeout(step["timeout"])
    sock.connect(tuple(plan["to"]))
    return sock


def encode(plan: dict[str, Any], step: dict[str, Any]) -> bytes:
    """A request's bytes; `raw` in a step replaces them."""
    if step.get("raw") is not None:
        return str(step["raw"]).encode()
    body = (step.get("body") or "").encode()
    headers = {"Host": "{}:{}".format(*plan["to"]), **(step.get("headers") or {})}
    if body:
        headers.setdefault("Content-Length", str(len(body)))
    lines = [f"{step['method']} {step['target']} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def address(sock: socket.socket) -> str:
    """The client's side of a connection."""
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"


def read_into(row: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """The row with its outcome."""
    try:
        return row | answered(*reader.response(row["method"]))
    except Ended as end:
        return row | failed(end.outcome, end.began)


def surplus(row: dict[str, Any], reader: Reader, journal: Journal, patience: float = 1.5) -> None:
    """Whatever else arrives before the connection is closed, as rows of their own."""
    reader.sock.settimeout(patience)
    while True:
        try:
            status, body = reader.response("GET")
        except (Ended, OSError):
            return
        journal.write(row | answered(status, body) | {"outcome": "surplus"})


def pipeline(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """All requests at once, then all answers."""
    steps = worker["steps"]
    time.sleep(delay(plan, steps[0]))
    with connect(plan, steps[0]) as sock:
        reader = Reader(sock)
        rows: list[dict[str, Any]] = [opening(step, address(sock)) for step in steps]
        sock.sendall(b"".join(encode(plan, step) for step in steps))
        for row in rows:
            row = read_into(row, reader)
            journal.write(row)
            if row["outcome"] != "answered":
                return


def serial(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """One after the other on one connection, then a look for a surplus."""
    steps = worker["steps"]
    if steps[0].get("idle") is None:
        time.sleep(delay(plan, steps[0]))
    with connect(plan, steps[0], worker["style"] == "tiny") as sock:
        reader = Reader(sock)
        row: dict[str, Any] = {}
        for number, step in enumerate(steps):
            if number or step.get("idle") is not None:
                time.sleep(delay(plan, step))
            sock.settimeout(step["timeout"])
            row = opening(step, address(sock))
            try:
                data = encode(plan, step)
                if step.get("drip"):  # an upload that takes its time
                    third = len(data) // 3
                    sock.sendall(data[:third])
                    time.sleep(step["drip"])
                    data = data[third:]
                sock.sendall(data)
                if step.get("stall"):
                    time.sleep(step["stall"])
                if step.get("abandon"):  # what has come lies unread in the socket's buffer
                    journal.write(row | failed("timeout", began=True))
                    return
                if step.get("deaf"):  # what has come was read, and nobody is told
                    read_into(row, reader)
                    time.sleep(max(0.0, row["sent"] + step["timeout"] - time.time()))
                    journal.write(row | failed("timeout"))
                    return
                if worker["style"] == "half-close":
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                journal.write(row | failed("reset"))
                return
            row = read_into(row, reader)
            journal.write(row)
            if row["outcome"] != "answered":
                return
        if worker.get("keep", True):
            surplus(row, reader, journal)


def listen(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """Connect as a browser does ahead of need, and send nothing."""
    step = worker["steps"][0]
    time.sleep(delay(plan, step))
    with connect(plan, step) as sock:
        surplus(opening(step, address(sock)), Reader(sock), journal, step["timeout"])


def upgrade(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """A WebSocket handshake, then a few masked frames that come back."""
    step = worker["steps"][0]
    time.sleep(delay(plan, step))
    with connect(plan, step) as sock:
        reader = Reader(sock)
        row = opening(step, address(sock))
        sock.sendall(encode(plan, step))
        row = read_into(row, reader)
        journal.write(row)
        for number in range(5):
            text = f"position {number}".encode()
            mask = bytes([11, 22, 33, number])
            masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
            sock.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)
            if reader.take(2 + len(text))[2:] != text:
                raise RuntimeError("the WebSocket did not send the frame back")
            time.sleep(0.1)


STYLES = {"pipeline": pipeline, "upgrade": upgrade, "listen": listen}


def work(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """One worker's steps, in its style."""
    STYLES.get(worker["style"], serial)(plan, worker, journal)


if __name__ == "__main__":
    in_threads(work)
