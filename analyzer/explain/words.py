"""How times, requests and numbers are said."""

from analyzer import secrets
from analyzer.correlate.model import Request
from analyzer.findings.model import Finding, How, Kind

_LONGEST_TARGET = 120
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

TITLES: dict[Kind, str] = {
    Kind.MISDELIVERED: "a response went to the wrong request",
    Kind.UNANSWERED: "a request never got a response",
    Kind.INCOMPLETE: "a response began and never ended",
    Kind.UNSOLICITED: "a response that nobody asked for",
}

# The same of bytes behind a response that are none themselves.
BEHIND = "bytes behind a response that are no part of it"

# How it comes about, for somebody who has never looked below HTTP. {one}: whose request hung or
# whose response it was, {two}: who was given it.
HOW_IT_COMES: dict[str, str] = {
    "server/descriptor": "A process knows each of its connections by a number, its descriptor. "
    "Something in the server gave back the number of {one}'s connection while the request was "
    "still being worked on; the system gave that number to the next connection, {two}'s; and the "
    "response was written to the number.",
    "server/stolen": "The process had both connections all the time and wrote the response to the "
    "wrong one, as happens when handlers share a variable for the response.",
    "server/crossed": "The process had both connections all the time and wrote each response to "
    "the other one, as happens when handlers share a variable for the response.",
    "connection/desync": "On a connection answers carry no name: the first answer belongs to the "
    "first question, the second to the second. One message too many or too few, and every later "
    "answer goes to the wrong question.",
    "server/backend-desync": "A server asks others (a database, a cache, another service) on "
    "connections that it uses again and again, and on which answers carry no name. An answer that "
    "was left unread there ({one}'s, when it was given up) is read by whoever asks next, {two}; "
    "whose own answer is then left for the one after.",
    "client/pool-reuse": "On a connection answers carry no name: the first answer belongs to the "
    "first question. A client that stops waiting and asks something else on the same connection "
    "reads the old answer as the new one.",
    "client/early-final": "A server may send interim responses (1xx) before the final one. A "
    "client that takes one of them for the final answer asks on, and reads the final answer to its "
    "first question as the answer to the second.",
    "proxy/crossed": "What stands between client and server has connections of its own on either "
    "side, and put an answer on the wrong one.",
}

# The same where it is not seen who was given the response.
LOST_DESCRIPTOR = "the process no longer owned this connection"
HOW_LOST = (
    "A process knows each of its connections by a number, its descriptor. Something in the server "
    "gave back the number of this one while the request was still being worked on. Whoever "
    "connected next may have got the number, and with it the response: that is not in this capture."
)

SWAP = "! ━▶: a response on its way to the wrong request"
SHOWN = "! ━▶: the response that shows somebody else"

# Words of TCP that a ladder cannot do without.
LEGEND: tuple[tuple[str, str], ...] = (
    ("(ACK)", "ACK: a host's kernel confirms what has arrived; its process need not have seen it"),
    ("(FIN)", "FIN: this side will send no more"),
    ("(RST)", "RST: the connection is thrown away at once, with all that was on its way"),
    ("(window 0)", "window 0: the receiver's buffer is full, because its process does not read"),
)


def duration(nanoseconds: int) -> str:
    """A length of time as a person says it: `0.4 ms`, `12 ms`, `3.00 s`, `2 min 5 s`."""
    milliseconds = abs(nanoseconds) / 1e6
    if milliseconds < 0.95:
        return f"{milliseconds:.2g} ms" if milliseconds >= 0.01 else "0 ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / 1e3
    if seconds < 99.5:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def asked(request: Request, longest: int = _LONGEST_TARGET) -> str:
    """Method and target; credentials in that are masked, and it is cut where it is very long."""
    target = secrets.target(request.target)
    if len(target) > longest:
        target = target[: longest - 1] + "…"
    return f"{request.method} {target}"


def counted(number: int, one: str, many: str) -> str:
    """`1 request`, `3 requests`."""
    return f"{number:,} {one if number == 1 else many}"


def number(count: int) -> str:
    """A small number as a word."""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def sentence(text: str) -> str:
    """`text` with a capital at its beginning and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def size(length: int) -> str:
    """A length of a body."""
    return counted(length, "byte", "bytes")


def title(findings: tuple[Finding, ...], worst: Finding) -> str:
    """What the incident is, in a few words."""
    kinds = [finding.kind for finding in findings]
    if all(map(shows_another, findings)):
        if len(findings) == 1:
            return "a response showed somebody else"
        return f"{len(findings):,} responses showed somebody else"
    if crossed(findings):
        return "two responses were crossed"
    if kinds.count(Kind.MISDELIVERED) == 1 and Kind.UNANSWERED in kinds:
        return "one request hung, and its response went to another"
    if kinds.count(Kind.MISDELIVERED) > 1:
        return f"{kinds.count(Kind.MISDELIVERED):,} responses went to the wrong requests"
    if len(kinds) > 1 and set(kinds) == {Kind.UNANSWERED}:
        asked = [f.request.time for f in findings if f.request is not None]
        return f"{len(kinds):,} requests hung, within {duration(max(asked) - min(asked))}"
    if Kind.UNANSWERED in kinds and any(map(strayed, findings)):
        return "one request hung, and its response went to another connection"
    return BEHIND if worst.is_extra else TITLES[worst.kind]


def shows_another(finding: Finding) -> bool:
    """Whether a response may be its own request's, but for whom it shows."""
    return any(cause.how is How.IDENTITY for cause in finding.causes)


def strayed(finding: Finding) -> bool:
    """Whether a response went to a request or a connection that had not asked for it."""
    owner, response = finding.owner, finding.response
    return finding.kind is Kind.MISDELIVERED or (
        finding.kind is Kind.UNSOLICITED
        and owner is not None
        and response is not None
        and owner.connection != response.connection
    )


def crossed(findings: tuple[Finding, ...]) -> bool:
    """Whether two requests were given each other's responses, and that is all."""
    if [finding.kind for finding in findings] != [Kind.MISDELIVERED] * 2:
        return False
    one, two = findings
    return one.owner == two.request and two.owner == one.request


def alike(one: Request | None, two: Request | None) -> bool:
    """Whether both are the same request."""
    if one is None or two is None:
        return False
    return (one.capture, one.frame, one.connection, one.target) == (
        two.capture,
        two.frame,
        two.connection,
        two.target,
    )
