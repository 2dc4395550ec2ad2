"""Every format and encapsulation: its capture is read, whole, cut and nested at random."""

import gzip
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyzer
from analyzer.anomalies import FATES, READ
from analyzer.capture import files
from analyzer.capture.frames import Capture
from analyzer.packets.decode import Decoder
from analyzer.report.result import Report
from tests.formats.make import EXCHANGES, FOLDER, PORT, WRAPS, made, plain
from tests.packets.test_decode import both_decoders, frames_of

TSHARK = shutil.which("tshark")
DOCS = Path(__file__).parent.parent.parent / "docs" / "formats.md"
CAPTURES = sorted(FOLDER.iterdir())
WHOLE = {"analysed": len(plain())}


class Expected(NamedTuple):
    """What a capture reads as, where that is not the plain traffic."""

    fates: dict[str, int] = WHOLE
    exchanges: int = EXCHANGES
    anomalies: Mapping[str, int] = MappingProxyType({})
    interfaces: tuple[str, ...] = ("",)


EXPECTED: dict[str, Expected] = {
    "nflog": Expected({"analysed": 49}),
    "cooked2": Expected(interfaces=("if3",)),
    "vxlan": Expected(interfaces=("vxlan 42",)),
    "vxlan-fragments": Expected(
        {"analysed": 47, "ip-fragment": 5, "icmp": 2}, interfaces=("vxlan 42",)
    ),
    "vxlan-other-port": Expected(interfaces=("vxlan 42",)),
    "vxlan-over-ipv6": Expected(interfaces=("vxlan 42",)),
    "vxlan-reserved-bits": Expected(interfaces=("vxlan 42",)),
    "vxlan-gpe": Expected(interfaces=("vxlan 42",)),
    "vxlan-mirrored": Expected(anomalies={"snaplen-cut": 7}, interfaces=("vxlan 42",)),
    "vxlan-two-networks": Expected(
        {"analysed": 2 * len(plain())}, 2 * EXCHANGES, interfaces=("vxlan 1", "vxlan 2")
    ),
    "vxlan-in-vxlan": Expected(interfaces=("vxlan 2 > vxlan 1 > vxlan 0",)),
    "vxlan-around-geneve": Expected(interfaces=("vxlan 42 > geneve 7",)),
    "geneve": Expected(interfaces=("geneve 7",)),
    "geneve-around-vxlan": Expected(interfaces=("geneve 7 > vxlan 42",)),
    "gre-key-sequence-checksum": Expected(interfaces=("gre 99",)),
    "gre-over-ipv6": Expected(interfaces=("gre 99",)),
    "nvgre": Expected(interfaces=("nvgre 42",)),
    "erspan2": Expected(interfaces=("erspan 3",)),
    "erspan3": Expected(interfaces=("erspan 3",)),
    "erspan3-subheader": Expected(interfaces=("erspan 3",)),
    "fragments": Expected({**WHOLE, "ip-fragment": 14}),
    # Packets that are no longer than a fragment come twice.
    "fragments-shuffled": Expected({"analysed": 65, "ip-fragment": 18}),
    "fragments-incomplete": Expected(
        {"analysed": 45, "ip-fragment": 12, "ip-fragment-incomplete": 2}
    ),
    "fragments-overlapping": Expected(
        {**WHOLE, "ip-fragment": 15}, anomalies={"fragments-overlap": 1}
    ),
    # The IPv4 connection is not nested, the IPv6 one is.
    "too-deep": Expected({"analysed": 26, "tunnel-too-deep": 20}, 3),
    "unread": Expected(
        {
            **WHOLE, "arp": 1, "icmp": 2, "udp": 2, "esp": 1, "not-tcp": 2, "not-ip": 1,
            "frame-cut-in-headers": 3, "header-invalid": 1, "ip-fragment-incomplete": 1,
        }
    ),
    "comments": Expected(interfaces=("veth1a2b",)),
    # Three of the strange ones hold the first SYN again.
    "wlan-unread": Expected({"analysed": 49, "not-ip": 3, "wlan-not-read": 4}),
}  # fmt: skip

