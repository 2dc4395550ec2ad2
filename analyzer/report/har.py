"""Exchanges as a HAR file (HTTP Archive 1.2), which browsers' tools and proxies open.

Law: bodies are in it only when they may be shown, credentials are masked unless those may be too.
What HAR has no field for is in fields that begin with `_`. The capture does not keep the words of
a status line: `statusText` is what the status is called, `httpVersion` is `HTTP/1.x`.

Format: http://www.softwareishard.com/blog/har-12-spec/
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from analyzer import secrets
from analyzer.correlate.frames import Frame
from analyzer.findings.model import Finding
from analyzer.report.escape import compact_json, rfc3339
from analyzer.second_pass.model import Message

VERSION = "1.2"
_HTTP = "HTTP/1.x"
_TEXTS = ("text/", "json", "xml", "javascript", "x-www-form-urlencoded", "csv")
_UNKNOWN = -1  # as HAR has it
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Shown:
    """What of messages may be shown."""

    bodies: bool = False
    secrets: bool = False


class Told(NamedTuple):
    """A finding that an exchange is part of, and as what: request, response or owner."""

    finding: Finding
    role: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange as it stands in the file: times in ns since 1970, messages as they were sent."""

    id: str
    connection: int
    server: str  # ip:port
    request: Message | None
    response: Message | None
    asked_at: Frame | None
    came_at: Frame | None
    told: Sequence[Told] = ()

    @property
    def time(self) -> int:
        """When it began."""
        first = self.request or self.response
        return first.time if first is not None else 0


def parts_of(findings: Sequence[Finding]) -> dict[str, list[Told]]:
    """The findings by the ids of the exchanges that are part of them."""
    found: dict[str, list[Told]] = {}
    for finding in findings:
        parts = (
            ("request", finding.request),
            ("response", finding.response),
            ("owner", finding.owner),
        )
        for role, part in parts:
            told = found.setdefault(part.exchange, []) if part is not None else []
            if not any(one.finding is finding for one in told):
                told.append(Told(finding, role))
    return found


def head(version: str, comment: str) -> bytes:
    """What stands before the entries."""
    creator = compact_json({"name": "wrangler-forensics", "version": version})
    about = compact_json(comment)
    return (
        b'{"log": {"version": "%s", "creator": %s, "pages": [], "comment": %s, "entries": [\n'
        % (VERSION.encode(), creator, about)
    )


BETWEEN = b",\n"
TAIL = b"]}}\n"


def entry(one: Exchange, shown: Shown) -> dict[str, Any]:
    """An exchange as an entry."""
    asked, came = one.request, one.response
    wait = came.time - asked.time if asked is not None and came is not None else 0
    receive = max(0, came.end_time - came.time) if came is not None and came.end_time else 0
    timings = {"send": 0, "wait": max(0, wait) / 1e6, "receive": receive / 1e6}
    found: dict[str, Any] = {
        "startedDateTime": f"{rfc3339(one.time)[:23]}Z",
        "time": sum(timings.values()),
        "request": _request(one, shown),
        "response": _response(came, shown),
        "cache": {},
        "timings": timings,
        "serverIPAddress": one.server.rpartition(":")[0].strip("[]"),
        "connection": str(one.connection),
        "_exchange": one.id,
    }
    for name, frame in (("_request_frame", one.asked_at), ("_response_frame", one.came_at)):
        if frame is not None:
            found[name] = str(frame)
    if one.told:
        found["comment"] = "; ".join(_sentence(told) for told in one.told)
        found["_findings"] = [
            {
                "id": told.finding.id,
                "incident": told.finding.incident,
                "kind": str(told.finding.kind),
                "confidence": str(told.finding.confidence),
                "cause": told.finding.cause,
                "role": told.role,
            }
            for told in one.told
        ]
    return found


