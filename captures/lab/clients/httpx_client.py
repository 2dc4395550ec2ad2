"""httpx: a thread and a Client per worker, with one connection that is kept, or one each time."""

# mypy: disable-error-code="import-not-found"
import time
from typing import Any

import httpx

from captures.lab.clients.journal import Journal, answered, delay, failed, in_threads, opening

LIMITS = {"max_connections": 1, "max_keepalive_connections": 1}


def exchange(client: Any, step: dict[str, Any], keep: bool, at: dict[str, str]) -> dict[str, Any]:
    """Send one request and read its answer, undecoded."""
    row = opening(step, "unconnected")

    def trace(event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            host, port = info["return_value"].get_extra_info("client_addr")[:2]
            at["address"] = f"{host}:{port}"
        if event == "http11.send_request_headers.started":
            row["client"] = at["address"]
            row["sent"] = time.time()

    headers = {**(step.get("headers") or {}), **({} if keep else {"Connection": "close"})}
    began = False
    try:
        with client.stream(
            step["method"],
            step["target"],
            content=step.get("body"),
            headers=headers,
            timeout=step["timeout"],
            extensions={"trace": trace},
        ) as response:
            began = True
            return row | answered(response.status_code, b"".join(response.iter_raw()))
    except httpx.TimeoutException:
        return row | failed("timeout", began)
    except httpx.ReadError:
        return row | failed("reset", began)
    except httpx.RemoteProtocolError:
        return row | failed("closed", began)
    except httpx.ConnectError:
        return row | failed("refused", began)


def work(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """One worker's steps, in order."""
    at = {"address": "unconnected"}
    base = "http://{}:{}".format(*plan["to"])
    with httpx.Client(base_url=base, limits=httpx.Limits(**LIMITS)) as client:
        for step in worker["steps"]:
            time.sleep(delay(plan, step))
            for attempt in range(1 + int(step.get("retry") or 0)):
                row = exchange(client, step, bool(worker["keep"]) and not step.get("close"), at)
                journal.write({**row, **({"attempt": attempt + 1} if attempt else {})})
                if row["outcome"] == "answered":
                    break


if __name__ == "__main__":
    in_threads(work)
