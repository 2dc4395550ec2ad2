"""Evidence files: who reads them comes to the same incident, and finds the words at its frames."""

import json
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer import dossier, pipeline
from analyzer.capture import files
from analyzer.capture.frames import Capture
from analyzer.errors import InputError
from analyzer.report.evidence import Interface, Packet, pcapng
from analyzer.second_pass.copying import merged
from tests.builder import (
    COOKED2,
    RAW,
    SECOND,
    Conversation,
    as_json,
    in_time,
    pcap,
    request,
    response,
)
from tests.findings.stable import VET, epilogue, ordinary, swap, talk
from tests.recordings import FOLDER, recording

TSHARK = shutil.which("tshark")


def comments(content: bytes) -> Iterator[tuple[int, str]]:
    """(frame, comment) of a little-endian pcapng; frame 0: the section's own."""
    at, frame = 0, 0
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        frame += kind == 6
        skip = {0x0A0D0D0A: 24, 6: 28}.get(kind)
        if skip is not None:
            options = at + skip
            if kind == 6:
                (size,) = struct.unpack_from("<I", content, at + 20)
                options += size + (-size % 4)
            while options < at + length - 4:
                code, size = struct.unpack_from("<HH", content, options)
                if code == 1:
                    text = content[options + 4 : options + 4 + size].decode()
                    yield (frame if kind == 6 else 0), text
                options += 4 + size + (-size % 4)
        at += length


def written(folder: Path, *paths: Path) -> list[dossier.Written]:
    """The evidence of the captures' incidents."""
    return dossier.write(pipeline.examine([str(p) for p in paths]), str(folder), force=False)


@pytest.mark.parametrize(
    "path",
    [
        recording("story-node12", "bridge"),
        recording("story-node12", "host-any"),
        recording("crossed-node14", "container"),
        recording("crossed-same-shape-node22", "container"),
        recording("silent-node12", "client1"),
        recording("double-answer-node20", "container"),
        recording("stale-close-slipped-node12", "host-any"),
        recording("handler-cuts-node20", "container"),
        FOLDER / "story-node12",
    ],
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_a_scan_of_the_packets_finds_the_same_incident(path: Path, tmp_path: Path) -> None:
    known = {i.id: i for i in pipeline.examine([str(path)]).incidents()}
    found = written(tmp_path, path)
    assert [w.incident for w in found] == list(known)
    for one in found:
        assert one.found == one.incident
        again = {i.id: i for i in pipeline.examine([one.path]).incidents()}[one.incident]
        before = known[one.incident]
        assert [(f.id, f.kind, f.cause) for f in again.findings] == [
            (f.id, f.kind, f.cause) for f in before.findings
        ]
        for old, new in zip(before.findings, again.findings, strict=True):
            assert (old.owner is None) == (new.owner is None)
            if old.owner and new.owner:
                assert (old.owner.target, old.owner.client) == (new.owner.target, new.owner.client)


def test_the_frames_that_matter_have_comments(tmp_path: Path) -> None:
    path = recording("story-node12", "bridge")
    (one,) = written(tmp_path, path)
    content = Path(one.path).read_bytes()
    (about, *said) = comments(content)
    assert about[0] == 0
    assert "holds packets, hence the bodies" in about[1]
    assert "A scan of this file finds the same incident." in about[1]
    assert any("THE SWAP" in text and "client 1's request" in text for _, text in said)
    assert any("gives up and closes (FIN) [frame 1149 of bridge.pcap]" in text for _, text in said)
    original = dict(_frames(path))
    copies = dict(_frames(Path(one.path)))
    for frame, text in said:
        match = re.search(r"\[frame (\d+) of bridge.pcap\]$", text)
        assert match is not None
        assert copies[frame] == original[int(match[1])]


def _frames(path: Path) -> Iterator[tuple[int, tuple[int, bytes]]]:
    for frames in files.read(str(path), Capture(str(path))):
        for n in range(len(frames)):
            start = int(frames.offset[n])
            data = frames.data[start : start + int(frames.captured[n])]
            yield int(frames.number[n]), (int(frames.time[n]), data)


def test_every_vantage_is_an_interface_and_commented(tmp_path: Path) -> None:
    (one,) = written(tmp_path, FOLDER / "story-node12")
    capture = Capture(one.path)
    assert sum(len(f) for f in files.read(one.path, capture)) > 100
    names = {i.name: i.link_type for i in capture.interfaces}
    assert names == {"client1": 1, "client2": 1, "bridge": 1, "container": 1, "host-any": COOKED2}
    swaps = [text for _, text in comments(Path(one.path).read_bytes()) if "THE SWAP" in text]
    # On the way from the container to the second client: three interfaces of the host between.
    assert [re.sub(r".* of |\].*", "", text) for text in swaps] == [
        "container.pcap.zst", "host-any.pcap.zst", "host-any.pcap.zst", "bridge.pcap",
        "host-any.pcap.zst", "client2.pcap.zst",
    ]  # fmt: skip


def test_the_facts_beside_have_no_value_of_a_body(tmp_path: Path) -> None:
    (one,) = written(tmp_path, recording("story-node12", "bridge"))
    facts = Path(one.path).with_suffix(".json").read_bytes()
    assert b"Lindqvist" in Path(one.path).read_bytes() and b"Lindqvist" not in facts
    content = json.loads(facts)
    assert content["incident"]["id"] == one.incident
    assert {f["incident"] for f in content["findings"]} == {one.incident}
    assert content["packets"] == {"file": Path(one.path).name, "found_as": one.incident}


def test_names_come_from_ids_alone_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = recording("double-answer-node20", "container")
    folder = tmp_path / "new" / "folder"
    (one,) = written(folder, path)
    stem = f"incident-{one.incident}"
    assert sorted(p.name for p in folder.iterdir()) == [f"{stem}.json", f"{stem}.pcapng"]
    assert re.fullmatch(r"incident-[0-9a-f]+", stem)
    Path(one.path).unlink()
    (folder / f"{stem}.json").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        written(folder, path)
    assert (folder / f"{stem}.json").read_text() == "mine"
    assert not Path(one.path).exists()
    dossier.write(pipeline.examine([str(path)]), str(folder), force=True)
    assert json.loads((folder / f"{stem}.json").read_text())["incident"]["id"] == one.incident


def test_hostile_targets_stay_text(tmp_path: Path) -> None:
    bad = "/x\x1b]0;owned\x07../../etc\x9b/" + "a" * 2_000
    one = talk().ask(f"GET {bad} HTTP/1.1\r\nHost: h\r\n\r\n".encode("latin-1"), 1_400)
    one.wait(30 * SECOND).close()
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, epilogue())))
    (found,) = written(tmp_path / "out", path)
    said = [text for _, text in comments(Path(found.path).read_bytes())]
    assert said and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "".join(said))
    assert found.found == found.incident


