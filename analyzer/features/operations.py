"""Requests in, the operations that they ask for out, where one path has many: GraphQL, RPC, SOAP.

Law: an operation is named by the request alone: its target, fields and body, and only by names in
the places that a protocol has for them; without one it is "". What came is shown escaped and cut,
so that no name is longer than `LONGEST` or holds a control character. What the query of the target
says is `of_target`; what only a look at the head and body tells is `of_request`.
"""

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

import orjson

LONGEST = 160  # characters of an operation
_LONGEST_NAME = 64
_MOST_NAMES = 4  # of a batch, or of fields without an operation's name
_MOST_IN_BATCH = 256  # requests of a batch that are looked at

# --- targets -------------------------------------------------------------------------------------

# Parameters whose value says what is asked for where one path serves all: by custom (`op`, `cmd`;
# `r`, `route`, `do`, `act`, `task` of front controllers), of OGC services (`request`: 06-121r9), of
# OAI-PMH 2.0 §3.1 (`verb`), WordPress (`rest_route`), Moodle (`wsfunction`), GraphQL over HTTP.
# The kernel `path_codes` is given the same names: targets of one code have one operation.
PARAMETERS = (
    *(b"action", b"cmd", b"op", b"method", b"operation", b"request", b"verb", b"wsfunction"),
    *(b"r", b"route", b"rest_route", b"do", b"act", b"task", b"function", b"func"),
    *(b"operationname", b"query"),
)
_PARAMETER = re.compile(rb"(?:\A|&)(%s)=([^&]*)" % b"|".join(PARAMETERS), re.IGNORECASE)
# A name, or several with a slash between them: `list`, `ticket.sla`, `site/index`.
_VALUE = re.compile(r"(?!.*\d{3})/?[A-Za-z_][\w.\-/]{0,63}\Z", re.ASCII)


def of_target(target: bytes) -> str:
    """The operation in a target's query: `?action=list`, or a GraphQL document's in `query`."""
    query = target.partition(b"#")[0].partition(b"?")[2]
    if not query:
        return ""
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(query):
        found.setdefault(name.decode().lower(), value.decode("latin-1"))
    if not found:
        return ""
    document = unquote_plus(found.pop("query", ""))
    named = unquote_plus(found.pop("operationname", ""))
    if document or named:
        operation = _graphql(document, named)
        if operation:
            return _shown(operation)
    for name, value in found.items():
        value = value.replace("%2F", "/").replace("%2f", "/")
        if _VALUE.match(value):
            return f"?{name}={value}"
    return ""


# --- heads and bodies ----------------------------------------------------------------------------

_JSON = re.compile(r"application/(?:[\w.\-]+\+)?json\Z|text/json\Z")
_XML = re.compile(r"text/xml\Z|application/(?:soap\+)?xml\Z")
_GRAPHQL = "application/graphql"
MARKS = (b'"method"', b'"query"', b'"operationName"')  # one of these is in every such JSON body
_HEADERS = (b"soapaction:", b"x-amz-target:")
_HEADER = re.compile(rb"(?im)^(soapaction|x-amz-target):[ \t]*([^\r\n]*)")
_ACTION = re.compile(rb"(?im)^content-type:[^\r\n]*;[ \t]*action=(?:\"([^\"\r\n]*)\"|([^;\s]*))")


@lru_cache(1024)
def may_tell(method: bytes, media_type: str) -> bool:
    """Whether the body of such a request may say which operation it asks for."""
    return method == b"POST" and (
        is_json(media_type) or media_type == _GRAPHQL or _XML.match(media_type) is not None
    )


@lru_cache(1024)
def is_json(media_type: str) -> bool:
    """Whether the operation is in a JSON body, with one of `MARKS`."""
    return _JSON.match(media_type) is not None


def names_one(method: bytes, head: bytes) -> bool:
    """Whether a head has a field that names an operation."""
    if method != b"POST":
        return False
    low = head.lower()
    return any(name in low for name in _HEADERS)


def of_request(method: bytes, media_type: str, head: bytes, body: bytes) -> str:
    """The operation that field lines and body name; the body without content coding.

    `SOAPAction` (SOAP 1.1 §6.1.1), the parameter `action` of a media type (RFC 3902), the first
    element of a SOAP Body, `X-Amz-Target`, JSON-RPC `method` (for tools of the Model Context
    Protocol with the tool's name), and the operation of a GraphQL document.
    """
    if names_one(method, head):
        for name, value in _HEADER.findall(head):
            told = value.strip().strip(b'"').decode("latin-1")
            if told:
                return _shown(f'SOAPAction "{told}"' if name.lower() == b"soapaction" else told)
    if not may_tell(method, media_type):
        return ""
    if is_json(media_type):
        return _shown(_of_json(body)) if any(mark in body for mark in MARKS) else ""
    if media_type == _GRAPHQL:
        return _shown(_graphql(body.decode("utf-8", "replace"), ""))
    if media_type == "application/soap+xml":
        action = _ACTION.search(head)
        if action is not None and (action[1] or action[2]):
            told = (action[1] or action[2]).decode("latin-1")
            return _shown(f'SOAPAction "{told}"')
    return _shown(_of_soap(body))


