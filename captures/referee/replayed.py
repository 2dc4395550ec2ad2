"""`python -m captures.referee.replayed FILE.pcap`: what httpreplay-ng reads, as JSON.

Its command prints requests alone, so its library is used as that command uses it, with every port
taken for HTTP, and with errors kept instead of raised.
"""

import json
import sys
from hashlib import sha256
from typing import Any

from httpreplay.cut import http_handler
from httpreplay.reader import PcapReader
from httpreplay.smegma import TCPPacketStreamer


class _Every(dict[int, Any]):
    """The same handler for all ports."""

    def __contains__(self, port: object) -> bool:
        return True

    def __getitem__(self, port: int) -> Any:
        return http_handler


def main(path: str) -> None:
    """Read and print."""
    with open(path, "rb") as file:  # noqa: PTH123 - its reader wants a file
        reader = PcapReader(file)
        reader.raise_exceptions = False
        reader.tcp = TCPPacketStreamer(reader, _Every())
        pairs = [pair for one in reader.process() if (pair := _pair(*one[:5])) is not None]
        print(json.dumps({"pairs": pairs, "errors": len(reader.exceptions)}))


def _pair(flow: Any, time: float, protocol: str, sent: Any, received: Any) -> list[Any] | None:
    if not hasattr(sent, "uri"):
        return None
    status = int(getattr(received, "status", 0) or 0)
    body = getattr(received, "raw_body", None) or getattr(received, "body", b"") or b""
    data = body.encode("latin-1") if isinstance(body, str) else bytes(body)
    coded = "content-encoding" in getattr(received, "headers", {})
    digest = None if coded else sha256(data).hexdigest()
    method, target = (v.decode("latin-1") if isinstance(v, bytes) else v
                      for v in (sent.method, sent.uri))  # fmt: skip
    return [f"{flow[0]}:{flow[1]}", method, target, time, status, digest]


if __name__ == "__main__":
    main(sys.argv[1])
