"""Ordinary exchanges read at once: what is taken, and that the state machine says the same."""

import random
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.http.grammar import LONGEST_TARGET, Fields
from analyzer.http.ordinary import OrdinaryReader
from tests.builder import request, response
from tests.http.reading import messages

GET, OK = request("/a"), response(b'{"id": 1}')


class Taken(NamedTuple):
    """What was read of an exchange."""

    method: bytes
    target: bytes
    request_length: int
    status: int
    body: bytes
    asked: Fields
    answered: Fields


def without_length(fields: Fields) -> Fields:
    """The fields but for the Content-Length, which a template has of its example."""
    return replace(fields, content_length=None)


def read(
    reader: OrdinaryReader, *exchanges: tuple[bytes, bytes], behind: int = 600
) -> list[Taken | None]:
    """What the reader takes of one block with these exchanges; None where it takes nothing."""
    segments = [segment for exchange in exchanges for segment in exchange]
    # Segments lie behind headers in a block, and the last one may end it.
    start, data = [], b""
    for segment in segments:
        data += b"\x00" * 40
        start.append(len(data))
        data += segment
    begin = np.array(start, np.int64)
    end = begin + np.array([len(segment) for segment in segments], np.int64)
    pair = np.arange(len(segments)) % 2 == 0
    glance = reader.glance(data + bytes(behind), begin, end, pair)
    found: list[Taken | None] = []
    for row in range(0, len(segments), 2):
        if not glance.ordinary[row]:
            found.append(None)
            continue
        asked = glance.templates[glance.asked[row]]
        answered = glance.templates[glance.answered[row]]
        body, length = int(glance.body[row]), int(glance.length[row])
        found.append(
            Taken(
                asked.method,
                data[int(glance.target[row]) : int(glance.target_end[row])],
                int(glance.request_length[row]),
                answered.status,
                data[body : body + length],
                without_length(asked.fields),
                without_length(answered.fields),
            )
        )
    return found


def by_state_machine(asked: bytes, answered: bytes) -> Taken:
    """The same exchange as the other way reads it: it has to be one whole request and response."""
    (one,), odd = messages([asked])
    (two,), odd_too = messages([answered], answers=[one.method])
    assert one.complete
    assert two.complete
    assert not odd
    assert not odd_too
    return Taken(
        one.method,
        one.target,
        one.length,
        two.status,
        two.body or b"",
        without_length(one.fields),
        without_length(two.fields),
    )


def test_takes_what_is_ordinary() -> None:
    exchanges = [
        (GET, OK),
        (request("/items/1?x=2", "POST", body=b"abc"), response(b"{}", 201)),
        (request("/a", "DELETE"), response(b"", 204)),
        (request("/a"), response(b"", 304, length=50)),
        (request("/" + "x" * 300, "PUT", body=b"y" * 5_000), response(b"z" * 100_000)),
    ]
    assert read(OrdinaryReader(), *exchanges) == [by_state_machine(*one) for one in exchanges]


def test_what_was_learned_serves_other_values() -> None:
    reader = OrdinaryReader()
    read(reader, (GET, OK))
    for number in (0, 9, 10, 99_999):
        one = request(f"/b/{number}"), response(b"x" * number)
        assert read(reader, one) == [by_state_machine(*one)]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (request("/a", "HEAD"), OK),
        (request("/a", "CONNECT"), OK),
        (request("/a", version="1.0"), OK),
        (request("/a", fields="Upgrade: websocket\r\n"), OK),
        (request("/a", fields="Expect: 100-continue\r\n"), OK),
        (request("/a", fields="Transfer-Encoding: chunked\r\n"), OK),
        (request("/a", fields="Content-Length: 1, 1\r\n") + b"x", OK),
        (request("/a", fields="Content-Length: 1\r\nContent-Length: 1\r\n") + b"x", OK),
        (request("/a", fields="Content-Length : 1\r\n") + b"x", OK),
        (request("/a", "POST", body=b"abc") + b"d", OK),
        (request("/a", "POST", body=b"abc")[:-1], OK),
        (request("/a") * 2, OK),
        (request("/a")[:-2], OK),
        (b"\r\n" + request("/a"), OK),
        (request("/a b"), OK),
        (request("/a\nb"), OK),
        (request("/" + "x" * LONGEST_TARGET), OK),
        (request("/a", fields="X:\r\n folded\r\n"), OK),
        (request("/a", fields="X: 1\nContent-Length: 3\r\n"), OK),
        (request("/a", fields="X: 1\rContent-Length: 3\r\n"), OK),
        (GET, response(b"", 100)),
        (GET, response(b"", 101)),
        (GET, b"HTTP/1.1 200 OK\r\n\r\nuntil the close"),
        (GET, response(b"{}", fields="Transfer-Encoding: chunked\r\n")),
        (GET, response(b"{}", fields="Content-Length: 2\r\n")),
        (GET, response(b"{}").replace(b"Length: 2", b"Length: 0x2")),
        (GET, response(b"{}").replace(b"Length: 2", b"Length: +2")),
        (GET, response(b"{}").replace(b"Length: 2", b"Length: 0000000002")),
        (GET, response(b"", 304) + b"x"),
        (GET, response(b"", 204) + b"x"),
        (GET, OK + b"more"),
        (GET, OK[:-1]),
        (GET, OK.replace(b"\r\n", b"\n")),
        (GET, OK.replace(b"HTTP/1.1", b"HTTP/2.2")),
        (b"\x16\x03\x01\x00", OK),
        (OK, GET),
    ],
)
def test_leaves_what_is_not(asked: bytes, answered: bytes) -> None:
    reader = OrdinaryReader()
    for _ in range(2):
        assert read(reader, (GET, OK), (asked, answered), (GET, OK))[1] is None


