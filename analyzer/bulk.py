"""The ordinary exchanges of a block in, rows of EXCHANGES out: by column, not one by one.

Law: the rows are those that `extraction.Recorder.exchange` would write. The compiled kernels say
which targets, bodies and tokens are alike; the first of each kind is read by the functions that
read all others, and what the kernels decline is read by those too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import adler32

import numpy as np
import numpy.typing as npt

from analyzer import compiled, limits
from analyzer.declined import Declined
from analyzer.features import demanded, echoes, forms, operations, sketch
from analyzer.features.asked import CREDENTIALS, identity_sum
from analyzer.features.bodies import Bodies
from analyzer.features.echoes import SHORTEST_TOKEN, Echoes, Position
from analyzer.features.endpoints import Routes
from analyzer.features.forms import is_read
from analyzer.http import content
from analyzer.http.ordinary import CHUNKED, Glance, Template
from analyzer.intervals import MASK
from analyzer.tables import (
    CONNECTIONS,
    SKETCH_WORDS,
    Array,
    Close,
    ConnectionFlag,
    Flag,
    Outcome,
    Store,
    dtype_of,
)
from analyzer.tcp.blocks import Arranged, Brief, Ints

_HAS_TOKEN, _ECHOES = int(Flag.HAS_TOKEN), int(Flag.ECHOES)
_MOST_LAID = 32 << 20  # bytes of decoded bodies of a block that are laid behind its data
_MOST_IDENTITIES = 65_536  # credentials that are remembered
_SEEN_AT_ONCE = 32  # exchanges seen one by one before the kernel tries again; then twice as many
_TOKEN_LINE = re.compile(
    rb"(?i)\n(?:[a-z][a-z0-9-]*-id|idempotency-key|traceparent|cookie|authorization):"
    rb"|application/x-www-form-urlencoded"
)

# The names of credentials as the kernel takes them.
CREDENTIAL_NAMES, CREDENTIAL_TABLE = compiled.name_table(
    (name, number, False) for number, name in enumerate(CREDENTIALS, 1)
)

# And those of parameters that may name an operation: 1 by a name, 2 by a document of GraphQL.
PARAMETER_NAMES, PARAMETER_TABLE = compiled.name_table(
    (name, 2 if name == b"query" else 1, False) for name in operations.PARAMETERS
)

# What a request's body has in it if it may name an operation, or is a call of JSON-RPC.
_NAMES_ONE, _IS_CALL = 1, 2
MARKS, MARK_TABLE = compiled.name_table(
    [*((mark, _NAMES_ONE, False) for mark in operations.MARKS), (demanded.RPC, _IS_CALL, False)]
)

Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Piece = tuple[int, int, int]  # number of the connection, first row, how many exchanges


class Bulk:
    """Writes ordinary exchanges to a table, a block at a time."""

    def __init__(
        self,
        into: Store,
        routes: Routes,
        bodies: Bodies,
        learned: Echoes,
        declined: Declined,
    ) -> None:
        self._declined = declined
        self._into = into
        self._routes = routes
        self._bodies = bodies
        self._echoes = learned
        self._identity_of: dict[int, int] = {}  # whom credentials name, by their sum

    def write(self, pieces: list[Piece], block: Arranged, glance: Glance) -> None:
        """Write these exchanges of a block."""
        taken = _taken(np.array(pieces, dtype=np.int64), block, glance)
        routes, tokens = self._route(taken)
        looks = self._look(taken, tokens)
        self._learn(taken, routes, looks)
        rows = np.zeros(len(taken.row), dtype=self._into.dtype)
        rows["connection"] = taken.connection
        rows["outcome"] = int(Outcome.ANSWERED)
        rows["flags"] = looks.flags | _demanded(taken, looks)
        rows["request_length"] = glance.request_length[taken.row]
        rows["request_sum"], credentials = taken.asked_sums()
        rows["request_behalf"] = self._identities(credentials, taken)
        rows["response_length"] = taken.length
        rows["response_sum"] = looks.checksum
        _sketch(rows, taken, looks)
        rows["status"] = taken.of_answer(lambda t: t.status)
        rows["route"] = routes
        rows["form"] = looks.form
        for side, at in (("request", taken.row), ("response", taken.response)):
            frame = block.columns["frame"][at]
            rows[f"{side}_capture"] = frame >> 32
            rows[f"{side}_frame"] = frame & 0xFFFFFFFF
            rows[f"{side}_time"] = block.columns["time"][at]
            rows[f"{side}_seq"] = block.columns["seq"][at]
            rows[f"{side}_ack"] = block.columns["ack"][at]
        over = block.final[taken.response]
        rows["response_end_frame"] = block.columns["frame"][over] & 0xFFFFFFFF
        rows["response_end_time"] = block.columns["time"][over]
        data = taken.data
        bounds = zip(taken.target.tolist(), taken.target_end.tolist(), strict=True)
        self._into.append_many(rows, [data[start:end] for start, end in bounds])

    def _route(self, taken: "_Taken") -> tuple[Ints, Ints]:
        """The routes of the requests, and where each target's token is, shape (n, 2)."""
        count = len(taken.row)
        codes = np.empty(count, dtype=np.uint64)
        tokens = np.empty((count, 2), dtype=np.int64)
        compiled.kernels.path_codes(
            taken.data, taken.target, taken.target_end, SHORTEST_TOKEN,
            PARAMETER_NAMES, PARAMETER_TABLE, codes, tokens,
        )  # fmt: skip
        routes = np.empty(count, dtype=np.int64)
        for which, rows in _groups(taken.asked):
            template = taken.templates[which]
            host, method = template.fields.host, template.method
            named = {at: taken.operation_of(at) for at in taken.perhaps_named(which, rows)}
            for at, operation in named.items():
                routes[at] = self._routes.number_of_code(
                    method, host, int(codes[at]), taken.target_of(at), operation
                )
            if named:
                rows = rows[~np.isin(rows, list(named))]
            kinds, first, kind = np.unique(codes[rows], return_index=True, return_inverse=True)
            numbers = [
                self._routes.number_of_code(method, host, code, taken.target_of(at))
                for code, at in zip(kinds.tolist(), rows[first].tolist(), strict=True)
            ]
            routes[rows] = np.array(numbers, dtype=np.int64)[kind]
        return routes, tokens

    def _identities(self, credentials: npt.NDArray[np.uint32], taken: "_Taken") -> Ints:
        """What `asked.identity_sum` gives of the requests, each credential looked into once."""
        kinds, first, kind = np.unique(credentials, return_index=True, return_inverse=True)
        known = self._identity_of
        if len(known) > _MOST_IDENTITIES:
            known.clear()
        for one, at in zip(kinds.tolist(), first.tolist(), strict=True):
            if one and one not in known:
                known[one] = identity_sum(taken.asked_of(at)[0])
        return np.array([known.get(one, 0) for one in kinds.tolist()], dtype=np.int64)[kind]

    def _look(self, taken: "_Taken", tokens: Ints) -> "_Looks":
        """Look into the responses' bodies."""
        count = len(taken.row)
        kinds = taken.of_answer(lambda t: forms.coded(t.fields.media_type))
        coded = taken.of_answer(lambda t: bool(t.fields.content_coding)) != 0
        whole = taken.length > 0
        wanted: Mask = whole & (taken.length <= limits.BODY) & (kinds != forms.NO_CODE)
        wrapped: Mask = coded | taken.chunked
        plain: Mask = wanted & (~wrapped | _lay(taken, wanted & wrapped, coded))
        codes = np.zeros(count, dtype=np.uint64)
        checksum = np.zeros(count, dtype=np.uint32)
        echo = np.zeros(count, dtype=np.uint8)
        skeletons = self._bodies.forms.skeletons
        compiled.kernels.look(
            taken.data, taken.text, taken.text_end, np.where(plain, kinds, 0).astype(np.uint8),
            tokens, skeletons.pages, skeletons.documents, codes, checksum, echo,
        )  # fmt: skip
        checksum[~whole] = 0
        # Of a coded body the sum is that of what was sent.
        sent = np.flatnonzero(plain & coded & ~taken.chunked)
        sums = np.zeros(len(sent), dtype=np.uint32)
        compiled.kernels.checksums(taken.data, taken.body[sent], taken.body_end[sent], sums)
        checksum[sent] = sums
        for at in np.flatnonzero(plain & coded & taken.chunked).tolist():
            checksum[at] = adler32(taken.body_of(at))
        form = np.zeros(count, dtype=np.int64)  # NO_FORM
        has_token = tokens[:, 1] > tokens[:, 0]
        flags = np.where(plain & has_token, _HAS_TOKEN, 0) | np.where(echo, _ECHOES, 0)
        looks = _Looks(form, flags, checksum, plain, {})
        for which, rows in _groups(taken.answered):
            fields = taken.templates[which].fields
            if not is_read(fields.media_type):
                known = rows[whole[rows] & ~taken.chunked[rows]]
                form[known] = self._bodies.unread(fields.media_type)
                continue
            known = rows[codes[rows] != 0]
            kinds, first, kind = np.unique(codes[known], return_index=True, return_inverse=True)
            numbers = [
                self._bodies.forms.of_code(fields.media_type, code, taken.text_of(at))
                for code, at in zip(kinds.tolist(), known[first].tolist(), strict=True)
            ]
            form[known] = np.array(numbers, dtype=np.int64)[kind]
        read: Mask = taken.of_answer(lambda t: is_read(t.fields.media_type)) != 0
        singly = whole & (codes == 0) & (read | taken.chunked)
        self._declined.count("body", int(np.count_nonzero(singly)))
        for at in np.flatnonzero(singly).tolist():
            fields = taken.templates[taken.answered[at]].fields
            look = self._bodies.look(fields, taken.body_of(at))
            form[at], checksum[at], flags[at] = look.form, look.checksum, 0
            plain[at] = look.text is not None
            if look.text is not None:
                looks.texts[at] = look.text
                flags[at] = echo_flags(echoes.token_of(taken.target_of(at)), look.text)
        return looks

    # --- what responses repeat -----------------------------------------------------------------

    def _learn(self, taken: "_Taken", routes: Ints, looks: "_Looks") -> None:
        """Learn which tokens of the requests their responses repeat."""
        telling = taken.of_answer(lambda t: echoes.may_repeat(t.status)) != 0
        left = np.flatnonzero(looks.plain & telling)
        headers = _with_tokens(taken)
        sampled = taken.sampled()
        alone = list(looks.texts)
        many = _SEEN_AT_ONCE
        while len(left):
            spans = taken.spans(left)
            # The kernel does not have these texts: as if they were empty.
            apart = np.isin(left, alone)
            spans[apart, 7] = spans[apart, 6]
            left = left[
                self._echoes.search(taken.data, spans, routes[left], sampled[left], headers[left])
            ]
            # What is seen of a few is enough for the kernel to learn from most others like them.
            for at in left[:many].tolist():
                text = looks.texts.get(at)
                text = taken.text_of(at) if text is None else text
                head, body = taken.asked_of(at)
                found = echoes.tokens(taken.target_of(at), head, body)
                place = taken.position(at)
                self._echoes.see(int(routes[at]), found, taken.answer_lines(at), text, place)
            left = left[many:]
            many *= 2


