"""From a scenario's workers to the plan that a client program carries out.

A plan is JSON: {to, start, log, workers: [{keep, steps: [...]}]}. A step is one request, sent `at`
seconds after the start or `pause` seconds after the one before; no worker begins before the start.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from captures.lab import reported, services, traffic
from captures.lab.errors import LabError
from captures.lab.scenario import Client

MAKERS = {**traffic.APIS, **services.APIS, **reported.APIS}
STEP_KEYS = {
    "request", "at", "pause", "timeout", "mark", "headers", "body", "port", "close", "retry",
    "cancel", "raw", "repeat", "idle", "stall",
    "abandon", "deaf", "fresh", "drip", "burst", "busy",
}  # fmt: skip
WORKER_KEYS = {"keep", "steps", "copies", "style"}


def steps(worker: Mapping[str, Any], rng: random.Random) -> Iterator[dict[str, Any]]:
    """The requests of one worker, with the background traffic drawn."""
    for step in worker["steps"]:
        if "traffic" in step:
            yield from _background(step, rng)
            continue
        unknown = set(step) - STEP_KEYS
        if unknown:
            raise LabError(f"unknown keys in a step: {', '.join(sorted(unknown))}")
        method, _, target = step["request"].partition(" ")
        for _ in range(step.get("repeat", 1)):
            yield {
                "timeout": 10,
                **{key: v for key, v in step.items() if key not in {"request", "repeat"}},
                "method": method,
                "target": target.replace("{n}", str(rng.randint(1, 800))),
                "pause": _pause(step, rng),
            }


def _background(step: Mapping[str, Any], rng: random.Random) -> Iterator[dict[str, Any]]:
    drawn = traffic.requests(MAKERS[step["api"]], rng)
    for number in range(step["traffic"]):
        request = next(drawn)
        yield {
            "method": request.method,
            "target": request.target,
            "headers": {**request.headers, **step.get("headers", {})},
            "body": request.body,
            "pause": _pause(step, rng),
            "timeout": step.get("timeout", 10),
            **({"at": step["at"]} if "at" in step and number == 0 else {}),
            **({"mark": step["mark"]} if "mark" in step else {}),
        }


def _pause(step: Mapping[str, Any], rng: random.Random) -> float:
    low, high = step.get("pause", (0.0, 0.0))
    return round(rng.uniform(low, high), 4)


def workers(client: Client, seed: str) -> list[dict[str, Any]]:
    """Every worker of a client, copies included, each with its own random draws."""
    made = []
    for number, worker in enumerate(client.workers):
        unknown = set(worker) - WORKER_KEYS
        if unknown:
            raise LabError(f"unknown keys in a worker: {', '.join(sorted(unknown))}")
        for copy in range(worker.get("copies", 1)):
            rng = random.Random(f"{seed}/{number}/{copy}")
            made.append(
                {
                    "keep": worker.get("keep", True),
                    "style": worker.get("style"),
                    "steps": [
                        {**({} if n else {"at": 0.0}), **step, "id": f"{number}.{copy}.{n}"}
                        for n, step in enumerate(steps(worker, rng))
                    ],
                }
            )
    return made
