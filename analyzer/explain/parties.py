"""Who takes part in an incident, and what its texts call them.

Law: everybody has one name in all that is told of an incident, in a line or in a ladder.
"""

from dataclasses import dataclass

from analyzer.correlate.model import Request, Response
from analyzer.correlate.view import Tables
from analyzer.explain.incidents import Incident

MOST_CONNECTIONS = 2  # that are told apart by name, and that a ladder shows


@dataclass(frozen=True, slots=True)
class Parties:
    """The clients and the server of an incident, by its connections."""

    incident: Incident
    tables: Tables

    def connection(self, message: Request | Response) -> int:
        """The number of a message's connection; -1: none of those that are told of."""
        streams = self.tables.connections["stream"]
        every = (*self.shown, *(back for _, back in self.behind))
        return next((n for n in every if int(streams[n]) == message.connection), -1)

    @property
    def shown(self) -> tuple[int, ...]:
        """The connections that are told of, of those who asked."""
        return self.incident.connections[:MOST_CONNECTIONS]

    @property
    def behind(self) -> tuple[tuple[int, int], ...]:
        """Those shown with the ones that a proxy asked on for them, each of these once."""
        found: dict[int, int] = {}
        for front, back in self.incident.behind:
            if front in self.shown and self.known(back):
                found.setdefault(back, front)
        return tuple((front, back) for back, front in found.items())

    def known(self, number: int) -> bool:
        """Whether a connection behind a proxy can be told of."""
        return number >= 0

    @property
    def both_sides(self) -> bool:
        """Whether both sides of a proxy were captured."""
        findings = self.incident.findings
        return any(
            any(seen.leg for seen in finding.seen) or any(c.both_sides for c in finding.causes)
            for finding in findings
        )

    @property
    def server(self) -> str:
        """What whom the clients asked is called."""
        causes = {f.cause for f in self.incident.findings}
        proxied = any(cause.startswith("proxy/") for cause in causes)
        return "proxy" if proxied or self.both_sides else "server"

    def client(self, message: Request | Response) -> str:
        """What the client of a request is called, or whoever was sent a response."""
        if len(self.shown) < 2:
            return "the client"
        number = self.connection(message)
        number = next((front for front, back in self.behind if back == number), number)
        return f"client {self.shown.index(number) + 1}" if number >= 0 else "another client"

    def is_behind(self, request: Request) -> bool:
        """Whether a proxy asked it, for the client that it is told of."""
        number = self.connection(request)
        return any(number == back for _, back in self.behind)

    def address(self, request: Request) -> str:
        """Where a request came from: with the port where hosts do not tell who is who."""
        numbers = self.tables.connections["client"][list(self.shown)]
        if len(set(numbers.tolist())) < len(self.shown):
            return request.client
        return host(request)


def host(request: Request) -> str:
    """The address that a request came from, without the port."""
    return request.client.rpartition(":")[0].strip("[]")
