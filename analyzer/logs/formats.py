"""The formats of logs: a table of the names that they use, and parsers compiled from patterns.

Law: a parser takes one line and returns a row, or None where the line is no request of its format.
Nothing in a line can raise. The names of JSON are a table; a format is told by content.
"""

import csv
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from analyzer.logs import times
from analyzer.logs.model import LogRow, Moment

Parser = Callable[[str, int], LogRow | None]
MILLISECOND, SECOND = 1_000_000, 1_000_000_000
LONGEST_TEXT = 8_192  # characters of a target that are kept
MOST_IDS = 8
DEEPEST = 4  # objects within objects that names are looked for in

# Field: the names it goes by, the best first. Dots lead into objects, or stand in the name itself
# (ECS writes both). Sources: pino-http and its serialisers, bunyan, morgan's tokens, nginx's
# variables, ECS 8 and the OpenTelemetry semantic conventions for HTTP, Werkzeug and Uvicorn.
NAMES: dict[str, tuple[str, ...]] = {
    "method": ("method", "req.method", "request.method", "http.request.method", "http.method",
               "request_method", "attributes.http.request.method", "attributes.http.method",
               "verb"),
    "target": ("target", "originalUrl", "req.originalUrl", "req.url", "request_uri", "url.original",
               "http.target", "attributes.http.target", "request.url", "url.full", "url", "uri",
               "attributes.url.full", "http.url", "request.uri", "url.path", "attributes.url.path",
               "path"),
    "query": ("url.query", "attributes.url.query"),
    "request": ("request", "request_line"),
    "status": ("status", "res.statusCode", "statusCode", "status_code", "response.status",
               "http.response.status_code", "http.status_code",
               "attributes.http.response.status_code", "attributes.http.status_code"),
    "length": ("length", "bytes", "body_bytes_sent", "http.response.body.bytes",
               "http.response.body.size", "attributes.http.response.body.size",
               "res.headers.content-length", "content_length", "contentLength", "bytes_sent"),
    "address": ("remoteAddress", "req.remoteAddress", "remote_addr", "client.address", "client.ip",
                "source.ip", "source.address", "attributes.client.address", "client_ip",
                "attributes.network.peer.address", "network.peer.address", "net.peer.ip",
                "remote_address", "ip", "peer", "client", "remote-addr"),
    "port": ("remotePort", "req.remotePort", "remote_port", "client.port", "source.port",
             "attributes.client.port", "attributes.network.peer.port", "network.peer.port",
             "net.peer.port", "client_port", "port"),
    "host": ("host.name", "http_host", "req.headers.host", "server.address", "host"),
    "start": ("start", "received", "sent", "startTime", "start_time", "event.start",
              "startTimeUnixNano", "request_creation_time", "startedDateTime"),
    "end": ("end", "ended", "written", "endTime", "end_time", "event.end", "endTimeUnixNano",
            "msec", "time_iso8601", "time_local"),
    "time": ("@timestamp", "timestamp", "time", "ts", "asctime", "date", "timeUnixNano",
             "Timestamp"),
    "milliseconds": ("responseTime", "response_time_ms", "duration_ms", "response-time",
                     "response_time", "responseTimeMs", "elapsed_ms"),
    "seconds": ("request_time", "duration_s", "http.server.request.duration", "elapsed"),
    "nanoseconds": ("event.duration",),
    "error": ("error.message", "err.message", "error", "err.code", "outcome"),
}  # fmt: skip
IDS = ("req.id", "reqId", "req_id", "request_id", "requestId", "http.request.id", "trace_id",
       "traceId", "trace.id", "traceparent", "x-request-id", "id")  # fmt: skip
# Of `outcome` and the like: what says that all was well.
_WELL = frozenset({"", "answered", "ok", "success", "none", "null", "false"})
_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S+)(?: HTTP/\d(?:\.\d)?)?")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_ADDRESS = re.compile(r"\[?([0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*?)\]?(?::(\d{1,5}))?")


# --- JSON ----------------------------------------------------------------------------------


def of_json(line: str, number: int, names: Mapping[str, tuple[str, ...]] = NAMES) -> LogRow | None:
    """A row of JSON Lines, by the table of names."""
    try:
        told = orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError, ValueError):
        return None
    return of_fields(told, number, names) if isinstance(told, dict) else None