def test_without_its_copy_standard_input_leaves_no_evidence(tmp_path: Path) -> None:
    examined = pipeline.examine([str(recording("story-node12", "bridge"))])
    examined.spool = files.Spool()
    examined.spool.lost = True
    with pytest.raises(InputError, match="standard input"):
        dossier.write(examined, str(tmp_path / "out"), force=False)
    assert not (tmp_path / "out").exists()


def test_what_finds_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clean.pcap"
    path.write_bytes(pcap(ordinary()))
    assert written(tmp_path / "out", path) == []


def test_where_a_copy_proves_nothing_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dossier, "COMPANY", (0,))  # without ordinary exchanges
    one, two = swap()
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    (found,) = written(tmp_path / "out", path)
    assert found.found == ""
    assert "does NOT find the same" in dict(comments(Path(found.path).read_bytes()))[0]


# --- what it is made of ------------------------------------------------------------------------


def test_no_room_leaves_out_the_least_important_whole(tmp_path: Path) -> None:
    parts = []
    for n in range(4):
        one = Conversation((f"10.0.0.{n + 9}", 40_000), isns=(n * 7_000, n * 9_000)).open()
        parts.append(one.ask(request(f"/{n}")).answer(response(as_json("x" * 400))).close())
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(in_time(*(p.frames for p in parts))))
    examined = pipeline.examine([str(path)])
    whole = examined.copy([0, 1, 2, 3], 1 << 20)
    assert {n: len(copies) for n, copies in whole.items()} == {
        n: len(part.frames) for n, part in enumerate(parts)
    }
    size = sum(len(c.data) for copies in whole.values() for c in copies)
    some = examined.copy([2, 0, 3, 1], size // 2)
    assert some == {n: whole[n] for n in (2, 0)}
    order = [c.frame for c in merged(whole.values())]
    assert order == list(range(1, sum(len(p.frames) for p in parts) + 1))


def test_pcapng_keeps_what_it_is_given(tmp_path: Path) -> None:
    frame = talk().ask(request(VET)).frames[3].packet
    packets = [
        Packet(1, 1_700_000_000_123_456_789, 5_000, frame, ("one", "two")),
        Packet(0, 1_700_000_000_123_456_790, len(frame), frame[:33]),
    ]
    interfaces = [Interface("näme", "", RAW), Interface("", "about", 1)]
    path = tmp_path / "built.pcapng"
    path.write_bytes(b"".join(pcapng("what\nit is", "me", interfaces, packets)))
    capture = Capture(str(path))
    (frames,) = files.read(str(path), capture)
    assert [(i.name, i.description, i.link_type) for i in capture.interfaces] == interfaces
    assert frames.time.tolist() == [p.time for p in packets]
    assert frames.wire.tolist() == [5_000, len(frame)]
    assert frames.captured.tolist() == [len(frame), 33]
    assert frames.interface.tolist() == [1, 0]
    assert not capture.anomalies
    said = list(comments(path.read_bytes()))
    assert said == [(0, "what\nit is"), (1, "one"), (1, "two")]


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_wireshark_reads_it(tmp_path: Path) -> None:
    (one,) = written(tmp_path, FOLDER / "story-node12")
    command = [str(TSHARK), "-r", one.path, "-n", "-Y", "frame.comment", "-T", "fields"]
    command += ["-e", "frame.number", "-e", "frame.comment"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = [tuple(line.split("\t", 1)) for line in done.stdout.splitlines()]
    ours = [(str(n), text) for n, text in comments(Path(one.path).read_bytes()) if n]
    assert theirs == ours
