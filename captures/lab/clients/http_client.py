"""Python's own http.client: a thread per worker, a connection per request or one kept alive."""

import http.client
import time
from typing import Any

from captures.lab.clients.journal import Journal, answered, delay, failed, in_threads, opening


def connect(plan: dict[str, Any], step: dict[str, Any]) -> http.client.HTTPConnection:
    """A new connection, from a chosen local port if the step wants one."""
    host, port = plan["to"]
    source = ("", step["port"]) if step.get("port") else None
    connection = http.client.HTTPConnection(host, port, step["timeout"], source)
    connection.connect()
    return connection


def exchange(
    connection: http.client.HTTPConnection, step: dict[str, Any], keep: bool
) -> dict[str, Any]:
    """Send one request and read its answer."""
    began = False
    try:
        headers = {**(step.get("headers") or {}), **({} if keep else {"Connection": "close"})}
        connection.request(step["method"], step["target"], step.get("body"), headers)
        response = connection.getresponse()
        began = True
        return answered(response.status, response.read())
    except TimeoutError:
        return failed("timeout", began)
    except ConnectionResetError:
        return failed("reset", began)
    except (http.client.RemoteDisconnected, http.client.IncompleteRead, BrokenPipeError):
        return failed("closed", began)
    except http.client.HTTPException:
        return failed("unreadable", began)


def address(connection: http.client.HTTPConnection) -> str:
    """The client's side of a connection."""
    host, port = connection.sock.getsockname()[:2]
    return f"{host}:{port}"


def work(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """One worker's steps, in order."""
    connection: http.client.HTTPConnection | None = None
    for step in worker["steps"]:
        time.sleep(delay(plan, step))
        tries = 1 + int(step.get("retry") or 0)
        for attempt in range(tries):
            keep = bool(worker["keep"]) and not step.get("close")
            try:
                if connection is None or connection.sock is None or step.get("port"):
                    connection = connect(plan, step)
            except OSError as error:
                outcome = "timeout" if isinstance(error, TimeoutError) else "refused"
                journal.write({**opening(step, "unconnected"), **failed(outcome)})
                continue
            row = opening(step, address(connection))
            connection.sock.settimeout(step["timeout"])
            row |= exchange(connection, step, keep)
            if attempt:
                row["attempt"] = attempt + 1
            journal.write(row)
            if not keep or row["outcome"] != "answered":
                connection.close()
                connection = None
            if row["outcome"] == "answered":
                break
    if connection is not None:
        connection.close()


if __name__ == "__main__":
    in_threads(work)
