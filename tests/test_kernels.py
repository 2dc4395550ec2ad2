"""The compiled kernels: what they say is what the general functions say, or they decline."""

import random
import struct
import zlib

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer import compiled, echoes, operations
from analyzer.anomalies import Anomalies
from analyzer.capture import pcap
from analyzer.capture.frames import LONGEST_FRAME
from analyzer.endpoints import Routes

kernels = pytest.importorskip("analyzer.kernels", reason="built without a compiler")


def ints(*values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# --- frames ---------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 90) | st.sampled_from([LONGEST_FRAME + 1, 2**32 - 1]), max_size=8),
    st.sampled_from("<>"),
    st.integers(0, 60),
)
def test_records_are_found_either_way(lengths: list[int], order: str, cut: int) -> None:
    data = b"".join(struct.pack(f"{order}4I", 1, 2, n, n) + bytes(min(n, 90)) for n in lengths)
    data = data[: max(0, len(data) - cut)]
    with pytest.MonkeyPatch.context() as patch:
        fast, *ends = pcap.record_offsets(data, order)
        patch.setattr(compiled, "kernels", None)
        plain, *plain_ends = pcap.record_offsets(data, order)
    assert (fast.tolist(), ends) == (plain.tolist(), plain_ends)


# --- targets --------------------------------------------------------------------------------

SEGMENTS = st.sampled_from(
    ["", "a", "users", "7", "42", "1042", "2026-01", "2026-01-31", "x1y2z3w4", "v1",
     "ORD-ab12cd34ef", "12345.json", "1.5", "-7",
     "deadbeef", "DEN1-A33", "%31%32", "é1234", "1234567", "a#b", "{id}"]
)  # fmt: skip
TARGETS = st.builds(
    lambda lead, parts, query: (lead + "/".join(parts) + query).encode("latin-1"),
    st.sampled_from(["/", "", "http://h/", "*", "//"]),
    st.lists(SEGMENTS, max_size=4),
    st.sampled_from(
        [
            "",
            "?",
            "?q=1",
            "?a=/b/77",
            "?x#y",
            "?action=list",
            "?action=edit",
            "?a=1&OP=get",
            "?op=get",
            "?op=1",
            "?x?op=get",
            "?op=get#",
            "?#&op=get",
            "?op",
            "?op=&op=put",
            "?xop=a",
            "?cmd=a=b",
            "?METHOD=run",
            "?operation=x",
            "?query=shoes",
            "?query={a}",
            "?query=%7Bb%7D",
            "?query=mutation+A{b}",
            "?query=+{c}",
            "?operationName=Get",
            "?action=list&page=2",
            "?query=fragment+F+on+T{a}+query+B{c}",
            "?query=%23x%0A{d}&operationName=E",
        ]
    ),
)


def coded(targets: list[bytes]) -> tuple[list[int], list[bytes]]:
    """The codes of targets, and their tokens."""
    data = b" ".join(targets)
    ends = np.cumsum([len(t) + 1 for t in targets], dtype=np.int64) - 1
    starts = ends - ints(*map(len, targets))
    codes = np.zeros(len(targets), np.uint64)
    tokens = np.zeros((len(targets), 2), np.int64)
    kernels.path_codes(data, starts, ends, echoes.SHORTEST_TOKEN, codes, tokens)
    return codes.tolist(), [data[a:b] for a, b in tokens.tolist()]


@settings(max_examples=500)
@given(st.lists(TARGETS, min_size=1, max_size=8))
def test_targets_of_one_code_have_one_route(targets: list[bytes]) -> None:
    codes, tokens = coded(targets)
    routes = Routes(Anomalies())
    found = [routes.number(b"GET", "h", target) for target in targets]
    assert len(set(zip(codes, found, strict=True))) == len(set(codes))
    named = {number for number in found if routes.routes[number].operation}
    told = {n for n, t in zip(found, targets, strict=True) if operations.of_target(t)}
    assert named == told
    assert tokens == [echoes.token_of(target) for target in targets]


def test_plain_variables_share_a_code() -> None:
    codes, _ = coded([b"/a/1/b", b"/a/99999/b?c", b"/a/x1042/b", b"/a/y/b", b"/a/y/c"])
    assert codes[0] == codes[1] == codes[2]
    assert len(set(codes)) == 3


