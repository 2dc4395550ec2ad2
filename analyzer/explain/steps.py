"""To settle what is open: what to run and where to capture next, for the causes still possible.

Law: every step names the question that it answers. Addresses and ports in the commands are those of
the incident; what only a person knows (a container's name, a process) is in capitals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analyzer.explain.model import Step
from analyzer.findings.model import Cause, How, Verdict
from analyzer.second_pass.model import CLIENT, SERVER, Reread

_FULL_TTLS = (64, 128, 255)  # what hosts send with, before any router has taken one off


_IN_NODE = "// Node, for each request, at its beginning and at its end:"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the incident could be captured, and where it was.

    `clients` are addresses, `server` is the server's (address and port) as the clients see it,
    `inner_server` the same where it was seen nearest to the server; `at_client` and `at_server` say
    whether a capture was made on that side's own host.
    """

    clients: tuple[str, ...]
    server: tuple[str, int]
    inner_server: tuple[str, int]
    at_client: bool
    at_server: bool


def sides_seen(looks: Sequence[Reread]) -> tuple[bool, bool]:
    """Whether packets of the client, and of the server, were seen before any router had them.

    A host sends with a round number of hops to live (64 on Linux); each router takes one off.
    """
    ttls = {(p.side, p.ttl) for look in looks for p in look.packets}
    return (
        any((CLIENT, ttl) in ttls for ttl in _FULL_TTLS),
        any((SERVER, ttl) in ttls for ttl in _FULL_TTLS),
    )


def steps(
    causes: Sequence[Cause], places: Places, *, swapped: bool, both_sides: bool = False
) -> tuple[Step, ...]:
    """What to do next, the most telling first.

    `swapped`: a response went to the wrong request; `both_sides`: both sides of a proxy were seen.
    """
    open_causes = [c.cause for c in causes if c.verdict in (Verdict.SUPPORTED, Verdict.POSSIBLE)]
    supported = [c.cause for c in causes if c.verdict is Verdict.SUPPORTED]
    found: list[Step] = []
    if not places.at_server and not _settled_at_client(supported):
        found.append(_capture_at_server(places, swapped=swapped))
    if not places.at_client and any(c.startswith("network/") for c in open_causes):
        found.append(_capture_at_client(places))
    # What is only possible without a response that strayed is not worth a trace of all descriptors.
    if not swapped and "server/descriptor" not in supported:
        open_causes = [cause for cause in open_causes if cause != "server/descriptor"]
    idle = any(c.how is How.IDLE_CLOSE for c in causes)
    if any(c.how is How.IDENTITY for c in causes):
        found.append(_IDENTITY)
        open_causes = [cause for cause in open_causes if cause != "server/stolen"]
    for cause in open_causes:
        recipe = _idle if idle and cause == "server/closed" else _RECIPES.get(cause)
        if cause == "proxy/crossed" and both_sides:
            recipe = _proxy_itself if cause in supported else None
        if recipe is not None:
            step = recipe(places)
            if step not in found:
                found.append(step)
    return tuple(found)


def _settled_at_client(supported: Sequence[str]) -> bool:
    return bool(supported) and all(cause.startswith("client/") for cause in supported)


def _capture_at_server(places: Places, *, swapped: bool) -> Step:
    port = places.inner_server[1]
    telling = (
        "if the response is on the wrong connection there already, the process put it there."
        if swapped
        else "what arrives and leaves there is the process's own doing."
    )
    return Step(
        "No capture here was made at the server itself, so what lies between (a proxy, a load "
        "balancer, NAT) is not ruled out. Capture on its host, and inside its container if there "
        f"is one: {telling}",
        (
            f"sudo tcpdump -i any -s 0 -U -w host.pcap 'tcp port {port}'",
            "sudo nsenter -n -t \"$(docker inspect -f '{{.State.Pid}}' CONTAINER)\" \\",
            "  tcpdump -i any -s 0 -U -w container.pcap tcp",
            "wrangler-forensics scan host.pcap container.pcap",
        ),
    )


