# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, embedsignature=True
"""The loops over bytes that decide how fast a scan is, compiled; they hold no lock while they run.

Law: a kernel tells what is plain and declines the rest, which the general path then reads: nothing
is known here that decides a result. Where this module could not be built everything is declined,
and the same comes out, later. The bytes are an attacker's: all of them are read through `octet`,
`word` and `same`, which look no further than the text's end, and every array is bounds-checked.
`kernels.pyi` says what each function takes and gives.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

import os

import numpy as np


cdef extern from *:
    """
    /* The first of eight bytes whose high bit is set; 0, which is always true as "not before that",
       where this is not known to be quick, or the last byte is the lowest. */
    #if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define first_high(bits) ((int) (__builtin_ctzll(bits) >> 3))
    #define lowest_first 1
    #else
    #define first_high(bits) 0
    #define lowest_first 0
    #endif
    """
    int first_high(uint64_t bits) nogil
    bint lowest_first  # whether the first of eight bytes is known to be the lowest


cdef struct Text:
    const uint8_t *bytes
    Py_ssize_t end


cdef Text text_of(const uint8_t[::1] data, Py_ssize_t end) noexcept nogil:
    """The bytes of `data` before `end`."""
    cdef Text text
    text.end = max(0, min(end, data.shape[0]))
    text.bytes = &data[0] if text.end else NULL
    return text


cdef inline Py_ssize_t within(Text *text, Py_ssize_t at) noexcept nogil:
    """The position in the text nearest to `at`."""
    return max(0, min(at, text.end))


cdef inline int octet(Text *text, Py_ssize_t at) noexcept nogil:
    """The byte at `at`; -1 where there is none."""
    return text.bytes[at] if 0 <= at < text.end else -1


cdef inline bint word(Text *text, Py_ssize_t at, uint64_t *into) noexcept nogil:
    """Eight bytes from `at`, in the machine's order; false where there are fewer."""
    if not 0 <= at <= text.end - 8:
        return False
    memcpy(into, text.bytes + at, 8)
    return True


cdef inline bint same(Text *text, Py_ssize_t at, Text *literal, Py_ssize_t begin, Py_ssize_t size) noexcept nogil:
    """Whether `size` bytes from `at` are those of `literal` from `begin`."""
    if not (0 <= at <= text.end - size and 0 <= begin <= literal.end - size):
        return False
    return size <= 0 or memcmp(text.bytes + at, literal.bytes + begin, size) == 0


cdef inline bint is_digit(int byte) noexcept nogil:
    return 0x30 <= byte <= 0x39


cdef inline bint is_alphanumeric(int byte) noexcept nogil:
    return is_digit(byte) or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A


# --- frames ----------------------------------------------------------------------------------

RECORD = 16


def record_offsets(const uint8_t[::1] data, bint big_endian, Py_ssize_t longest):
    cdef Text text = text_of(data, data.shape[0])
    cdef Py_ssize_t most = text.end // 16 + 1
    offsets = np.empty(most, dtype=np.int64)
    cdef int64_t[::1] out = offsets
    cdef Py_ssize_t count = 0, at = 0, length
    cdef bint valid = True
    cdef int b0, b1, b2, b3
    with nogil:
        while at + 16 <= text.end:
            b0, b1 = octet(&text, at + 8), octet(&text, at + 9)
            b2, b3 = octet(&text, at + 10), octet(&text, at + 11)
            if big_endian:
                length = <Py_ssize_t> b0 << 24 | b1 << 16 | b2 << 8 | b3
            else:
                length = <Py_ssize_t> b3 << 24 | b2 << 16 | b1 << 8 | b0
            if length > longest:
                valid = False
                break
            if at + 16 + length > text.end:
                break
            out[count] = at
            count += 1
            at += 16 + length
    return offsets[:count].copy(), at, valid


cdef inline Py_ssize_t number_at(Text *text, Py_ssize_t at, bint big_endian) noexcept nogil:
    """The 32 bits at `at` without a sign; the text has them."""
    cdef int b0 = octet(text, at), b1 = octet(text, at + 1)
    cdef int b2 = octet(text, at + 2), b3 = octet(text, at + 3)
    if big_endian:
        return <Py_ssize_t> b0 << 24 | b1 << 16 | b2 << 8 | b3
    return <Py_ssize_t> b3 << 24 | b2 << 16 | b1 << 8 | b0


