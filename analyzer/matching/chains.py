"""Slips behind a server: each response goes to the request after the one that asked for it.

Law: two live responses may be mixed up by any server. But where a request came only when the one
whose response it was given was over (answered, or its connection ended), no two were live: the
response had been kept for it somewhere, and one request after the other is given the one before
it. So do the connections that a server has of its own, to a database, a cache or another service,
when an answer on them was left unread: they give it to whoever asks next. A connection of the
client's that slipped is another matter: there a response is on the wire before its request.
"""

from collections.abc import Iterable
from typing import NamedTuple

from analyzer.correlate.view import Id, Row, Tables
from analyzer.matching.assignment import GIVEN_UP, LATE, SLIPPED, STOLEN
from analyzer.matching.swaps import Swap
from analyzer.tables import Flag, Outcome

LEAST = 2  # links, from which on one after the other is no accident

_ON_THE_WIRE = int(Flag.SURPLUS | Flag.PIPELINED | Flag.DOUBTFUL)
_DOUBTFUL = int(Flag.DOUBTFUL)


class Chain(NamedTuple):
    """Requests that were each given the response to the one before.

    That is the order in which the server asked for what they wanted; of two that were live at one
    time it need not be the order in which they came. `apart` are those links whose request came
    only when the one before was over.
    """

    links: tuple[Swap, ...]
    apart: tuple[Swap, ...]


def chains(tables: Tables, swaps: Iterable[Swap]) -> dict[Id, Chain]:
    """The chain that each swap is a link of, by the swap's recipient; those of one are in none."""
    by_recipient = {swap.recipient.id: swap for swap in swaps if _may_slip_behind(swap)}
    following = {swap.owner.id: swap for swap in by_recipient.values() if swap.owner is not None}
    found: dict[Id, Chain] = {}
    for first in by_recipient.values():
        if first.owner is None or first.owner.id in by_recipient:
            continue  # in the middle of one, or of a circle
        links = [first]
        while (after := following.get(links[-1].recipient.id)) is not None:
            links.append(after)
        if len(links) < LEAST:
            continue
        apart = tuple(link for link in links if is_apart(tables, link))
        found |= {link.recipient.id: Chain(tuple(links), apart) for link in links}
    return found


def _may_slip_behind(swap: Swap) -> bool:
    """Whether neither framing nor the order on one client's connection explains it."""
    owner, recipient = swap.owner, swap.recipient
    if owner is None or not recipient["request_frame"] or owner["flags"] & _DOUBTFUL:
        return False
    if swap.how == SLIPPED:
        return not (recipient["flags"] | owner["flags"]) & _ON_THE_WIRE
    return swap.how in (STOLEN, LATE, GIVEN_UP)


def is_apart(tables: Tables, swap: Swap) -> bool:
    """Whether the request came when the one whose response it was given was over already."""
    if swap.owner is None:
        return False
    over = _over(tables, swap.owner)
    return 0 < over < swap.recipient["request_time"]


def _over(tables: Tables, row: Row) -> int:
    """When nobody waited for an answer to a request any more, in ns; 0: that is not seen."""
    if row["outcome"] == Outcome.ANSWERED:
        return row["response_end_time"] or row["response_time"]
    return tables.ended(row, row["request_time"])