def _capture_at_client(places: Places) -> Step:
    host, port = places.server
    return Step(
        "No capture here was made at the client. One there, at the same time as at the server, "
        "shows between which two places a packet was lost, or a reset was made:",
        tuple(
            f"sudo tcpdump -i any -s 0 -U -w client{n}.pcap 'host {host} and tcp port {port}'"
            f"   # on {client}"
            for n, client in enumerate(places.clients, 1)
        ),
    )


_IDENTITY = Step(
    "Where does the server keep who is asking? Look for what outlives a request, or is shared by "
    "several: a global or thread-local current user, a context that is used again, a cache whose "
    "key does not name the user, a setting of a pooled connection to a database. Log for each "
    "request, when it is answered, whom its credentials name beside whom the handler took it for:",
    ("log(request.path, user_of(request.credentials), current_user)",),
)


def _process(places: Places) -> str:
    return f"sudo ss -ltnp 'sport = :{places.inner_server[1]}'   # names the process: PID"


def _descriptor(places: Places) -> Step:
    return Step(
        "Packets show that a descriptor was misdirected, not which code closed it. Trace who "
        "closes descriptors until it happens again, and look for a close of a number whose socket "
        "was still in use, followed by an accept4 that returns that number:",
        (
            _process(places),
            "sudo strace -f -tt -yy -o fd.trace -p PID \\",
            "  -e trace=close,dup2,dup3,accept4,clone,clone3",
            _IN_NODE,
            "log(req.url, req.socket._handle?.fd, req.socket.remotePort,",
            "    res.socket === req.socket)",
        ),
    )


def _mixed_up(places: Places) -> Step:
    return Step(
        "Did one handler write to another request's response? Log for each request what it "
        "belongs to when it begins and what it writes to when it ends; look for a response kept "
        "in a variable that requests share:",
        (
            _IN_NODE,
            "log(req.url, req.socket.remotePort, res.socket?.remotePort, res.req === req)",
        ),
    )


def _backend(places: Places) -> Step:
    return Step(
        "Which connection behind the server slipped? It goes back to its pool with an answer "
        "unread: after a command that was cancelled or timed out, or because two processes share "
        "it since a fork. Such a connection must be closed, not used again. Capture what the "
        "server asks of others, with the server's own port: each answer there will be one late, "
        "from the first request of this incident on:",
        (
            "sudo tcpdump -i any -s 0 -U -w behind.pcap \\",
            f"  'tcp port {places.inner_server[1]} or tcp port BACKEND'   # 6379, 11211, 5432 ...",
            "sudo ss -tnpo   # two PIDs at one connection of the server's: shared since a fork",
        ),
    )


def _silent(places: Places) -> Step:
    return Step(
        "What does the handler wait for (a database, another service, a lock, a free worker)? Log "
        "when it begins and ends. While a request hangs, look at what every thread does, and "
        "whether the process still has the connection:",
        (
            "sudo py-spy dump --pid PID   # Python: the threads' stacks",
            "jstack PID   # Java",
            "kill -USR1 PID && node inspect -p PID   # Node",
            "sudo rbspy snapshot --pid PID   # Ruby",
            f"sudo ss -tnpo 'sport = :{places.inner_server[1]}'"
            "   # a connection without users:(...) is nobody's",
        ),
    )


def _closed(places: Places) -> Step:
    return Step(
        "Why did the server close? Compare the moment with its own log (an exception, a timeout, "
        "a restart) and with what was done to its container:",
        (
            "docker events --since 1h --filter container=CONTAINER",
            "journalctl --since '1 hour ago' | grep -iE 'oom|killed|segfault'",
        ),
    )