def _sketch(rows: Array, taken: "_Taken", looks: "_Looks") -> None:
    """Put into `rows` what the responses say to those who show credentials."""
    wanted = looks.plain & (rows["request_behalf"] != 0)
    wanted[list(looks.texts)] = False
    at = np.flatnonzero(wanted)
    out = np.zeros((len(at), sketch.WIDTH), dtype=np.uint8)
    compiled.kernels.sketches(taken.data, taken.text[at], taken.text_end[at], out)
    words = out.view("<u8")
    for n in range(SKETCH_WORDS):
        rows[f"response_sketch{n}"][at] = words[:, n]
    for i, text in looks.texts.items():
        if rows["request_behalf"][i]:
            for n, word in enumerate(sketch.words(text)):
                rows[f"response_sketch{n}"][i] = word


def _with_tokens(taken: "_Taken") -> Mask:
    """Which requests have field lines that may have tokens, or say that the body is a form."""
    said = [_TOKEN_LINE.search(t.telling) is not None for t in taken.templates]
    found: Mask = np.array(said, dtype=np.bool_)[taken.asked]
    return found


def called(asked: tuple[str, bytes], status: int, said: tuple[str, bytes]) -> int:
    """Whether the results of a JSON-RPC response have the ids of its calls, as flags.

    From the media types and texts of both bodies.
    """
    if demanded.RPC not in asked[1] or demanded.RPC not in said[1]:
        return 0
    return demanded.flags_of_bodies(status, forms.value(*asked), forms.value(*said))