def packet_blocks(const uint8_t[::1] data, Py_ssize_t at, bint big_endian, Py_ssize_t longest):
    cdef Text text = text_of(data, data.shape[0])
    offsets = np.empty(max(0, text.end - at) // 32 + 1, dtype=np.int64)
    cdef int64_t[::1] out = offsets
    cdef Py_ssize_t count = 0, length
    with nogil:
        while 0 <= at <= text.end - 32 and number_at(&text, at, big_endian) == 6:
            length = number_at(&text, at + 4, big_endian)
            if (
                length < 32
                or length & 3
                or length > longest
                or at + length > text.end
                or number_at(&text, at + length - 4, big_endian) != length
                or number_at(&text, at + 20, big_endian) > length - 32
            ):
                break
            out[count] = at
            count += 1
            at += length
    return offsets[:count].copy(), at


# --- brief connections -----------------------------------------------------------------------

cdef enum:
    FIN = 1
    SYN = 2
    RST = 4
    ACK = 16
    FLAGS = 23


cdef inline int64_t apart(int64_t a, int64_t b) noexcept nogil:
    """`intervals.distance`."""
    return ((b - a + 0x80000000LL) & 0xFFFFFFFFLL) - 0x80000000LL


cdef int brief_connection(
    const int64_t[:, ::1] rows, const uint8_t[::1] ordinary, Py_ssize_t at, Py_ssize_t stop,
    int64_t[::1] out,
) except -1 nogil:
    """Whether the rows at..stop are all of a brief connection; then `out` says what it was."""
    cdef int64_t[2] following
    cdef int64_t[2] acked
    cdef int64_t[2] fin
    cdef int64_t client, side, seq, ack, first = -1, exchanges = 0
    cdef Py_ssize_t last = -1
    if stop - at < 6:
        return False
    client = rows[at, 0]
    if rows[at, 3] & FLAGS != SYN or rows[at, 5]:
        return False
    if rows[at + 1, 0] == client or rows[at + 1, 3] & FLAGS != SYN | ACK or rows[at + 1, 5]:
        return False
    following[0] = (rows[at, 1] + 1) & 0xFFFFFFFFLL
    following[1] = (rows[at + 1, 1] + 1) & 0xFFFFFFFFLL
    if rows[at + 1, 2] != following[0]:
        return False
    acked[0], acked[1] = following[0], -1
    fin[0] = fin[1] = -1
    at += 2
    while at < stop and (fin[0] < 0 or fin[1] < 0):
        side = rows[at, 0] != client
        seq, ack = rows[at, 1], rows[at, 2]
        if ordinary[at]:
            if side or seq != following[0] or ack != following[1] or fin[0] >= 0 or fin[1] >= 0:
                return False
            if not exchanges:
                first = at
            elif at != last + 2:
                return False
            last = at
            exchanges += 1
            acked[1], acked[0] = ack, rows[at + 1, 2]
            following[0] = rows[at + 1, 2]
            following[1] = (rows[at + 1, 1] + rows[at + 1, 5]) & 0xFFFFFFFFLL
            at += 2
            continue
        # An ack, perhaps with a FIN, of what was seen.
        if rows[at, 5] or not rows[at, 3] & ACK or rows[at, 3] & (SYN | RST):
            return False
        if apart(following[1 - side], ack) > 0 or (not rows[at, 4] and not rows[at, 3] & FIN):
            return False
        if acked[1 - side] < 0 or apart(acked[1 - side], ack) > 0:
            acked[1 - side] = ack
        if rows[at, 3] & FIN:
            if fin[side] >= 0 or seq != following[side]:
                return False
            fin[side] = at
            following[side] = (seq + 1) & 0xFFFFFFFFLL
        at += 1
    if not exchanges or fin[0] < 0 or fin[1] < 0:
        return False
    out[0], out[1], out[2], out[3] = exchanges, first, fin[0], fin[1]
    out[4], out[5] = acked[0], acked[1]
    while at < stop:
        # Behind the end only what says nothing.
        if rows[at, 5] or rows[at, 3] & SYN:
            return False
        at += 1
    return True


def brief_connections(
    const int64_t[:, ::1] rows,
    const uint8_t[::1] ordinary,
    const int64_t[::1] bounds,
    const uint8_t[::1] known,
    uint8_t[::1] brief,
    int64_t[:, ::1] out,
):
    cdef Py_ssize_t n
    with nogil:
        for n in range(bounds.shape[0] - 1):
            if not known[n]:
                brief[n] = brief_connection(rows, ordinary, bounds[n], bounds[n + 1], out[n])


# --- codes: words that stand for something longer --------------------------------------------

# SipHash-1-3 (Aumasson and Bernstein, 2012) under a key of this process alone: nobody can prepare
# two inputs with one code, and by chance two in a billion billion share one.

cdef struct Sip:
    uint64_t a, b, c, d

cdef uint64_t KEY_LOW = int.from_bytes(os.urandom(8), "little")
cdef uint64_t KEY_HIGH = int.from_bytes(os.urandom(8), "little")


cdef inline uint64_t rotated(uint64_t value, int by) noexcept nogil:
    return value << by | value >> (64 - by)


cdef inline void sip_round(Sip *sip) noexcept nogil:
    sip.a += sip.b
    sip.c += sip.d
    sip.b = rotated(sip.b, 13) ^ sip.a
    sip.d = rotated(sip.d, 16) ^ sip.c
    sip.a = rotated(sip.a, 32)
    sip.c += sip.b
    sip.a += sip.d
    sip.b = rotated(sip.b, 17) ^ sip.c
    sip.d = rotated(sip.d, 21) ^ sip.a
    sip.c = rotated(sip.c, 32)


cdef inline void sip_begin(Sip *sip) noexcept nogil:
    sip.a = KEY_LOW ^ 0x736F6D6570736575ULL
    sip.b = KEY_HIGH ^ 0x646F72616E646F6DULL
    sip.c = KEY_LOW ^ 0x6C7967656E657261ULL
    sip.d = KEY_HIGH ^ 0x7465646279746573ULL


cdef inline void sip_word(Sip *sip, uint64_t value) noexcept nogil:
    sip.d ^= value
    sip_round(sip)
    sip.a ^= value


cdef inline uint64_t sip_end(Sip *sip) noexcept nogil:
    sip.c ^= 0xFF
    sip_round(sip)
    sip_round(sip)
    sip_round(sip)
    return sip.a ^ sip.b ^ sip.c ^ sip.d


cdef uint64_t code_of(uint64_t value) noexcept nogil:
    """A code for a single word; never 0."""
    cdef Sip sip
    sip_begin(&sip)
    sip_word(&sip, value)
    return sip_end(&sip) | 1


cdef void sip_bytes(Sip *sip, Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """The bytes at..end, then a word that ends them: their number, and those of the last word."""
    cdef uint64_t last = <uint64_t> (end - at) << 56, value
    cdef int place = 0
    while at + 8 <= end and word(text, at, &value):
        sip_word(sip, value)
        at += 8
    if lowest_first and at < end and word(text, at, &value):
        last |= value & ((<uint64_t> 1 << 8 * (end - at)) - 1)
        at = end
    while at < end:
        last |= <uint64_t> (octet(text, at) & 0xFF) << place
        place += 8
        at += 1
    sip_word(sip, last)


# --- heads -----------------------------------------------------------------------------------

cdef enum:
    # How a field counts in the key of a head; any other only has to be plain.
    WHOLE = 1
    LENGTH = 2
    NAMED = 3

cdef uint8_t[256] TOKEN  # which bytes a token is made of (RFC 9110 section 5.6.2)
_TCHAR = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
for _byte in range(256):
    TOKEN[_byte] = _byte in _TCHAR


cdef struct Head:
    Py_ssize_t end, number, target, target_end


cdef Py_ssize_t value_end(Text *text, Py_ssize_t at, int last) noexcept nogil:
    """Where a value ends with the byte `last`; -1 where a lower byte comes first, or the end."""
    cdef int byte = octet(text, at)
    while byte > last:
        at += 1
        byte = octet(text, at)
    return at if byte == last else -1


cdef Py_ssize_t number_end(Text *text, Py_ssize_t at, Py_ssize_t *value) noexcept nogil:
    """Where a number of one to nine digits ends; -1 where there is none."""
    cdef int places = 0
    value[0] = 0
    while is_digit(octet(text, at)):
        value[0] = value[0] * 10 + octet(text, at) - 0x30
        at += 1
        places += 1
        if places > 9:
            return -1
    return at if places else -1


cdef Py_ssize_t chunk_begin(Text *text, Py_ssize_t at, Py_ssize_t *size) noexcept nogil:
    """Where the data of the chunk at `at` begins; -1 where its line is not plain."""
    cdef int places = 0, byte = octet(text, at)
    size[0] = 0
    while is_digit(byte) or 0x41 <= byte <= 0x46 or 0x61 <= byte <= 0x66:
        size[0] = size[0] << 4 | (byte & 0x0F) + (0 if is_digit(byte) else 9)
        at += 1
        places += 1
        byte = octet(text, at)
    if not 1 <= places <= 7 or byte != 0x0D or octet(text, at + 1) != 0x0A:
        return -1
    return at + 2


cdef Py_ssize_t chunks_end(Text *text, Py_ssize_t at, Py_ssize_t *length) noexcept nogil:
    """Where a chunked body without trailers ends, and its bytes; -1 where it is not plain."""
    cdef Py_ssize_t size = 1
    length[0] = 0
    while size:
        at = chunk_begin(text, at, &size)
        if at < 0:
            return -1
        at += size
        length[0] += size
        if octet(text, at) != 0x0D or octet(text, at + 1) != 0x0A:
            return -1
        at += 2
    return at


cdef int64_t kind_of(
    Text *text, Py_ssize_t at, Py_ssize_t size, Text *names, const int64_t[:, ::1] table
) except -1 nogil:
    """How the field whose name is the `size` bytes from `at` counts; 0: not at all."""
    cdef Py_ssize_t row, place, begin, wanted
    for row in range(table.shape[0]):
        begin, wanted = table[row, 0], table[row, 1]
        # Either the whole name, or what it ends with.
        if size != wanted and not (table[row, 3] and size > wanted):
            continue
        place = 0
        while place < wanted and lower(octet(text, at + size - wanted + place)) == octet(
            names, begin + place
        ):
            place += 1
        if place == wanted:
            return table[row, 2]
    return 0


cdef uint64_t head_key(
    Text *text, Py_ssize_t at, Head *head, Text *names, const int64_t[:, ::1] table,
    bint is_response, Py_ssize_t longest,
) except? 0 nogil:
    """The key of the head at `at`; 0: it is not plain."""
    cdef Sip sip
    cdef Py_ssize_t begin = at, stop = at, name
    cdef int64_t kind
    head.number, head.target, head.target_end = -1, 0, 0
    sip_begin(&sip)
    if is_response:
        stop = value_end(text, at, 0x0D)
        if stop < 0:
            return 0
        sip_bytes(&sip, text, at, stop)
        at = stop
    else:
        while 0x41 <= octet(text, stop) <= 0x5A:
            stop += 1
        if octet(text, stop) != 0x20:
            return 0
        sip_bytes(&sip, text, at, stop)
        head.target = stop + 1
        head.target_end = at = value_end(text, head.target, 0x20)
        if head.target_end <= head.target or not is_version(text, at):
            return 0
        at += 9
    while True:
        if octet(text, at) != 0x0D or octet(text, at + 1) != 0x0A or at - begin > longest - 4:
            return 0
        at += 2
        if octet(text, at) == 0x0D:
            break
        name = at
        while at < text.end and TOKEN[text.bytes[at]]:
            at += 1
        if at == name or octet(text, at) != 0x3A:
            return 0
        kind = kind_of(text, name, at - name, names, table)
        stop = at + 1
        if kind == LENGTH:
            while octet(text, stop) == 0x20:
                stop += 1
            at = number_end(text, stop, &stop)
            if at < 0 or head.number >= 0:
                return 0
            head.number = stop
            sip_word(&sip, kind)
            continue
        at = value_end(text, stop, 0x0D)
        if at < 0:
            return 0
        if kind:
            sip_word(&sip, kind)
            sip_bytes(&sip, text, name, at if kind == WHOLE else stop)
    if octet(text, at + 1) != 0x0A:
        return 0
    head.end = at + 2
    return sip_end(&sip) | 1


cdef bint is_version(Text *text, Py_ssize_t at) noexcept nogil:
    """Whether the bytes from `at` are ` HTTP/1.1`."""
    return 0 <= at <= text.end - 9 and memcmp(text.bytes + at, b" HTTP/1.1", 9) == 0


def head_keys(
    const uint8_t[::1] data,
    const int64_t[::1] start,
    const int64_t[::1] end,
    const uint8_t[::1] names,
    const int64_t[:, ::1] table,
    bint is_response,
    Py_ssize_t longest,
    uint64_t[::1] keys,
    int64_t[:, ::1] out,
):
    cdef Text text, wanted = text_of(names, names.shape[0])
    cdef Head head
    cdef Py_ssize_t row
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, end[row])
            keys[row] = head_key(&text, start[row], &head, &wanted, table, is_response, longest)
            if keys[row]:
                out[row, 0], out[row, 1] = head.end, head.number
                out[row, 2], out[row, 3] = head.target, head.target_end


def chunked_lengths(
    const uint8_t[::1] data, const int64_t[::1] start, const int64_t[::1] end, int64_t[::1] out
):
    cdef Text text
    cdef Py_ssize_t row, length = 0
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, end[row])
            out[row] = length if chunks_end(&text, start[row], &length) == text.end else -1


def unchunked(const uint8_t[::1] data, Py_ssize_t at, Py_ssize_t end):
    cdef Text text = text_of(data, end)
    cdef Py_ssize_t size = 1
    out = bytearray()
    while size:
        at = chunk_begin(&text, at, &size)
        if not 0 <= at <= text.end - size:
            raise ValueError("not a chunked body")
        out += data[at : at + size]
        at += size + 2
    return bytes(out)


def unchunk(
    const uint8_t[::1] data,
    const int64_t[::1] start,
    const int64_t[::1] end,
    uint8_t[::1] out,
    int64_t[::1] ends,
):
    cdef Text text
    cdef Py_ssize_t row, at, size, filled = 0
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, end[row])
            at, size = start[row], 1
            while size:
                at = chunk_begin(&text, at, &size)
                if not 0 <= at <= text.end - size or size > out.shape[0] - filled:
                    break
                if size:
                    memcpy(&out[filled], text.bytes + at, size)
                filled += size
                at += size + 2
            ends[row] = filled


def joined(
    const uint8_t[::1] data,
    const int64_t[::1] first,
    const int64_t[::1] last,
    const int64_t[::1] payload,
    const int64_t[::1] sizes,
    Py_ssize_t size,
):
    cdef Py_ssize_t message, row, at, end = data.shape[0] + size, filled = data.shape[0]
    cdef bytes out = PyBytes_FromStringAndSize(NULL, end)
    cdef uint8_t *into = <uint8_t *> PyBytes_AS_STRING(out)
    cdef Text text = text_of(data, data.shape[0])
    with nogil:
        if text.end:
            memcpy(into, text.bytes, text.end)
        for message in range(first.shape[0]):
            for row in range(first[message], last[message] + 1):
                at = payload[row]
                if not (0 <= sizes[row] <= end - filled and 0 <= at <= text.end - sizes[row]):
                    break
                memcpy(into + filled, text.bytes + at, sizes[row])
                filled += sizes[row]
        memset(into + filled, 0, end - filled)
    return out


# --- targets ---------------------------------------------------------------------------------


cdef bint is_word(Text *text, Py_ssize_t at, const char *name, Py_ssize_t size) noexcept nogil:
    """Whether the bytes from `at` are `name`, which is in small letters, in either case."""
    cdef Py_ssize_t place
    for place in range(size):
        if octet(text, at + place) | 0x20 != name[place]:
            return False
    return True


cdef int names_operation(
    Text *text, Py_ssize_t at, Py_ssize_t end, Py_ssize_t size, Text *names, const int64_t[:, ::1] table
) except -1 nogil:
    """Whether the parameter at..end, whose name has `size` bytes, may name an operation."""
    cdef int64_t kind = kind_of(text, at, size, names, table)
    cdef int byte
    if kind < 2:
        return kind == 1
    # A document of GraphQL begins with a brace, a keyword, a blank or what is escaped.
    byte = octet(text, at + size + 1) if at + size + 1 < end else 0
    return (
        byte == 0x7B or byte == 0x25 or byte == 0x2B or byte <= 0x20
        or byte == 0x71 or byte == 0x6D or byte == 0x73 or byte == 0x66
    )


cdef int sip_operations(
    Sip *sip, Text *text, Py_ssize_t at, Text *names, const int64_t[:, ::1] table
) except -1 nogil:
    """Add the parameters of the query at `at` that may name an operation, to the letter."""
    cdef Py_ssize_t begin, name
    cdef int byte = 0
    while 0 <= at < text.end and byte != 0x23:
        begin = at
        name = -1
        byte = octet(text, at)
        while byte >= 0 and byte != 0x26 and byte != 0x23:
            if byte == 0x3D and name < 0:
                name = at - begin
            at += 1
            byte = octet(text, at)
        if name > 0 and names_operation(text, begin, at, name, names, table):
            sip_word(sip, 0xFE00000000000000ULL)
            sip_bytes(sip, text, begin, at)
        at += 1
    return 0