def _shown(operation: str) -> str:
    """An operation as it is kept: printable, and not too long."""
    if not operation.isprintable():
        operation = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in operation)
    return operation if len(operation) <= LONGEST else operation[: LONGEST - 1] + "…"


def _of_json(body: bytes) -> str:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(value, list):
        return _of_call(value)
    names = {_of_call(call) for call in value[:_MOST_IN_BATCH]} - {""}
    return _listed(names, " + ")


def _listed(names: set[str], between: str) -> str:
    more = ["…"] if len(names) > _MOST_NAMES else []
    return between.join([*sorted(names)[:_MOST_NAMES], *more])


def _of_call(call: Any) -> str:
    """The operation of one JSON-RPC or GraphQL request."""
    if not isinstance(call, dict):
        return ""
    method = call.get("method")
    # JSON-RPC 1.0 has no `jsonrpc`, and needs the two others.
    if isinstance(method, str) and ("jsonrpc" in call or ("params" in call and "id" in call)):
        params = call.get("params")
        name = params.get("name") if isinstance(params, dict) else None
        if method in ("tools/call", "prompts/get") and isinstance(name, str):
            return f"{method} {name[:_LONGEST_NAME]}"
        return method[:_LONGEST_NAME]
    document, named = call.get("query"), call.get("operationName")
    # A persisted query has a name and no document.
    if isinstance(document, str) or (isinstance(named, str) and "extensions" in call):
        return _graphql(
            document if isinstance(document, str) else "", named if isinstance(named, str) else ""
        )
    return ""


# --- SOAP ----------------------------------------------------------------------------------------

_BODY = re.compile(rb"<(?:[\w.\-]+:)?Body(?:\s[^>]*)?>\s*<(?:[\w.\-]+:)?([A-Za-z_][\w.\-]*)")


def _of_soap(body: bytes) -> str:
    if b"Envelope" not in body:
        return ""
    found = _BODY.search(body)
    return found[1][:_LONGEST_NAME].decode("latin-1") if found else ""


# --- GraphQL -------------------------------------------------------------------------------------

# What is no name or bracket of the language's own: strings, comments, and directives and variables.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)|"(?:[^"\\\n]|\\.)*+(?:"|\n|\Z)|#[^\n]*'
    r"|[$@]\s*\w+|\.\.\.(?:\s*on\b)?|[A-Za-z_]\w*|[{}()\[\]:]"
)
_KINDS = ("query", "mutation", "subscription")
_MOST_TOKENS = 4_096


def _graphql(document: str, named: str) -> str:
    """The operation of that name in a document, or the only one: `query GetUser`.

    One without a name is told by the fields that it selects: `query {orders, user}`. Without a
    document the name alone is known. Source: GraphQL, §2.3 to §2.5.
    """
    if not document.strip():
        return f"operation {named[:_LONGEST_NAME]}" if named else ""
    found: list[tuple[str, str, set[str]]] = []  # kind, name, fields
    depth = inside = 0  # of braces, and of parentheses
    kind = name = last = latest = ""
    for count, match in enumerate(_TOKEN.finditer(document)):
        token = match[0]
        if count >= _MOST_TOKENS:
            break
        if token in ("(", "["):
            inside += 1
        elif token in (")", "]"):
            inside = max(0, inside - 1)
        elif inside or token[0] in '"#$@':
            continue
        elif token == "{":
            if depth == 0:
                kind = kind or "query"
                found.append((kind, name, set()))
            depth += 1
        elif token == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                kind = name = ""
        elif depth == 0:
            if kind and not name:
                name = token
            elif not kind and token in (*_KINDS, "fragment"):
                kind = token
            elif not kind:
                return ""  # no document
        elif depth == 1 and token[0] not in ":.":
            fields = found[-1][2]
            if last == ":":
                fields.discard(latest)  # that was an alias
            latest = token
            if not last.startswith("..."):
                fields.add(token)
        last = token
    operations = [one for one in found if one[0] in _KINDS]
    chosen = next((one for one in operations if one[1] == named), None) if named else None
    if chosen is None:
        if not operations:
            return ""
        chosen = operations[0]
    kind, name, fields = chosen
    if name:
        return f"{kind} {name[:_LONGEST_NAME]}"
    return f"{kind} {{{_listed({field[:_LONGEST_NAME] for field in fields}, ', ')}}}"
