"""Two ways in which a Python service mixes up requests that wait together (S3).

`by-arrival`: results go to the request that has waited longest, whichever they were made for.
`stolen`: one variable holds "the request that is waiting"; the later one takes it over, gets the
earlier one's result, and the earlier one waits for ever.
"""

import asyncio
from typing import Any

NAMES = ("by-arrival", "stolen")
Waiter = asyncio.Future[Any]
_waiting: list[Waiter] = []


def arrive(name: str) -> Waiter:
    """A chosen request has come; what its handler will wait for."""
    own: Waiter = asyncio.get_running_loop().create_future()
    if name == "stolen":
        _waiting.clear()
    _waiting.append(own)
    return own


async def settle(name: str, own: Waiter, result: Any) -> tuple[Any, bool]:
    """Hand over the result made for it and wait for one; also whether the hand-over went wrong."""
    to = _waiting.pop(0) if name == "by-arrival" else _waiting[0]
    if not to.done():
        to.set_result(result)
    return await own, to is not own