def path_codes(
    const uint8_t[::1] data,
    const int64_t[::1] start,
    const int64_t[::1] end,
    Py_ssize_t shortest,
    const uint8_t[::1] names,
    const int64_t[:, ::1] table,
    uint64_t[::1] codes,
    int64_t[:, ::1] tokens,
):
    cdef Text text, wanted = text_of(names, names.shape[0])
    cdef Sip sip
    cdef Py_ssize_t row, at, segment
    cdef int byte, digits
    cdef bint dotted, whole
    with nogil:
        for row in range(start.shape[0]):
            at = start[row]
            text = text_of(data, end[row])
            tokens[row, 0] = tokens[row, 1] = text.end
            sip_begin(&sip)
            # Another form than a path, and a fragment: to the letter.
            whole = octet(&text, at) != 0x2F or (
                0 <= at < text.end and memchr(text.bytes + at, 0x23, text.end - at) != NULL
            )
            byte = 0
            while byte >= 0 and byte != 0x3F:
                segment = at
                digits = 0
                dotted = False
                byte = octet(&text, at)
                while byte >= 0 and byte != 0x2F and byte != 0x3F:
                    digits += is_digit(byte)
                    dotted |= byte == 0x2E
                    at += 1
                    byte = octet(&text, at)
                if digits and at - segment >= shortest:
                    tokens[row, 0], tokens[row, 1] = segment, at
                if not whole and digits and (digits == at - segment or (
                    # Dates are 7 or 10 bytes long, and `.json` is more than a variable.
                    digits >= 4 and not dotted and at - segment != 7 and at - segment != 10
                )):
                    sip_word(&sip, 0xFF00000000000000ULL)
                else:
                    sip_bytes(&sip, &text, segment, at)
                at += 1
            if byte == 0x3F:
                sip_operations(&sip, &text, at, &wanted, table)
            codes[row] = sip_end(&sip)


# --- bodies ----------------------------------------------------------------------------------

cdef enum:
    DEEPEST = 24
    DISTINCT = 8

# What stands for scalars among the codes of values, and what ends an object or an array.
cdef uint64_t STRING = code_of(1)
cdef uint64_t NUMBER = code_of(2)
cdef uint64_t BOOLEAN = code_of(3)
cdef uint64_t NULL_VALUE = code_of(4)
cdef uint64_t OBJECT = code_of(5)
cdef uint64_t ARRAY = code_of(6)

cdef uint64_t ONES = 0x0101010101010101ULL
cdef uint64_t HIGHS = 0x8080808080808080ULL


cdef struct Level:
    # An object or an array being read. Of an array's items only the distinct ones count: the first
    # few kinds are remembered.
    bint is_object
    Sip sip
    uint64_t total
    int distinct
    uint64_t kinds[DISTINCT]


cdef inline uint64_t odd_bytes(uint64_t value) noexcept nogil:
    """The high bits of those of eight bytes that are a quote, a backslash, a control or above ASCII.

    Others may have theirs set behind the first such byte. 0: there is none.
    """
    cdef uint64_t quote = value ^ (ONES * 0x22), slash = value ^ (ONES * 0x5C)
    cdef uint64_t odd = (quote - ONES) & ~quote | (slash - ONES) & ~slash
    odd |= (value - ONES * 0x20) & ~value | value
    return odd & HIGHS


cdef int character(Text *text, Py_ssize_t at) noexcept nogil:
    """The bytes of the character above ASCII at `at` (RFC 3629 §4); 0 where it is not valid."""
    cdef int first = octet(text, at), second = octet(text, at + 1)
    cdef int low = 0x80, high = 0xBF, more
    if 0xC2 <= first <= 0xDF:
        more = 1
    elif 0xE0 <= first <= 0xEF:
        more = 2
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    elif 0xF0 <= first <= 0xF4:
        more = 3
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    else:
        return 0
    if not low <= second <= high:
        return 0
    if more > 1 and not 0x80 <= octet(text, at + 2) <= 0xBF:
        return 0
    if more > 2 and not 0x80 <= octet(text, at + 3) <= 0xBF:
        return 0
    return more + 1


cdef int escape(Text *text, Py_ssize_t at) noexcept nogil:
    """The bytes of the escape at `at` (RFC 8259 §7); 0 where it is half of a pair, or not valid."""
    cdef int kind = octet(text, at + 1), place, byte, value = 0
    if kind == 0x22 or kind == 0x5C or kind == 0x2F:
        return 2
    if kind == 0x62 or kind == 0x66 or kind == 0x6E or kind == 0x72 or kind == 0x74:
        return 2
    if kind != 0x75:
        return 0
    for place in range(2, 6):
        byte = octet(text, at + place)
        if not (is_digit(byte) or 0x41 <= byte <= 0x46 or 0x61 <= byte <= 0x66):
            return 0
        value = value << 4 | (byte & 0x0F) + (0 if is_digit(byte) else 9)
    return 0 if 0xD800 <= value <= 0xDFFF else 6


cdef Py_ssize_t string_end(Text *text, Py_ssize_t at) noexcept nogil:
    """Where the quote is that ends the string whose bytes begin at `at`; -1 where it is not valid."""
    cdef uint64_t value, odd
    cdef int byte, size
    while True:
        while word(text, at, &value):
            odd = odd_bytes(value)
            if odd:
                at += first_high(odd)
                break
            at += 8
        byte = octet(text, at)
        while byte >= 0x20 and byte < 0x80 and byte != 0x22 and byte != 0x5C:
            at += 1
            byte = octet(text, at)
        if byte == 0x22:
            return at
        if byte == 0x5C:
            size = escape(text, at)
        elif byte >= 0x80:
            size = character(text, at)
        else:
            return -1
        if not size:
            return -1
        at += size


cdef Py_ssize_t json_number_end(Text *text, Py_ssize_t at) noexcept nogil:
    """Where the number at `at` ends; -1 where it has an exponent, is very long, or is not valid."""
    cdef Py_ssize_t begin
    if octet(text, at) == 0x2D:
        at += 1
    begin = at
    while is_digit(octet(text, at)):
        at += 1
    if not 1 <= at - begin <= 18 or (octet(text, begin) == 0x30 and at - begin > 1):
        return -1
    if octet(text, at) == 0x2E:
        begin = at + 1
        at = begin
        while is_digit(octet(text, at)):
            at += 1
        if not 1 <= at - begin <= 18:
            return -1
    if octet(text, at) == 0x65 or octet(text, at) == 0x45:
        return -1
    return at


cdef bint spelled(Text *text, Py_ssize_t at, const char *name, int size) noexcept nogil:
    return 0 <= at <= text.end - size and memcmp(text.bytes + at, name, size) == 0


cdef inline Py_ssize_t past_space(Text *text, Py_ssize_t at) noexcept nogil:
    cdef int byte = octet(text, at)
    while byte == 0x20 or byte == 0x0A or byte == 0x0D or byte == 0x09:
        at += 1
        byte = octet(text, at)
    return at


cdef inline void add_item(Level *level, uint64_t value) noexcept nogil:
    cdef int place
    for place in range(level.distinct):
        if level.kinds[place] == value:
            return
    if level.distinct < DISTINCT:
        level.kinds[level.distinct] = value
        level.distinct += 1
    level.total += value


cdef uint64_t json_code(Text *text, Py_ssize_t at) noexcept nogil:
    """A word that stands for the skeleton of the JSON text from `at` to the end; 0: declined.

    Its skeleton: the keys of objects in their order, the types of values, and the distinct ones
    among an array's items in any order.
    """
    cdef Level levels[DEEPEST]
    cdef Level *level = NULL
    cdef int depth = 0, byte
    cdef Py_ssize_t begin
    cdef uint64_t value
    cdef bint key = False
    while True:
        at = past_space(text, at)
        byte = octet(text, at)
        if key:
            if byte != 0x22:
                return 0
            begin = at + 1
            at = string_end(text, begin)
            if at < 0:
                return 0
            sip_bytes(&level.sip, text, begin, at)
            at = past_space(text, at + 1)
            if octet(text, at) != 0x3A:
                return 0
            at = past_space(text, at + 1)
            byte = octet(text, at)
            key = False
        if byte == 0x22:
            at = string_end(text, at + 1) + 1
            if not at:
                return 0
            value = STRING
        elif byte == 0x2D or is_digit(byte):
            at = json_number_end(text, at)
            if at < 0:
                return 0
            value = NUMBER
        elif byte == 0x7B or byte == 0x5B:
            if depth >= DEEPEST:
                return 0
            level = &levels[depth]
            depth += 1
            level.is_object = byte == 0x7B
            sip_begin(&level.sip)
            level.total = 0
            level.distinct = 0
            at = past_space(text, at + 1)
            if octet(text, at) != (0x7D if level.is_object else 0x5D):
                key = level.is_object
                continue
            # Empty: closed below.
            value = 0
        elif spelled(text, at, "true", 4):
            at += 4
            value = BOOLEAN
        elif spelled(text, at, "false", 5):
            at += 5
            value = BOOLEAN
        elif spelled(text, at, "null", 4):
            at += 4
            value = NULL_VALUE
        else:
            return 0
        # A value has been read; it may end what it is in, and that in turn.
        while depth:
            if value:
                if level.is_object:
                    sip_word(&level.sip, value)
                else:
                    add_item(level, value)
                at = past_space(text, at)
            byte = octet(text, at)
            if byte == 0x2C and value:
                at += 1
                key = level.is_object
                break
            if byte != (0x7D if level.is_object else 0x5D):
                return 0
            at += 1
            sip_word(&level.sip, OBJECT if level.is_object else ARRAY)
            sip_word(&level.sip, level.total)
            value = sip_end(&level.sip) | 1
            depth -= 1
            if depth:
                level = &levels[depth - 1]
        else:
            return value if past_space(text, at) == text.end else 0


cdef uint32_t adler32(Text *text, Py_ssize_t at) noexcept nogil:
    """The Adler-32 (RFC 1950 §8.2) of the text from `at` on."""
    cdef uint32_t low = 1, high = 0, total, weighted
    cdef Py_ssize_t size, place
    cdef const uint8_t *part
    if at < 0:
        return low
    while at < text.end:
        # The longest run whose sums stay below 2**32.
        size = min(5552, text.end - at)
        part = text.bytes + at
        total = weighted = 0
        for place in range(size):
            total += part[place]
            weighted += <uint32_t> (size - place) * part[place]
        high = (high + <uint32_t> size * low % 65521 + weighted % 65521) % 65521
        low = (low + total) % 65521
        at += size
    return high << 16 | low


cdef bint repeats(Text *text, Py_ssize_t at, Text *target, Py_ssize_t token, Py_ssize_t size) noexcept nogil:
    """Whether the text from `at` on has the token in it as a whole word."""
    cdef Py_ssize_t begin = at
    cdef int first = octet(target, token)
    cdef const uint8_t *found
    while 0 <= at <= text.end - size:
        found = <const uint8_t *> memchr(text.bytes + at, first, text.end - at)
        if found == NULL:
            return False
        at = found - text.bytes
        if not same(text, at, target, token, size):
            at += 1
        elif not is_alphanumeric(octet(text, at + size)) and (
            at == begin or not is_alphanumeric(octet(text, at - 1))
        ):
            return True
        else:
            at += size
    return False