def _demanded(taken: "_Taken", looks: "_Looks") -> Ints:
    """Whether the responses repeat what the protocol demands, as flags."""
    found = np.zeros(len(taken.row), dtype=np.int64)
    telling = taken.of_answer(lambda t: t.status in demanded.STATUSES) != 0
    for at in np.flatnonzero(telling).tolist():
        asked, said = taken.templates[taken.asked[at]], taken.templates[taken.answered[at]]
        lines = taken.asked_of(at)[0], taken.answer_lines(at)
        found[at] = demanded.flags(asked.method, lines[0], said.status, lines[1])
    for at in np.flatnonzero(looks.plain & (taken.marks & _IS_CALL != 0)).tolist():
        asked, said = taken.templates[taken.asked[at]], taken.templates[taken.answered[at]]
        text = looks.texts.get(at)
        found[at] |= called(
            (asked.fields.media_type, taken.asked_of(at)[1]),
            said.status,
            (said.fields.media_type, taken.text_of(at) if text is None else text),
        )
    return found


def _lay(taken: "_Taken", wanted: Mask, coded: Mask) -> Mask:
    """Decode the `wanted` bodies, as many as have room, and lay them behind the data: which were.

    Those are `coded`, or chunked, or both.
    """
    laid = np.zeros(len(wanted), dtype=np.bool_)
    if not wanted.any():
        return laid
    rows = np.flatnonzero(wanted & ~coded)
    rows = rows[np.cumsum(taken.length[rows]) <= _MOST_LAID]
    sizes = taken.length[rows]
    out, ends = np.empty(sizes.sum(), dtype=np.uint8), np.zeros(len(rows), dtype=np.int64)
    compiled.kernels.unchunk(taken.data, taken.body[rows], taken.body_end[rows], out, ends)
    parts, size = [taken.data, out.tobytes()], len(taken.data) + len(out)
    taken.text_end[rows] = len(taken.data) + ends
    taken.text[rows] = taken.text_end[rows] - sizes
    laid[rows] = True
    most = size + _MOST_LAID
    codings = [template.fields.content_coding for template in taken.templates]
    rows = np.flatnonzero(wanted & coded)
    columns = rows, taken.answered[rows], taken.body[rows], taken.body_end[rows]
    chunked, data = taken.chunked[rows].tolist(), taken.data
    found, ends_at = [], []
    for (at, which, begin, end), in_chunks in zip(
        zip(*(column.tolist() for column in columns), strict=True), chunked, strict=True
    ):
        if size >= most:
            break
        body = compiled.kernels.unchunked(data, begin, end) if in_chunks else data[begin:end]
        text = content.decoded(body, codings[which])
        if text is not None:
            size += len(text)
            found.append(at)
            ends_at.append(size)
            parts.append(text)
    taken.text_end[found] = ends_at
    taken.text[found] = [end - len(text) for end, text in zip(ends_at, parts[2:], strict=True)]
    laid[found] = True
    taken.data = b"".join(parts)
    return laid


