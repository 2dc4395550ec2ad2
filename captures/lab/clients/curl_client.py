"""curl: one process a request, so a connection a request."""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from captures.lab.clients.journal import Journal, answered, delay, failed, in_threads, opening

OUTCOMES = {7: "refused", 18: "closed", 28: "timeout", 52: "closed", 56: "reset"}


def exchange(plan: dict[str, Any], step: dict[str, Any], body_file: Path) -> dict[str, Any]:
    """Run curl once."""
    host, port = plan["to"]
    argv = ["curl", "--silent", "--max-time", str(step["timeout"]), "--output", str(body_file)]
    argv += ["--write-out", "%{local_ip}:%{local_port} %{http_code} %{exitcode}"]
    argv += ["--head"] if step["method"] == "HEAD" else ["--request", step["method"]]
    for key, value in (step.get("headers") or {}).items():
        argv += ["--header", f"{key}: {value}"]
    if step.get("body") is not None:
        argv += ["--data-binary", step["body"]]
    body_file.write_bytes(b"")
    row = opening(step, "unconnected")
    argv.append(f"http://{host}:{port}{step['target']}")
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    client, status, code = said.split()
    row["client"] = client
    if code == "0":
        body = b"" if step["method"] == "HEAD" else body_file.read_bytes()
        return row | answered(int(status), body)
    return row | failed(OUTCOMES.get(int(code), "unreadable"), status != "000")


def work(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """One worker's steps, in order."""
    with tempfile.TemporaryDirectory() as directory:
        for step in worker["steps"]:
            time.sleep(delay(plan, step))
            journal.write(exchange(plan, step, Path(directory) / "body"))


if __name__ == "__main__":
    in_threads(work)
