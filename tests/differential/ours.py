"""A capture as the analyzer reads it; and its interfaces, one by one, as captures of their own."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from analyzer import pipeline
from analyzer.capture import files
from analyzer.capture.frames import BLOCK, Capture
from analyzer.correlate.view import Tables
from analyzer.extraction import Extraction
from analyzer.intervals import distance
from analyzer.packets.decode import Decoder
from analyzer.tables import ConnectionFlag, Flag, Outcome
from tests.differential.model import Request, Response, Seen, Side, Talk
from tests.tools import Row

_SOURCE = ("source_high", "source_low", "source_port")
_TARGET = ("target_high", "target_low", "target_port")
_DOUBTFUL = int(Flag.GAP_REQUEST | Flag.GAP_RESPONSE | Flag.DAMAGED)


class Reading(NamedTuple):
    """What extraction read, the servers' ports, the client's address and port by stream, oddities
    and fates of frames, and the frames that a TCP segment was found in.
    """

    seen: Seen
    ports: set[int]
    clients: dict[int, tuple[str, int]]
    anomalies: dict[str, int]
    decoded: set[int]


class Part(NamedTuple):
    """What goes into one capture: by the frame's number its record, and the connections in it."""

    records: dict[int, bytes]
    connections: set[frozenset[tuple[int, ...]]]


def read(path: Path) -> Reading:
    """What the analyzer makes of a capture."""
    extraction, captures, interfaces = pipeline.extract_share([str(path)], 0, 1, BLOCK)
    tables = pipeline._tables(extraction, captures, interfaces)
    frames = sum(capture.frames for capture in captures)
    seen = Seen(
        frames=frames,
        begun={int(frame) & 0xFFFFFFFF for frame in extraction.begun},
        orphans=extraction.anomalies["response-without-request"],
    )
    ports = set()
    clients = {}
    for stream, rows in _by_stream(extraction, tables).items():
        seen.talks[stream] = _talk(rows)
    for row in tables.connections:
        stream, flags = int(row["first_frame"]), int(row["flags"])
        ports.add(int(row["server_port"]))
        place = tables.place(int(row["client"]), int(row["client_port"])).rpartition(":")
        clients[stream] = (place[0].strip("[]"), int(place[2]))
        for server, flag in ((False, ConnectionFlag.CLIENT_GAP), (True, ConnectionFlag.SERVER_GAP)):
            if flags & flag:
                seen.gaps.add(Side(stream, server))
    anomalies = extraction.anomalies + captures[0].anomalies
    return Reading(seen, ports, clients, {**anomalies, **captures[0].fates}, _decoded(path))


def _decoded(path: Path) -> set[int]:
    capture = Capture(str(path))
    decoder = Decoder(capture.fates, capture.anomalies)
    found: set[int] = set()
    for frames in files.read(str(path), capture):
        links = pipeline._link_types(capture, frames)
        found.update(frames.number[decoder.segments(frames, links).segments.row].tolist())
    return found


def _by_stream(extraction: Extraction, tables: Tables) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {int(row["first_frame"]): [] for row in tables.connections}
    for rows, targets in extraction.exchanges.chunks():
        for row, target in zip(rows, targets, strict=True):
            plain = {name: row[name].item() for name in row.dtype.names or ()}
            plain["target"] = target.decode("latin-1")
            plain["method"] = extraction.routes[plain["route"]].method
            found[int(tables.connections[plain["connection"]]["first_frame"])].append(plain)
    return found


def _talk(rows: list[Row]) -> Talk:
    talk = Talk()
    asked = [row for row in rows if row["request_frame"]]
    first = asked[0]["request_seq"] if asked else 0
    asked.sort(key=lambda r: (distance(first, r["request_seq"]), r["request_frame"]))
    for row in asked:
        whole = not row["flags"] & int(Flag.GAP_REQUEST | Flag.REQUEST_OPEN | Flag.BODY_SKIPPED)
        length = row["request_length"] if whole else None
        talk.requests.append(
            Request(row["method"], row["target"], length, row["request_frame"], whole)
        )
    answered = [row for row in rows if row["status"]]
    first = answered[0]["response_seq"] if answered else 0
    answered.sort(key=lambda r: (distance(first, r["response_seq"]), r["response_frame"]))
    places = {id(row): place for place, row in enumerate(asked)}
    for row in answered:
        whole = row["outcome"] != Outcome.INCOMPLETE and not row["flags"] & _DOUBTFUL
        talk.responses.append(
            Response(
                row["status"],
                row["response_length"] if whole else None,
                row["response_sum"] or None if whole else None,
                places.get(id(row)),
                row["response_frame"],
                row["outcome"] != Outcome.INCOMPLETE,
            )
        )
    return talk


def views(path: Path, folder: Path) -> Iterator[Path]:
    """The capture, or captures of its interfaces that have TCP where there are several.

    tshark tells connections apart by addresses and ports alone: interfaces that have a connection
    in common are read apart, those that have none go into one capture (starting tshark is what
    takes the time). Compressions that tshark does not read are taken off. The captures made are
    pcap files (ns) with the frames as they are, kept in `folder` until the next one is asked for.
    """
    capture = Capture(str(path))
    decoder = Decoder(capture.fates, capture.anomalies)
    parts: dict[tuple[int, int], Part] = {}
    for frames in files.read(str(path), capture):
        links = pipeline._link_types(capture, frames)
        found = decoder.segments(frames, links).segments
        columns = ("row", "scope", *_SOURCE, *_TARGET)
        rows = zip(*(getattr(found, name).tolist() for name in columns), strict=True)
        for row, scope, *ends in rows:
            start, size = int(frames.offset[row]), int(frames.captured[row])
            seconds, rest = divmod(int(frames.time[row]), 1_000_000_000)
            head = struct.pack("<IIII", seconds & 0xFFFFFFFF, rest, size, int(frames.wire[row]))
            part = parts.setdefault((int(frames.interface[row]), scope), Part({}, set()))
            number = int(frames.number[row])
            part.records[number] = head + frames.data[start : start + size]
            part.connections.add(frozenset((tuple(ends[:3]), tuple(ends[3:]))))
    packed = capture.format.partition("+")[2]
    if len(parts) <= 1 and packed in ("", "gzip", "zstd", "lz4"):
        yield path
        return
    together: list[tuple[int, str, Part]] = []
    for (interface, scope), part in sorted(parts.items()):
        link = capture.interfaces[interface].link_type
        for other_link, _, other in together:
            if other_link == link and not other.connections & part.connections:
                other.records.update(part.records)
                other.connections.update(part.connections)
                break
        else:
            together.append((link, f"{interface}-{scope}", part))
    for number, (link, name, part) in enumerate(together):
        made = folder / f"{number}-{name}.pcap"
        head = struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link)
        made.write_bytes(head + b"".join(record for _, record in sorted(part.records.items())))
        yield made
        made.unlink()