@dataclass(slots=True)
class _Looks:
    """What the bodies of the exchanges taken say; `plain`: whether one is a text.

    `texts` has the text of those that were not looked at where they lie.
    """

    form: Ints
    flags: npt.NDArray[Any]
    checksum: npt.NDArray[np.uint32]
    plain: Mask
    texts: dict[int, bytes]


@dataclass(slots=True)
class _Taken:
    """The exchanges taken from a block, by column; methods take an index into these."""

    data: bytes
    templates: list[Template]
    block: Arranged
    row: Ints  # where the request begins in the block
    response: Ints  # where the response begins
    connection: Ints
    asked: Ints
    answered: Ints
    target: Ints
    target_end: Ints
    request_body: Ints
    request_end: Ints
    body: Ints
    body_end: Ints
    text: Ints  # the body without any coding, once it is laid behind the data
    text_end: Ints
    length: Ints
    chunked: Mask
    marks: npt.NDArray[np.uint8]  # which of MARKS the request's body has in it

    def of_answer(self, value: Callable[[Template], int]) -> Ints:
        """A value of each response's template."""
        values: Ints = np.array([value(t) for t in self.templates], dtype=np.int64)[self.answered]
        return values

    def target_of(self, at: int) -> bytes:
        """A request's target."""
        return self.data[int(self.target[at]) : int(self.target_end[at])]

    def body_of(self, at: int) -> bytes:
        """A response's body, without transfer coding."""
        start, end = int(self.body[at]), int(self.body_end[at])
        if self.chunked[at]:
            return compiled.kernels.unchunked(self.data, start, end)
        return self.data[start:end]

    def text_of(self, at: int) -> bytes:
        """A response's body, without any coding, if it had none or was decoded by `_lay`."""
        return self.data[int(self.text[at]) : int(self.text_end[at])]

    def asked_of(self, at: int) -> tuple[bytes, bytes]:
        """A request's field lines and its body, as far as tokens are looked for in it."""
        body, end = int(self.request_body[at]), int(self.request_end[at])
        text = self.data[body:end] if end - body <= content.LONGEST_REQUEST_BODY else b""
        return self.data[int(self.target_end[at]) : body].partition(b"\n")[2], text

    def asked_sums(self) -> npt.NDArray[np.uint32]:
        """What `asked.asked_sum` and `asked.behalf_sum` give of the requests, shape (2, n)."""
        body, end = self.request_body, self.request_end
        end = np.where(end - body <= content.LONGEST_REQUEST_BODY, end, body)
        spans = np.stack([self.target, self.target_end, body, end], axis=1)
        found = np.zeros((2, len(body)), dtype=np.uint32)
        compiled.kernels.asked_sums(self.data, spans, CREDENTIAL_NAMES, CREDENTIAL_TABLE, *found)
        return found

    def perhaps_named(self, which: int, rows: Ints) -> list[int]:
        """Those of a template's requests whose head or body may name an operation."""
        template = self.templates[which]
        method, fields = template.method, template.fields
        every: list[int] = rows.tolist()
        if operations.names_one(method, template.telling):
            return every
        if not operations.may_tell(method, fields.media_type):
            return []
        if fields.content_coding or not operations.is_json(fields.media_type):
            return every
        marked: list[int] = rows[self.marks[rows] & _NAMES_ONE != 0].tolist()
        return marked

    def operation_of(self, at: int) -> str:
        """The operation that a request's field lines or its body name."""
        template = self.templates[self.asked[at]]
        head, body = self.asked_of(at)
        body = content.request_text(body, template.fields.content_coding)
        return operations.of_request(template.method, template.fields.media_type, head, body)

    def answer_lines(self, at: int) -> bytes:
        """The field lines of a response."""
        start = int(self.block.text[self.response[at]])
        start += self.templates[self.answered[at]].start
        return self.data[start : int(self.body[at])]

    def position(self, at: int) -> Position:
        """Where the exchange is."""
        frame, seq = self.block.columns["frame"], self.block.columns["seq"]
        row = self.row[at]
        return int(self.connection[at]), int(frame[row]), int(seq[row])

    def sampled(self) -> Mask:
        """Which exchanges are of the sample (`echoes.in_sample`)."""
        frame, seq = self.block.columns["frame"][self.row], self.block.columns["seq"][self.row]
        found: Mask = echoes.in_sample(frame.astype(np.uint64), seq.astype(np.uint64))
        return found

    def spans(self, rows: Ints) -> Ints:
        """For the kernel `search_tokens`."""
        begin, end = self.request_body[rows], self.request_end[rows]
        end = np.where(end - begin <= content.LONGEST_REQUEST_BODY, end, begin)
        lines = self.block.text[self.response[rows]]
        lines = lines + self.of_answer(lambda t: t.start)[rows]
        spans: Ints = np.stack(
            [self.target[rows], self.target_end[rows], begin, end,
             lines, self.body[rows], self.text[rows], self.text_end[rows]],
            axis=1,
        )  # fmt: skip
        return spans


