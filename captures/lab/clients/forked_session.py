"""requests.Session made, and used once, before a fork: every worker is a process (requests#4323).

All processes have the one connection that the session keeps. Each sends its requests on it and
reads what comes next, whosever it is.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
import os
import time
from typing import Any

import requests

from captures.lab.clients.journal import Journal, answered, delay, failed, opening, read_plan


def address(session: Any, url: str) -> str:
    """The client's side of the connection that the session keeps, if there is one."""
    pools = session.get_adapter(url).poolmanager.pools
    for key in pools.keys():  # noqa: SIM118 (a container without iteration)
        for connection in pools.get(key).pool.queue:
            if connection is not None and connection.sock is not None:
                host, port = connection.sock.getsockname()[:2]
                return f"{host}:{port}"
    return "unconnected"


def exchange(session: Any, plan: dict[str, Any], step: dict[str, Any], log: Journal) -> None:
    """One request."""
    base = "http://{}:{}".format(*plan["to"])
    row = opening(step, address(session, base))
    try:
        got = session.request(
            step["method"],
            base + step["target"],
            data=step.get("body"),
            headers=step.get("headers") or {},
            timeout=step["timeout"],
        )
        row |= answered(got.status_code, got.content)
    except requests.Timeout:
        row |= failed("timeout")
    except requests.ConnectionError:
        row |= failed("closed")
    row["client"] = row["client"].replace("unconnected", address(session, base))
    log.write(row)


def main() -> None:
    """Carry out the plan: the first worker's first step before the fork."""
    plan = read_plan()
    log = Journal(plan)
    session = requests.Session()
    first = plan["workers"][0]["steps"].pop(0)
    time.sleep(delay(plan, first))
    exchange(session, plan, first, log)
    children = []
    for worker in plan["workers"]:
        child = os.fork()
        if not child:
            for step in worker["steps"]:
                time.sleep(delay(plan, step))
                exchange(session, plan, step, log)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
