"""Records the real captures that the others are made of: plain, VXLAN, VXLAN in fragments, NFLOG.

    python -m tests.formats.record          (root on Linux, with ip, iptables and tcpdump)

Two network namespaces with a VXLAN tunnel between them (VNI 42 over UDP 4789); in one a server, in
the other a client that asks over IPv4 and IPv6. tcpdump writes what passes inside the tunnel, on
the wire below it, on the wire when its MTU is too small for the tunnel, and what netfilter logs.
"""

import json
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6

FOLDER = Path(__file__).parent / "captures"
PORT = 8080
V4, V6 = ("10.42.0.1", "10.42.0.2"), ("fd42::1", "fd42::2")

# (family, method, target, bytes of the request's body); those of one family share a connection.
ASKED = (
    (4, "GET", "/v1/horses/417", 0),
    (4, "POST", "/v1/horses", 1_200),
    (4, "GET", "/v1/stables/9/horses", 0),
    (6, "GET", "/v1/horses/12", 0),
    (6, "GET", "/v1/stables/3/horses", 0),
)


class Handler(BaseHTTPRequestHandler):
    """A small JSON API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """One horse, or many."""
        if self.path.endswith("/horses"):
            self._say(200, [{"id": n, "name": f"horse {n}", "stable": 3} for n in range(90)])
        else:
            self._say(200, {"id": int(self.path.split("/")[-1]), "name": "Fury", "stable": 9})

    def do_POST(self) -> None:
        """A new horse."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(201, {"id": 418})

    def _say(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Of both families."""

    address_family = AF_INET6


def ask() -> None:
    """All of ASKED, in order."""
    for family in (4, 6):
        connection = HTTPConnection({4: V4, 6: V6}[family][1], PORT, timeout=10)
        for of, method, target, size in ASKED:
            if of == family:
                connection.request(method, target, b"x" * size if size else None)
                connection.getresponse().read()
        connection.close()


def run(command: str) -> None:
    """One command of ip, iptables and the like."""
    subprocess.run(command.split(), check=True)


def inside(namespace: str, *command: str) -> "subprocess.Popen[bytes]":
    """A process in a namespace."""
    return subprocess.Popen(["ip", "netns", "exec", namespace, *command])


def record(name: str, interface: str, what: str, mtu: int = 1_500) -> None:
    """The traffic once, with tcpdump on an interface of the client's."""
    run(f"ip -n fmt1 link set under mtu {mtu}")
    run(f"ip -n fmt2 link set under mtu {mtu}")
    path = str(FOLDER / f"{name}.pcap")
    dump = inside(
        "fmt1", "tcpdump", "-q", "-Z", "root", "-U", "-s", "0", "-i", interface, "-w", path,
        *what.split(),
    )  # fmt: skip
    time.sleep(1.5)
    run(f"ip netns exec fmt1 {sys.executable} -m tests.formats.record ask")
    time.sleep(2)
    dump.send_signal(signal.SIGINT)
    dump.wait(10)


def main() -> None:
    """Record everything."""
    if sys.argv[1:] == ["serve"]:
        Server(("::", PORT), Handler).serve_forever()
    if sys.argv[1:] == ["ask"]:
        ask()
        return
    for end in (1, 2):
        run(f"ip netns add fmt{end}")
    server = None
    try:
        run("ip link add under netns fmt1 type veth peer name under netns fmt2")
        for end in (1, 2):
            at = f"ip -n fmt{end}"
            run(f"{at} addr add 192.0.2.{end}/24 dev under")
            run(f"{at} link set under up")
            run(
                f"{at} link add tunnel type vxlan id 42 remote 192.0.2.{3 - end} "
                "dstport 4789 dev under"
            )
            # No large segments: frames as a wire carries them.
            run(f"{at} link set tunnel mtu 1400 gso_max_size 1400 gso_max_segs 1")
            run(f"{at} addr add {V4[end - 1]}/24 dev tunnel")
            run(f"{at} addr add {V6[end - 1]}/64 dev tunnel nodad")
            run(f"{at} link set tunnel up")
        server = inside("fmt2", sys.executable, "-m", "tests.formats.record", "serve")
        time.sleep(2)
        record("plain", "tunnel", "tcp")
        record("vxlan", "under", "udp port 4789")
        record("vxlan-fragments", "under", "ip", mtu=1_000)
        for family in ("iptables", "ip6tables"):
            for chain, side in (("INPUT", "--sport"), ("OUTPUT", "--dport")):
                run(
                    f"ip netns exec fmt1 {family} -A {chain} -p tcp {side} {PORT} "
                    "-j NFLOG --nflog-group 5"
                )
        record("nflog", "nflog:5", "")
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
        for end in (1, 2):
            run(f"ip netns del fmt{end}")


if __name__ == "__main__":
    main()
