"""What requests ask for, as numbers: the kernel and the reference agree, and equal means equal."""

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer import bulk, compiled
from analyzer.features.asked import asked_sum, behalf_sum, identity_sum

NAMES = ["Cookie", "COOKIE", "authorization", "X-Api-Key", "Host", "Cookie2", "X-Cookie", "accept"]
VALUES = st.text(st.sampled_from('ab1=; ,"\t'), max_size=9)
LINES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", " ", "  "]), VALUES))


def test_credentials_and_bodies_count_and_other_fields_do_not() -> None:
    plain = asked_sum(b"/me", b"Host: a\r\n", b"")
    assert plain == asked_sum(b"/me", b"Host: b\r\nX-Request-Id: 7\r\n", b"")
    others = {
        plain,
        asked_sum(b"/you", b"Host: a\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\nCookie: s=1\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\nCookie: s=2\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\nAuthorization: s=2\r\n", b""),
        asked_sum(b"/me", b"Host: a\r\n", b"{}"),
    }
    assert len(others) == 6
    assert asked_sum(b"/me", b"cookie:s=1\r\n", b"") == asked_sum(b"/me", b"Cookie:  s=1 \r\n", b"")


@pytest.mark.skipif(compiled.kernels is None, reason="the kernels are not compiled here")
@given(st.binary(max_size=20), LINES, st.binary(max_size=20))
def test_the_kernel_agrees(target: bytes, lines: list[tuple[str, str, str]], body: bytes) -> None:
    fields = "".join(f"{name}:{blank}{value}\r\n" for name, blank, value in lines).encode()
    start = b"GET " + target + b" HTTP/1.1\r\n"
    data = start + fields + b"\r\n" + body
    at = len(b"GET ")
    spans = np.array([[at, at + len(target), len(data) - len(body), len(data)]] * 2, dtype=np.int64)
    found = np.zeros((2, 2), dtype=np.uint32)
    compiled.kernels.asked_sums(data, spans, bulk.CREDENTIAL_NAMES, bulk.CREDENTIAL_TABLE, *found)
    assert set(found[0].tolist()) == {asked_sum(target, fields, body)}
    assert set(found[1].tolist()) == {behalf_sum(fields)}


def bearer(**claims: object) -> bytes:
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()) for p in ({"alg": "x"}, claims)]
    return b"Authorization: Bearer " + b".".join(p.rstrip(b"=") for p in parts) + b".c2ln\r\n"


def signed(salt: str, *, packed: bool = False, **content: object) -> bytes:
    """A session's cookie as Starlette and Flask make it."""
    text = json.dumps(content).encode()
    text = (
        b"." + base64.urlsafe_b64encode(zlib.compress(text)) if packed else (base64.b64encode(text))
    )
    return b"Cookie: session=" + text.rstrip(b"=") + b".aw3wNg." + salt.encode() + b"\r\n"


def test_renewed_credentials_name_the_same_one() -> None:
    assert identity_sum(bearer(sub="7", exp=1)) == identity_sum(bearer(exp=2, sub="7", jti="x"))
    assert identity_sum(bearer(sub="7")) != identity_sum(bearer(sub="8"))
    assert identity_sum(bearer(role="a", exp=1)) == identity_sum(bearer(role="a", exp=2))
    for packed in (False, True):
        one, again = (signed(salt, packed=packed, _user_id="7", at=salt) for salt in "ab")
        assert identity_sum(one) == identity_sum(again) != behalf_sum(one)
        assert identity_sum(one) != identity_sum(signed("a", packed=packed, _user_id="8"))


def test_cookies_that_say_nothing_of_who_asks_do_not_count() -> None:
    plain = identity_sum(b"Cookie: s=1\r\n")
    assert plain == identity_sum(b"cookie: AWSALB=x; s=1; _ga=GA1.2; csrftoken=q; s.sig=z\r\n")
    assert plain != identity_sum(b"Cookie: s=2\r\n")
    assert identity_sum(b"Cookie: a=1; b=2\r\n") == identity_sum(b"Cookie: b=2; a=1\r\n")
    assert identity_sum(b"Cookie: _ga=GA1.2; XSRF-TOKEN=q\r\n") == 0
    assert identity_sum(b"Host: a\r\n") == 0


@pytest.mark.parametrize(
    "value", [b"eyJ", b"eyJhIjo", b".eJw", b".eJxx.a.b", b"eyJ.eyJ.eyJ", b"e" * 9]
)
def test_what_is_no_claim_counts_as_it_is(value: bytes) -> None:
    assert identity_sum(b"Cookie: s=" + value) != identity_sum(b"Cookie: s=" + value + b"x")