# --- bodies ---------------------------------------------------------------------------------

WORDS = st.lists(
    st.sampled_from([b"77", b"777", b"a77", b" ", b'"', b"\xc3\xa9", b"x" * 9]), max_size=12
).map(b"".join)


@settings(max_examples=300)
@given(WORDS, st.integers(0, 9))
@example(b"\xff" * 20_000, 3)
def test_sums_and_echoes(body: bytes, before: int) -> None:
    data = b"77" + bytes(before) + body + b"77"
    codes, sums, found = np.zeros(1, np.uint64), np.zeros(1, np.uint32), np.zeros(1, np.uint8)
    start = ints(2 + before)
    kernels.look(
        data, start, start + len(body), np.ones(1, np.uint8), ints((0, 2)), codes, sums, found
    )
    assert sums[0] == zlib.adler32(body)
    assert found[0] == echoes.repeats(b"77", body)
    assert codes[0] == kernels.body_code(body)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_chunks(pieces: list[bytes]) -> None:
    data = b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    assert kernels.unchunked(b"x" + data + b"y", 1, 1 + len(data)) == b"".join(pieces)
    with pytest.raises(ValueError, match="chunked"):
        kernels.unchunked(data[:1], 0, 1)


# --- tokens ---------------------------------------------------------------------------------

NAMES = ["path[-1]", "path[-2]", "query:q", "query:", "header:x-request-id", "header:traceparent",
         "body:$.a", "body:$.a.b", "body:$.c d"]  # fmt: skip
VALUES = st.sampled_from(
    ["abc", "417", "a b", "x%20y", "tok+en", "%zz1", "é12", "ab", "", "y" * 130]
)
ASKED = st.builds(
    lambda path, query: ("/" + "/".join(path) + query).replace(" ", "+").encode(),
    st.lists(VALUES, max_size=3),
    st.builds("?{}={}&q={}&n=1".format, st.sampled_from(["q", "", "r", "#"]), VALUES, VALUES)
    | st.just(""),
)
HEADS = st.lists(
    st.builds(
        "{}:{}{}".format,
        st.sampled_from(["X-Request-Id", "TraceParent", "Host", "-id", "x-id"]),
        st.sampled_from(["", " ", " \t"]),
        st.sampled_from(["abc", "417", "a b", "", "ab", "z" * 128, "z" * 129, "417 "]),
    ),
    max_size=4,
).map(lambda lines: "".join(line + "\r\n" for line in lines).encode() + b"\r\n")
SCALARS = st.sampled_from(["abc", "417", 417, -417, 0, 1.5, True, None, "é12", 'q"', [417], 10**17])
BODIES = st.dictionaries(
    st.sampled_from(["a", "b", "c d", "é", "\\"]),
    SCALARS | st.dictionaries(st.sampled_from(["b", "c"]), SCALARS, max_size=2),
    max_size=4,
).map(orjson.dumps) | st.sampled_from(
    [
        b"",
        b"[1]",
        b"{",
        b'{"a": 417, "a": 5}',
        b'{"a": -0}',
        b' {"a" : 417 }',
        b'{"a": 1e3}',
        b"\xff",
    ]
)
ANSWERS = st.lists(
    st.sampled_from([b"abc", b"417", b" ", b'"x y"', b"tok en", b"%zz1", b"-417", "é12".encode()]),
    max_size=5,
).map(b",".join)


def part(place: str) -> tuple[int, int, bytes]:
    """A place that the kernel knows."""
    found = echoes.parts(place)
    assert found is not None
    return found


