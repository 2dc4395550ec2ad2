"""A clinic API: flat records with resourceType, arrays at the top level, request ids echoed."""

from datetime import UTC, datetime
from typing import Any

from captures.lab.servers.python.common import Answer, Request, code, number, pick

FAMILY = ["Okafor", "Lindgren", "Marsh", "Delacroix", "Tanaka"]


def patient(name: str) -> dict[str, Any]:
    key = f"patient{name}"
    return {
        "resourceType": "Patient",
        "id": name,
        "active": number(key, 9) > 0,
        "name": [{"use": "official", "family": pick(key, FAMILY), "given": [code(key, 5)]}],
        "birthDate": f"{1940 + number(key + 'y', 70)}-0{1 + number(key + 'm', 9)}-14",
        "telecom": [{"system": "phone", "value": f"307-555-{number(key + 't', 9999):04d}"}],
    }


def observation(name: str) -> dict[str, Any]:
    key = f"observation{name}"
    return {
        "resourceType": "Observation",
        "id": name,
        "status": pick(key, ["final", "preliminary"]),
        "code": {"coding": [{"system": "http://loinc.example", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{number(key + 's', 900)}"},
        "valueQuantity": {"value": 55 + number(key + "v", 60), "unit": "beats/min"},
        "effectiveDateTime": f"2026-10-{1 + number(key + 'd', 27):02d}T09:00:00Z",
    }


def slots(practitioner: str) -> list[dict[str, Any]]:
    key = f"slots{practitioner}"
    return [
        {
            "start": f"2026-11-2{n}T1{number(key + str(n), 8)}:00:00Z",
            "minutes": pick(key + f"m{n}", [20, 40]),
            "room": f"R{1 + number(key + f'r{n}', 6)}",
            "free": number(key + f"f{n}", 3) > 0,
        }
        for n in range(2 + number(key, 4))
    ]


def handle(request: Request) -> Answer:
    """Answer one request; the caller's X-Request-Id comes back, as many services do."""
    asked = request.headers.get("x-request-id")
    echo = {"X-Request-Id": asked} if asked else {}
    at = [part for part in request.path.split("/") if part]
    match [request.method, *at]:
        case ["GET", "fhir", "Patient", name] if int(name) < 5000:
            return Answer(200, patient(name), echo, "application/fhir+json")
        case ["GET", "fhir", "Patient", name]:
            issue = {"severity": "error", "code": "not-found", "diagnostics": f"Patient/{name}"}
            outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
            return Answer(404, outcome, echo, "application/fhir+json")
        case ["GET", "fhir", "Observation", name]:
            return Answer(200, observation(name), echo, "application/fhir+json")
        case ["GET", "fhir", "Observation"]:
            who = request.query.get("patient", "0")
            entry = [{"resource": observation(f"{who}{n}")} for n in range(number(who, 4))]
            bundle = {"resourceType": "Bundle", "total": len(entry), "entry": entry}
            return Answer(200, bundle, echo, "application/fhir+json")
        case ["GET", "schedule", practitioner, "slots"]:
            return Answer(200, slots(practitioner), echo)
        case ["PUT", "schedule", practitioner, "slots", slot]:
            booked = {"slot": slot, "practitioner": practitioner, "booked": True}
            at_time = datetime.now(UTC).isoformat()
            return Answer(200, [booked | {"confirmedAt": at_time}], echo)
        case ["DELETE", "schedule", _, "slots", _]:
            return Answer(204, None, echo)
    return Answer(404, {"error": "unknown route"}, echo)