# --- markup: pages and documents ---------------------------------------------------------------

# The code of a page is that of the tree that `markup.html_shape` makes of it: names by place, and
# which of them may be missing. What a tag says is asked of `markup` once for each tag that differs
# in what tells. Whatever is not plain, and whatever meets a limit, is declined.

cdef enum:
    # Pieces that `learn` is asked about.
    BEGINS = 0
    ENDS = 1
    HEADING = 2
    # What a tag does.
    IS_VOID = 1
    IS_RAW = 2
    ENDS_ROW = 4
    IS_CELL = 8
    IS_HEADING = 16
    IS_DECLINED = 32
    # The table of what was learned: places, and how many of them are taken at most.
    TOLD_PLACES = 1 << 14
    MOST_TOLD = 1 << 13
    MOST_INSIDE = 8
    NODE_PLACES = 1024
    MOST_NODES = 256
    MOST_CHILDREN = 96
    MOST_OPEN = 256
    MOST_TAGS = 65536
    MOST_COLUMNS = 64
    LONGEST_NAME = 64
    LONGEST_HEADING = 480
    MOST_CLASSES = 8


cdef struct Told:
    # What a tag says: codes of its name, of the leaf that it is, of the element that it is, and of
    # the leaves in it (0: none); its bit among the tags that others end, and those that it ends.
    uint64_t key, tag, leaf, named
    uint64_t inside[MOST_INSIDE]
    int count
    uint32_t own, closes, does


cdef struct Node:
    # As `markup._Node`.
    uint64_t name
    int64_t times, around, latest
    int parent, depth, children
    bint has_text


cdef struct Tree:
    int count, deepest
    Node nodes[MOST_NODES + 1]
    int16_t places[NODE_PLACES]


cdef struct Opened:
    uint64_t tag
    uint32_t own
    int node


cdef struct Page:
    Tree tree
    int open, columns
    bint has_cells
    Opened opened[MOST_OPEN]
    uint64_t column[MOST_COLUMNS]


def text_code(const uint8_t[::1] data):
    cdef Text text = text_of(data, data.shape[0])
    cdef Sip sip
    sip_begin(&sip)
    sip_bytes(&sip, &text, 0, text.end)
    return sip_end(&sip) | 1


cdef class Markup:
    """What was learned of the tags of one language; `code` gives the code of a body in it."""

    cdef Told *told
    cdef int known, deepest
    cdef bint is_xml
    cdef object learn

    def __cinit__(self, learn, bint is_xml, int deepest):
        self.learn = learn
        self.is_xml = is_xml
        self.deepest = deepest
        self.known = 0
        self.told = NULL

    def __dealloc__(self):
        free(self.told)

    def code(self, const uint8_t[::1] body):
        cdef Text text = text_of(body, body.shape[0])
        return markup_code(self, &text, 0)

    cdef int ask(self, Told *into, int kind, bytes name, bytes rest) except -1:
        """Learn what a piece says."""
        cdef int place
        found = self.learn(kind, name, rest)
        if found is None:
            into.does = IS_DECLINED
            return 0
        into.tag, into.leaf, into.named, inside, into.own, into.closes, into.does = found
        into.count = len(inside)
        if into.count > MOST_INSIDE:
            into.does = IS_DECLINED
            return 0
        for place in range(into.count):
            into.inside[place] = inside[place]
        return 0


cdef Told *told_of(
    Markup self, uint64_t key, int kind, Text *text, Py_ssize_t at, Py_ssize_t middle, Py_ssize_t end
) except NULL nogil:
    """What the piece with this key says: the bytes at..middle, and middle..end."""
    cdef Told *found
    cdef Py_ssize_t place = key & (TOLD_PLACES - 1)
    if self.told == NULL:
        self.told = <Told *> calloc(TOLD_PLACES, sizeof(Told))
        if self.told == NULL:
            with gil:
                raise MemoryError
    while True:
        found = &self.told[place]
        if found.key == key:
            return found
        if not found.key:
            break
        place = (place + 1) & (TOLD_PLACES - 1)
    if self.known >= MOST_TOLD:
        memset(self.told, 0, TOLD_PLACES * sizeof(Told))
        self.known = 0
        found = &self.told[key & (TOLD_PLACES - 1)]
    with gil:
        self.ask(found, kind, (<char *> text.bytes)[at:middle], (<char *> text.bytes)[middle:end])
    found.key = key
    self.known += 1
    return found


cdef inline bint is_letter(int byte) noexcept nogil:
    return 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A or byte == 0x5F


cdef inline bint is_quote(int byte) noexcept nogil:
    return byte == 0x22 or byte == 0x27


