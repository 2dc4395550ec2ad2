"""The compiled kernels: what they say is what the general functions say, or they decline."""

import base64
import io
import random
import struct
import zlib
from copy import deepcopy

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer import compiled
from analyzer.anomalies import Anomalies
from analyzer.bulk import MARK_TABLE, MARKS, PARAMETER_NAMES, PARAMETER_TABLE
from analyzer.capture import pcap, pcapng
from analyzer.capture.frames import LONGEST_FRAME, Capture
from analyzer.features import demanded, echoes, markup, operations
from analyzer.features.endpoints import Routes
from tests.builder import Pcapng

kernels = pytest.importorskip("analyzer.kernels", reason="built without a compiler")


MARKS_OF = (*operations.MARKS, demanded.RPC)
MARKUP = markup.Skeletons().pages, markup.Skeletons().documents


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


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from("eeeeeosicn"), max_size=12),
    st.sampled_from("<>"),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=2),
    st.integers(0, 60),
    st.integers(60, 700),
)
def test_packets_of_pcapng_are_found_either_way(
    blocks: list[str], order: str, damage: list[tuple[int, int]], cut: int, block: int
) -> None:
    file = Pcapng(order).interface()
    add = {
        "e": lambda n: file.enhanced(bytes([n] * n), ticks=n, interface=n % 2),
        "o": lambda n: file.obsolete(bytes(n)),
        "s": lambda n: file.simple(bytes(n)),
        "i": lambda n: file.interface(),
        "c": lambda n: file.enhanced(b"abc", comments=[b"said"]),
        "n": lambda n: file.section(order).interface(),
    }
    for number, kind in enumerate(blocks):
        add[kind](number)
    data = bytearray(file.data[: len(file.data) - cut])
    for at, value in damage:
        if at < len(data):
            data[at] = value
    if data[:4] != pcapng.MAGIC:
        return

    def read() -> list[object]:
        capture = Capture("c")
        found = [
            (frames.offset.tolist(), frames.time.tolist(), frames.interface.tolist())
            for frames in pcapng.read(io.BytesIO(bytes(data)), capture, block)
        ]
        return [found, dict(capture.anomalies), len(capture.interfaces)]

    fast = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "kernels", None)
        assert read() == fast


# --- segments, marks and sums ---------------------------------------------------------------


def test_messages_are_put_together_behind_the_data() -> None:
    data, payload, sizes = b"0123456789", ints(8, 0, 3, 5), ints(2, 1, 2, 3)
    joined = kernels.joined(data, ints(0, 2), ints(1, 3), payload, sizes, 8)
    assert joined == data + b"890" + b"34567"
    # What does not fit the data or the room is left out, never read.
    wrong = kernels.joined(data, ints(0), ints(1), ints(9, 0), ints(5, 1), 6)
    assert wrong == data + bytes(6)
    assert kernels.joined(data, ints(0), ints(0), ints(0), ints(9), 2) == data + bytes(2)


@given(st.lists(st.sampled_from([*MARKS_OF, b'"', b"que", b'ry"', b" ", b'"met']), max_size=12))
def test_marks_are_found_as_in_python(parts: list[bytes]) -> None:
    text = b"".join(parts)
    data = b'"query"' + text + b'"method"'
    start, end, out = ints(7), ints(7 + len(text)), np.zeros(1, np.uint8)
    kernels.marks_in(data, start, end, MARKS, MARK_TABLE, out)
    wanted = 0
    for mark, (*_, kind, _) in zip(MARKS_OF, MARK_TABLE.tolist(), strict=True):
        wanted |= kind if mark in text else 0
    assert out[0] == wanted


@given(st.binary(max_size=64), st.integers(0, 64), st.integers(0, 64))
def test_sums_are_those_of_zlib(data: bytes, start: int, end: int) -> None:
    out = np.zeros(1, np.uint32)
    start, end = min(start, len(data)), min(end, len(data))
    kernels.checksums(data, ints(start), ints(end), out)
    assert out[0] == zlib.adler32(data[start:end])


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
            "?r=site/index",
            "?x=1&Route=a%2Fb",
            "?r=12",
            "?request=GetMap&=1",
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
    kernels.path_codes(
        data, starts, ends, echoes.SHORTEST_TOKEN, PARAMETER_NAMES, PARAMETER_TABLE, codes, tokens
    )
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
        data, start, start + len(body), np.ones(1, np.uint8), ints((0, 2)), *MARKUP,
        codes, sums, found,
    )  # fmt: skip
    assert sums[0] == zlib.adler32(body)
    assert found[0] == echoes.repeats(b"77", body)
    assert codes[0] == kernels.body_code(body)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_chunks(pieces: list[bytes]) -> None:
    data = b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    assert kernels.unchunked(b"x" + data + b"y", 1, 1 + len(data)) == b"".join(pieces)
    with pytest.raises(ValueError, match="chunked"):
        kernels.unchunked(data[:1], 0, 1)