def _taken(pieces: Ints, block: Arranged, glance: Glance) -> _Taken:
    counts = pieces[:, 2]
    # Row numbers of the requests: from each run's first row on, so many that are ordinary.
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    asked = np.flatnonzero(glance.ordinary)
    row = asked[np.repeat(np.searchsorted(asked, pieces[:, 1]), counts) + within]
    response = block.answer(row)
    end = block.text + block.size
    answered = glance.answered[row]
    framing = np.array([t.framing for t in glance.templates], dtype=np.int64)
    chunked = framing[answered] == CHUNKED
    request_body = end[row] - glance.request_length[row]
    marks = np.zeros(len(row), dtype=np.uint8)
    compiled.kernels.marks_in(block.data, request_body, end[row], MARKS, MARK_TABLE, marks)
    return _Taken(
        data=block.data,
        templates=glance.templates,
        block=block,
        row=row,
        response=response,
        connection=np.repeat(pieces[:, 0], counts),
        asked=glance.asked[row],
        answered=answered,
        target=glance.target[row],
        target_end=glance.target_end[row],
        request_body=request_body,
        request_end=end[row],
        body=glance.body[row],
        body_end=end[response],
        text=glance.body[row],  # a copy
        text_end=end[response],  # another
        length=glance.length[row],
        chunked=chunked,
        marks=marks,
    )


