"""A scenario live under `wrangler-forensics watch`, on the host that its packets pass.

The watch stands where an operator's would: on the Docker host, in whose network namespace the
bridge is, and sees the processes of all containers.
"""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captures.lab import recording, tools
from captures.lab.errors import RecordingFailed
from captures.lab.processes import Processes
from captures.lab.recording import ROOT, Run
from captures.lab.scenario import Variant
from captures.lab.topology import Topology

AFTER = 12.0  # seconds that the watch has for the last incident, after the clients have ended
ENDING = 120.0  # seconds that it may take to end


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watch said, its incidents, and the log of the clients."""

    said: list[str]
    incidents: list[dict[str, Any]]
    clients: list[dict[str, Any]]


def show(
    variant: Variant,
    say: Callable[[str], None],
    *,
    keep: Path | None = None,
    more: Sequence[str] = (),
    interface: str = "docker0",
    prefix: str = "wfw",
    meanwhile: Callable[[int, Path], None] = lambda _pid, _folder: None,
) -> Watched:
    """Run a scenario and a watch beside it; `say` is given each line of the watch as it comes.

    `keep` is the watch's folder, which then stays; `more` are further options of it. `meanwhile` is
    called many times a second with the watch's pid and its folder.
    """
    recording.check(variant)
    tools.require(["tcpdump"])
    directory = Path(tempfile.mkdtemp(prefix=f"wf-watch-{variant.name}-"))
    topology = Topology(f"{prefix}{time.time_ns() % 0xFFFFFF:x}")
    run = Run(variant, directory, topology, Processes(directory), {})
    kept = keep or directory / "kept"
    scenario = variant.scenario
    try:
        topology.build(
            scenario.needs_proxy, scenario.needs_router, scenario.needs_back, scenario.needs_twin
        )
        for server in scenario.servers:
            recording.start_server(run, server)
        argv = [sys.executable, "-m", "analyzer", "watch", "--keep", str(kept), "-i", interface]
        inside = topology.inside("host", [*argv, "--filter", "tcp", *more])
        paths = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        watch = run.processes.start("watch", inside, paths)
        run.processes.wait_for_text("watch", watch, " watching ", seconds=30)
        start = time.time() + recording.LEAD
        clients = [
            recording.start_client(run, one, number, start)
            for number, one in enumerate(scenario.clients, 1)
        ]
        timeline = recording.agenda(run, [], start)
        output = directory / "watch.out"
        told = 0
        until = 0.0
        while not until or time.time() < until:
            while timeline and timeline[0][0] <= time.time():
                timeline.pop(0)[1]()
            lines = output.read_text().splitlines()
            for line in lines[told:]:
                say(line)
            told = len(lines)
            if watch.poll() is not None:
                raise RecordingFailed(f"the watch ended: {run.processes.text('watch')[-800:]}")
            meanwhile(watch.pid, kept)
            if not until and not timeline and all(one.poll() is not None for one in clients):
                until = time.time() + AFTER
            time.sleep(0.05)
        # `ip netns exec` has become the watch: it has its pid.
        watch.send_signal(signal.SIGTERM)
        watch.wait(ENDING)
        lines = run.processes.text("watch").splitlines()  # with what it complained of
        for line in lines[told:]:
            say(line)
        path = kept / "incidents.jsonl"
        found = path.read_text().splitlines() if path.exists() else []
        return Watched(
            lines, [json.loads(line) for line in found], recording.client_rows(directory)
        )
    finally:
        run.processes.stop_all()
        topology.tear_down()
        shutil.rmtree(directory, ignore_errors=True)
