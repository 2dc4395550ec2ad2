"""Words that several parts of judging use: places of tokens, times, counts."""

_PLACES = {
    "query": "the query parameter",
    "header": "the header",
    "body": "the field of its body",
    "form": "the field of its form",
    "cookie": "the cookie",
    "basic": "its authorization's",
    "jwt": "its token's claim",
}
_FROM_THE_END = ("last", "last but one", "third from last", "fourth from last")


def place_text(place: str) -> str:
    """The place of a token in words."""
    kind, _, name = place.partition(":")
    if kind in _PLACES:
        return f"{_PLACES[kind]} {name}"
    back = int(place.removeprefix("path[-").rstrip("]"))
    if back <= len(_FROM_THE_END):
        return f"the {_FROM_THE_END[back - 1]} segment of its path"
    return f"a segment of its path ({back} from the end)"


def seconds(nanoseconds: int) -> str:
    """Nanoseconds as seconds, to the millisecond."""
    return f"{nanoseconds / 1e9:.3f}"


def milliseconds(nanoseconds: int) -> str:
    """Nanoseconds as milliseconds, to the tenth."""
    return f"{nanoseconds / 1e6:.1f}"


def counted(number: int, one: str, many: str) -> str:
    """`1 byte`, `3 bytes`."""
    return f"{number:,} {one if number == 1 else many}"


def seldom(bits: float, every: int, what: str) -> str:
    """How seldom something is, `one request in 20`: no seldomer than `every` of them can show."""
    few = max(1, round(2.0**bits))
    return f"one {what} in {few:,}" if few <= every else f"fewer than one {what} in {every:,}"
