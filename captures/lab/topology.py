"""The hosts: two client hosts, a Docker host with its bridge and NAT, a container, maybe a proxy.

A second published port, 8081, leads to the container's 3001.

    app1 172.31.17.21 ──┐                 host                    docker0        ctr
    app2 172.31.18.34 ──┼── 172.31.16.10:8080 ── DNAT ── 172.17.0.1 ── 172.17.0.2:3000
    proxy 172.31.19.40 ─┘

A router can stand between app1 and the host, for what happens in a network and not on a host. The
proxy can have a second interface, 172.31.21.40, from which it asks the service. A second container
can come up with the first one's address.

Every namespace carries the run's own prefix, so that several runs can live side by side.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from captures.lab.errors import RecordingFailed
from captures.lab.processes import run

SERVICE = ("172.31.16.10", 8080)
PROXY = ("172.31.19.40", 80)
CONTAINER = ("172.17.0.2", 3000)
LINKS = {
    "app1": ("172.31.17.21", "172.31.17.1", "ens5"),
    "app2": ("172.31.18.34", "172.31.18.1", "ens6"),
    "proxy": ("172.31.19.40", "172.31.19.1", "ens7"),
}
# vantage -> (namespace, interface)
VANTAGES = {
    "client1": ("app1", "eth0"),
    "client2": ("app2", "eth0"),
    "proxy": ("proxy", "eth0"),
    "proxy-front": ("proxy", "eth0"),
    "proxy-back": ("proxy", "eth1"),
    "host-any": ("host", "any"),
    "host-ens5": ("host", "ens5"),
    "host-ens6": ("host", "ens6"),
    "bridge": ("host", "docker0"),
    "container": ("ctr", "eth0"),
}


@dataclass
class Topology:
    """The namespaces of one run."""

    prefix: str = field(default_factory=lambda: f"wf{os.getpid():x}")
    made: list[str] = field(default_factory=list)

    def namespace(self, host: str) -> str:
        """The real name of a host's namespace."""
        return f"{self.prefix}-{host}"

    def inside(self, host: str, argv: Iterable[str]) -> list[str]:
        """The command that runs `argv` on a host."""
        return ["ip", "netns", "exec", self.namespace(host), *argv]

    def do(self, host: str, command: str) -> str:
        """Run a plain command line on a host and wait for it."""
        return run(self.inside(host, command.split()))

    def build(
        self,
        with_proxy: bool = False,
        with_router: bool = False,
        with_back: bool = False,
        with_twin: bool = False,
    ) -> None:
        """Make the hosts, links, bridge, routes and address translation."""
        clients = ["app1", "app2", *(["proxy"] if with_proxy else [])]
        more = [*(["router"] if with_router else []), *(["twin"] if with_twin else [])]
        for host in [*clients, "host", "ctr", *more]:
            run(["ip", "netns", "add", self.namespace(host)])
            self.made.append(host)
            self.do(host, "ip link set lo up")
        for host in clients:
            if host == "app1" and with_router:
                self._routed_link(host)
            else:
                self._link(host)
        self._bridge()
        self._container("ctr", "veth7c31e0a")
        self.do("ctr", "ip link set eth0 up")
        self.do("ctr", "ip route add default via 172.17.0.1")
        if with_twin:  # its interface stays down until an event brings it up
            self._container("twin", "veth90b2d4f")
            self.do("twin", "sysctl -qw net.ipv4.conf.eth0.arp_notify=1")
        if with_back:
            self._back()
        self._translation()

    def _back(self) -> None:
        """The proxy's second interface, towards the service."""
        self._veth("proxy", "ens8", name="eth1")
        for where, device, own in (
            ("proxy", "eth1", "172.31.21.40/24"),
            ("host", "ens8", "172.31.21.1/24"),
        ):
            self.do(where, f"ip addr add {own} dev {device}")
            self.do(where, f"ip link set {device} up")
        self.do("proxy", f"ip route add {SERVICE[0]}/32 via 172.31.21.1")

    def _veth(self, host: str, peer: str, to: str = "host", name: str = "eth0") -> None:
        run(
            f"ip link add {name} netns {self.namespace(host)} type veth "
            f"peer name {peer} netns {self.namespace(to)}".split()
        )

    def _link(self, host: str) -> None:
        address, gateway, peer = LINKS[host]
        self._veth(host, peer)
        self.do("host", f"ip addr add {gateway}/24 dev {peer}")
        self.do("host", f"ip link set {peer} up")
        self.do(host, f"ip addr add {address}/24 dev eth0")
        self.do(host, "ip link set eth0 up")
        self.do(host, f"ip route add default via {gateway}")

    def _routed_link(self, host: str) -> None:
        """A client whose packets pass the router, which keeps track of connections."""
        address, gateway, peer = LINKS[host]
        self._veth(host, "lan", "router")
        self._veth("router", peer, "host", "wan")
        for where, device, own in (
            (host, "eth0", f"{address}/24"),
            ("router", "lan", f"{gateway}/24"),
            ("router", "wan", "172.31.20.1/24"),
            ("host", peer, "172.31.20.2/24"),
        ):
            self.do(where, f"ip addr add {own} dev {device}")
            self.do(where, f"ip link set {device} up")
        self.do(host, f"ip route add default via {gateway}")
        self.do("router", "ip route add default via 172.31.20.2")
        self.do("router", "sysctl -qw net.ipv4.ip_forward=1")
        self.do("host", f"ip route add {address}/32 via 172.31.20.1")

    def _bridge(self) -> None:
        self.do("host", "ip link add docker0 type bridge")
        self.do("host", "ip addr add 172.17.0.1/16 dev docker0")
        self.do("host", "ip link set docker0 up")

    def _container(self, name: str, port: str) -> None:
        self._veth(name, port)
        self.do("host", f"ip link set {port} master docker0")
        self.do("host", f"ip link set {port} up")
        self.do(name, f"ip addr add {CONTAINER[0]}/16 dev eth0")

    def _translation(self) -> None:
        self.do("host", "sysctl -qw net.ipv4.ip_forward=1")
        self.do("host", f"ip addr add {SERVICE[0]}/32 dev lo")
        for published in range(2):
            to = f"{CONTAINER[0]}:{CONTAINER[1] + published}"
            self.do(
                "host",
                f"iptables -t nat -A PREROUTING -d {SERVICE[0]} -p tcp "
                f"--dport {SERVICE[1] + published} -j DNAT --to-destination {to}",
            )
        self.do(
            "host",
            "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        )

    def tear_down(self) -> None:
        """Remove every namespace that was made, also when building failed halfway."""
        while self.made:
            name = self.namespace(self.made.pop())
            try:
                run(["ip", "netns", "del", name])
            except RecordingFailed as failure:
                print(f"could not remove namespace {name}: {failure}")
