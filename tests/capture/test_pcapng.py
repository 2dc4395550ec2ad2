"""pcapng: sections, interfaces, clocks, kinds of blocks, damage."""

import struct
from pathlib import Path

import pytest

from analyzer.capture import comments, pcapng
from tests.builder import COOKED, ETHERNET, SECOND, START, Pcapng
from tests.capture.test_pcap import read

WHEN = START + 123_456_789


def file(folder: Path, capture: Pcapng | bytes) -> Path:
    path = folder / "c.pcapng"
    path.write_bytes(capture if isinstance(capture, bytes) else capture.data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_both_byte_orders(tmp_path: Path, order: str) -> None:
    built = Pcapng(order).interface(options={9: b"\x09", 2: b"eth7\0", 3: b"an interface"})
    built.enhanced(b"frame", ticks=WHEN, wire=99)
    capture, found = read(file(tmp_path, built))
    assert found == [(1, WHEN, 99, b"frame")]
    assert capture.format == "pcapng"
    interface = capture.interfaces[0]
    assert (interface.name, interface.description) == ("eth7", "an interface")
    assert not capture.anomalies


@pytest.mark.parametrize(
    ("resolution", "ticks", "time"),
    [
        (None, WHEN // 1_000, WHEN // 1_000 * 1_000),
        (b"\x00", WHEN // SECOND, WHEN // SECOND * SECOND),
        (b"\x03", WHEN // 1_000_000, WHEN // 1_000_000 * 1_000_000),
        (b"\x06", WHEN // 1_000, WHEN // 1_000 * 1_000),
        (b"\x09", WHEN, WHEN),
        (b"\x0a", WHEN * 10 + 7, WHEN),
        (b"\x8a", (START // SECOND << 10) + 512, START + SECOND // 2),
        (b"\x80", START // SECOND, START),
    ],
)
def test_units_of_time(tmp_path: Path, resolution: bytes | None, ticks: int, time: int) -> None:
    options = {} if resolution is None else {9: resolution}
    built = Pcapng().interface(options=options).enhanced(b"frame", ticks=ticks)
    assert read(file(tmp_path, built))[1][0][1] == time


@pytest.mark.parametrize("offset", [3_600, -3_600])
def test_time_offset_of_an_interface(tmp_path: Path, offset: int) -> None:
    options = {9: b"\x09", 14: struct.pack("<q", offset)}
    built = Pcapng().interface(options=options).enhanced(b"frame", ticks=WHEN)
    assert read(file(tmp_path, built))[1][0][1] == WHEN + offset * SECOND


def test_interfaces_have_their_own_clocks_and_link_types(tmp_path: Path) -> None:
    built = Pcapng().interface(ETHERNET, options={9: b"\x09"}).interface(COOKED)
    built.enhanced(b"one", interface=0, ticks=WHEN)
    built.enhanced(b"two", interface=1, ticks=WHEN // 1_000)
    capture, found = read(file(tmp_path, built))
    assert [time for _, time, *_ in found] == [WHEN, WHEN // 1_000 * 1_000]
    assert [i.link_type for i in capture.interfaces] == [ETHERNET, COOKED]


@pytest.mark.parametrize("block", [1, 50, 1 << 20])
def test_an_interface_that_is_described_later_is_none_yet(tmp_path: Path, block: int) -> None:
    built = Pcapng().interface(options={9: b"\x09"}).enhanced(b"early", interface=1, ticks=WHEN)
    built.interface(options={9: b"\x09"}).enhanced(b"late", interface=1, ticks=WHEN)
    capture, found = read(file(tmp_path, built), block=block)
    assert [row[1] for row in found] == [0, WHEN]
    assert capture.anomalies == {"record-invalid": 1}


@pytest.mark.parametrize("block", [1, 50, 1 << 20])
def test_sections_may_differ_in_byte_order(tmp_path: Path, block: int) -> None:
    built = Pcapng("<").interface(options={9: b"\x09"}).enhanced(b"one", ticks=WHEN)
    built.section(">")
    built.interface(COOKED, options={9: b"\x06"}).enhanced(b"two", ticks=WHEN // 1_000)
    capture, found = read(file(tmp_path, built), block=block)
    assert [(number, data) for number, _, _, data in found] == [(1, b"one"), (2, b"two")]
    assert found[1][1] == WHEN // 1_000 * 1_000
    assert [i.link_type for i in capture.interfaces] == [ETHERNET, COOKED]


def test_unknown_blocks_are_skipped(tmp_path: Path) -> None:
    built = Pcapng().block(0x0BAD, b"before").interface().block(4, bytes(40))
    built.enhanced(b"one").block(10, b"secrets").enhanced(b"two").block(0x0BAD, b"")
    capture, found = read(file(tmp_path, built))
    assert [data for *_, data in found] == [b"one", b"two"]
    assert not capture.anomalies


def test_old_packet_blocks(tmp_path: Path) -> None:
    built = Pcapng().interface().interface(options={9: b"\x09"})
    built.obsolete(b"frame", interface=1, ticks=WHEN)
    assert read(file(tmp_path, built))[1] == [(1, WHEN, 5, b"frame")]


def test_simple_packets_have_no_time_and_the_first_interfaces_snaplen(tmp_path: Path) -> None:
    built = Pcapng().interface(snaplen=6).simple(b"whole").simple(b"cut to six"[:6], wire=10)
    built.enhanced(b"timed", ticks=WHEN // 1_000)
    capture, found = read(file(tmp_path, built))
    assert [(wire, data) for _, _, wire, data in found] == [
        (5, b"whole"),
        (10, b"cut to"),
        (5, b"timed"),
    ]
    assert [time for _, time, *_ in found] == [0, 0, WHEN // 1_000 * 1_000]
    assert capture.anomalies == {"no-timestamp": 2}


def test_the_last_block_may_be_a_short_simple_packet(tmp_path: Path) -> None:
    capture, found = read(file(tmp_path, Pcapng().interface().simple(b"")))
    assert found == [(1, 0, 0, b"")]
    assert capture.frames == 1


def test_drop_counters_run_from_the_start(tmp_path: Path) -> None:
    built = Pcapng().interface().interface().statistics(dropped=3, by_system=2)
    built.statistics(dropped=4, by_system=2).statistics(interface=1, dropped=10)
    capture, _ = read(file(tmp_path, built))
    assert [i.dropped for i in capture.interfaces] == [6, 10]
    assert capture.anomalies == {"drops-reported": 16}


def test_a_packet_of_an_unknown_interface_is_counted_not_read(tmp_path: Path) -> None:
    built = Pcapng().interface().enhanced(b"known").enhanced(b"unknown", interface=5)
    capture, found = read(file(tmp_path, built))
    assert [number for number, *_ in found] == [1, 2]
    assert capture.anomalies == {"record-invalid": 1}


def test_cut_anywhere_keeps_the_whole_blocks_before(tmp_path: Path) -> None:
    built, packets = Pcapng().interface(), []
    for data in (b"first", b"second one", b"third"):
        built.enhanced(data)
        packets.append(len(built.data))
    starts = [28, 48, *packets]
    for size in range(4, len(built.data)):
        capture, found = read(file(tmp_path, built.data[:size]))
        assert len(found) == sum(end <= size for end in packets), size
        assert capture.anomalies == ({} if size in starts else {"capture-cut-short": 1}), size


@pytest.mark.parametrize("length", [0, 3, 11, 13, 0xFFFFFFFC])
def test_an_impossible_block_length_ends_the_file(tmp_path: Path, length: int) -> None:
    good = Pcapng().interface().enhanced(b"frame")
    bad = struct.pack("<II", 6, length) + bytes(64)
    capture, found = read(file(tmp_path, good.data + bad))
    assert len(found) == 1
    assert capture.anomalies == {"record-invalid": 1}


def test_the_closing_length_has_to_agree(tmp_path: Path) -> None:
    good = Pcapng().interface().enhanced(b"one")
    data = good.enhanced(b"two").data[:-4] + struct.pack("<I", 4)
    capture, found = read(file(tmp_path, data + bytes(64)))
    assert len(found) == 1
    assert capture.anomalies == {"record-invalid": 1}


def test_a_captured_length_beyond_the_block_ends_the_file(tmp_path: Path) -> None:
    built = Pcapng().interface().enhanced(b"good")
    built.block(6, struct.pack("<IIIII", 0, 0, 0, 5_000, 5_000) + b"short")
    capture, found = read(file(tmp_path, built))
    assert len(found) == 1
    assert capture.anomalies == {"record-invalid": 1}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_comments(tmp_path: Path, order: str, block: int) -> None:
    built = Pcapng(order, options={1: b"of the file"})
    built.interface(options={2: b"veth1", 3: b"a container", 1: b"of the interface"})
    built.enhanced(b"one", comments=[b"first", "zweitens \u00e4".encode()])
    built.enhanced(b"four", comments=[b"\xff\x1b[31m"]).enhanced(b"none").simple(b"none")
    built.enhanced(b"last", comments=[b"first"])
    capture, found = read(file(tmp_path, built), block=block)
    assert [data for *_, data in found] == [b"one", b"four", b"none", b"none", b"last"]
    assert capture.comment == "of the file"
    assert capture.interfaces[0].comment == "of the interface"
    assert [capture.comments.of(n) for n in range(7)] == [
        [], ["first", "zweitens \u00e4"], ["\ufffd\x1b[31m"], [], [], ["first"], [],
    ]  # fmt: skip


def test_packet_flags_are_no_comment(tmp_path: Path) -> None:
    built = Pcapng().interface()
    head = struct.pack("<IIIII", 0, 0, 0, 4, 4) + b"data"
    built.block(6, head + struct.pack("<HHI", 2, 4, 1))
    built.block(6, head + struct.pack("<HHIHH", 2, 4, 1, 1, 3) + b"yes\0" + bytes(4))
    built.block(6, head + struct.pack("<HH", 1, 60_000))
    capture, found = read(file(tmp_path, built))
    assert len(found) == 3
    assert [capture.comments.of(n) for n in (1, 2, 3)] == [[], ["yes"], []]


def test_comments_are_kept_within_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comments, "MOST_CHARACTERS", 100)
    built = Pcapng().interface()
    for n in range(30):
        built.enhanced(b"frame", comments=[b"comment %03d" % n, b"the same"])
    capture, _ = read(file(tmp_path, built))
    assert capture.comments.of(1) == ["comment 000", "the same"]
    assert capture.comments.of(30) == ["the same"]
    assert capture.anomalies == {"comments-limit": 22}


def test_interfaces_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcapng, "MOST_INTERFACES", 3)
    built = Pcapng()
    for _ in range(5):
        built.interface()
    built.enhanced(b"frame", interface=2).enhanced(b"frame", interface=4)
    capture, found = read(file(tmp_path, built))
    assert (len(capture.interfaces), len(found)) == (3, 2)
    assert capture.anomalies == {"interfaces-limit": 2, "record-invalid": 1}