def _idle(places: Places) -> Step:
    return Step(
        "Which side closes idle connections first? It should be the client: let its pool keep a "
        "connection for less time than the server (or the proxy in between) does, and ask once "
        "more on a new connection where the request may be repeated (RFC 9110 §9.2.2):",
        (
            "server.keepAliveTimeout   // Node's server: 5 s unless set",
            "keepalive_timeout   # nginx: 75 s unless set",
            "wrangler-forensics scan CAPTURE... --exchanges exchanges.csv",
        ),
    )


def _early_final(places: Places) -> Step:
    return Step(
        "Which client is it, and in which version? Does it read on after a 100, 102 or 103 until "
        "the final response comes (RFC 9110 §15.2)? Until it does, let the server send it none:",
        ("curl -v --http1.1 URL   # shows the interim responses",),
    )


def _reset(places: Places) -> Step:
    return Step(
        "Who sent the reset? If it is not in a capture at the server, something in between made "
        "it; connection tracking does so with packets that it takes for invalid:",
        (
            "sudo conntrack -S   # insert_failed, invalid",
            "sysctl net.netfilter.nf_conntrack_tcp_be_liberal",
            "nstat -az | grep -E 'Abort|Reset|ListenDrops'",
        ),
    )


def _lost(places: Places) -> Step:
    return Step(
        "Where do packets get lost? These counters grow at the place where they do:",
        (
            "nstat -az | grep -E 'Listen(Overflows|Drops)|RetransSegs|Timeouts'",
            "ip -s link   # dropped, errors",
            "sudo conntrack -S   # drop, insert_failed",
            f"tracepath -n {places.server[0]}   # from the client: the path's MTU",
        ),
    )


def _gave_up(places: Places) -> Step:
    return Step(
        "Was the client's patience too short, or the server too slow? Compare the client's "
        "timeout with how long the endpoint usually takes:",
        ("wrangler-forensics scan CAPTURE... --exchanges exchanges.csv",),
    )


def _pool(places: Places) -> Step:
    return Step(
        "Did the client put a connection back into its pool while an answer was owed? Log for "
        "each request in the client the local port and how the request before it on that port "
        "ended; one that was cancelled or timed out must close its connection:",
        (f"sudo ss -tnpo 'dport = :{places.server[1]}'   # on the client: its connections",),
    )


def _slipped(places: Places) -> Step:
    return Step(
        "Which handler answered twice, or which message was framed wrongly (Content-Length against "
        "what is sent; a body after HEAD, 204 or 304)? Log each end of a response; two for one "
        "request, or one without a request, is the culprit:",
        (
            "// Node, for each request:",
            "res.on('finish', () => log(req.url, req.socket.remotePort))",
        ),
    )


def _proxy(places: Places) -> Step:
    return Step(
        "Does whoever was asked here pass requests on to others, as a proxy does? Then see whether "
        "the response is on the right connection on the other side. Capture both sides at once:",
        (
            "sudo tcpdump -i any -s 0 -U -w proxy.pcap 'tcp port FRONT or tcp port BACK'",
            "wrangler-forensics scan proxy.pcap",
        ),
    )


def _proxy_itself(places: Places) -> Step:
    return Step(
        "The fault is the proxy's own: both its sides were captured. Compare its log at the moment "
        "of the incident with the frames above. Look at its configuration (what is cached, and by "
        "which key), and in the changes of its later versions for how it reuses connections:",
        ("nginx -V || haproxy -vv || envoy --version   # which proxy, and which version",),
    )


_RECIPES: dict[str, Callable[[Places], Step]] = {
    "server/descriptor": _descriptor,
    "server/stolen": _mixed_up,
    "server/crossed": _mixed_up,
    "server/backend-desync": _backend,
    "server/silent": _silent,
    "server/closed": _closed,
    "server/reset": _reset,
    "connection/desync": _slipped,
    "client/pool-reuse": _pool,
    "client/early-final": _early_final,
    "client/gave-up": _gave_up,
    "network/lost": _lost,
    "network/reset": _reset,
    "proxy/crossed": _proxy,
}
