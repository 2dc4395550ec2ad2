"""What stands before the first request: PROXY headers, SOCKS handshakes; whole, cut, false."""

import struct
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.http.preambles import LONGEST, Preamble, Unread, read
from analyzer.tables import Address
from tests.builder import CLIENT, SERVER, Conversation, pcap, request, response
from tests.tools import extracted, rows_of, scanned

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def address(text: str) -> Address:
    number = int(ip_address(text)) | (0xFFFF << 32 if "." in text else 0)
    return number >> 64, number & (1 << 64) - 1


def version2(family: int, content: bytes, command: int = 0x21) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(content)) + content


OVER_IPV4 = bytes([192, 0, 2, 7, 198, 51, 100, 9]) + struct.pack(">HH", 51_234, 443)
OVER_IPV6 = ip_address("2001:db8::7").packed + ip_address("::1").packed + struct.pack(">HH", 5, 443)
CERTIFICATE = b"\x20\x00\x05\x01\0\0\0\0" + b"\x04\x00\x03abc"

PROXY: dict[str, tuple[bytes, tuple[Address, int] | None]] = {
    "v1 over IPv4": (
        b"PROXY TCP4 192.0.2.7 198.51.100.9 51234 443\r\n",
        (address("192.0.2.7"), 51_234),
    ),
    "v1 over IPv6": (b"PROXY TCP6 2001:db8::7 ::1 5 443\r\n", (address("2001:db8::7"), 5)),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown, with what to ignore": (b"PROXY UNKNOWN ffff:: 1 2 3\r\n", None),
    "v1 without a port": (b"PROXY TCP4 192.0.2.7 198.51.100.9 0 443\r\n", None),
    "v2 over IPv4": (version2(0x11, OVER_IPV4), (address("192.0.2.7"), 51_234)),
    "v2 over IPv6": (version2(0x21, OVER_IPV6 + CERTIFICATE), (address("2001:db8::7"), 5)),
    "v2 of the proxy itself": (version2(0x11, OVER_IPV4, 0x20), None),
    "v2 over a Unix socket": (version2(0x31, bytes(216)), None),
    "v2 that is too short for its family": (version2(0x21, bytes(12)), None),
    "v2 without addresses": (version2(0, b""), None),
}

GRANTED4 = b"\0\x5a\0\x50\x0a\0\0\1"
GRANTED5 = b"\5\0\0\1\x0a\0\0\1\x04\x38"
METHODS = b"\5\2\0\2"
# Each turn with the side that takes it.
Turns = list[tuple[int, bytes]]
SOCKS: dict[str, Turns] = {
    "4": [(CLIENT, b"\4\1\0\x50\x0a\0\0\2user\0"), (SERVER, GRANTED4)],
    "4A": [(CLIENT, b"\4\1\0\x50\0\0\0\1\0host.example\0"), (SERVER, GRANTED4)],
    "5": [
        (CLIENT, METHODS),
        (SERVER, b"\5\0"),
        (CLIENT, b"\5\1\0\1\x0a\0\0\2\0\x50"),
        (SERVER, GRANTED5),
    ],
    "5 with a password and a name": [
        (CLIENT, METHODS),
        (SERVER, b"\5\2"),
        (CLIENT, b"\1\4user\6secret"),
        (SERVER, b"\1\0"),
        (CLIENT, b"\5\1\0\3\x0chost.example\0\x50"),
        (SERVER, b"\5\0\0\4" + bytes(16) + b"\0\x50"),
    ],
}
REFUSED: dict[str, Turns] = {
    "4": [(CLIENT, b"\4\1\0\x50\x0a\0\0\2\0"), (SERVER, b"\0\x5b" + bytes(6))],
    "5, no method": [(CLIENT, METHODS), (SERVER, b"\5\xff")],
    "5, wrong password": [
        (CLIENT, METHODS),
        (SERVER, b"\5\2"),
        (CLIENT, b"\1\1u\1p"),
        (SERVER, b"\1\1"),
    ],
    "5, unreachable": [*SOCKS["5"][:3], (SERVER, b"\5\4\0\1" + bytes(6))],
}


