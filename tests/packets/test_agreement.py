"""The block decoder and the one-frame decoder read the same, on real frames and on damaged ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.capture import files
from analyzer.capture.frames import Capture
from tests.builder import COOKED, COOKED2, ETHERNET, IPV4_ONLY, LOOP, NULL, RAW, linked, packet
from tests.packets.test_decode import V4, V6, both_decoders, frames_of
from tests.recordings import Recording, recordings

LINKS = (ETHERNET, COOKED, COOKED2, NULL, LOOP, RAW, IPV4_ONLY, 999)
# The short recordings: one decoder takes 20 µs a frame. The others have nothing new in them.
SHORT = [r for r in recordings() if r.path.stat().st_size < 40_000 and r.vantage != "host-any"]


@pytest.mark.parametrize(
    "recording",
    [*SHORT[::6], *[r for r in recordings() if r.vantage == "host-any"][::16]],
    ids=str,
)
def test_on_recordings(recording: Recording) -> None:
    capture = Capture(str(recording.path))
    for frames in files.read(str(recording.path), capture):
        links = np.array([i.link_type for i in capture.interfaces])[frames.interface]
        both_decoders(frames, links.tolist())


SEEDS = [
    packet(*V4, 1, 2, 24, b"GET / HTTP/1.1\r\n\r\n"),
    packet(*V4, 1, 2, 16, b"x", ip_options=bytes(8), tcp_options=bytes(12)),
    packet(*V6, 1, 2, 24, b"data"),
    packet(*V6, 1, payload=b"y", extensions=[(0, bytes(7)), (43, bytes(7)), (60, bytes(7))]),
    packet(*V6, 1, payload=b"z", extensions=[(44, bytes(7)), (51, bytes([4] + [0] * 22))]),
    packet(*V4, 1, payload=b"tso", length_zero=True),
]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """A frame with some bytes changed and some cut off, its link type, its length on the wire."""
    link_type = draw(st.sampled_from(LINKS))
    vlans = draw(st.lists(st.sampled_from([0x8100, 0x88A8, 0x9100]), max_size=4))
    frame = bytearray(linked(draw(st.sampled_from(SEEDS)), link_type, vlans=vlans))
    for at in draw(st.lists(st.integers(0, min(len(frame) - 1, 99)), max_size=6)):
        frame[at] = draw(st.integers(0, 255))
    wire = len(frame) + draw(st.sampled_from([0, 0, 4, 60, 1_400]))
    return bytes(frame[: draw(st.integers(0, len(frame)))]), link_type, wire


@settings(max_examples=300)
@given(st.lists(damaged(), min_size=1, max_size=8))
def test_on_damaged_frames(found: list[tuple[bytes, int, int]]) -> None:
    frames = frames_of([frame for frame, _, _ in found], [wire for _, _, wire in found])
    both_decoders(frames, [link_type for _, link_type, _ in found])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.binary(max_size=120), st.sampled_from(LINKS)), min_size=1, max_size=8))
def test_on_noise(found: list[tuple[bytes, int]]) -> None:
    both_decoders(frames_of([frame for frame, _ in found]), [link for _, link in found])
