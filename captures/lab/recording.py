"""One scenario from its file to a directory with captures and truth.json.

Hosts are built, captures started, servers started, clients run, and everything is taken down again
whatever happens. The logs are then judged; a run that does not show what was planted, or shows more
than was planted, is thrown away.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from captures.lab import plan, proxies, runtimes, shipping, sniffers, stacks, tools, truth
from captures.lab.errors import RecordingFailed
from captures.lab.processes import Processes
from captures.lab.scenario import Capture, Client, Event, Server, Variant
from captures.lab.topology import PROXY, SERVICE, Topology

ROOT = Path(__file__).parents[2]
LEAD = 2.5  # seconds between starting the clients and their plan's zero
LATE = 0.35  # a step sent this much after its time spoils the run
TAIL = 2.2  # tcpdump hands over a block a second: what is stopped earlier is lost
SERVERS = Path(__file__).parent / "servers"
CLIENTS = Path(__file__).parent / "clients"


@dataclass
class Run:
    """One running scenario: where it is, and everything that must be ended after it."""

    variant: Variant
    directory: Path
    topology: Topology
    processes: Processes
    servers: dict[str, subprocess.Popen[bytes]]


def record(variant: Variant, to: Path, tries: int = 3, keep: bool = False) -> dict[str, Any]:
    """Record one variant into `to`; its truth. A run that fails is tried again a few times."""
    check(variant)
    for attempt in range(1, tries + 1):
        directory = Path(tempfile.mkdtemp(prefix=f"wf-{variant.name}-"))
        try:
            return record_once(variant, directory, to)
        except RecordingFailed as failure:
            print(f"{variant.name}: try {attempt} of {tries}: {failure}", file=sys.stderr)
            if attempt == tries:
                raise
        finally:
            if keep:
                print(f"{variant.name}: logs and raw captures kept in {directory}", file=sys.stderr)
            else:
                shutil.rmtree(directory, ignore_errors=True)
    raise AssertionError("unreachable")


def check(variant: Variant) -> None:
    """Everything the machine needs for this scenario, before anything is built."""
    scenario = variant.scenario
    tools.require_root()
    wanted = ["ip", "tcpdump", "iptables"]
    wanted += [event.run.split()[0] for event in scenario.events if event.run]
    wanted += [one.program for one in scenario.servers if one.program in proxies.PACKAGED]
    wanted += [beside for one in scenario.servers if (beside := stacks.BESIDE.get(one.program))]
    wanted += ["curl" for one in scenario.clients if one.program.startswith("curl")]
    tools.require(wanted)
    for server in scenario.servers:
        server_command(server, variant)
        if server.program == "docker-proxy":
            runtimes.docker_proxy()
        runtimes.node_modules(server.npm)
        if server.tree:
            runtimes.node_tree(server.tree)
    for client in scenario.clients:
        client_command(client)
        runtimes.node_modules(client.npm)


def record_once(variant: Variant, directory: Path, to: Path) -> dict[str, Any]:
    """One run, judged, and shipped to `to`."""
    topology = Topology()
    run = Run(variant, directory, topology, Processes(directory), {})
    try:
        scenario = variant.scenario
        topology.build(
            scenario.needs_proxy, scenario.needs_router, scenario.needs_back, scenario.needs_twin
        )
        captures = perform(run)
    finally:
        run.processes.stop_all()
        topology.tear_down()
    clients = client_rows(directory)
    servers = read_rows(directory.glob("server-*.log"))
    observed = truth.observe(clients, servers, variant.scenario.foreign, variant.scenario.stray)
    pairs = truth.match(observed, variant.scenario.expects)
    return shipping.ship(variant, captures, clients, servers, observed, pairs, to)


def perform(run: Run) -> list[tuple[Capture, sniffers.Sniffer]]:
    """Start everything, let the clients finish, and stop the captures two seconds later."""
    scenario = run.variant.scenario
    for server in scenario.servers:
        start_server(run, server)
    captures = [
        (one, sniffers.start(run.processes, run.topology, one.vantage, one.flags, one.filter))
        for one in scenario.captures
        if one.start is None
    ]
    start = time.time() + LEAD
    clients = [start_client(run, one, n, start) for n, one in enumerate(scenario.clients, 1)]
    timeline = agenda(run, captures, start)
    while any(client.poll() is None for client in clients) or timeline:
        while timeline and timeline[0][0] <= time.time():
            timeline.pop(0)[1]()
        if time.time() > start + scenario.patience:
            raise RecordingFailed(f"the clients did not finish in {scenario.patience:.0f} s")
        time.sleep(0.01)
    for number, client in enumerate(clients, 1):
        if client.returncode:
            said = run.processes.text(f"client{number}")
            raise RecordingFailed(f"client {number} failed: {said[-800:]}")
    time.sleep(scenario.settle + TAIL)
    for one, sniffer in captures:
        if one.stop is None:
            sniffers.stop(run.processes, sniffer)
    return captures


def agenda(
    run: Run, captures: list[tuple[Capture, sniffers.Sniffer]], start: float
) -> list[tuple[float, Callable[[], object]]]:
    """What is to be done at which time: events on hosts, captures started late or stopped early."""
    scenario = run.variant.scenario

    def begin(one: Capture) -> None:
        captures.append(
            (one, sniffers.start(run.processes, run.topology, one.vantage, one.flags, one.filter))
        )

    def end(one: Capture) -> None:
        (sniffer,) = [taken for capture, taken in captures if capture == one]
        sniffers.stop(run.processes, sniffer)

    todo: list[tuple[float, Callable[[], object]]] = [
        (start + event.at, lambda event=event: do_event(run, event))  # type: ignore[misc]
        for event in scenario.events
    ]
    for one in scenario.captures:
        if one.start is not None:
            todo.append((start + one.start, lambda one=one: begin(one)))  # type: ignore[misc]
        if one.stop is not None:
            todo.append((start + one.stop, lambda one=one: end(one)))  # type: ignore[misc]
    return sorted(todo, key=lambda item: item[0])


def do_event(run: Run, event: Event) -> None:
    """Carry out one event."""
    if event.run:
        argv = run.topology.inside(event.host, shlex.split(event.run))
        if event.background:
            run.processes.start(f"event-{event.at}-{event.host}", argv, {"PYTHONPATH": str(ROOT)})
        else:
            subprocess.run(argv, check=False, capture_output=True)
    if event.restart:
        run.processes.stop(run.servers[event.restart])
        (server,) = [one for one in run.variant.scenario.servers if one.name == event.restart]
        start_server(run, replace(server, config={**server.config, **event.config}))


def server_command(server: Server, variant: Variant) -> list[str]:
    """The command line of a server, without its namespace."""
    if server.program in proxies.PROGRAMS:
        return [server.program]
    if stacks.known(server.program):
        return stacks.command(SERVERS / server.program)
    if server.program.endswith(".js"):
        version = server.node or variant.node or "20"
        return [str(runtimes.node_binary(version)), str(SERVERS / server.program)]
    module = f"captures.lab.servers.{server.program.removesuffix('.py').replace('/', '.')}"
    return [str(runtimes.python_binary(server.python)), "-m", module]


def start_server(run: Run, server: Server) -> None:
    """Start one server in its namespace and wait until it listens."""
    name = f"server-{server.name}"
    if server.program in proxies.PROGRAMS:
        argv = proxies.command(server, run.directory)
    else:
        argv = server_command(server, run.variant)
    config = {**server.config, "port": server.port, "log": str(run.directory / f"{name}.log")}
    config.setdefault("upstream", SERVICE)
    config.setdefault("directory", str(run.directory))
    modules = str(runtimes.node_modules(server.npm)) if server.npm else ""
    if server.tree:
        modules = str(runtimes.node_tree(server.tree))
    process = run.processes.start(
        name,
        run.topology.inside(server.host, argv),
        {"WF_SERVER": json.dumps(config), "NODE_PATH": modules, "PYTHONPATH": str(ROOT)},
    )
    run.servers[server.name] = process
    if server.program in proxies.PROGRAMS:
        proxies.wait_until_listening(run.topology, server)
    else:
        run.processes.wait_for_text(name, process, "ready")


def client_command(client: Client) -> list[str]:
    """The command line of a client, without its namespace and plan."""
    if stacks.known(client.program):
        return stacks.command(CLIENTS / client.program)
    if client.program.endswith(".js"):
        return [str(runtimes.node_binary(client.node)), str(CLIENTS / client.program)]
    module = f"captures.lab.clients.{client.program.removesuffix('.py')}"
    return [str(runtimes.python_binary(client.python)), "-m", module]


def start_client(run: Run, client: Client, number: int, start: float) -> subprocess.Popen[bytes]:
    """Write one client's plan and start it."""
    name = f"client{number}"
    target = (PROXY if run.variant.scenario.needs_proxy else SERVICE) if not client.to else None
    if client.to:
        host, _, port = client.to.partition(":")
        target = (host, int(port))
    path = run.directory / f"{name}.plan.json"
    path.write_text(
        json.dumps(
            {
                "to": target,
                "start": start,
                "log": str(run.directory / f"{name}.log"),
                "host": client.host,
                "workers": plan.workers(client, f"{run.variant.scenario.seed}/{number}"),
                **client.more,
            }
        )
    )
    argv = run.topology.inside(client.host, [*client_command(client), str(path)])
    modules = str(runtimes.node_modules(client.npm)) if client.npm else ""
    return run.processes.start(name, argv, {"PYTHONPATH": str(ROOT), "NODE_PATH": modules})


def read_rows(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The rows of several logs, one JSON object a line."""
    return [json.loads(line) for path in sorted(paths) for line in path.read_text().splitlines()]


def client_rows(directory: Path) -> list[dict[str, Any]]:
    """Every client's rows, each told whose it is; a step sent late spoils the run."""
    rows: list[dict[str, Any]] = []
    for path in sorted(directory.glob("client*.plan.json")):
        made = json.loads(path.read_text())
        due = {
            step["id"]: made["start"] + step["at"]
            for worker in made["workers"]
            for step in worker["steps"]
            if step.get("at") is not None
        }
        log = Path(made["log"])
        for row in read_rows([log] if log.exists() else []):
            late = row["sent"] - due.get(row["id"], row["sent"])
            first = row.get("attempt") is None and row["outcome"] != "surplus"
            if late > LATE and first and row["client"] != truth.UNCONNECTED:
                raise RecordingFailed(f"step {row['id']} of {path.stem} was {late:.2f} s late")
            rows.append({**row, "from": made["host"]})
    if not rows:
        raise RecordingFailed("the clients logged nothing")
    return rows