def sides(turns: Turns) -> tuple[bytes, bytes]:
    """All that each side says."""
    client, server = (b"".join(data for who, data in turns if who == side) for side in (0, 1))
    return client, server


@pytest.mark.parametrize("name", PROXY)
def test_a_proxy_header_is_read_and_what_follows_left(name: str) -> None:
    header, source = PROXY[name]
    for behind in (b"", b"GET / HTTP/1.1\r\n\r\n", header):
        found = read(header + behind, b"", from_start=False)
        assert found == Preamble("proxy-header", len(header), 0, source)
    for size in range(1, len(header)):
        assert read(header[:size], b"", from_start=True) is Unread.MORE


@pytest.mark.parametrize("turns", [*SOCKS.values(), *REFUSED.values()])
def test_a_socks_handshake_is_read_to_its_end(turns: Turns) -> None:
    client, server = sides(turns)
    assert read(client, server, from_start=True) == Preamble("socks", len(client), len(server))
    assert read(client + b"GET", server + b"HTTP", from_start=True) == Preamble(
        "socks", len(client), len(server)
    )
    assert read(client, server, from_start=False) is Unread.NONE
    for number, (who, data) in enumerate(turns):
        client, server = sides(turns[:number])
        for size in range(len(data)):
            more = (
                (client + data[:size], server) if who == CLIENT else (client, server + data[:size])
            )
            if more[0]:
                assert read(*more, from_start=True) is Unread.MORE


FALSE: list[tuple[bytes, bytes]] = [
    (b"", b"220 mail\r\n"),
    (b"GET / HTTP/1.1\r\n", b""),
    (b"PROXY /path HTTP/1.1\r\n", b""),
    (b"PROXY TCP4 300.0.2.7 198.51.100.9 51234 443\r\n", b""),
    (b"PROXY TCP4 192.0.2.7 198.51.100.9 51234 443\n", b""),
    (b"PROXY TCP4 " + b"1" * 200, b""),
    (b"PROPFIND / HTTP/1.1\r\n", b""),
    (b"\r\n\r\nGET / HTTP/1.1\r\n", b""),
    (version2(0x11, OVER_IPV4, 0x31), b""),
    (version2(0x11, OVER_IPV4, 0x22), b""),
    (SIGNATURE + b"\x21\x11\xff\xff", b""),
    (b"\5\0\x0b\3\x10", b""),  # DCE/RPC
    (b"\5\1\0", b"HTTP/1.1 400 Bad Request\r\n"),
    (b"\5\1\1", b"\5\1"),  # GSSAPI: what follows may be wrapped
    (b"\5\1\0\5\2\0\1" + bytes(6), b"\5\0"),  # BIND: another connection comes
    (b"\5\1\0\5\1\0\1" + bytes(6), b"\5\0\5\x63\0\1"),
    (b"\5\1\2\2\1u\1p", b"\5\2\1\0"),
    (b"\4\2\0\x50\x0a\0\0\2\0", GRANTED4),
    (b"\4\1\0\x50\x0a\0\0\2\0", b"\4\1\0\0\0\0\0\0"),
    (b"\4\1\0\x50\x0a\0\0\2" + b"u" * LONGEST, b""),
]


@pytest.mark.parametrize(("client", "server"), FALSE)
def test_what_is_no_preamble_is_none(client: bytes, server: bytes) -> None:
    assert read(client, server, from_start=True) is Unread.NONE


@given(st.binary(max_size=80), st.binary(max_size=40), st.sampled_from([b"\4", b"\5", SIGNATURE]))
def test_noise_ends_within_what_has_come(client: bytes, server: bytes, start: bytes) -> None:
    for begins in (b"", start):
        found = read(begins + client, server, from_start=True)
        if isinstance(found, Preamble):
            assert 0 < found.of_client <= len(begins + client)
            assert 0 <= found.of_server <= len(server)


# --- whole connections ----------------------------------------------------------------------------

