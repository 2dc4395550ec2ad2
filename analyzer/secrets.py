"""What a message has that nobody should read by accident: found by its name, and masked.

Law: a value is masked by the name that it goes by, wherever that stands: a field of the head, a
cookie, a parameter of the query, a field of a form or of JSON, however deep. The name stays, and of
the value only how long it is. A name that says nothing hides nothing: what is shown may still be
private.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from urllib.parse import unquote_plus

import orjson

# Header fields whose value is a credential as a whole (RFC 9110 §11, RFC 6265).
_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
# Parts of a name, between the places where a new word begins in it.
_WORDS = frozenset(
    (
        *("password", "passwd", "pwd", "passphrase", "passcode", "pin", "otp", "cvv", "cvc"),
        *("secret", "secrets", "token", "tokens", "jwt", "bearer", "credential", "credentials"),
        *("auth", "authorization", "signature", "sig", "session", "sessionid", "sid", "cookie"),
        *("apikey", "privatekey", "accesskey", "secretkey", "csrf", "xsrf"),
    )
)
_KEYS = frozenset({"api", "access", "private", "secret", "signing", "encryption", "auth"})
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PARAMETER = re.compile(r"([?&;]|^)([^?&;=#\s]+)=([^&;#\s]*)")
# In a text that is no whole JSON: a quoted name, and its value as far as it goes.
_MEMBER = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{}\[\]"]+|[{\[])')
MOST_DEEP = 64  # levels of JSON that are gone into; what is deeper is masked


def is_secret(name: str) -> bool:
    """Whether what goes by a name is a credential: `password`, `X-Api-Key`, `accessToken`."""
    parts = [part.lower() for part in _PART.findall(unquote_plus(name))]
    if any(part in _WORDS for part in parts):
        return True
    if any(one in _KEYS and two in ("key", "keys") for one, two in pairwise(parts)):
        return True
    return "".join(parts) in _WORDS


def mask(value: str) -> str:
    """What is shown in place of a value."""
    return f"[hidden: {len(value):,} character{'' if len(value) == 1 else 's'}]"


def headers(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of a head, with the values of those masked that are credentials.

    Of a scheme and of a cookie the name stays: `Bearer [hidden: …]`, `session=[hidden: …]`. Targets
    in `Location` and `Referer` are masked as targets.
    """
    return [(name, _header(name.lower(), value)) for name, value in fields]


def _header(name: str, value: str) -> str:
    if name in ("cookie", "set-cookie"):
        pairs = value.split(";")
        shown = pairs if name == "cookie" else pairs[:1]
        return ";".join([*map(_cookie, shown), *([] if name == "cookie" else pairs[1:])])
    if name in _HEADERS:
        scheme, blank, rest = value.partition(" ")
        return f"{scheme} {mask(rest)}" if blank else mask(value)
    if is_secret(name):
        return mask(value)
    return target(value) if "?" in value else value


def _cookie(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={mask(value)}" if equals else mask(pair)


def target(text: str) -> str:
    """A request target, with the secret parameters of its query masked."""
    path, mark, query = text.partition("?")
    return path + mark + form(query) if mark else text


def form(text: str) -> str:
    """`name=value&name=value`, with the secret values masked."""
    return _PARAMETER.sub(
        lambda m: f"{m[1]}{m[2]}={mask(m[3])}" if is_secret(m[2]) and m[3] else m[0], text
    )


def body(text: str, media_type: str) -> str:
    """A body as text, with its secret values masked: JSON, whole or cut, or a form.

    JSON is laid out with a line for each value.
    """
    if "x-www-form-urlencoded" in media_type:
        return form(text)
    if text.lstrip()[:1] in ("{", "["):
        with suppress(orjson.JSONDecodeError, RecursionError, TypeError):
            return orjson.dumps(
                _masked(orjson.loads(text), MOST_DEEP), option=orjson.OPT_INDENT_2
            ).decode()
    return "".join(_in_pieces(text))


def _in_pieces(text: str) -> Iterator[str]:
    """A text with members of JSON in it, their secret values masked."""
    at = 0
    for found in _MEMBER.finditer(text):
        name, colon, value = found.groups()
        if not is_secret(name):
            continue
        yield text[at : found.start()]
        # Where a list or an object ends in a text that breaks off is not known.
        many = value in ("{", "[")
        whole = text[found.start(3) :] if many else value.strip('"')
        yield f'"{name}"{colon}"{mask(whole)}"'
        at = len(text) if many else found.end()
        if many:
            return
    yield text[at:]


def _masked(value: object, deep: int) -> object:
    if not deep:
        return "[hidden: too deep to look through]"
    if isinstance(value, dict):
        return {
            name: _hidden(inner) if is_secret(name) else _masked(inner, deep - 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, deep - 1) for inner in value]
    return value


def _hidden(value: object) -> object:
    """A secret value masked; one that is nothing, or only says yes or no, is none."""
    if value is None or isinstance(value, bool):
        return value
    return mask(value if isinstance(value, str) else orjson.dumps(value).decode())