def of_fields(
    told: Mapping[str, Any], number: int, names: Mapping[str, tuple[str, ...]] = NAMES
) -> LogRow | None:
    """A row of named values, nested or not."""

    flat = _flat(told)

    def get(field: str) -> Any:
        return next((flat[name] for name in names.get(field, ()) if name in flat), None)

    method, target = get("method"), get("target")
    if method is None or target is None:
        line = get("request")
        found = _REQUEST.fullmatch(line) if isinstance(line, str) else None
        if found is None:
            return None
        method, target = found[1], found[2]
    elif (query := get("query")) is not None and "?" not in str(target):
        target = f"{target}?{str(query).removeprefix('?')}"
    method = str(method).upper()
    if not _METHOD.fullmatch(method):
        return None
    duration, unit = _duration(get)
    time, moment = _time(get, duration)
    ended = times.parse(get("end"))
    if moment is Moment.START and time is not None and ended is not None and duration is None:
        duration, unit = max(0, ended.time - time.time), ended.resolution
    address, port = _address(get("address"), get("port"))
    error = get("error")
    error = "" if error is None or str(error).lower() in _WELL else str(error)
    return LogRow(
        line=number,
        method=method,
        target=origin_form(str(target)),
        time=None if time is None else time.time,
        zoned=time is None or time.zoned,
        resolution=1 if time is None else time.resolution,
        moment=moment,
        duration=duration,
        duration_unit=unit,
        status=_whole(get("status"), 999),
        length=_whole(get("length"), 1 << 62),
        address=address,
        port=port,
        host=str(get("host") or "")[:255],
        ids=_ids(flat),
        error=error[:200],
    )


def _flat(told: Mapping[str, Any], depth: int = 0, at: str = "") -> dict[str, Any]:
    """The values by their names, with dots for objects within objects; what says nothing is not."""
    found: dict[str, Any] = {}
    for name, value in told.items():
        if isinstance(value, Mapping):
            if depth < DEEPEST:
                found |= _flat(value, depth + 1, f"{at}{name}.")
        elif value not in (None, "", "-") and not isinstance(value, list):
            found[f"{at}{name}"] = value
    return found


def _ids(told: Mapping[str, Any]) -> tuple[str, ...]:
    found = (told.get(name) for name in IDS)
    return tuple(dict.fromkeys(str(one)[:200] for one in found if isinstance(one, str | int)))[
        :MOST_IDS
    ]


def _duration(get: Callable[[str], Any]) -> tuple[int | None, int]:
    """A duration and its last digit's unit, in ns."""
    units = (("milliseconds", MILLISECOND), ("seconds", SECOND), ("nanoseconds", 1))
    for field, unit in units:
        if (found := spent(get(field), unit))[0] is not None:
            return found
    return None, 0


