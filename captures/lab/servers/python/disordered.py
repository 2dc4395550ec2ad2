"""A server that answers pipelined requests in the order in which it is done with them (S6).

A thread reads requests from a connection and hands each one to a thread of its own, which writes
the answer as soon as it has it. With one request outstanding at a time nobody notices.
"""

import socket
import threading
import time
import urllib.parse

from captures.lab.servers.python import warehouse
from captures.lab.servers.python.common import CONFIG, Log, Request, slowness

LOG = Log()


def answer(
    sock: socket.socket, peer: str, lock: threading.Lock, method: str, target: str, sent: bytes
) -> None:
    """Make and write one answer."""
    received = time.time()
    time.sleep(slowness(f"{method} {target}"))
    parts = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(parts.query))
    request = Request(method, parts.path, query, sent)
    made = warehouse.handle(request)
    body = made.encoded()
    LOG.answer(peer, request, target, received, made.status, body)
    head = f"HTTP/1.1 {made.status} {'OK' if made.status < 300 else 'Not Found'}\r\n"
    head += f"Content-Type: {made.media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    with lock:
        sock.sendall(head.encode() + body)


def serve(sock: socket.socket, peer: str) -> None:
    """Read requests until the client closes."""
    lock = threading.Lock()
    with sock, sock.makefile("rb") as lines:
        while line := lines.readline().decode().split():
            length = 0
            while (header := lines.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            sent = lines.read(length)
            job = (sock, peer, lock, line[0], line[1], sent)
            threading.Thread(target=answer, args=job, daemon=True).start()


def main() -> None:
    """Listen until the lab ends the process."""
    listener = socket.create_server(("0.0.0.0", CONFIG["port"]), reuse_port=False)
    print("ready", flush=True)
    while True:
        sock, (host, port) = listener.accept()
        threading.Thread(target=serve, args=(sock, f"{host}:{port}"), daemon=True).start()


if __name__ == "__main__":
    main()