@given(st.lists(st.lists(st.binary(min_size=1, max_size=40), max_size=5), max_size=4))
def test_many_chunked_bodies_are_put_together(bodies: list[list[bytes]]) -> None:
    texts = [b"".join(pieces) for pieces in bodies]
    coded = [b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in [*body, b""]) for body in bodies]
    bounds = np.cumsum([1, *map(len, coded)], dtype=np.int64)
    out, ends = np.zeros(len(b"".join(texts)), np.uint8), np.zeros(len(texts), np.int64)
    kernels.unchunk(b"x" + b"".join(coded) + b"y", bounds[:-1].copy(), bounds[1:].copy(), out, ends)
    assert out.tobytes() == b"".join(texts)
    assert ends.tolist() == np.cumsum([len(t) for t in texts], dtype=np.int64).tolist()


# --- tokens ---------------------------------------------------------------------------------

VALUES = st.sampled_from(
    ["abc", "417", "a b", "x%20y", "tok+en", "%zz1", "é12", "ab", "", "y" * 130, "%41" * 43]
)
ASKED = st.builds(
    lambda path, query: ("/" + "/".join(path) + query).replace(" ", "+").encode(),
    st.lists(VALUES, max_size=3),
    st.builds("?{}={}&q={}&n=1".format, st.sampled_from(["q", "", "r", "#"]), VALUES, VALUES)
    | st.just("")
    | st.just("?" + "&".join(f"q{n}=abc" for n in range(26))),
)
SCALARS = st.sampled_from(
    ["abc", "417", 417, -417, 0, 1.5, True, None, "é12", 'q"', "a\nb", "\x01ab", [417], 10**17]
)
OBJECTS = st.dictionaries(
    st.sampled_from(["a", "b", "c d", "é", "\\"]),
    SCALARS | st.dictionaries(st.sampled_from(["b", "c"]), SCALARS, max_size=2),
    max_size=4,
).map(orjson.dumps)
BODIES = OBJECTS | st.sampled_from(
    [
        b"",
        b"[1]",
        b"{",
        b'{"a": 417, "a": 5}',
        b'{"a": -0}',
        b' {"a" : 417 }',
        b'{"a": 1e3}',
        b"\xff",
        b"q=abc&r=x%20y&q=417",
        b" =abc&q",
        orjson.dumps({f"k{n}": "abc" for n in range(30)}),
        orjson.dumps({f"k{n}": [{"a": 1}] for n in range(30)})[:-1] + b',"k3":"abc"}',
    ]
)


def jwt(claims: bytes) -> str:
    """An unsigned token."""
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":1}', claims)
    ) + ".x-_"  # fmt: skip


TOKENS = OBJECTS.map(jwt) | st.sampled_from(
    ["eyJhIjox.eyJ.x", "eyJ.eyJhIjoxM.x", "eyJ.eyJhIjo!.x", "eyJ.eyJhIjox.x.y", "eyJ.eyJhIjox"]
)
CREDENTIALS = st.one_of(
    TOKENS,
    TOKENS.map("Bearer {}".format),
    TOKENS.map("bearer\t{} ".format),
    st.sampled_from([b"abc:x", b":x", b"417", b"", b"abc:" + b"y" * 99, b"\xff\xfe\xfd:"]).map(
        lambda pair: "bAsic " + base64.b64encode(pair).decode()
    ),
    st.sampled_from(["Basic YWJj", "Basic YWJjOg", "Basic YW-j", "Basic  YWJj", "Basic", "Y"]),
)
COOKIES = st.lists(
    st.builds(
        "{}{}={}{}".format,
        st.sampled_from(["", " ", "\t"]),
        st.sampled_from(["s", "", "member", "n" * 130]),
        st.one_of(VALUES, VALUES.map('"{}"'.format), TOKENS, st.just('"')),
        st.sampled_from(["", " "]),
    )
    | st.just("s"),
    max_size=10,
).map(";".join)
LINES = st.one_of(
    st.builds(
        "{}:{}{}".format,
        st.sampled_from(["X-Request-Id", "TraceParent", "Host", "-id", "x-id", "Idempotency-Key"]),
        st.sampled_from(["", " ", " \t"]),
        st.sampled_from(["abc", "417", "a b", "", "ab", "z" * 128, "z" * 129, "417 "]),
    ),
    CREDENTIALS.map("Authorization: {}".format),
    COOKIES.map("cookie: {}".format),
    st.sampled_from(
        ["Content-Type: application/x-www-form-urlencoded; a=b", "Content-Type: text/plain"]
    ),
)
HEADS = st.lists(LINES, max_size=4).map(
    lambda lines: "".join(line + "\r\n" for line in lines).encode() + b"\r\n"
)
ANSWERS = st.lists(
    st.sampled_from(
        [b"abc", b"417", b" ", b'"x y"', b"tok en", b"%zz1", b"-417", "é12".encode(), b"ABC"]
    ),
    max_size=5,
).map(b",".join)
REQUESTS = st.tuples(ASKED, HEADS, BODIES, HEADS, ANSWERS)
Asked = tuple[bytes, bytes, bytes, bytes, bytes]  # target, head, body; response's lines, body


