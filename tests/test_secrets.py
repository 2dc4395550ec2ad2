"""Credentials are masked wherever a message is shown, unless they are asked for twice."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer import secrets
from tests.builder import in_time, pcap
from tests.findings.stable import ordinary
from tests.report.test_command import run


@pytest.mark.parametrize(
    "name",
    ["password", "userPassword", "X-Api-Key", "api_key", "apikey", "access_token", "refreshToken",
     "client_secret", "CSRF-Token", "sessionId", "Authorization", "pwd", "token[]"],
)  # fmt: skip
def test_these_names_are_of_secrets(name: str) -> None:
    assert secrets.is_secret(name)


@pytest.mark.parametrize(
    "name", ["author", "key", "keyboard", "monkey", "horseId", "name", "passenger", "tokyo", ""]
)
def test_these_names_are_not(name: str) -> None:
    assert not secrets.is_secret(name)


def test_heads_keep_names_and_schemes() -> None:
    shown = secrets.headers(
        [
            ("Host", "stable"),
            ("authorization", "Bearer abc.def.ghi"),
            ("Proxy-Authorization", "Basic dXNlcjpwYXNz"),
            ("Cookie", "sid=S3CRET; theme=dark"),
            ("Set-Cookie", "sid=S3CRET; Path=/; HttpOnly"),
            ("X-Api-Key", "S3CRET"),
            ("Location", "/next?token=S3CRET&page=2"),
        ]
    )
    text = "\n".join(f"{name}: {value}" for name, value in shown)
    assert not any(word in text for word in ("S3CRET", "abc.def", "dXNlcj", "dark"))
    assert "authorization: Bearer [hidden: 11 characters]" in text
    assert "Cookie: sid=[hidden: 6 characters]; theme=" in text
    assert "Path=/; HttpOnly" in text and "page=2" in text and "Host: stable" in text


def test_targets_and_forms_keep_what_is_no_secret() -> None:
    assert secrets.target("/a?id=7&api_key=S3C&x") == "/a?id=7&api_key=[hidden: 3 characters]&x"
    assert secrets.target("/a;token=1") == "/a;token=1"  # a path says where, not who
    form = secrets.body("user=ann&password=a%20b", "application/x-www-form-urlencoded")
    assert form == "user=ann&password=[hidden: 5 characters]"


def test_json_is_masked_however_deep_and_laid_out() -> None:
    text = '{"a":[{"b":{"password":"p","ok":1,"token":{"x":"y"},"secret":null}}]}'
    shown = secrets.body(text, "application/json")
    inner = orjson.loads(shown)["a"][0]["b"]
    assert inner["password"] == "[hidden: 1 character]" and inner["ok"] == 1
    assert "y" not in inner["token"].replace("hidden", "").replace("characters", "")
    assert inner["secret"] is None and "\n" in shown


@pytest.mark.parametrize(
    "text",
    ['{"user":"ann","password":"S3CRET","rest":[1,2', '{"password":"S3CRET', '[{"token" : 12345',
     '{"token":{"x":"S3CRET","y":[', 'data: {"jwt":"S3CRET"}\n\ndata: {"jwt":"S3CRET"}\n\n',
     '{"password":"S3C\\"RET"'],
)  # fmt: skip
def test_json_that_is_cut_is_masked_as_far_as_it_goes(text: str) -> None:
    shown = secrets.body(text, "application/json")
    assert "S3C" not in shown and "12345" not in shown and "hidden" in shown


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_json, st.sampled_from(["password", "apiKey", "access_token"]))
def test_no_secret_survives_wherever_it_stands(around: object, name: str) -> None:
    secret = "Tr0ub4dor&3"
    value = orjson.dumps([around, {"deep": [around, {name: secret}]}]).decode("utf-8", "replace")
    assert secret not in secrets.body(value, "application/json")
    for cut in range(0, len(value), 7):
        assert secret not in secrets.body(value[:cut], "")


def test_what_is_nested_without_end_is_no_crash() -> None:
    text = '{"a":' * 3_000 + '{"password":"S3CRET"}' + "}" * 3_000
    assert "S3CRET" not in secrets.body(text, "application/json")


def test_secrets_alone_are_a_usage_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(in_time(ordinary())))
    done = run("scan", path, "--show-secrets")
    assert done.returncode == 2 and b"--show-bodies" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["scan"], ["scan", "--nope"], ["scan", "--jobs", "x", "a"], ["nope"], ["--nope"]]
)
def test_a_usage_error_is_one_line(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(b"Error: ") and b"--help" in line