ASKED, ANSWER = request("/a"), response(b'{"id": 1}', fields="Content-Type: application/json\r\n")
LATER = request("/b")


def talked(turns: Turns, size: int = 0) -> Conversation:
    """A connection with a preamble and two exchanges."""
    talk = Conversation().open()
    for side, data in [
        *turns,
        (CLIENT, ASKED),
        (SERVER, ANSWER),
        (CLIENT, LATER),
        (SERVER, ANSWER),
    ]:
        talk.say(side, data, size)
    return talk.close()


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(
    "turns", [*([(CLIENT, header)] for header, _ in PROXY.values()), *SOCKS.values()]
)
def test_http_behind_it_is_read(tmp_path: Path, turns: Turns, size: int) -> None:
    report = scanned(tmp_path, talked(turns, size).frames)
    assert report.exchanges["target"].tolist() == ["/a", "/b"]
    assert report.exchanges["status"].tolist() == [200, 200]
    name = "socks" if len(turns) > 1 else "proxy-header"
    assert report.anomalies == {name: 1}
    assert not report.judgement.findings


@pytest.mark.parametrize("turns", REFUSED.values())
def test_a_refused_handshake_is_counted(tmp_path: Path, turns: Turns) -> None:
    talk = Conversation().open()
    for side, data in turns:
        talk.say(side, data)
    report = scanned(tmp_path, talk.close().frames)
    assert report.anomalies == {"socks": 1}
    assert not len(report.exchanges)


@pytest.mark.parametrize(
    ("inside", "name"),
    [
        (b"\x16\x03\x01\x00\x05hello", "tls"),
        (b"SSH-2.0-x\r\n", "not-http"),
        (b"PRI * HTTP/2.0", "http2"),
    ],
)
def test_what_else_is_behind_it_is_counted(tmp_path: Path, inside: bytes, name: str) -> None:
    talk = Conversation().open()
    for side, data in [*SOCKS["5"], (CLIENT, inside)]:
        talk.say(side, data)
    assert scanned(tmp_path, talk.close().frames).anomalies == {"socks": 1, name: 1}


def test_several_in_a_row_and_in_one_segment(tmp_path: Path) -> None:
    header = PROXY["v2 over IPv4"][0]
    talk = Conversation().open().ask(header + PROXY["v1 over IPv6"][0] + ASKED).answer(ANSWER)
    report = scanned(tmp_path, talk.close().frames)
    assert report.exchanges["target"].tolist() == ["/a"]
    assert report.anomalies == {"proxy-header": 2}
    many = Conversation().open().ask(header * 5 + ASKED).answer(ANSWER).close()
    assert scanned(tmp_path, many.frames).anomalies == {"proxy-header": 4, "not-http": 1}


def test_the_position_of_a_request_behind_it_is_its_own(tmp_path: Path) -> None:
    header = PROXY["v1 over IPv4"][0]
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(Conversation().open().ask(header + ASKED).answer(ANSWER).frames))
    (row,) = rows_of(extracted(path))
    assert row["request_seq"] == 1_001 + len(header)


def test_a_header_s_client_is_told_beside_the_connection_s(tmp_path: Path) -> None:
    header = PROXY["v1 over IPv4"][0]
    talk = Conversation().open().ask(header + ASKED).wait(10**9).close(SERVER)
    report = scanned(tmp_path, talk.frames)
    (finding,) = report.judgement.findings
    assert finding.request is not None
    assert finding.request.client == "10.0.0.1:40000"
    assert finding.request.source == "192.0.2.7:51234"


def test_many_pieces_that_never_tell_are_let_go(tmp_path: Path) -> None:
    for client, server in ((b"\4\1\0\x50\x0a\0\0\2", b"u" * 200_000), (b"\5\xff", b"\5")):
        talk = (
            Conversation().open().ask(client).say(SERVER, server, 1_400).say(CLIENT, b"\1" * 300, 1)
        )
        report = scanned(tmp_path, talk.close().frames)
        assert report.anomalies["not-http"] == 1 or not len(report.exchanges)