# Where tshark 4.0 reads fewer, by the frames, and why.
TSHARK_READS: dict[str, tuple[tuple[int, int], str]] = {
    "fragments-incomplete": ((4, 5), "a request whose body has a gap"),
    "l2tpv3": ((0, 0), "a sublayer that it would have to be told of"),
    "l2tpv3-cookie": ((0, 0), "a cookie that it would have to be told of"),
    "l2tpv3-udp": ((0, 0), "both"),
    "too-deep": ((5, 5), "it follows more tunnels"),
    "vxlan-mirrored": ((3, 2), "messages that were cut"),
    "vxlan-other-port": ((0, 0), "VXLAN on a port that it does not know"),
    "vxlan-two-networks": ((5, 5), "two networks are one connection to it"),
}


def name_of(path: Path) -> str:
    """The format that a capture is of."""
    return path.name.split(".")[0]


@cache
def scanned(path: Path) -> Report:
    """The report on a capture."""
    return analyzer.scan(path)


def counts(report: Report) -> tuple[int, int]:
    """Requests and responses."""
    rows = report.exchanges
    return int((rows["request_frame"] > 0).sum()), int((rows["status"] > 0).sum())


@pytest.mark.parametrize("path", CAPTURES, ids=name_of)
def test_is_read(path: Path) -> None:
    report, expected = scanned(path), EXPECTED.get(name_of(path), Expected())
    (capture,) = report.captures
    assert capture.fates == expected.fates
    assert capture.anomalies == expected.anomalies
    assert counts(report) == (expected.exchanges, expected.exchanges)
    assert tuple(report.tables.interfaces) == expected.interfaces
    assert not report.judgement.findings
    if name_of(path) != "too-deep" and expected.exchanges == EXCHANGES:
        assert asked(report) == asked(scanned(FOLDER / "plain.pcap"))


def asked(report: Report) -> list[tuple[object, ...]]:
    """What was asked and answered; mirrored packets come in another order."""
    columns = report.exchanges[["method", "target", "status", "response_length"]]
    return sorted(columns.itertuples(index=False, name=None))