def test_fields_that_come_and_go_are_ordinary() -> None:
    reader = OrdinaryReader()
    names = [f"X-{letter}-Info" for letter in "ABCDEFGHIJKLMN"]
    rng = random.Random(3)
    for _ in range(50):
        lines = "".join(f"{n}: {rng.random()}\r\n" for n in rng.sample(names, rng.randrange(14)))
        one = request("/a", fields=lines), response(b"{}", fields=lines)
        assert read(reader, one) == [by_state_machine(*one)]


@pytest.mark.parametrize(
    "name",
    [b"SOAPAction", b"x-amz-target", b"Cookie", b"Authorization", b"Idempotency-Key",
     b"traceparent", b"X-Request-Id"],
)  # fmt: skip
def test_fields_that_tell_are_of_the_key(name: bytes) -> None:
    """With one first and with one last."""
    plain, telling = request("/a", "POST"), request("/a", "POST", fields=f"{name.decode()}: 1\r\n")
    for exchanges in ([plain, telling], [telling, plain]):
        reader, glances = OrdinaryReader(), []
        for asked in exchanges:
            data = asked + OK
            start, end = np.array([0, len(asked)]), np.array([len(asked), len(data)])
            glances.append(reader.glance(data, start, end, np.array([True, False])))
        told = [name + b":" in one.templates[one.asked[0]].telling for one in glances]
        assert told == [asked is telling for asked in exchanges]


def test_the_end_of_the_block_is_no_end_of_a_value() -> None:
    # The last exchange of a block has nothing behind it.
    exchanges = [(GET, OK)] * 3
    for behind in (0, 1, 8, 47, 48):
        found = read(OrdinaryReader(), *exchanges, behind=behind)
        assert found[0] == by_state_machine(GET, OK)
        assert found[-1] in (None, by_state_machine(GET, OK))


NAMES = st.sampled_from(
    [
        "X-A",
        "Content-Type",
        "content-length",
        "Date",
        "Transfer-Encoding",
        "HOST",
        "Connection",
        "Exp",
    ]
)
VALUES = st.sampled_from(
    [
        "1",
        "9",
        "text/html",
        "chunked",
        "",
        "a, b",
        " 2 ",
        "application/json",
        "\t3",
        "x" * 60,
        "\x0b",
    ]
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"])


@st.composite
def exchange(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A request and a response with any fields and bodies, much of it not valid."""

    def block() -> bytes:
        lines = [
            f"{name}:{draw(st.sampled_from(['', ' ']))}{value}" for name, value in draw(FIELDS)
        ]
        return "".join(line + draw(ENDS) for line in lines).encode() + b"\r\n"

    method = draw(st.sampled_from(["GET", "POST", "HEAD", "DELETE", "GETT"]))
    target = draw(st.sampled_from(["/x", "/x/7", "/y?z=1", "*", "/long/" + "x" * 700, "/ctl\x01"]))
    asked = f"{method} {target} HTTP/1.1\r\n".encode() + block() + draw(st.binary(max_size=3))
    status = draw(st.sampled_from([200, 201, 204, 304, 404]))
    answered = f"HTTP/1.1 {status} OK\r\n".encode() + block() + draw(st.binary(max_size=12))
    return asked, answered


@st.composite
def alike(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An ordinary exchange with a little changed somewhere."""
    body = draw(st.binary(max_size=12))
    asked = request(
        draw(st.sampled_from(["/x", "/x/7"])), draw(st.sampled_from(["GET", "POST"])), body=body
    )
    answered = response(body, draw(st.sampled_from([200, 404])))
    parts = [bytearray(asked), bytearray(answered)]
    for _ in range(draw(st.integers(0, 2))):
        part = parts[draw(st.integers(0, 1))]
        at = draw(st.integers(0, len(part) - 1))
        part[at] = draw(st.sampled_from(b"\r\n :0179xHC\t\x00\xff"))
    return bytes(parts[0]), bytes(parts[1])


@settings(max_examples=300)
@given(st.lists(exchange() | alike(), min_size=1, max_size=6), st.booleans())
def test_agrees_with_the_state_machine(found: list[tuple[bytes, bytes]], taught: bool) -> None:
    reader = OrdinaryReader()
    if taught:
        read(reader, (GET, OK), (request("/x", "POST", body=b"abc"), response(b"", 404)))
    for _ in range(2):
        for one, taken in zip(found, read(reader, *found), strict=True):
            assert taken is None or taken == by_state_machine(*one)
