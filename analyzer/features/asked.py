"""What a request asks for, as one number: its target, on whose behalf, and its body.

Law: equal requests have equal sums, and other ones hardly ever. On whose behalf is what a server
tells its clients apart by: the credentials (RFC 9110 §11.6.2, RFC 6265 §4.2). What may differ
between two requests for the same thing (dates, request ids, the client's name) does not count.
"""

import re
from zlib import crc32

# Header fields whose value says on whose behalf a request is made.
CREDENTIALS = (b"authorization", b"cookie", b"x-api-key", b"x-auth-token", b"x-access-token")
_LINE = re.compile(rb"(?im)^(%s):([^\r\n]*)" % b"|".join(CREDENTIALS))


def asked_sum(target: bytes, lines: bytes, body: bytes) -> int:
    """The CRC-32 of a request's target, its credentials and its body; never 0.

    `lines` are its field lines. The kernel `asked_sums` gives the same of plain heads.
    """
    return crc32(body, _with_credentials(lines, crc32(target))) or 1


def behalf_sum(lines: bytes) -> int:
    """The CRC-32 of the credentials in a request's field lines; 0 where it bears none."""
    return _with_credentials(lines, 0)


def _with_credentials(lines: bytes, found: int) -> int:
    for line in _LINE.finditer(lines):
        found = crc32(line[1].lower() + b":" + line[2].strip(b" \t"), found)
    return found
