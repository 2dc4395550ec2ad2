"""Clients of a model context server: http.client, a thread per worker, sessions shared by `style`.

Workers of one style share a session, which the first of them that needs it begins.
"""

import threading
import time
from typing import Any

from captures.lab.clients import http_client
from captures.lab.clients.journal import Journal, answered, delay, opening, read_plan
from captures.lab.reported import call

START = (
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
    '"capabilities":{},"clientInfo":{"name":"desk","version":"1.4"}}}'
)
STARTED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'


class Sessions:
    """Each session's id, once it has begun."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ids: dict[str, str] = {}

    def id(self, name: str, begin: Any) -> str:
        """A session's id; `begin` begins it, once."""
        with self.lock:
            if name not in self.ids:
                self.ids[name] = begin()
            return self.ids[name]


def begin(plan: dict[str, Any], name: str, journal: Journal) -> str:
    """Begin a session on a connection of its own; its id."""
    headers = call(0, "").headers
    step = {"id": f"begin.{name}", "method": "POST", "target": "/mcp", "timeout": 5}
    connection = http_client.connect(plan, step)
    found = ""
    for body in (START, STARTED):
        asked = {**step, "body": body, "headers": headers}
        row = opening(asked, http_client.address(connection))
        connection.request("POST", "/mcp", body, headers)
        response = connection.getresponse()
        found = found or response.headers["Mcp-Session-Id"]
        journal.write(row | answered(response.status, response.read()))
        headers = {**headers, "Mcp-Session-Id": found}
    connection.close()
    return found


def work(plan: dict[str, Any], worker: dict[str, Any], journal: Journal, all_: Sessions) -> None:
    """One worker's steps, in order, on one connection as long as it lasts."""
    connection: Any = None
    session = ""
    for step in worker["steps"]:
        time.sleep(delay(plan, step))
        name = str(worker["style"])
        session = session or all_.id(name, lambda: begin(plan, name, journal))  # noqa: B023
        fields = {**call(0, "").headers, **(step.get("headers") or {}), "Mcp-Session-Id": session}
        step = {**step, "headers": fields}
        if connection is None:
            connection = http_client.connect(plan, step)
        row = opening(step, http_client.address(connection))
        connection.sock.settimeout(step["timeout"])
        row |= http_client.exchange(connection, step, keep=True)
        journal.write(row)
        if row["outcome"] != "answered":
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def main() -> None:
    """Carry out the plan."""
    plan = read_plan()
    journal, all_ = Journal(plan), Sessions()
    threads = [
        threading.Thread(target=work, args=(plan, one, journal, all_)) for one in plan["workers"]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