cdef inline void sip_piece(Sip *sip, uint64_t kind, Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """A piece with its kind and its size before it, so that pieces in a row are told apart."""
    sip_word(sip, kind << 32 | <uint64_t> (end - at))
    sip_bytes(sip, text, at, end)


cdef inline bint has_digit(Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    while at < end:
        if is_digit(octet(text, at)):
            return True
        at += 1
    return False


cdef void sip_classes(Sip *sip, Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Those of the first classes that are names; others only count."""
    cdef int count = 0
    cdef Py_ssize_t begin
    while count < MOST_CLASSES:
        while at < end and is_blank(octet(text, at)):
            at += 1
        if at >= end:
            return
        begin = at
        while at < end and not is_blank(octet(text, at)):
            at += 1
        if has_digit(text, begin, at):
            sip_word(sip, 0xFFULL << 32)
        else:
            sip_piece(sip, 7, text, begin, at)
        count += 1


cdef bint sip_name(Sip *sip, Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """A field's name but for the digits in it; false where it is long or has a NUL."""
    cdef uint8_t[LONGEST_NAME] buffer
    cdef Text without
    cdef Py_ssize_t size = 0
    cdef int byte
    if end - at > LONGEST_NAME:
        return False
    while at < end:
        byte = octet(text, at)
        at += 1
        if not byte:
            return False
        if is_digit(byte):
            while at < end and is_digit(octet(text, at)):
                at += 1
            byte = 0
        buffer[size] = <uint8_t> byte
        size += 1
    without.bytes, without.end = buffer, size
    sip_piece(sip, 6, &without, 0, size)
    return True


cdef bint sip_attribute(
    Sip *sip, Text *text, Py_ssize_t at, Py_ssize_t end, Py_ssize_t value, Py_ssize_t value_end
) noexcept nogil:
    """What tells of a page's attribute; false: it is not plain."""
    cdef Py_ssize_t size = end - at
    if size == 5 and is_word(text, at, b"class", 5):
        sip_word(sip, 1ULL << 32)
        sip_classes(sip, text, value, value_end)
        sip_word(sip, 8ULL << 32)
    elif size == 2 and is_word(text, at, b"id", 2):
        # With a digit in it it is no name (`markup._NAME`).
        if has_digit(text, value, value_end):
            sip_word(sip, 2ULL << 32 | 0xFFFFFFFFULL)
        else:
            sip_piece(sip, 2, text, value, value_end)
    elif (size == 4 and is_word(text, at, b"name", 4)) or (
        size == 8 and is_word(text, at, b"property", 8)
    ):
        sip_word(sip, 3ULL << 32 | <uint64_t> size)
        return sip_name(sip, text, value, value_end)
    elif size > 5 and is_word(text, at, b"data", 4) and octet(text, at + 4) == 0x2D:
        sip_piece(sip, 4, text, at, end)
    return True


cdef Py_ssize_t attributes_end(
    Text *text, Py_ssize_t at, Sip *sip, bint is_xml, bint *slash
) noexcept nogil:
    """Where the `>` is that ends the tag whose attributes begin at `at`; -1: not plain."""
    cdef Py_ssize_t begin, stop, value, value_end
    cdef const uint8_t *found
    cdef int byte
    slash[0] = False
    while True:
        byte = octet(text, at)
        if byte == 0x3E:
            return at
        if byte == 0x2F or is_blank(byte):
            slash[0] = byte == 0x2F
            at += 1
            continue
        slash[0] = False
        begin = at
        while byte >= 0 and not is_blank(byte) and byte != 0x3D and byte != 0x2F and byte != 0x3E:
            if is_quote(byte):
                return -1
            at += 1
            byte = octet(text, at)
        if byte < 0 or at == begin:
            return -1
        stop = at
        value = value_end = at
        while is_blank(byte):
            at += 1
            byte = octet(text, at)
        if byte == 0x3D:
            at += 1
            while is_blank(octet(text, at)):
                at += 1
            byte = octet(text, at)
            value = at
            if is_quote(byte):
                value += 1
                if value >= text.end:
                    return -1
                found = <const uint8_t *> memchr(text.bytes + value, byte, text.end - value)
                if found == NULL:
                    return -1
                value_end = found - text.bytes
                at = value_end + 1
            else:
                while byte != 0x3E and not is_blank(byte):
                    if byte < 0 or byte == 0x3D or is_quote(byte):
                        return -1
                    at += 1
                    byte = octet(text, at)
                if at == value:
                    return -1
                value_end = at
                slash[0] = octet(text, at - 1) == 0x2F
        else:
            at = stop
        if is_xml:
            sip_piece(sip, 5, text, begin, stop)
        elif not sip_attribute(sip, text, begin, stop, value, value_end):
            return -1


cdef int entered(Tree *tree, int parent, uint64_t name) noexcept nogil:
    """As `markup._Tree.enter`; -1 where there are too many."""
    cdef int place = <int> ((name ^ <uint64_t> parent * 0x9E3779B97F4A7C15ULL) >> 40) & (NODE_PLACES - 1)
    cdef int at
    cdef Node *node
    while True:
        at = tree.places[place]
        if not at:
            break
        node = &tree.nodes[at]
        if node.name == name and node.parent == parent:
            break
        place = (place + 1) & (NODE_PLACES - 1)
    if not at:
        if tree.nodes[parent].depth >= tree.deepest:
            return parent
        if tree.count >= MOST_NODES or tree.nodes[parent].children >= MOST_CHILDREN:
            return -1
        tree.count += 1
        at = tree.count
        tree.places[place] = <int16_t> at
        node = &tree.nodes[at]
        node.name, node.parent, node.depth = name, parent, tree.nodes[parent].depth + 1
        node.times = node.around = node.latest = 0
        node.children = 0
        node.has_text = False
        tree.nodes[parent].children += 1
    node.times += 1
    if node.latest != tree.nodes[parent].times:
        node.latest = tree.nodes[parent].times
        node.around += 1
    return at


cdef bint row_over(Page *page) noexcept nogil:
    """As `markup._Page.row`; false where there are too many names."""
    cdef int column
    if not page.has_cells:
        for column in range(page.columns):
            if page.column[column] and entered(
                &page.tree, page.opened[page.open].node, page.column[column]
            ) < 0:
                return False
    page.columns, page.has_cells = 0, False
    return True


cdef Py_ssize_t heading_end(Text *text, Py_ssize_t at) noexcept nogil:
    """Where the heading of a column that begins at `at` ends; -1 where that is not plain."""
    cdef Py_ssize_t begin = at
    cdef int byte
    while at - begin < LONGEST_HEADING:
        byte = octet(text, at)
        if byte < 0:
            return -1
        if byte == 0x3C:
            if octet(text, at + 1) == 0x2F and is_word(text, at + 2, b"th", 2) and octet(
                text, at + 4
            ) == 0x3E:
                return at
            byte = octet(text, at + 2 if octet(text, at + 1) == 0x2F else at + 1)
            if byte | 0x20 == 0x74:
                return -1
        at += 1
    return -1


cdef bint begun(Markup self, Page *page, Told *told, Text *text, Py_ssize_t end) except -1 nogil:
    """As `markup._Page.begin`; false: declined."""
    cdef int node, inner, place
    cdef Py_ssize_t stop
    cdef Sip sip
    cdef Told said = told[0]  # learning may move what is behind `told`
    while page.opened[page.open].own & said.closes:
        page.open -= 1
    if said.does & ENDS_ROW and not row_over(page):
        return False
    if said.does & IS_CELL:
        page.has_cells = True
    if said.does & IS_HEADING:
        stop = heading_end(text, end)
        if stop < 0 or page.columns >= MOST_COLUMNS:
            return False
        sip_begin(&sip)
        sip_piece(&sip, 10 + HEADING, text, end, stop)
        page.column[page.columns] = told_of(
            self, sip_end(&sip) | 1, HEADING, text, end, stop, stop
        ).leaf
        page.columns += 1
    node = page.opened[page.open].node
    if said.leaf and entered(&page.tree, node, said.leaf) < 0:
        return False
    if said.named:
        inner = entered(&page.tree, node, said.named)
        if inner < 0:
            return False
        if inner != node:
            for place in range(said.count):
                if entered(&page.tree, inner, said.inside[place]) < 0:
                    return False
        node = inner
    if not said.does & IS_VOID:
        if page.open + 1 >= MOST_OPEN:
            return False
        page.open += 1
        page.opened[page.open].tag = said.tag
        page.opened[page.open].own = said.own
        page.opened[page.open].node = node
    return True


cdef bint ended(Page *page, Told *told) noexcept nogil:
    """As `markup._Page.end`; false: declined."""
    cdef int place = page.open
    if told.does & ENDS_ROW and not row_over(page):
        return False
    while place and page.opened[place].tag != told.tag:
        place -= 1
    if place:
        page.open = place - 1
    return True


cdef Py_ssize_t found_at(Text *text, Py_ssize_t at, const char *mark, Py_ssize_t size) noexcept nogil:
    """Where the mark stands first, from `at` on; -1: nowhere."""
    cdef const uint8_t *found
    while 0 <= at < text.end:
        found = <const uint8_t *> memchr(text.bytes + at, mark[0], text.end - at)
        if found == NULL:
            return -1
        at = found - text.bytes
        if spelled(text, at, mark, <int> size):
            return at
        at += 1
    return -1


cdef Py_ssize_t raw_end(Text *text, Py_ssize_t at, Py_ssize_t name, Py_ssize_t size) noexcept nogil:
    """Where the end tag of an element stands whose content is no markup; -1: nowhere."""
    cdef Py_ssize_t place
    while True:
        at = found_at(text, at, b"</", 2)
        if at < 0:
            return -1
        place = 0
        while place < size and lower(octet(text, at + 2 + place)) == lower(octet(text, name + place)):
            place += 1
        if place == size:
            return at
        at += 2


cdef Py_ssize_t passed(Text *text, Py_ssize_t at) noexcept nogil:
    """Where what is no element ends, a comment or the like; -1: nowhere."""
    if spelled(text, at, b"<!--", 4):
        return found_at(text, at + 4, b"-->", 3)
    if spelled(text, at, b"<![CDATA[", 9):
        return found_at(text, at + 9, b"]]>", 3)
    return found_at(text, at + 2, b">", 1)


cdef uint64_t tree_code(Tree *tree) noexcept nogil:
    """A word that stands for the tree: names, places and what may be missing."""
    cdef uint64_t[MOST_NODES + 1] totals
    cdef Sip sip
    cdef Node *node
    cdef int at = tree.count
    memset(totals, 0, sizeof(totals))
    while at > 0:
        node = &tree.nodes[at]
        sip_begin(&sip)
        sip_word(&sip, node.name)
        sip_word(
            &sip,
            (node.around < tree.nodes[node.parent].times)
            | (2 if node.has_text and not node.children else 0),
        )
        sip_word(&sip, totals[at])
        totals[node.parent] += sip_end(&sip)
        at -= 1
    sip_begin(&sip)
    sip_word(&sip, totals[0])
    return sip_end(&sip) | 1


cdef uint64_t markup_code(Markup self, Text *text, Py_ssize_t at) except? 0 nogil:
    """A word that stands for the skeleton of the page or document from `at` on; 0: declined."""
    cdef Page page
    cdef Told *told
    cdef Sip sip
    cdef const uint8_t *found
    cdef Py_ssize_t begin, name, middle, last = at, tags = 0
    cdef int byte, kind, node
    cdef bint slash = False
    memset(page.tree.places, 0, sizeof(page.tree.places))
    page.tree.count, page.tree.deepest = 0, self.deepest
    memset(&page.tree.nodes[0], 0, sizeof(Node))
    page.tree.nodes[0].times = 1
    page.open = page.columns = 0
    page.has_cells = False
    memset(&page.opened[0], 0, sizeof(Opened))
    if octet(text, at) >= 0xEF:
        return 0  # perhaps a byte order mark
    while 0 <= at < text.end:
        found = <const uint8_t *> memchr(text.bytes + at, 0x3C, text.end - at)
        if found == NULL:
            break
        begin = at = found - text.bytes
        byte = octet(text, at + 1)
        tags += 1
        if tags >= MOST_TAGS or byte >= 0x80:
            return 0
        if byte == 0x21 or byte == 0x3F:
            at = passed(text, at)
            if at < 0:
                return 0
            continue
        kind = ENDS if byte == 0x2F else BEGINS
        name = at + 1 + kind
        byte = octet(text, name)
        if not is_letter(byte):
            if byte >= 0x80:
                return 0
            at += 1
            continue
        middle = name
        while is_letter(byte) or is_digit(byte) or byte == 0x2D or byte == 0x3A or byte == 0x2E:
            middle += 1
            byte = octet(text, middle)
        if middle - name > LONGEST_NAME or not (is_blank(byte) or byte == 0x2F or byte == 0x3E):
            return 0
        sip_begin(&sip)
        sip_piece(&sip, 10 + kind, text, name, middle)
        at = attributes_end(text, middle, &sip, self.is_xml, &slash)
        if at < 0:
            return 0
        sip_word(&sip, slash)
        told = told_of(self, sip_end(&sip) | 1, kind, text, name, middle, at)
        at += 1
        if told.does & IS_DECLINED:
            return 0
        if self.is_xml:
            node = page.opened[page.open].node
            while last < begin and is_blank(octet(text, last)):
                last += 1
            page.tree.nodes[node].has_text |= last < begin
            last = at
        if kind == ENDS:
            if not ended(&page, told):
                return 0
            continue
        kind = told.does & IS_RAW
        if not begun(self, &page, told, text, at):
            return 0
        if kind:
            at = raw_end(text, at, name, middle - name)
            if at < 0:
                return 0
    if not row_over(&page):
        return 0
    return tree_code(&page.tree)


def look(
    const uint8_t[::1] data,
    const int64_t[::1] start,
    const int64_t[::1] end,
    const uint8_t[::1] kinds,
    const int64_t[:, ::1] tokens,
    Markup pages not None,
    Markup documents not None,
    uint64_t[::1] codes,
    uint32_t[::1] sums,
    uint8_t[::1] echoes,
):
    cdef Text text, target
    cdef Py_ssize_t row, token
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, end[row])
            sums[row] = adler32(&text, start[row])
            if not kinds[row]:
                continue
            if kinds[row] == 1:
                codes[row] = json_code(&text, start[row])
            else:
                codes[row] = (
                    markup_code(pages, &text, start[row])
                    if kinds[row] == 2
                    else markup_code(documents, &text, start[row])
                )
            target = text_of(data, tokens[row, 1])
            token = within(&target, tokens[row, 0])
            if token < target.end:
                echoes[row] = repeats(&text, start[row], &target, token, target.end - token)


def body_code(const uint8_t[::1] body):
    cdef Text text = text_of(body, body.shape[0])
    cdef uint64_t code
    with nogil:
        code = json_code(&text, 0)
    return code


def checksums(
    const uint8_t[::1] data, const int64_t[::1] start, const int64_t[::1] end, uint32_t[::1] sums
):
    cdef Text text
    cdef Py_ssize_t row
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, end[row])
            sums[row] = adler32(&text, start[row])


def marks_in(
    const uint8_t[::1] data,
    const int64_t[::1] start,
    const int64_t[::1] end,
    const uint8_t[::1] marks,
    const int64_t[:, ::1] table,
    uint8_t[::1] out,
):
    cdef Text text, every = text_of(marks, marks.shape[0])
    cdef Py_ssize_t row, at, mark
    cdef uint8_t[256] second
    cdef const uint8_t *found
    memset(second, 0, 256)
    for mark in range(table.shape[0]):
        second[octet(&every, table[mark, 0] + 1) & 0xFF] = 1
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, end[row])
            at = within(&text, start[row])
            while at + 1 < text.end:
                # All of them begin with a quotation mark.
                found = <const uint8_t *> memchr(text.bytes + at, 0x22, text.end - at - 1)
                if found == NULL:
                    break
                at = found - text.bytes
                if second[text.bytes[at + 1]]:
                    for mark in range(table.shape[0]):
                        if same(&text, at, &every, table[mark, 0], table[mark, 1]):
                            out[row] |= <uint8_t> table[mark, 2]
                at += 1


# --- tokens: what `echoes.tokens` gives of plain requests -------------------------------------

cdef enum:
    # Kinds of places, as in `echoes.KINDS`.
    PATH = 0
    QUERY = 1
    HEADER = 2
    BODY = 3
    FORM = 4
    COOKIE = 5
    JWT = 6
    BASIC = 7
    # How the bytes of a value are to be read.
    AS_IS = 0
    PERCENT = 1
    PLUS = 2  # and a plus sign is a blank
    JSON = 3
    MOST_TOKENS = 24  # of one request
    MOST_COOKIES = 8
    LONGEST_PATH = 512
    SHORTEST_TOKEN = 2
    LONGEST_TOKEN = 128
    LONGEST_VALUE = 768  # as many bytes at least, escaped, as the longest token
    LONGEST_CLAIMS = 4096
    DATA_DIGITS = 4  # so many digits make a place's name data

