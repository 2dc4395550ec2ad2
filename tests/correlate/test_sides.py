"""Where a capture was made, and whose a reset is, from TTLs, MAC addresses and what follows."""

from collections.abc import Iterable

import pytest

from analyzer.correlate.sides import Side, side_of, strange_reset
from analyzer.second_pass.model import CLIENT, SERVER, Packet

RST, ACK = 0x04, 0x10
MAC = {CLIENT: "02:00:00:00:00:01", SERVER: "02:00:00:00:00:02"}


def packet(side: int, ttl: int, *, flags: int = ACK, mac: str = "", time: int = 0) -> Packet:
    return Packet(
        0, 1, 0, time, side, 1, 1, flags, 0, 0, 0, False, False,
        mac or MAC[side], MAC[1 - side], ttl, 0, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("client", "server", "side"),
    [
        (64, 63, Side.CLIENT),
        (62, 64, Side.SERVER),
        (127, 255, Side.SERVER),
        (63, 62, Side.BETWEEN),
        (64, 64, Side.UNKNOWN),
        (0, 64, Side.UNKNOWN),
    ],
)
def test_a_fresh_ttl_tells_the_side(client: int, server: int, side: Side) -> None:
    assert side_of([packet(CLIENT, client), packet(SERVER, server)]) is side


def test_a_ttl_that_changes_tells_nothing() -> None:
    assert side_of([packet(CLIENT, 64), packet(SERVER, 63), packet(SERVER, 62)]) is Side.UNKNOWN


def told(packets: Iterable[Packet]) -> str:
    found = strange_reset(list(packets), SERVER)
    return found[1] if found else ""


def test_whose_a_reset_is() -> None:
    before = [packet(CLIENT, 64), packet(SERVER, 63)]
    own = packet(SERVER, 63, flags=RST, time=1)
    assert told([*before, own]) == ""
    assert "TTL of 64" in told([*before, packet(SERVER, 64, flags=RST)])
    assert "02:00:00:00:00:09" in told(
        [*before, packet(SERVER, 63, flags=RST, mac="02:00:00:00:00:09")]
    )
    assert "goes on" in told([*before, own, packet(SERVER, 63, time=10**9)])
    # What was on its way when the reset was sent is no sign.
    assert told([*before, own, packet(SERVER, 63, time=10**6)]) == ""
