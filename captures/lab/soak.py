"""A long clean load with rare faults at random places, which is how the bug occurs in life.

Two client hosts send ordinary requests at a steady rate, half of their workers on kept connections.
At random places one of them asks for a slow report, and the server's descriptor for it is closed by
mistake, sometimes with a child process that still holds the socket, sometimes without.
"""

import heapq
import json
import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from captures.lab import plan, recording, shipping, truth
from captures.lab.processes import Processes
from captures.lab.scenario import Capture, Client, Expect, Scenario, Server, Variant
from captures.lab.topology import Topology

POOL = 4000
WAIT = 3.0  # seconds after which a client gives up
SLICE = 30.0  # seconds of log that are judged at once


@dataclass(frozen=True)
class Soak:
    """What was asked for on the command line."""

    exchanges: int
    faults: int
    rate: float
    seed: int
    node: str
    vantages: tuple[str, ...]


def places(soak: Soak) -> list[int]:
    """Where the faults are: at random, but not so close that one disturbs the next."""
    rng = random.Random(soak.seed)
    apart = max(1, int(soak.rate * 2 * WAIT))
    room = soak.exchanges - apart * (soak.faults + 1)
    if room < 0:
        raise ValueError("too many faults for so few exchanges")
    drawn = sorted(rng.randrange(room + 1) for _ in range(soak.faults))
    return [place + apart * (number + 1) for number, place in enumerate(drawn)]


def client(soak: Soak, host: str, at: Mapping[int, str]) -> Client:
    """One host's share of the load: half of the exchanges and every second fault."""
    background = {"steps": [{"traffic": POOL, "api": "ranch"}]}
    pool = [
        {key: step[key] for key in ("method", "target", "headers", "body")}
        for step in plan.steps(background, random.Random(f"{soak.seed}/{host}"))
    ]
    special = {
        place // 2: {"method": "GET", "target": target, "mark": "F"} for place, target in at.items()
    }
    return Client(
        host=host,
        program="load_client.js",
        workers=(),
        more={
            "pool": pool,
            "special": special,
            "exchanges": soak.exchanges // 2,
            "workerCount": 8,
            "rate": soak.rate / 2,
            "timeout": WAIT,
            "seed": random.Random(f"{soak.seed}/{host}").getrandbits(32),
        },
    )


def scenario(soak: Soak) -> Scenario:
    """The soak as a scenario like any other."""
    at = {place: f"/api/v1/horses/{8100 + n}/vet-report" for n, place in enumerate(places(soak))}
    chosen = [f"GET {target}" for target in at.values()]
    config = {
        "api": "ranch",
        "wait": 4,  # so that several connections are open at any time, as in life
        "slow": dict.fromkeys(chosen, 2500),
        "fault": {"name": "stale-close", "on": chosen, "after": 150, "inherit": chosen[::2]},
    }
    shares = [dict(list(at.items())[share::2]) for share in (0, 1)]
    expects = [Expect("unanswered", "F", "server/descriptor", at_least=soak.faults)]
    expects += [
        Expect(kind, "*", "server/descriptor", ("connection/desync",), at_least=0)
        for kind in ("misdelivered", "unanswered", "incomplete")
    ]
    return Scenario(
        name="soak",
        title=f"{soak.exchanges} exchanges with {soak.faults} stale closes at random places",
        description=(__doc__ or "").partition("\n\n")[2],
        mechanism="S2",
        servers=(Server("node/server.js", config),),
        clients=(client(soak, "app1", shares[0]), client(soak, "app2", shares[1])),
        captures=tuple(Capture(vantage) for vantage in soak.vantages),
        expects=tuple(expects),
        compact=True,
        plain=soak.vantages,
        patience=600 + 4 * soak.exchanges / soak.rate,
    )


def record(soak: Soak, to: Path, keep: bool = False) -> dict[str, Any]:
    """Record one soak into `to`, and judge it slice by slice."""
    variant = Variant(scenario(soak), soak.node)
    recording.check(variant)
    directory = Path(tempfile.mkdtemp(prefix="wf-soak-", dir=to.parent))
    run = recording.Run(variant, directory, Topology(), Processes(directory), {})
    try:
        try:
            run.topology.build()
            captures = recording.perform(run)
        finally:
            run.processes.stop_all()
            run.topology.tear_down()
        rows = ClientLog(directory)
        servers = directory / "server-server.log"
        observed = list(observe_in_slices(rows, read(servers)))
        pairs = truth.match(observed, variant.scenario.expects)
        noted = [row for row in read(servers) if "fault" in row or "uncaught" in row]
        told = shipping.ship(variant, captures, rows, noted, observed, pairs, to)
        told["soak"] = asdict(soak)
        told["provenance"]["command"] = (
            f"python -m captures.lab soak --exchanges {soak.exchanges} --faults {soak.faults} "
            f"--rate {soak.rate:g} --seed {soak.seed} --node {soak.node}"
        )
        (to / "truth.json").write_text(truth.dump(told))
        return told
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True)
class ClientLog:
    """Every client's rows in the order of their end, read anew from the files each time."""

    directory: Path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        logs = (
            ({**row, "from": host} for row in read(self.directory / f"client{number}.log"))
            for number, host in ((1, "app1"), (2, "app2"))
        )
        return heapq.merge(*logs, key=lambda row: float(row["ended"]))


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one log, one at a time."""
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)


def observe_in_slices(
    clients: Iterable[truth.Row], servers: Iterable[truth.Row]
) -> Iterator[truth.Observed]:
    """`truth.observe` over half a minute at a time; both logs are in the order of their writing.

    What one slice cannot explain may have its reason in the slice before or after, so each one is
    judged with its neighbours' rows at hand.
    """
    rows, answers = iter(clients), (row for row in servers if "sha256" in row)
    around: list[truth.Row] = []
    near: list[truth.Row] = []
    fill(around, rows, "ended", 0)
    time = around[0]["ended"] if around else 0
    while around and around[-1]["ended"] >= time:
        fill(around, rows, "ended", time + 2 * SLICE)
        fill(near, answers, "written", time + 2 * SLICE)
        now = [row for row in around if time <= row["ended"] < time + SLICE]
        yield from truth.observe(now, near, askers=around)
        around = [row for row in around if row["ended"] >= time]
        near = [row for row in near if row["written"] >= time]
        time += SLICE


def fill(held: list[truth.Row], source: Iterator[truth.Row], key: str, until: float) -> None:
    """Take rows until one lies beyond a time, or there are no more."""
    while not held or held[-1][key] <= until:
        row = next(source, None)
        if row is None:
            return
        held.append(row)
