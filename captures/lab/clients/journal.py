"""What every Python client shares: waiting for a step's time, and the log of what happened."""

import hashlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from captures.lab.asked import about, who


class Journal:
    """One line of JSON per request, written as soon as its outcome is known."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._file = Path(plan["log"]).open("a")  # noqa: SIM115 (open as long as the client)
        self._lock = threading.Lock()

    def write(self, row: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()


def read_plan() -> dict[str, Any]:
    """The plan named on the command line."""
    plan: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    return plan


def delay(plan: dict[str, Any], step: dict[str, Any]) -> float:
    """Seconds to wait before a step."""
    if step.get("at") is not None:
        return max(0.0, float(plan["start"]) + float(step["at"]) - time.time())
    return float(step.get("pause") or 0.0)


def opening(step: dict[str, Any], client: str) -> dict[str, Any]:
    """The first half of a log row: who asks for what, and when."""
    headers = {key.lower(): value for key, value in (step.get("headers") or {}).items()}
    body = (step.get("body") or "").encode()
    told = headers.get("x-request-id") or headers.get("range")
    asked = {} if step.get("raw") else {"about": about(told, body), "who": who(headers)}
    return {
        "id": step["id"],
        "mark": step.get("mark"),
        "client": client,
        "method": step["method"],
        "target": step["target"],
        **asked,
        "sent": time.time(),
    }


def answered(status: int, body: bytes) -> dict[str, Any]:
    """The second half for a complete response."""
    return {
        "outcome": "answered",
        "began": True,
        "status": status,
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "ended": time.time(),
    }


def failed(outcome: str, began: bool = False) -> dict[str, Any]:
    """The second half for a response that never came, or never ended."""
    return {"outcome": outcome, "began": began, "ended": time.time()}
