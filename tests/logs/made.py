"""Logs of a recording, made of its truth: what its client and its server logged themselves.

The server's own rows are kept for the planted requests alone; for the others the server's log has
what the client's has, for there it was asked and answered as the client says.
"""

import json
import random
from pathlib import Path
from typing import Any

from tests.recordings import truth

Line = dict[str, Any]


def server_log(scenario: str) -> list[Line]:
    """The server's lines, as pino names them."""
    told = truth(scenario)
    notes = [one for one in told["server_notes"] if "peer" in one]
    noted = {(one["method"], one["target"]) for one in notes}
    lines = [_line(one["client"], one) | {"start": one["time"]} for one in told["log"]
             if (one["method"], one["target"]) not in noted]  # fmt: skip
    lines += [_line(one["peer"], one) | {"start": f"{one['received']:.3f}"} for one in notes]
    return lines


def _line(peer: str, one: Line) -> Line:
    address, _, port = peer.rpartition(":")
    return {
        "remoteAddress": address,
        "remotePort": int(port),
        "method": one["method"],
        "url": one["target"],
        "status": one.get("status"),
        "length": one.get("length"),
    }


def written(lines: list[Line], path: Path, *, shuffled: int | None = None) -> str:
    """The lines as JSON Lines, in another order where wanted."""
    lines = list(lines)
    if shuffled is not None:
        random.Random(shuffled).shuffle(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)
