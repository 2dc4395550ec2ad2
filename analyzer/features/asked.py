"""What a request asks for, and on whose behalf, as numbers.

Law: equal requests have equal sums, and other ones hardly ever. On whose behalf is what a server
tells its clients apart by: the credentials (RFC 9110 §11.6.2, RFC 6265 §4.2). What may differ
between two requests for the same thing (dates, request ids, the client's name) does not count.
Credentials are renewed: an *identity* is whom they name, where they say so for all to read (the
subject of a JSON Web Token, RFC 7519 §4.1.2; the content of a signed cookie).
"""

import binascii
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from zlib import crc32

import orjson

# Header fields whose value says on whose behalf a request is made.
CREDENTIALS = (b"authorization", b"cookie", b"x-api-key", b"x-auth-token", b"x-access-token")
# Cookies that do not say who asks: of counters, of what spreads the load, against forged requests,
# and the signature beside a cookie of Express.
_PASSING = re.compile(
    rb"(?i)_ga|_gid|_gat|_gcl|_fbp|_hj|_pk_|aws(?:alb|elb)|__cf|cf_|bigipserver|serverid|"
    rb"[\w-]*(?:csrf|xsrf)|.*\.sig\Z"
)
# A JSON object in base64: the claims of a JSON Web Token, or what a signed cookie begins with (with
# Flask it may be compressed, behind a point).
_CLAIMS = re.compile(
    rb"(?:(?:[Bb]earer[ \t]+)?(?:eyJ[\w-]+\.(?=eyJ))?(?=eyJ)|\.(?=eJ))([\w+/-]+)(?:=|%3D)*(?:\.|\Z)"
)
_LONGEST_CLAIMS = 4_096  # bytes, without compression
_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # RFC 4648 §5
# Claims and members that name somebody, the surest first; and those that each token has anew
# (RFC 7519 §4.1, OpenID Connect Core 1.0 §2).
_SUBJECTS = ("sub", "user_id", "_user_id", "userId", "uid", "oid", "email", "username", "user", "u")
_RENEWED = {"iat", "exp", "nbf", "jti", "auth_time", "nonce", "sid", "at_hash", "csrf_token"}
_LINE = re.compile(rb"(?im)^(%s):([^\r\n]*)" % b"|".join(CREDENTIALS))


def asked_sum(target: bytes, lines: bytes, body: bytes) -> int:
    """The CRC-32 of a request's target, its credentials and its body; never 0.

    `lines` are its field lines. The kernel `asked_sums` gives the same of plain heads.
    """
    return crc32(body, _with_credentials(lines, crc32(target))) or 1


def behalf_sum(lines: bytes) -> int:
    """The CRC-32 of the credentials in a request's field lines; 0 where it bears none.

    The kernel `asked_sums` gives it too.
    """
    return _with_credentials(lines, 0)


def identity_sum(lines: bytes) -> int:
    """The CRC-32 of whom the credentials in a request's field lines name; 0 where that is nobody.

    Equal credentials name the same one.
    """
    found = 0
    for line in _LINE.finditer(lines):
        name, value = line[1].lower(), line[2].strip(b" \t")
        for part in sorted(_cookies(value)) if name == b"cookie" else [_named(value)]:
            found = crc32(name + b":" + part, found)
    return found


def _with_credentials(lines: bytes, found: int) -> int:
    for line in _LINE.finditer(lines):
        found = crc32(line[1].lower() + b":" + line[2].strip(b" \t"), found)
    return found


def _cookies(line: bytes) -> Iterator[bytes]:
    for pair in line.split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if value and not _PASSING.match(name):
            yield name + b"=" + _named(value.strip(b'"'))


def _named(value: bytes) -> bytes:
    """Whom a credential names, or all of it."""
    found = _CLAIMS.match(value)
    if found is None:
        return value
    text = found[1].translate(_URL_SAFE)
    claims: Any = None
    with suppress(binascii.Error, orjson.JSONDecodeError, zlib.error):
        told = binascii.a2b_base64(text + b"=" * (-len(text) % 4))
        if value.startswith(b"."):
            told = zlib.decompressobj().decompress(told, _LONGEST_CLAIMS)
        claims = orjson.loads(told)
    if not isinstance(claims, dict):
        return value
    named = {name: claims[name] for name in _SUBJECTS if isinstance(claims.get(name), str | int)}
    first = next(iter(named.items()), None)
    kept = dict([first]) if first else {n: c for n, c in claims.items() if n not in _RENEWED}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