cdef uint32_t[8][256] CRC  # of a byte that so many bytes follow ("slicing by 8")


cdef void prepare_crc() noexcept nogil:
    cdef uint32_t value
    cdef int byte, bit, behind
    for byte in range(256):
        value = byte
        for bit in range(8):
            value = value >> 1 ^ (0xEDB88320U if value & 1 else 0)
        CRC[0][byte] = value
    for behind in range(1, 8):
        for byte in range(256):
            value = CRC[behind - 1][byte]
            CRC[behind][byte] = CRC[0][value & 0xFF] ^ value >> 8


prepare_crc()


cdef uint32_t crc32(uint32_t start, Text *text, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """As `zlib.crc32`."""
    cdef uint32_t value = start ^ 0xFFFFFFFFU
    cdef Py_ssize_t end = within(text, at + size)
    cdef const uint8_t *part
    at = within(text, at)
    while at <= end - 8:
        part = text.bytes + at
        value = (
            CRC[7][(value ^ part[0]) & 0xFF]
            ^ CRC[6][(value >> 8 ^ part[1]) & 0xFF]
            ^ CRC[5][(value >> 16 ^ part[2]) & 0xFF]
            ^ CRC[4][value >> 24 ^ part[3]]
            ^ CRC[3][part[4]]
            ^ CRC[2][part[5]]
            ^ CRC[1][part[6]]
            ^ CRC[0][part[7]]
        )
        at += 8
    while at < end:
        value = CRC[0][(value ^ text.bytes[at]) & 0xFF] ^ value >> 8
        at += 1
    return value ^ 0xFFFFFFFFU


def asked_sums(
    const uint8_t[::1] data,
    const int64_t[:, ::1] spans,
    const uint8_t[::1] names,
    const int64_t[:, ::1] table,
    uint32_t[::1] out,
    uint32_t[::1] behalf,
):
    cdef Text text, wanted = text_of(names, names.shape[0])
    cdef Py_ssize_t row, at, stop, name, head
    cdef int64_t which  # of the table's rows, from 1 on
    cdef uint32_t value, whose
    with nogil:
        for row in range(spans.shape[0]):
            head = spans[row, 2]
            text = text_of(data, head)
            value = crc32(0, &text, spans[row, 0], spans[row, 1] - spans[row, 0])
            whose = 0
            at = line_end(&text, spans[row, 1], head)
            while at + 2 < head:
                name = at + 2
                stop = name
                while stop < head and TOKEN[text.bytes[stop]]:
                    stop += 1
                at = line_end(&text, stop, head)
                if octet(&text, stop) != 0x3A:
                    continue
                which = kind_of(&text, name, stop - name, &wanted, table)
                if which:
                    value = crc32(value, &wanted, table[which - 1, 0], table[which - 1, 1])
                    value = crc32(value, &text, stop, 1)
                    whose = crc32(whose, &wanted, table[which - 1, 0], table[which - 1, 1])
                    whose = crc32(whose, &text, stop, 1)
                    stop = past_blanks(&text, stop + 1)
                    name = at
                    while name > stop and (
                        text.bytes[name - 1] == 0x20 or text.bytes[name - 1] == 0x09
                    ):
                        name -= 1
                    value = crc32(value, &text, stop, name - stop)
                    whose = crc32(whose, &text, stop, name - stop)
            text = text_of(data, spans[row, 3])
            value = crc32(value, &text, head, spans[row, 3] - head)
            out[row] = value if value else 1
            behalf[row] = whose


# --- sketches: what `features.sketch` gives -----------------------------------------------------

cdef enum:
    WIDTH = 32
    LONGEST_SKETCHED = 65536
    DEEPEST_SKETCHED = 32
    MOST_LINES = 64


cdef inline bint is_space(int byte) noexcept nogil:
    return byte == 0x20 or 0x09 <= byte <= 0x0D


cdef void noted(uint8_t *out, uint32_t place, Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Put the number of the value at..end into the bucket of a place, if none is there."""
    cdef uint8_t *into = out + (place & (WIDTH - 1))
    if end > at and not into[0]:
        into[0] = <uint8_t> (crc32(0, text, at, end - at) % 255 + 1)


cdef void sketch_json(uint8_t *out, Text *text, Py_ssize_t at) noexcept nogil:
    cdef uint32_t above[DEEPEST_SKETCHED]
    cdef uint32_t base = 0, path = 0
    cdef int depth = 0, byte
    cdef Py_ssize_t begin, held = -1, held_end = 0
    while at < text.end:
        byte = octet(text, at)
        if byte == 0x3A:
            if held >= 0:
                path = crc32(base, text, held, held_end - held)
            held = -1
            at += 1
            continue
        if is_space(byte):
            at += 1
            continue
        if held >= 0:
            noted(out, path, text, held, held_end)
            held = -1
        if byte == 0x22:
            held = at + 1
            at = held
            while at < text.end and octet(text, at) != 0x22:
                at += 2 if octet(text, at) == 0x5C and at + 1 < text.end else 1
            held_end = at
            if at >= text.end:
                held_end = sketch_unended(text, held)
            at += 1
        elif byte == 0x7B or byte == 0x5B:
            if depth == DEEPEST_SKETCHED:
                return
            above[depth] = base
            depth += 1
            base = path = crc32(path, text, at, 1)
            at += 1
        elif byte == 0x7D or byte == 0x5D:
            if depth:
                depth -= 1
                base = above[depth]
            else:
                base = 0
            path = base
            at += 1
        elif byte == 0x2C:
            at += 1
        else:
            begin = at
            while at < text.end and not is_space(octet(text, at)) and not ends_word(octet(text, at)):
                at += 1
            if not says_little(text, begin, at):
                noted(out, path, text, begin, at)
    if held >= 0:
        noted(out, path, text, held, held_end)


cdef Py_ssize_t sketch_unended(Text *text, Py_ssize_t at) noexcept nogil:
    """Where a string ends that the text breaks off in: before a backslash that escapes nothing."""
    while at < text.end:
        if octet(text, at) == 0x5C:
            if at + 1 == text.end:
                return at
            at += 1
        at += 1
    return text.end


cdef inline bint ends_word(int byte) noexcept nogil:
    return (
        byte == 0x7B or byte == 0x7D or byte == 0x5B or byte == 0x5D or byte == 0x3A
        or byte == 0x2C or byte == 0x22
    )


cdef inline bint says_little(Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    if end - at == 4:
        return spelled(text, at, "true", 4) or spelled(text, at, "null", 4)
    return end - at == 5 and spelled(text, at, "false", 5)


cdef void sketch_markup(uint8_t *out, Text *text, Py_ssize_t at) noexcept nogil:
    cdef uint8_t counts[256]
    cdef uint32_t tag = 0
    cdef Text small
    cdef uint8_t letter
    cdef Py_ssize_t end, begin, close, stop
    memset(counts, 0, 256)
    small.bytes = &letter
    small.end = 1
    while at < text.end and octet(text, at) != 0x3C:
        at += 1
    while at < text.end:
        at += 1  # behind the "<"
        end = at
        close = -1
        while end < text.end and octet(text, end) != 0x3C:
            if close < 0 and octet(text, end) == 0x3E:
                close = end
            end += 1
        if close >= 0:
            stop = at
            while stop < close and is_alphanumeric(octet(text, stop)):
                stop += 1
            if stop > at:
                tag = 0
                while at < stop:
                    letter = <uint8_t> lower(octet(text, at))
                    tag = crc32(tag, &small, 0, 1)
                    at += 1
            begin, stop = close + 1, end
            while begin < stop and is_space(octet(text, begin)):
                begin += 1
            while stop > begin and is_space(octet(text, stop - 1)):
                stop -= 1
            if stop > begin:
                letter = counts[tag & 255] = counts[tag & 255] + 1
                noted(out, crc32(tag, &small, 0, 1), text, begin, stop)
        at = end


cdef void sketch_lines(uint8_t *out, Text *text, Py_ssize_t at) noexcept nogil:
    cdef Text small
    cdef uint8_t number = 0
    cdef Py_ssize_t end, stop
    small.bytes = &number
    small.end = 1
    while at <= text.end and number < MOST_LINES:
        number += 1
        end = at
        while end < text.end and octet(text, end) != 0x0A:
            end += 1
        stop = end
        while at < stop and is_space(octet(text, at)):
            at += 1
        while stop > at and is_space(octet(text, stop - 1)):
            stop -= 1
        noted(out, crc32(0, &small, 0, 1), text, at, stop)
        at = end + 1


def sketches(
    const uint8_t[::1] data,
    const int64_t[::1] start,
    const int64_t[::1] end,
    uint8_t[:, ::1] out,
):
    cdef Text text
    cdef Py_ssize_t row, at
    cdef int byte
    with nogil:
        for row in range(start.shape[0]):
            text = text_of(data, min(end[row], start[row] + LONGEST_SKETCHED))
            at = start[row]
            while at < text.end and is_space(octet(&text, at)):
                at += 1
            byte = octet(&text, at)
            if byte == 0x7B or byte == 0x5B:
                sketch_json(&out[row, 0], &text, at)
            elif byte == 0x3C:
                sketch_markup(&out[row, 0], &text, at)
            else:
                sketch_lines(&out[row, 0], &text, start[row])


cdef uint32_t value_hash(Text *text, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """As `echoes.value_hash`: the CRC-32, mixed (the finalizer of MurmurHash3), 31 bits."""
    cdef uint32_t value = crc32(0, text, at, size)
    value = (value ^ value >> 16) * 0x85EBCA6BU
    value = (value ^ value >> 13) * 0xC2B2AE35U
    return (value ^ value >> 16) >> 1


cdef struct Met:
    # A token that was met: row of its place, whether the response repeats it, hash of its value.
    int64_t place
    uint32_t value
    bint found


cdef struct Search:
    # One request being searched for tokens, and its response for those.
    Text request
    Text lines  # of the response's head
    Py_ssize_t lines_begin
    Text answer  # the response's body
    Py_ssize_t answer_begin
    Text names
    int64_t first, most  # the route's first place; the greatest rank of a place still to be learned
    bint sampled, declined
    int count, met
    Met[MOST_TOKENS] tokens


cdef bint has(Text *text, Py_ssize_t at, Py_ssize_t end, int byte) noexcept nogil:
    """Whether `byte` stands between `at` and `end`."""
    return 0 <= at < end <= text.end and memchr(text.bytes + at, byte, end - at) != NULL


cdef int hex_value(int byte) noexcept nogil:
    """The value of a hexadecimal digit; -1 where it is none."""
    if is_digit(byte):
        return byte - 0x30
    byte |= 0x20
    return byte - 0x57 if 0x61 <= byte <= 0x66 else -1


cdef Py_ssize_t unquoted(
    Text *text, Py_ssize_t at, Py_ssize_t end, bint plus, uint8_t *into, Py_ssize_t room
) noexcept nogil:
    """The bytes at..end with `%20` (and, with `plus`, `+`) replaced; their number, -1: too many."""
    cdef Py_ssize_t size = 0
    cdef int byte, high, low
    while at < end:
        if size == room:
            return -1
        byte = octet(text, at)
        if byte == 0x25 and at + 2 < end:
            high, low = hex_value(octet(text, at + 1)), hex_value(octet(text, at + 2))
            if high >= 0 and low >= 0:
                byte = high << 4 | low
                at += 2
        elif byte == 0x2B and plus:
            byte = 0x20
        into[size] = <uint8_t> byte
        size += 1
        at += 1
    return size


cdef Py_ssize_t unescaped(
    Text *text, Py_ssize_t at, Py_ssize_t end, uint8_t *into, Py_ssize_t room
) noexcept nogil:
    """The bytes at..end of a valid JSON string without escapes; -1: too many, or one by number."""
    cdef Py_ssize_t size = 0
    cdef int byte
    while at < end:
        if size == room:
            return -1
        byte = octet(text, at)
        if byte == 0x5C:
            at += 1
            byte = octet(text, at)
            if byte == 0x6E:
                byte = 0x0A
            elif byte == 0x74:
                byte = 0x09
            elif byte == 0x72:
                byte = 0x0D
            elif byte == 0x62:
                byte = 0x08
            elif byte == 0x66:
                byte = 0x0C
            elif byte != 0x22 and byte != 0x5C and byte != 0x2F:
                return -1
        into[size] = <uint8_t> byte
        size += 1
        at += 1
    return size


cdef int64_t rank(int kind, int64_t number, Text *name, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """As `echoes.rank`."""
    cdef int digits = 0
    cdef Py_ssize_t place
    for place in range(at, at + size):
        digits += is_digit(octet(name, place))
    return <int64_t> (digits >= DATA_DIGITS or size > LONGEST_TOKEN) << 32 | (
        crc32(<uint32_t> (kind << 4 | number), name, at, size)
    )


cdef int token(
    Search *search, const int64_t[:, ::1] places, int kind, int64_t number,
    Text *name, Py_ssize_t name_at, Py_ssize_t name_size,
    Text *source, Py_ssize_t at, Py_ssize_t size, int reading,
) except -1 nogil:
    """A token of the request: `size` bytes from `at` of `source`, in a place."""
    cdef int64_t place
    cdef Met *met
    cdef Text value = source[0]
    cdef uint8_t[LONGEST_VALUE] buffer
    if search.count == MOST_TOKENS or search.declined:
        return 0
    search.count += 1
    if reading != AS_IS:
        if size > LONGEST_VALUE:
            return 0  # too long for a token, whatever it says
        if reading == JSON:
            size = unescaped(&value, at, at + size, buffer, LONGEST_VALUE)
        else:
            size = unquoted(&value, at, at + size, reading == PLUS, buffer, LONGEST_VALUE)
        if size < 0:
            search.declined = True
            return 0
        at = 0
        value.bytes, value.end = buffer, size
    if not SHORTEST_TOKEN <= size <= LONGEST_TOKEN:
        return 0
    place = search.first
    while place >= 0 and not (
        places[place, 0] == kind and places[place, 1] == number and places[place, 3] == name_size
        and (not name_size or same(name, name_at, &search.names, places[place, 2], name_size))
    ):
        place = places[place, 5]
    if place < 0:
        # A new one; but where others come first it is never learned.
        search.declined = rank(kind, number, name, name_at, name_size) <= search.most
        return 0
    met = &search.tokens[search.met]
    met.found = False
    if search.sampled or not places[place, 4]:
        met.found = repeats(&search.answer, search.answer_begin, &value, at, size) or (
            repeats(&search.lines, search.lines_begin, &value, at, size)
        )
        if not met.found and not places[place, 4]:
            # It may be there in another spelling.
            search.declined = True
            return 0
    met.place = place
    met.value = value_hash(&value, at, size)
    search.met += 1
    return 0


cdef int path_tokens(
    Search *search, const int64_t[:, ::1] places, Py_ssize_t begin, Py_ssize_t end
) except -1 nogil:
    cdef Py_ssize_t at = end, last = end
    cdef int64_t back = 1
    cdef Text none
    none.bytes, none.end = NULL, 0
    while at >= begin and back <= 8:
        at -= 1
        if at < begin or octet(&search.request, at) == 0x2F:
            if last > at + 1:
                token(
                    search, places, PATH, back, &none, 0, 0,
                    &search.request, at + 1, last - at - 1,
                    PERCENT if has(&search.request, at + 1, last, 0x25) else AS_IS,
                )
            last = at
            back += 1
    return 0


cdef int pair_tokens(
    Search *search, const int64_t[:, ::1] places, int kind, Py_ssize_t at, Py_ssize_t end
) except -1 nogil:
    """The values of a query or a form."""
    cdef Py_ssize_t stop, equals
    cdef int pairs = 0
    while at <= end:
        stop = at
        equals = -1
        while stop < end and octet(&search.request, stop) != 0x26:
            if equals < 0 and octet(&search.request, stop) == 0x3D:
                equals = stop
            stop += 1
        pairs += 1
        if pairs > MOST_TOKENS:
            return 0
        if 0 <= equals < stop - 1:
            if equals - at > LONGEST_TOKEN:
                search.declined = True
                return 0
            token(
                search, places, kind, 0, &search.request, at, equals - at,
                &search.request, equals + 1, stop - equals - 1,
                PLUS if has(&search.request, equals, stop, 0x25)
                or has(&search.request, equals, stop, 0x2B) else AS_IS,
            )
        at = stop + 1
    return 0


cdef inline int lower(int byte) noexcept nogil:
    return byte | 0x20 if 0x41 <= byte <= 0x5A else byte


cdef bint starts_with(Text *text, Py_ssize_t at, Py_ssize_t end, const char *name, int size) noexcept nogil:
    """Whether the bytes at..end start with `name`, in either case."""
    cdef int place
    if end - at < size:
        return False
    for place in range(size):
        if lower(octet(text, at + place)) != name[place]:
            return False
    return True


cdef bint ends_with(Text *text, Py_ssize_t begin, Py_ssize_t end, const char *name, int size) noexcept nogil:
    """Whether the bytes begin..end end with `name`, in either case."""
    return end - begin >= size and starts_with(text, end - size, end, name, size)


cdef inline Py_ssize_t past_blanks(Text *text, Py_ssize_t at) noexcept nogil:
    while octet(text, at) == 0x20 or octet(text, at) == 0x09:
        at += 1
    return at


cdef inline Py_ssize_t line_end(Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Where the line at `at` ends, at a CR or LF."""
    while at < end and octet(text, at) != 0x0A and octet(text, at) != 0x0D:
        at += 1
    return at


cdef int header_tokens(
    Search *search, const int64_t[:, ::1] places, Py_ssize_t at, Py_ssize_t end,
    bint *is_form, bint *says_who,
) except -1 nogil:
    """Of the lines at..end those whose header carries an id; and what others there are."""
    cdef Text *text = &search.request
    cdef Text name
    cdef uint8_t lowered[64]
    cdef Py_ssize_t begin, value, stop, size
    cdef int byte
    name.bytes = lowered
    while at < end:
        begin = at
        byte = lower(octet(text, at))
        while 0x61 <= byte <= 0x7A or (at > begin and (byte == 0x2D or is_digit(byte))):
            at += 1
            byte = lower(octet(text, at))
        size = at - begin
        at = past_blanks(text, at)
        if octet(text, at) == 0x3A:
            value = past_blanks(text, at + 1)
            if (
                (ends_with(text, begin, begin + size, b"-id", 3) and size > 3)
                or (size == 15 and starts_with(text, begin, end, b"idempotency-key", 15))
                or (size == 11 and starts_with(text, begin, end, b"traceparent", 11))
            ):
                at = value
                while 0x21 <= octet(text, at) <= 0x7E:
                    at += 1
                stop = at
                at = past_blanks(text, at)
                if octet(text, at) == 0x0D and SHORTEST_TOKEN <= stop - value <= LONGEST_TOKEN:
                    if size > 64:
                        search.declined = True
                        return 0
                    name.end = size
                    for byte in range(<int> size):
                        lowered[byte] = <uint8_t> lower(octet(text, begin + byte))
                    token(
                        search, places, HEADER, 0, &name, 0, size, text, value, stop - value, AS_IS
                    )
            elif size == 12 and starts_with(text, begin, end, b"content-type", 12):
                is_form[0] |= starts_with(
                    text, value, end, b"application/x-www-form-urlencoded", 33
                )
            elif (size == 6 and starts_with(text, begin, end, b"cookie", 6)) or (
                size == 13 and starts_with(text, begin, end, b"authorization", 13)
            ):
                says_who[0] = True
        while at < end and octet(text, at) != 0x0A:
            at += 1
        at += 1
    return 0


cdef int who_tokens(
    Search *search, const int64_t[:, ::1] places, Py_ssize_t at, Py_ssize_t end
) except -1 nogil:
    """What the cookies and credentials in the lines at..end say."""
    cdef Text *text = &search.request
    cdef Py_ssize_t stop
    while at < end:
        if starts_with(text, at, end, b"cookie:", 7):
            at = past_blanks(text, at + 7)
            stop = line_end(text, at, end)
            cookie_tokens(search, places, at, stop)
        elif starts_with(text, at, end, b"authorization:", 14):
            at = past_blanks(text, at + 14)
            stop = line_end(text, at, end)
            credential_tokens(search, places, at, stop)
        else:
            stop = line_end(text, at, end)
        at = stop
        # A CR alone ends no line.
        while at < end and octet(text, at) != 0x0A:
            at += 1
        at += 1
    return 0


cdef inline bint is_blank(int byte) noexcept nogil:
    """What `bytes.strip` takes away."""
    return byte == 0x20 or 0x09 <= byte <= 0x0D


cdef int cookie_tokens(
    Search *search, const int64_t[:, ::1] places, Py_ssize_t at, Py_ssize_t end
) except -1 nogil:
    cdef Text *text = &search.request
    cdef Py_ssize_t next, stop, equals, value
    cdef int pairs = 0
    while at <= end and pairs < MOST_COOKIES:
        pairs += 1
        stop = at
        while stop < end and octet(text, stop) != 0x3B:
            stop += 1
        next = stop + 1
        while at < stop and is_blank(octet(text, at)):
            at += 1
        while at < stop and is_blank(octet(text, stop - 1)):
            stop -= 1
        equals = at
        while equals < stop and octet(text, equals) != 0x3D:
            equals += 1
        value = equals + 1
        while value < stop and octet(text, value) == 0x22:
            value += 1
        while value < stop and octet(text, stop - 1) == 0x22:
            stop -= 1
        if value < stop:
            if stop - value > LONGEST_TOKEN:
                jwt_tokens(search, places, value, stop)
            elif equals - at > LONGEST_TOKEN:
                search.declined = True
            else:
                token(
                    search, places, COOKIE, 0, text, at, equals - at, text, value, stop - value,
                    PERCENT if has(text, value, stop, 0x25) else AS_IS,
                )
        at = next
    return 0


cdef int base64_value(int byte) noexcept nogil:
    """The value of a character of either base64 alphabet (RFC 4648); -1 where it is none."""
    if 0x41 <= byte <= 0x5A:
        return byte - 0x41
    if 0x61 <= byte <= 0x7A:
        return byte - 0x47
    if is_digit(byte):
        return byte + 4
    if byte == 0x2B or byte == 0x2D:
        return 62
    return 63 if byte == 0x2F or byte == 0x5F else -1


cdef Py_ssize_t unbased(Text *text, Py_ssize_t at, Py_ssize_t end, uint8_t *into) noexcept nogil:
    """The bytes that base64 characters stand for, at most LONGEST_CLAIMS; -1: another character."""
    cdef Py_ssize_t size = 0
    cdef uint32_t bits = 0
    cdef int held = 0, value
    if end - at > LONGEST_CLAIMS:
        return -1
    while at < end:
        value = base64_value(octet(text, at))
        if value < 0:
            return -1
        bits = bits << 6 | <uint32_t> value
        held += 6
        if held >= 8:
            held -= 8
            into[size] = <uint8_t> (bits >> held)
            size += 1
        at += 1
    return size


cdef int credential_tokens(
    Search *search, const int64_t[:, ::1] places, Py_ssize_t at, Py_ssize_t end
) except -1 nogil:
    """What an Authorization header says."""
    cdef Text *text = &search.request
    cdef Text user, none
    cdef uint8_t[LONGEST_CLAIMS] buffer
    cdef Py_ssize_t size, stop
    while at < end and is_blank(octet(text, at)):
        at += 1
    while at < end and is_blank(octet(text, end - 1)):
        end -= 1
    if end - at < 6 or not starts_with(text, at, end, b"basic ", 6):
        jwt_tokens(search, places, at, end)
        return 0
    at += 6
    stop = end
    while at < stop and octet(text, stop - 1) == 0x3D:
        stop -= 1
    # Unless it is plain: a whole number of groups, in the alphabet of RFC 4648 section 4.
    if (end - at) & 3 or end - stop > 2 or has(text, at, stop, 0x2D) or has(text, at, stop, 0x5F):
        search.declined = True
        return 0
    size = unbased(text, at, stop, buffer)
    if size < 0:
        search.declined = True
        return 0
    user.bytes, user.end = buffer, size
    none.bytes, none.end = NULL, 0
    stop = 0
    while stop < size and buffer[stop] != 0x3A:
        stop += 1
    if stop:
        token(search, places, BASIC, 0, &none, 0, 0, &user, 0, stop, AS_IS)
    return 0


cdef inline Py_ssize_t past_word(Text *text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Past letters, digits, `_` and `-`."""
    cdef int byte
    while at < end:
        byte = octet(text, at)
        if not is_alphanumeric(byte) and byte != 0x5F and byte != 0x2D:
            break
        at += 1
    return at


cdef int jwt_tokens(
    Search *search, const int64_t[:, ::1] places, Py_ssize_t at, Py_ssize_t end
) except -1 nogil:
    """The claims of a JSON Web Token, if the bytes at..end are one."""
    cdef Text *text = &search.request
    cdef Text claims
    cdef uint8_t[LONGEST_CLAIMS] buffer
    cdef uint8_t[LONGEST_PATH + 8] path
    cdef Py_ssize_t begin, stop, size
    if end - at > 7 and (octet(text, at) | 0x20) == 0x62 and spelled(text, at + 1, b"earer", 5):
        begin = past_blanks(text, at + 6)
        if begin > at + 6:
            at = begin
    if not spelled(text, at, b"eyJ", 3):
        return 0
    at = past_word(text, at, end)
    begin = at + 1
    if at >= end or octet(text, at) != 0x2E or not spelled(text, begin, b"eyJ", 3):
        return 0
    stop = past_word(text, begin, end)
    if stop - begin < 4 or stop >= end or octet(text, stop) != 0x2E:
        return 0
    if past_word(text, stop + 1, end) != end or (stop - begin) % 4 == 1:
        return 0
    size = unbased(text, begin, stop, buffer)
    if size < 0:
        search.declined = True
        return 0
    claims.bytes, claims.end = buffer, size
    object_tokens(search, places, JWT, &claims, 0, path)
    return 0


cdef Py_ssize_t json_skip(Text *text, Py_ssize_t at) noexcept nogil:
    """Where the JSON value at `at` ends, the text being valid."""
    cdef int depth = 0, byte
    while True:
        byte = octet(text, at)
        if byte == 0x22:
            at = string_end(text, at + 1)
            if at < 0:
                return -1
        elif byte == 0x7B or byte == 0x5B:
            depth += 1
        elif byte == 0x7D or byte == 0x5D:
            depth -= 1
        elif byte < 0:
            return -1
        elif not depth:
            # A number or a name: to the byte that ends it.
            while is_alphanumeric(byte) or byte == 0x2D or byte == 0x2E or byte == 0x2B:
                at += 1
                byte = octet(text, at)
            return at
        at += 1
        if not depth:
            return at


cdef int object_tokens(
    Search *search, const int64_t[:, ::1] places, int kind, Text *text, Py_ssize_t at,
    uint8_t *path,
) except -1 nogil:
    """The tokens of the JSON text from `at` on, if it is an object."""
    at = past_space(text, at)
    if octet(text, at) != 0x7B:
        return 0
    if not json_code(text, at):
        search.declined = True
        return 0
    path[0] = 0x24
    value_tokens(search, places, kind, text, at, path, 1, 0)
    return 0


cdef Py_ssize_t value_tokens(
    Search *search, const int64_t[:, ::1] places, int kind, Text *text, Py_ssize_t at,
    uint8_t *path, int size, int deep,
) except -2 nogil:
    """The scalars of the valid JSON value at `at`, whose path is `size` long; returns its end."""
    cdef Text name
    cdef int byte = octet(text, at), item, earlier
    cdef Py_ssize_t begin = at, key
    cdef Py_ssize_t[MOST_TOKENS] keys
    cdef Py_ssize_t[MOST_TOKENS] sizes
    name.bytes, name.end = path, size
    if byte != 0x7B or deep >= 4:
        at = json_skip(text, at)
        if byte == 0x22:
            token(
                search, places, kind, 0, &name, 0, size, text, begin + 1, at - begin - 2,
                JSON if has(text, begin, at, 0x5C) else AS_IS,
            )
        elif (byte == 0x2D or is_digit(byte)) and not has(text, begin, at, 0x2E):
            if byte == 0x2D and octet(text, begin + 1) == 0x30:
                search.declined = True  # a -0 is a 0
            token(search, places, kind, 0, &name, 0, size, text, begin, at - begin, AS_IS)
        return at
    at = past_space(text, at + 1)
    item = 0
    while octet(text, at) == 0x22:
        key = at + 1
        at = string_end(text, key)
        # Long paths, escapes, and equal keys, of which the last counts: too rare to be worth more
        # here.
        search.declined |= at < 0 or has(text, key, at, 0x5C) or (
            item < MOST_TOKENS and size + 1 + at - key > LONGEST_PATH
        )
        if search.declined:
            return -1
        for earlier in range(item):
            if sizes[earlier] == at - key and same(text, key, text, keys[earlier], at - key):
                search.declined = True
                return -1
        # Past the quote, and past the colon.
        begin = past_space(text, past_space(text, at + 1) + 1)
        if item < MOST_TOKENS:
            keys[item], sizes[item] = key, at - key
            item += 1
            path[size] = 0x2E
            memcpy(path + size + 1, text.bytes + key, at - key)
            at = value_tokens(
                search, places, kind, text, begin, path, size + 1 + <int> (at - key), deep + 1
            )
        else:
            at = json_skip(text, begin)
        if at < 0:
            search.declined = True
            return -1
        at = past_space(text, at)
        if octet(text, at) == 0x2C:
            at = past_space(text, at + 1)
    return at + 1


cdef int note_value(uint32_t[:, ::1] values, int64_t place, uint32_t value) except -1 nogil:
    """Keep the least hashes of the values at a place, in their order, each once."""
    cdef Py_ssize_t at = values.shape[1] - 1, last
    if at < 0 or value >= values[place, at]:
        return 0
    while at > 0 and values[place, at - 1] > value:
        at -= 1
    if at > 0 and values[place, at - 1] == value:
        return 0
    last = values.shape[1] - 1
    while last > at:
        values[place, last] = values[place, last - 1]
        last -= 1
    values[place, at] = value
    return 0


def search_tokens(
    const uint8_t[::1] data,
    const int64_t[:, ::1] spans,
    const int64_t[:, ::1] wanted,
    const int64_t[:, ::1] places,
    const uint8_t[::1] names,
    int64_t[:, ::1] counts,
    uint32_t[:, ::1] values,
    uint8_t[::1] declined,
):
    cdef Search search
    cdef Py_ssize_t row, target, target_end, path_end, body, head
    cdef int met, byte
    cdef int64_t place
    cdef bint is_form, says_who
    cdef uint8_t[LONGEST_PATH + 8] path
    with nogil:
        search.names = text_of(names, names.shape[0])
        for row in range(spans.shape[0]):
            search.first, search.most = wanted[row, 0], wanted[row, 1]
            search.sampled = wanted[row, 2] & 1
            search.count = search.met = 0
            search.request = text_of(data, spans[row, 3])
            target = within(&search.request, spans[row, 0])
            target_end = within(&search.request, spans[row, 1])
            body = within(&search.request, spans[row, 2])
            search.lines = text_of(data, spans[row, 5])
            search.lines_begin = spans[row, 4]
            search.answer = text_of(data, spans[row, 7])
            search.answer_begin = spans[row, 6]
            search.declined = has(&search.request, target, target_end, 0x23)
            path_end = target
            while path_end < target_end and octet(&search.request, path_end) != 0x3F:
                path_end += 1
            path_tokens(&search, places, target, path_end)
            if path_end + 1 < target_end:
                pair_tokens(&search, places, QUERY, path_end + 1, target_end)
            is_form = says_who = False
            head = target_end
            if wanted[row, 2] & 2:
                while head < body and octet(&search.request, head) != 0x0A:
                    head += 1
                head += 1
                header_tokens(&search, places, head, body, &is_form, &says_who)
            if not search.declined:
                object_tokens(&search, places, BODY, &search.request, body, path)
            byte = octet(&search.request, body)
            if is_form and byte >= 0 and byte != 0x7B and byte != 0x5B:
                pair_tokens(&search, places, FORM, body, search.request.end)
            if says_who:
                who_tokens(&search, places, head, body)
            declined[row] = search.declined
            if search.declined:
                continue
            for met in range(search.met):
                place = search.tokens[met].place
                counts[place, 0] += 1
                counts[place, 1] += search.sampled
                counts[place, 2] += search.sampled and search.tokens[met].found
                note_value(values, place, search.tokens[met].value)