@settings(max_examples=1_500)
@given(ASKED, HEADS, BODIES, HEADS, ANSWERS, st.sets(st.sampled_from(NAMES), min_size=1))
def test_tokens_are_searched_as_they_are_read(
    target: bytes, head: bytes, body: bytes, lines: bytes, answer: bytes, wanted: set[str]
) -> None:
    parts = [b"GET ", target, b" HTTP/1.1\r\n" + head, body, b"HTTP/1.1 200 OK\r\n", lines, answer]
    at = np.cumsum([0, *map(len, parts)]).tolist()
    places = sorted(wanted)
    names = [part(place) for place in places]
    begins = np.cumsum([0, *(len(name) for _, _, name in names)]).tolist()
    table = [(k, n, b, len(name)) for (k, n, name), b in zip(names, begins, strict=False)]
    out = np.zeros((1, 3), np.uint64)
    kernels.search_tokens(
        b"".join(parts), ints((at[1], at[2], at[3], at[4], at[5], at[6], at[7])),
        ints((0, len(places))), ints(*table), b"".join(name for *_, name in names), out,
    )  # fmt: skip
    asked, missed, declined = out[0].tolist()
    if declined:
        return
    found = [
        (place, value)
        for place, value in echoes.tokens(target, head, body, echoes.Places.of(frozenset(wanted)))
        if place in wanted and echoes.SHORTEST_TOKEN <= len(value) <= echoes.LONGEST_TOKEN
    ]
    assert sorted(place for place, _ in found) == [
        p for bit, p in enumerate(places) if asked >> bit & 1
    ]
    mute = [
        place
        for place, value in found
        if not echoes.repeats(value, answer) and not echoes.repeats(value, lines)
    ]
    assert sorted(mute) == [p for bit, p in enumerate(places) if missed >> bit & 1]


def test_plain_requests_are_not_declined() -> None:
    data = b'/a/417?q=x%20y {"a": {"b": "tok"}} "x y" 417'
    out = np.zeros((1, 3), np.uint64)
    names = [part(place) for place in ("path[-1]", "query:q", "body:$.a.b")]
    table = [(0, 1, 0, 0), (1, 0, 0, 1), (3, 0, 1, 5)]
    kernels.search_tokens(
        data, ints((0, 14, 15, 34, 35, 35, len(data))), ints((0, 3)), ints(*table),
        b"".join(name for *_, name in names), out,
    )  # fmt: skip
    assert out.tolist() == [[7, 4, 0]]


# --- anything at all ------------------------------------------------------------------------


def test_positions_beyond_the_data_do_no_harm() -> None:
    rng = random.Random(7)
    data = bytes(rng.choice(b'{}[]",:19ae/?=&% \r\n\\u-.') for _ in range(200))
    edges = [-(2**62), -1, 0, 1, 150, 199, 200, 201, 2**31, 2**62]
    for _ in range(3_000):
        spans = ints([rng.choice(edges) for _ in range(7)])
        one, two = spans[:, 0].copy(), spans[:, 1].copy()
        words, sums, flags = np.zeros(1, np.uint64), np.zeros(1, np.uint32), np.zeros(1, np.uint8)
        token = ints((rng.choice(edges), rng.choice(edges)))
        kernels.look(data, one, two, np.ones(1, np.uint8), token, words, sums, flags)
        kernels.path_codes(data, one, two, 3, words, np.zeros((1, 2), np.int64))
        kernels.search_tokens(
            data, spans, ints((0, 2)), ints((0, 1, 0, 0), (1, 0, rng.choice(edges), 1)), b"q",
            np.zeros((1, 3), np.uint64),
        )  # fmt: skip
        parts = ints((0, 2, 2), (rng.choice(edges), rng.choice(edges), rng.choice([0, 1, 3])))
        kernels.fit(
            data, one, two, b"{}", parts, ints((0, 2, rng.choice([0, 1, 2]))), 99,
            np.zeros((1, 5), np.int64),
        )  # fmt: skip


def test_arrays_that_are_too_short_are_refused() -> None:
    one, words, places = ints(0), np.zeros(0, np.uint64), np.zeros((1, 2), np.int64)
    with pytest.raises(IndexError):
        kernels.path_codes(b"/a", one, ints(2), 3, words, places)
    out = np.zeros((1, 5), np.int64)
    with pytest.raises(IndexError):
        kernels.fit(b"a\r\n", one, ints(3), b"", ints((0, 0, 1)), ints((0, 2, 0)), 9, out)
    with pytest.raises(IndexError):
        kernels.search_tokens(
            b"/a", ints((0, 2, 2, 2, 2, 2, 2)), ints((0, 2)), ints((1, 0, 0, 0)), b"",
            np.zeros((1, 3), np.uint64),
        )  # fmt: skip