def seen(requests: list[Asked]) -> echoes.Echoes:
    """What is learned of exchanges one by one."""
    learned = echoes.Echoes(echoes.Rules(), [("?", "", "?")])
    for number, (target, head, body, lines, answer) in enumerate(requests):
        found = echoes.tokens(target, head, body)
        learned.see(0, found, lines, answer, (0, number, 0))
    return learned


def searched(learned: echoes.Echoes, requests: list[Asked], first: int = 0) -> list[bool]:
    """Let the kernel learn from exchanges; those that it declines are seen one by one."""
    declined = []
    for number, (target, head, body, lines, answer) in enumerate(requests, first):
        parts = [b"GET ", target, b" HTTP/1.1\r\n" + head, body, b"HTTP/1.1 200 OK\r\n", lines]
        at = np.cumsum([0, *map(len, [*parts, answer])]).tolist()
        left = learned.search(
            b"".join([*parts, answer]),
            ints((at[1], at[2], at[3], at[4], at[5], at[6], at[6], at[7])),
            np.zeros(1, np.int64),
            np.array([echoes.in_sample(number, 0)]),
            np.ones(1, np.bool_),
        )
        declined += left.tolist()
        if left[0]:
            found = echoes.tokens(target, head, body)
            learned.see(0, found, lines, answer, (0, number, 0))
    return declined