def _sentence(told: Told) -> str:
    finding = told.finding
    role = " (whose response it was)" if told.role == "owner" else ""
    return f"{finding.kind}{role}, {finding.confidence}, finding {finding.id}"


def _request(one: Exchange, shown: Shown) -> dict[str, Any]:
    message = one.request
    if message is None:
        return {
            "method": "", "url": f"http://{one.server}/", "httpVersion": _HTTP, "cookies": [],
            "headers": [], "queryString": [], "headersSize": _UNKNOWN, "bodySize": 0,
            "comment": "no request for this response is in the capture",
        }  # fmt: skip
    target = message.target.decode("latin-1")
    if not shown.secrets:
        target = secrets.target(target)
    fields = _fields(message, shown)
    found: dict[str, Any] = {
        "method": message.method,
        "url": _url(target, message.method, message.header("host") or one.server),
        "httpVersion": _HTTP,
        "cookies": list(_cookies(fields, "cookie")),
        "headers": _named(fields),
        "queryString": list(_query(target)),
        "headersSize": _UNKNOWN,
        "bodySize": message.length,
    }
    if shown.bodies and message.length:
        body = _body(message, shown)
        if "encoding" in body:  # HAR 1.2 has no such field here
            body["_encoding"] = body.pop("encoding")
        found["postData"] = {"mimeType": message.media_type, "params": [], **body}
    return found


def _response(message: Message | None, shown: Shown) -> dict[str, Any]:
    if message is None:
        return {
            "status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
            "content": {"size": 0, "mimeType": "x-unknown"}, "redirectURL": "",
            "headersSize": _UNKNOWN, "bodySize": _UNKNOWN,
            "_error": "no response is in the capture",
        }  # fmt: skip
    fields = _fields(message, shown)
    size = len(message.body) if message.body is not None else message.length
    content: dict[str, Any] = {"size": size, "mimeType": message.media_type or "x-unknown"}
    if shown.bodies and message.length:
        content |= _body(message, shown)
    found = {
        "status": message.status,
        "statusText": _PHRASES.get(message.status, ""),
        "httpVersion": _HTTP,
        "cookies": list(_cookies(fields, "set-cookie")),
        "headers": _named(fields),
        "content": content,
        "redirectURL": next((v for n, v in fields if n.lower() == "location"), ""),
        "headersSize": _UNKNOWN,
        "bodySize": message.length,
    }
    if not message.complete:
        found["_error"] = "the response did not come whole"
    return found


def _fields(message: Message, shown: Shown) -> Sequence[tuple[str, str]]:
    return message.headers if shown.secrets else secrets.headers(message.headers)


def _named(pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _cookies(fields: Sequence[tuple[str, str]], of: str) -> Iterator[Mapping[str, str]]:
    for field, value in fields:
        if field.lower() == of:
            for pair in value.split(";") if of == "cookie" else value.split(";")[:1]:
                name, _, said = pair.strip().partition("=")
                yield {"name": name, "value": said}


def _query(target: str) -> Iterator[Mapping[str, str]]:
    query = target.partition("?")[2].partition("#")[0]
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        yield {"name": unquote_plus(name), "value": unquote_plus(value)}


def _url(target: str, method: str, host: str) -> str:
    """The target URI (RFC 9112 §3.3)."""
    if target.startswith("/"):
        return f"http://{host}{target}"
    if "://" in target:
        return target
    return f"http://{target if method == 'CONNECT' else host}/"


def _body(message: Message, shown: Shown) -> dict[str, str]:
    """The text of a body, and how it is written, in the fields of `content`."""
    if message.body is None:
        return {"comment": "not kept: too long, or damaged"}
    kind = message.media_type
    try:
        text = message.body.decode("utf-8")
    except UnicodeDecodeError:
        if not any(part in kind for part in _TEXTS):
            return {"text": base64.b64encode(message.body).decode(), "encoding": "base64"}
        text = message.body.decode("latin-1")
    return {"text": text if shown.secrets else secrets.body(text, kind)}