_OF_BRIEF = int(
    ConnectionFlag.CLIENT_SYN | ConnectionFlag.SERVER_SYN
)  # and neither gaps nor repeats


def connection_rows(
    numbers: Ints,
    which: Ints,
    block: Arranged,
    brief: Brief,
    address: Callable[[int, int], int],
) -> Array:
    """Rows of CONNECTIONS for some of a block's brief connections, in the order of `numbers`.

    `address` gives the number of an address.
    """
    rows = np.zeros(len(numbers), dtype=dtype_of(CONNECTIONS))
    syn, _, request, ours, theirs = brief.rows[which].T
    at = block.columns
    key = block.keys[which]
    ports = key[:, 4] & np.uint64(0xFFFFFFFF)
    low_port, high_port = ports >> np.uint64(16), ports & np.uint64(0xFFFF)
    swapped = at["side"][syn] == 1
    rows["connection"] = numbers
    rows["interface"] = key[:, 4] >> np.uint64(32)
    words = np.where(swapped[:, None], key[:, [2, 3, 0, 1]], key[:, :4])
    rows["client"], rows["server"] = (_addresses(words[:, at : at + 2], address) for at in (0, 2))
    rows["source"] = rows["client"]
    rows["client_port"] = np.where(swapped, high_port, low_port)
    rows["server_port"] = np.where(swapped, low_port, high_port)
    acked = brief.acked[which]
    flags = np.full(len(numbers), _OF_BRIEF)
    for side, fin, bit in (
        (0, ours, ConnectionFlag.CLIENT_FIN_ACKED),
        (1, theirs, ConnectionFlag.SERVER_FIN_ACKED),
    ):
        flags |= np.where(acked[:, side] == at["seq"][fin] + 1 & MASK, int(bit), 0)
    rows["flags"] = flags
    rows["first_close"] = np.where(ours < theirs, int(Close.CLIENT_FIN), int(Close.SERVER_FIN))
    rows["first_time"] = at["time"][syn]
    rows["last_time"] = at["time"][np.maximum(ours, theirs)]
    rows["first_capture"] = at["frame"][syn] >> 32
    rows["first_frame"] = at["frame"][syn] & 0xFFFFFFFF
    rows["join_seq"], rows["join_ack"] = at["seq"][request], at["ack"][request]
    rows["client_acked"], rows["server_acked"] = acked.T
    for name, fin in (("client_fin", ours), ("server_fin", theirs)):
        rows[f"{name}_capture"] = at["frame"][fin] >> 32
        rows[f"{name}_frame"] = at["frame"][fin] & 0xFFFFFFFF
        rows[f"{name}_time"] = at["time"][fin]
    rows["requests"] = rows["answered"] = brief.exchanges[which]
    return rows


def _addresses(words: Words, address: Callable[[int, int], int]) -> Ints:
    """The numbers of addresses, shape (n, 2): each that differs is asked for once.

    In the order in which they were met.
    """
    kinds, first, kind = np.unique(
        words[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ words[:, 1],
        return_index=True,
        return_inverse=True,
    )
    if (words != words[first[kind]]).any():  # two with one sum: somebody's intention
        return np.array([address(a, b) for a, b in words.tolist()], dtype=np.int64)
    numbers = np.zeros(len(kinds), dtype=np.int64)
    for at in np.argsort(first).tolist():
        high, low = words[first[at]].tolist()
        numbers[at] = address(high, low)
    found: Ints = numbers[kind]
    return found


def echo_flags(token: bytes, body: bytes) -> int:
    """The flags of a response whose request has `token`."""
    if not token:
        return 0
    return _HAS_TOKEN | _ECHOES if echoes.repeats(token, body) else _HAS_TOKEN


def _groups(values: Ints) -> list[tuple[int, Ints]]:
    """Each value with the indices where it stands, in their order."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1)).tolist()
    ends = [*starts[1:], len(order)]
    return [(int(ordered[a]), order[a:b]) for a, b in zip(starts, ends, strict=bool(starts))]