@settings(max_examples=600, deadline=None)
@given(
    st.lists(REQUESTS, max_size=3),
    st.lists(REQUESTS, min_size=1, max_size=5),
    st.sampled_from([0, 1, 512]),
    st.sampled_from([2, 6, 64]),
)
def test_tokens_are_learned_as_they_are_read(
    first: list[Asked], then: list[Asked], misses: int, places: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(echoes, "MOST_MISSES", misses)
        patch.setattr(echoes, "MOST_PLACES", places)
        plain, fast = seen(first + then), seen(first)
        searched(fast, then, len(first))
        plain.finish()
        fast.finish()
        assert fast.rules == plain.rules


def test_plain_requests_are_not_declined() -> None:
    claims = jwt(b'{"sub": "ann", "n": {"org": 4711}, "pad": ["%s"]}' % (b"x" * 99))
    head = (
        f"X-Request-Id: 7f3a-99\r\nCookie: member=ann; t={claims}\r\n"
        f"Authorization: Bearer {claims}\r\n\r\n"
    ).encode()
    body = orjson.dumps({"a": {"b": "tok"}, "text": "two\nlines", "k": [1]})
    answer = b'417 "x y" tok "two\nlines" ann 4711 7f3a-99'
    one = (b"/417?q=x%20y", head, body, b"\r\n", answer)
    form = b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    two = (b"/417", form, b"order=x+y&n=417", b"\r\n", answer)
    three = (b"/417", b"Authorization: Basic YW5uOng=\r\n\r\n", b"", b"X: ann\r\n", b"417")
    learned = echoes.Echoes(echoes.Rules(), [("?", "", "?")])
    assert searched(learned, [one, two, three] * 2) == [True] * 3 + [False] * 3
    learned.finish()
    assert {place: rule.hits for (_, place), rule in learned.rules.items()} == {
        "path[-1]": 6,
        "query:q": 2,
        "header:x-request-id": 2,
        "body:$.a.b": 2,
        "body:$.text": 2,
        "cookie:member": 2,
        "jwt:$.sub": 4,
        "jwt:$.n.org": 4,
        "form:order": 2,
        "form:n": 2,
        "basic:user": 2,
    }


def test_places_and_values_have_one_hash_either_way() -> None:
    """A place that comes after the last one kept is no reason to decline; one before it is."""
    learned = echoes.Echoes(echoes.Rules(), [("?", "", "?")])
    requests = [
        (b"/?k%d=abc" % n, b"\r\n", b"", b"\r\n", b"abc") for n in range(3 * echoes.MOST_PLACES)
    ]
    searched(learned, requests)
    ranks = sorted(echoes.rank(f"query:k{n}") for n in range(3 * echoes.MOST_PLACES))
    last = ranks[echoes.MOST_PLACES - 1]
    other = [(b"/?x%d=abc" % n, b"\r\n", b"", b"\r\n", b"abc") for n in range(200)]
    declined = []
    for n, one in enumerate(other):
        copy = deepcopy(learned)
        declined.append((searched(copy, [one])[0], echoes.rank(f"query:x{n}") <= last))
    assert {True, False} == {left for left, _ in declined}
    assert all(left == comes_first for left, comes_first in declined)


# --- anything at all ------------------------------------------------------------------------


def test_positions_beyond_the_data_do_no_harm() -> None:
    rng = random.Random(7)
    data = bytes(rng.choice(b'{}[]",:19ae/?=&% \r\n\\u-.<>') for _ in range(200))
    edges = [-(2**62), -1, 0, 1, 150, 199, 200, 201, 2**31, 2**62]
    for _ in range(3_000):
        spans = ints([rng.choice(edges) for _ in range(8)])
        one, two = spans[:, 0].copy(), spans[:, 1].copy()
        words, sums, flags = np.zeros(1, np.uint64), np.zeros(1, np.uint32), np.zeros(1, np.uint8)
        token = ints((rng.choice(edges), rng.choice(edges)))
        kind = np.full(1, rng.randrange(1, 4), np.uint8)
        kernels.look(data, one, two, kind, token, *MARKUP, words, sums, flags)
        names = ints((rng.choice(edges), rng.choice(edges), rng.choice([0, 1, 2]), 0))
        kernels.path_codes(data, one, two, 3, b"op", names, words, np.zeros((1, 2), np.int64))
        places = ints((0, 1, 0, 0, 0, 1), (1, 0, rng.choice(edges), 1, 0, -1))
        kernels.search_tokens(
            data, spans, ints((0, 2**62, rng.randrange(4))), places, b"q",
            np.zeros((2, 3), np.int64), np.full((2, 4), 2**32 - 1, np.uint32),
            np.zeros(1, np.uint8),
        )  # fmt: skip
        table = ints((0, 2, 1, 1), (rng.choice(edges), rng.choice(edges), rng.choice([0, 2, 3]), 0))
        kernels.head_keys(
            data, one, two, b"a:", table, rng.random() < 0.5, 99, words, np.zeros((1, 4), np.int64)
        )
        kernels.chunked_lengths(data, one, two, np.zeros(1, np.int64))
        kernels.unchunk(data, one, two, np.zeros(rng.choice([0, 9]), np.uint8), one.copy())


def test_arrays_that_are_too_short_are_refused() -> None:
    one, words, places = ints(0), np.zeros(0, np.uint64), np.zeros((1, 2), np.int64)
    with pytest.raises(IndexError):
        kernels.path_codes(b"/a", one, ints(2), 3, b"", ints((0, 0, 1, 0)), words, places)
    with pytest.raises(IndexError):
        kernels.head_keys(
            b"A / HTTP/1.1\r\n\r\n", one, ints(16), b"", ints((0, 0, 1, 0)), False, 99, words,
            np.zeros((1, 4), np.int64),
        )  # fmt: skip
    with pytest.raises(IndexError):
        kernels.chunked_lengths(b"0\r\n\r\n", one, ints(5), np.zeros(0, np.int64))
    with pytest.raises(IndexError):
        kernels.search_tokens(
            b"/abc/def", ints((0, 8, 8, 8, 8, 8, 8, 8)), ints((0, 2**62, 0)),
            ints((0, 9, 0, 0, 0, 1)), b"", np.zeros((1, 3), np.int64),
            np.zeros((1, 4), np.uint32), np.zeros(1, np.uint8),
        )  # fmt: skip