def test_every_expectation_has_its_capture() -> None:
    names = {name_of(path) for path in CAPTURES}
    assert set(EXPECTED) | set(TSHARK_READS) <= names


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", CAPTURES, ids=name_of)
def test_tshark_counts_the_same(path: Path) -> None:
    fields = ["-T", "fields", "-e", "http.request.method", "-e", "http.response.code"]
    command = [str(TSHARK), "-n", "-r", str(path), "-d", f"tcp.port=={PORT},http", "-Y", "http"]
    out = subprocess.run([*command, *fields], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    theirs = tuple(sum(len(row[n].split(",")) for row in rows if row[n]) for n in range(2))
    ours = counts(scanned(path))
    assert theirs == (TSHARK_READS[name_of(path)][0] if name_of(path) in TSHARK_READS else ours)


def test_made_captures_are_what_the_script_makes() -> None:
    shipped = {p.name: gzip.decompress(p.read_bytes()) for p in CAPTURES if p.suffix == ".gz"}
    assert shipped == {f"{name}.gz": data for name, data in made()}


def test_the_documentation_lists_every_capture_and_fate() -> None:
    text = DOCS.read_text()
    assert set(re.findall(r"`([\w.-]+\.pcap(?:ng)?(?:\.gz)?)`", text)) == {p.name for p in CAPTURES}
    assert set(FATES) <= set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize("path", CAPTURES, ids=name_of)
def test_both_decoders_agree(path: Path) -> None:
    capture = Capture(str(path))
    for frames in files.read(str(path), capture):
        links = [capture.interfaces[n].link_type for n in frames.interface]
        both_decoders(frames, links)


@pytest.mark.parametrize("size", [1, 300, 2_000])
@pytest.mark.parametrize("path", [p for p in CAPTURES if "fragments" in p.name], ids=name_of)
def test_blocks_of_any_size_put_fragments_together(path: Path, size: int) -> None:
    capture, payloads = Capture(str(path)), []
    decoder = Decoder(capture.fates, capture.anomalies)
    for frames in files.read(str(path), capture, block=size):
        links = np.array([i.link_type for i in capture.interfaces])[frames.interface]
        data, found, *_ = decoder.segments(frames, links)
        starts, sizes = found.payload.tolist(), found.captured.tolist()
        payloads += [data[at : at + n] for at, n in zip(starts, sizes, strict=True)]
    decoder.finish()
    capture.settle()
    assert capture.fates == EXPECTED[name_of(path)].fates
    whole = Capture(str(path))
    (frames,) = files.read(str(path), whole)
    links = np.array([i.link_type for i in whole.interfaces])[frames.interface]
    assert payloads == both_decoders(frames, links.tolist()).payloads()


# --- cut anywhere ------------------------------------------------------------------------------

# One packet with a short payload of each family.
SHORT = [next(r.data for r in plain() if r.data[12:14] == kind and b"GET " in r.data)
         for kind in (b"\x08\x00", b"\x86\xdd")]  # fmt: skip


@pytest.mark.parametrize("name", WRAPS)
def test_cut_at_every_byte(name: str) -> None:
    link_type, wrap = WRAPS[name]
    for inner in SHORT:
        whole = wrap(inner, True)
        sizes = range(len(whole) + 1)
        frames = frames_of([whole[:size] for size in sizes], [len(whole)] * len(sizes))
        both = both_decoders(frames, [link_type] * len(sizes))
        payload = inner[inner.index(b"GET ") :]
        # What is cut within the headers is told so; behind them, what is left of the payload.
        read = list(dict.fromkeys(data for data in both.payloads() if data))
        deep = name == "too-deep" and inner is SHORT[1]
        assert read == ([] if deep else [payload[:n] for n in range(1, len(payload) + 1)])
        known = {"analysed", "tunnel-too-deep", "frame-cut-in-headers", *CUT_LOOKS_LIKE}
        assert set(both.fates) <= known


# A tunnel is told by what is in it: cut before that, it is UDP or Ethernet that says nothing.
CUT_LOOKS_LIKE = {"udp", "not-ip"}


# --- nested at random ----------------------------------------------------------------------------

NESTS = [name for name, (link_type, _) in WRAPS.items() if link_type == 1 and name != "too-deep"]
# These put any Ethernet frame into something; the others take an IP packet out of its frame.
OF_ANY = [name for name in NESTS if name.startswith(("vxlan", "geneve", "erspan", "nvgre", "eth"))]
OF_ANY = [*OF_ANY, "mpls-pseudowire"]
OF_ANY = [name for name in OF_ANY if name not in ("vxlan-gpe", "vxlan-other-port")]
# These are only made of plain frames.
OF_PLAIN = {"ip-authentication", "ip-options"}


@st.composite
def nests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A frame in tunnels in tunnels, and its payload."""
    inner = frame = draw(st.sampled_from(SHORT))
    for _ in range(draw(st.integers(0, 4))):
        of_ip = frame[12:14] in (b"\x08\x00", b"\x86\xdd")
        name = draw(st.sampled_from(NESTS if of_ip else OF_ANY))
        if frame is inner or name not in OF_PLAIN:
            frame = WRAPS[name][1](frame, True)
    return frame, inner[inner.index(b"GET ") :]


@settings(max_examples=150)
@given(nests())
def test_tunnels_in_tunnels(found: tuple[bytes, bytes]) -> None:
    frame, payload = found
    both = both_decoders(frames_of([frame]), [1])
    assert both.fates in ({"analysed": 1}, {"tunnel-too-deep": 1})
    if both.fates["analysed"]:
        assert both.payloads() == [payload]
        assert both.segments.wire.tolist() == [len(payload)]


@settings(max_examples=300)
@given(st.data())
def test_damaged_tunnels(data: Any) -> None:
    parts, wires = [], []
    for _ in range(data.draw(st.integers(1, 6))):
        frame = bytearray(data.draw(nests())[0])
        for at in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=5)):
            frame[at] = data.draw(st.sampled_from([0, 1, 8, 0x20, 0x45, 0x60, 0xFF]))
        parts.append(bytes(frame[: data.draw(st.integers(0, len(frame)))]))
        wires.append(len(frame))
    both = both_decoders(frames_of(parts, wires), [1] * len(parts))
    assert sum(both.fates.values()) == len(parts)


def test_fates_are_a_closed_list() -> None:
    with pytest.raises(KeyError):
        scanned(CAPTURES[0]).captures[0].fates.count("invented")
    assert set(READ) <= set(FATES)
    told: Counter[str] = Counter()
    for path in CAPTURES:
        told.update(scanned(path).captures[0].fates)
    assert set(told) <= set(FATES)