def spent(value: object, unit: int) -> tuple[int | None, int]:
    """A duration in ns, of a number of `unit` ns, and its last digit's unit."""
    found = re.fullmatch(r"(\d{1,12})(?:\.(\d{1,9})\d*)?", str(value), re.ASCII)
    if found is None:
        return None, 0
    digits = found[2] or ""
    whole = int(found[1]) * unit + int((digits + "0" * 9)[:9]) * unit // SECOND
    return whole, max(1, unit // 10 ** len(digits))


def _time(get: Callable[[str], Any], duration: int | None) -> tuple[times.Time | None, Moment]:
    for field, moment in (("start", Moment.START), ("end", Moment.END), ("time", Moment.UNKNOWN)):
        if (found := times.parse(get(field))) is not None:
            if moment is Moment.UNKNOWN and duration is not None and get("status") is not None:
                # Who knows how long it took, writes when it is over.
                moment = Moment.END
            return found, moment
    return None, Moment.UNKNOWN


def _whole(value: object, most: int) -> int | None:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    return int(text) if int(text) <= most else None


def _address(address: object, port: object) -> tuple[str, int | None]:
    found = _ADDRESS.fullmatch(str(address or "").strip()[:64])
    if found is None:
        return "", None
    host, beside = found[1], found[2]
    if ":" in host and beside is None and host.count(":") == 1:
        host, _, beside = host.partition(":")
    if host.lower().startswith("::ffff:") and "." in host:
        host = host[7:]
    return host, _whole(beside if beside is not None else port, 65_535)


def origin_form(target: str) -> str:
    """A target as it stands in a request to a server: without scheme, host and fragment."""
    target = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", target[:LONGEST_TEXT])
    target = target.partition("#")[0]
    return target if target.startswith(("/", "*")) or ":" in target else f"/{target}"


# --- patterns ------------------------------------------------------------------------------

COMBINED = '$remote_addr - $remote_user [$time] "$request" $status $body_bytes_sent'
# What a variable of nginx or a directive of Apache is called in the table, and what it matches.
_QUOTED = r'(?:[^"\\]|\\.)*'
_VARIABLES: dict[str, tuple[str, str]] = {
    "remote_addr": ("remote_addr", r"\S+"),
    "remote_port": ("remote_port", r"\d+|-"),
    "time_local": ("time_local", r"[^\]\"]+?"),
    "time_iso8601": ("time_iso8601", r"\S+?"),
    "time": ("time", r"[^\]\"]+?"),
    "start": ("start", r"[^\]\"]+?"),
    "msec": ("msec", r"[\d.]+"),
    "request": ("request", _QUOTED),
    "request_method": ("method", r"\S+"),
    "request_uri": ("request_uri", r"\S+"),
    "status": ("status", r"\d{3}|-|000"),
    "body_bytes_sent": ("body_bytes_sent", r"\d+|-"),
    "bytes_sent": ("", r"\d+|-"),  # with heads: no body's length
    "request_time": ("request_time", r"[\d.]+|-"),
    "request_id": ("request_id", r"\S+"),
    "host": ("host", r"\S+"),
    "http_host": ("host", r"\S+"),
}
_DIRECTIVES = {
    "h": "remote_addr", "a": "remote_addr", "r": "request", "s": "status", "b": "body_bytes_sent",
    "B": "body_bytes_sent", "O": "bytes_sent", "m": "request_method", "V": "host", "v": "host",
    "T": "request_time", "{remote}p": "remote_port", "{UNIQUE_ID}e": "request_id",
}  # fmt: skip
_VARIABLE = re.compile(r"\$\{?([a-z0-9_]+)\}?")
_DIRECTIVE = re.compile(r"%[<>]?(\{[^}]*\}\^?[A-Za-z]+|[A-Za-z])")


def compiled(pattern: str) -> Parser:
    """The parser of a `log_format` of nginx, or a LogFormat of Apache.

    Raises ValueError where it has nothing that names a request.
    """
    nginx = "$" in pattern
    parts: list[str] = []
    names: list[str] = []
    at = 0
    text = pattern.replace('\\"', '"')
    if not nginx:
        # Apache writes its time in brackets, and when the request came.
        text = text.replace("%t", "[$start]")
    for found in re.finditer(f"{_VARIABLE.pattern}|{_DIRECTIVE.pattern}", text):
        between = text[at : found.start()]
        parts.append(re.escape(between))
        at = found.end()
        name = found[1] or _DIRECTIVES.get(found[2] or "", "")
        field, shape = _VARIABLES.get(name, ("", ""))
        if not shape:
            shape = _QUOTED if between.endswith('"') else r"\S*"
        if field and field not in names:
            names.append(field)
            parts.append(f"({shape})")
        else:
            parts.append(f"(?:{shape})")
    parts.append(re.escape(text[at:]))
    if not {"request", "request_uri"} & {*names}:
        raise ValueError("it has no $request or $request_uri (%r), by which lines are joined")
    regex = re.compile("".join(parts).replace(r"\ ", " +") + r"(?: .*)?", re.ASCII)
    wanted = tuple(names)

    def parse(line: str, number: int) -> LogRow | None:
        found = regex.fullmatch(line)
        if found is None:
            return None
        told = dict(zip(wanted, found.groups(), strict=True))
        return of_fields(told, number)

    return parse


# AWS's documented fields of an Application Load Balancer's access log, in their order.
_ALB = (
    "type", "time", "elb", "client", "target_host", "request_s", "target_s", "response_s",
    "elb_status", "status", "received_bytes", "bytes_sent", "request",
)  # fmt: skip


def of_alb(line: str, number: int) -> LogRow | None:
    """A row of an Application Load Balancer: it is its client's server, and its own clock's."""
    try:
        values = next(csv.reader([line], delimiter=" ", escapechar="\\"))
    except (csv.Error, StopIteration):
        return None
    told: dict[str, Any] = dict(zip(_ALB, values, strict=False))
    if len(values) < len(_ALB) or not values[0] or not times.parse(told["time"]):
        return None
    for name in ("target_host", "bytes_sent", "type", "elb", "domain"):
        told.pop(name, None)
    told["status"], told["end"] = told["elb_status"], told.pop("time")
    return of_fields(told, number)


# --- told by content -----------------------------------------------------------------------


def of_table(head: str) -> Parser | None:
    """The parser of CSV whose first line is `head`; None where that names no request."""
    names = [name.strip() for name in next(csv.reader([head]), [])]
    known = {name for every in NAMES.values() for name in every}
    if len(names) < 2 or len(known.intersection(names)) < 2:
        return None

    def parse(line: str, number: int) -> LogRow | None:
        try:
            values = next(csv.reader([line]), [])
        except csv.Error:
            return None
        return of_fields(dict(zip(names, values, strict=False)), number)

    return parse


FORMATS: dict[str, Parser] = {
    "json": of_json,
    "alb": of_alb,
    "combined": compiled(COMBINED),
}


def told_by(lines: list[str]) -> tuple[str, Parser] | None:
    """The format that reads most of these first lines, if any does; CSV by its first line."""
    counts = {
        name: sum(parse(line, 1) is not None for line in lines) for name, parse in FORMATS.items()
    }
    best = max(counts, key=lambda name: counts[name])
    table = of_table(lines[0]) if lines else None
    if table is not None and sum(table(line, 1) is not None for line in lines[1:]) > counts[best]:
        return "csv", table
    return (best, FORMATS[best]) if counts[best] else None
