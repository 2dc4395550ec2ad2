"""Loss first: whether the capture's own limits could explain an oddity, and in which words."""

from analyzer.correlate.view import Row, Tables
from analyzer.tables import ConnectionFlag, Flag

_LIMITS = int(Flag.LOSS | Flag.DAMAGED)
_COPIES_DIFFER = int(ConnectionFlag.COPIES_DIFFER)
_SYNS = int(ConnectionFlag.CLIENT_SYN | ConnectionFlag.SERVER_SYN)
_INCOMPLETE = int(
    ConnectionFlag.CLIENT_GAP
    | ConnectionFlag.SERVER_GAP
    | ConnectionFlag.ONE_WAY
    | ConnectionFlag.COPIES_DIFFER
)

# Why a request could not be judged, the first that applies.
_REASONS: tuple[tuple[Flag, str], ...] = (
    (Flag.ONE_WAY, "only one direction of its connection was captured"),
    (Flag.GAP_RESPONSE, "frames of its connection from the server are missing in the capture"),
    (Flag.GAP_REQUEST, "frames of its connection from the client are missing in the capture"),
    (
        Flag.DOUBTFUL,
        "a request before it on its connection can be read as ending in two places; this one may "
        "be part of it",
    ),
    (Flag.AFTER_GAP, "it follows a gap or a late start of the capture on its connection"),
    (Flag.MIDSTREAM, "its connection was open before the capture began"),
    (Flag.OPEN_AT_END, "the capture ends while it is outstanding"),
    (
        Flag.DAMAGED,
        "bytes on its connection can be read in no way or in two as HTTP",
    ),
)


def limited(tables: Tables, row: Row, *, but: int = 0) -> bool:
    """Whether the capture's limits (`but` those flags), or unreadable bytes, touch the row."""
    differ = int(tables.connection(row)["flags"]) & _COPIES_DIFFER
    return bool(row["flags"] & _LIMITS & ~but or differ)


def only_doubtful(tables: Tables, row: Row) -> bool:
    """Whether nothing but a request of doubtful framing before it on its connection touches it.

    The capture has all of the connection, and what it shows as a request may be part of a body.
    """
    connection = int(tables.connection(row)["flags"])
    lost = _LIMITS & ~int(Flag.AFTER_GAP | Flag.OPEN_AT_END)
    return (
        bool(row["flags"] & Flag.DOUBTFUL)
        and not row["flags"] & lost
        and connection & _SYNS == _SYNS
        and not connection & _INCOMPLETE
    )


def why(row: Row) -> str:
    """The reason in words, for a row that is limited."""
    flags = row["flags"]
    return next(
        (reason for flag, reason in _REASONS if flags & flag),
        "two copies of the same bytes on its connection differ",
    )
