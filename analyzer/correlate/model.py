"""A request and a response as people are told of them: who, what, when, and in which frames.

The field names are those of the report (schema.json in `report/`).
"""

from dataclasses import dataclass

# Of a field that is for the program alone: the report does not have it.
UNTOLD = {"told": False}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the report names it; `time` in ns since 1970, `frame` as Wireshark counts.

    `exchange` is the id of its exchange (see `Row.exchange` in `correlate.view`).
    """

    method: str
    target: str
    endpoint: str
    client: str
    server: str
    time: int
    frame: int
    connection: int
    capture: int
    interfaces: tuple[str, ...] = ()
    inside: str = ""  # the server's ip:port nearest to it, where translation makes that another
    source: str = ""  # the client's ip:port as a PROXY header on the connection has it
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """A response as the report names it; `length` in bytes, `connection` is what it came on.

    `status` is 0 where none could be read. `announced` is the Content-Length of a body that did not
    come whole (else 0), `extra` counts bytes behind its end that are of no message. `exchange` is
    the id of the exchange that the order on its connection makes it part of.
    """

    status: int
    time: int
    frame: int
    length: int
    shape: str
    connection: int
    capture: int
    announced: int = 0
    extra: int = 0
    exchange: str = ""
