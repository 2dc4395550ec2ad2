"""A judged run becomes a recording: captures compressed and hashed, and truth.json beside them."""

import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from captures.lab import clocks, compress, proxies, runtimes, sniffers, stacks, truth, wire
from captures.lab.scenario import Capture, Server, Variant


def ship(
    variant: Variant,
    captures: Sequence[tuple[Capture, sniffers.Sniffer]],
    clients: Iterable[Mapping[str, Any]],
    servers: Sequence[Mapping[str, Any]],
    observed: Sequence[truth.Observed],
    pairs: Sequence[tuple[truth.Observed, Any]],
    to: Path,
) -> dict[str, Any]:
    """Write the recording's directory anew, and only when all of it is there.

    The clients' rows are read several times over.
    """
    scenario = variant.scenario
    fresh = to.with_name(f".{to.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shipped = []
    for capture, sniffer in sorted(captures, key=lambda pair: pair[1].vantage):
        clock = {"ahead": capture.ahead, "drift": capture.drift}
        if any(clock.values()):
            clocks.shift(sniffer.path, **clock)
        plain = sniffer.vantage in scenario.plain
        name = f"{sniffer.vantage}.pcap" + ("" if plain else ".zst")
        if plain:
            compress.place(sniffer.path, fresh / name)
        else:
            compress.compress(sniffer.path, fresh / name)
        shipped.append(
            {
                "file": name,
                "vantage": sniffer.vantage,
                "frames": compress.frames(sniffer.path),
                "sha256": compress.sha256(fresh / name),
                "command": sniffer.command,
                **({"clock": clock} if any(clock.values()) else {}),
            }
        )
    told: dict[str, Any] = {
        "schema": 1,
        "scenario": variant.name,
        "title": scenario.title,
        "mechanism": scenario.mechanism,
        "description": scenario.description.strip(),
        "provenance": provenance(variant),
        "captures": shipped,
        "totals": truth.totals(clients),
        "clients": {
            host: truth.totals(row for row in clients if row["from"] == host)
            for host in sorted({row["from"] for row in clients})
        },
        "planted": where_seen(truth.planted(pairs), captures),
        "tolerated": truth.tolerated(pairs),
        "server_notes": notes(servers, pairs),
    }
    if scenario.compact:
        told["endpoints"] = truth.by_target(clients)
    else:
        told["log"] = truth.log(clients, observed)
    (fresh / "truth.json").write_text(truth.dump(told))
    shutil.rmtree(to, ignore_errors=True)
    fresh.rename(to)
    return told


def where_seen(
    planted: list[dict[str, Any]], captures: Iterable[tuple[Capture, sniffers.Sniffer]]
) -> list[dict[str, Any]]:
    """The planted faults, each with the vantages that saw its request at all.

    A fault of the server is to be seen behind a proxy too, one of the proxy is not.
    """
    paths = {sniffer.vantage: sniffer.path for _, sniffer in captures}
    requests = [one["request"] for one in planted]
    own, any_ = wire.seen_at(paths, requests), wire.seen_at(paths, requests, by_anyone=True)
    return [
        {**one, "seen_at": any_[n] if one["cause"].startswith("server/") else own[n]}
        for n, one in enumerate(planted)
    ]


def notes(
    servers: Iterable[Mapping[str, Any]], pairs: Iterable[tuple[truth.Observed, Any]]
) -> list[Mapping[str, Any]]:
    """What the servers logged about the planted bug and the requests that it limited."""
    rows = [row for one, _ in pairs for row in (one.row, one.owner) if row]
    names = {f"{row['method']} {row['target']}" for row in rows}
    times = [row["sent"] for row in rows]
    return [
        row
        for row in servers
        if "fault" in row
        or "uncaught" in row
        or (
            (row.get("finish") or f"{row.get('method')} {row.get('target')}") in names
            and any(abs(row.get("received", row.get("at", 0)) - time) < 10 for time in times)
        )
    ][:80]


def provenance(variant: Variant) -> dict[str, Any]:
    """When, where and with what this was recorded."""
    said = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True, check=False)
    version = (said.stdout + said.stderr).splitlines()[0]
    release = runtimes.NODE_RELEASES.get(variant.node or "", variant.node)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m captures.lab record {variant.name}",
        "node": release,
        "servers": [server_version(server, variant) for server in variant.scenario.servers],
        "python": platform.python_version(),
        "kernel": platform.release(),
        "tcpdump": version,
    }


def server_version(server: Server, variant: Variant) -> str:
    """A server's program and the versions under it."""
    if server.program in proxies.PROGRAMS:
        return proxies.version(server.program)
    if stacks.known(server.program):
        return f"{server.program} {stacks.version(server.program)}"
    if server.program.endswith(".js"):
        short = server.node or variant.node or "20"
        return " ".join(
            [
                server.program,
                f"node {runtimes.NODE_RELEASES.get(short, short)}",
                *server.npm,
                *server.tree,
            ]
        )
    told = [server.program, f"python {platform.python_version()}", *server.python]
    return " ".join(told) + stacks.beside(server.program)
