"""Energy meters on Flask behind gunicorn's gthread worker: HAL, problem+json, CSV, pages by Jinja.

Faults, each a mistake that is made in this language: `closed-twice` gives the number of the chosen
request's connection to os.fdopen, whose file closes it when it is done, beside the connection
itself; `by-arrival` hands the results of an executor to whoever has waited longest; `page-globals`
keeps what a page shows in the template environment, which all threads share.
"""

# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator,misc"
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import flask

from captures.lab.asked import about
from captures.lab.servers.python.common import CONFIG, Log, code, matches, number, pick
from captures.lab.servers.python.serving import by_gunicorn

LOG = Log()
FAULT: dict[str, Any] = CONFIG.get("fault") or {}
HAL = "application/hal+json"
POOL = ThreadPoolExecutor(8)
DONE: "queue.Queue[tuple[Asked, dict[str, Any]]]" = queue.Queue()
app = flask.Flask(__name__)
app.json.sort_keys = False
app.jinja_env.globals["shown"] = {}

PAGE = """<!DOCTYPE html>
<html><head><title>Site {{ shown.site }}</title></head><body>
<h1>{{ shown.address }}</h1>
<table>{% for key, value in shown.rows %}<tr><td>{{ key }}</td><td>{{ value }}</td></tr>{% endfor %}
</table>{% if shown.alarm %}<p class="alarm">{{ shown.alarm }}</p>{% endif %}
</body></html>
"""


@dataclass(frozen=True)
class Asked:
    """The request that a response is made for: what the log tells of it."""

    method: str
    target: str
    peer: str
    about: str | None
    received: float

    @property
    def name(self) -> str:
        """As patterns name it."""
        return f"{self.method} {self.target}"


def asked() -> Asked:
    """The present request."""
    request = flask.request
    headers = {key.lower(): value for key, value in request.headers.items()}
    return Asked(
        request.method,
        request.environ["RAW_URI"],
        f"{request.environ['REMOTE_ADDR']}:{request.environ['REMOTE_PORT']}",
        about(headers.get("x-request-id"), request.get_data()),
        time.time(),
    )


def milliseconds(name: str) -> float:
    """How long a request takes, by the scenario."""
    return next((float(ms) for on, ms in CONFIG.get("slow", {}).items() if matches(on, name)), 0.0)


@app.before_request
def arrive() -> None:
    """Keep what the log needs, and take the scenario's time."""
    flask.g.asked = flask.g.made = asked()
    name = flask.g.asked.name
    if FAULT.get("name") == "closed-twice" and matches(FAULT["on"], name):
        socket = flask.request.environ["gunicorn.socket"]
        threading.Timer(FAULT["after"] / 1000, measure, [socket.fileno()]).start()
    if not flask.request.path.startswith(("/reports/", "/pages/")):
        time.sleep(milliseconds(name) / 1000)


@app.after_request
def journal(response: flask.Response) -> flask.Response:
    """Tell which bytes were made for which request, when they are all there."""
    if response.direct_passthrough:
        return response
    made: Asked = flask.g.made
    status = response.status_code
    if response.is_streamed:
        parts = list(response.response)
        whole = b"".join(one.encode() if isinstance(one, str) else one for one in parts)
        response.response = iter(parts)
    else:
        whole = response.get_data()
    if made is not flask.g.asked:
        LOG.write(fault=FAULT.get("name"), request=flask.g.asked.name, at=time.time())
    LOG.answer(made.peer, made, made.target, made.received, status, whole)
    return response


def measure(descriptor: int) -> None:
    """The mistake of `closed-twice`: the file owns a number that belongs to the connection."""
    if FAULT.get("inherit"):
        subprocess.Popen(["sleep", "30"], pass_fds=[descriptor], close_fds=True)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        LOG.write(fault="closed-twice", descriptor=file.fileno(), at=time.time())


def hal(self: str, made: dict[str, Any], **links: str) -> flask.Response:
    """A resource with its links."""
    every = {"self": {"href": self}, **{key: {"href": to} for key, to in links.items()}}
    response = flask.jsonify({**made, "_links": every})
    response.headers["Content-Type"] = HAL
    return response


def problem(status: int, title: str) -> flask.Response:
    """problem+json."""
    made = flask.jsonify({"type": "about:blank", "title": title, "status": status})
    made.headers["Content-Type"] = "application/problem+json"
    made.status_code = status
    return made


def serial(meter: str) -> str:
    """A meter's id, whether it was asked for by that or by its serial number."""
    return str(int(meter[2:], 16) % 90000) if meter.startswith("SN") else meter


@app.get("/meters/<meter>")
def show(meter: str) -> flask.Response:
    """A meter, by its id or its serial number; what is unknown is left out, or null."""
    name = serial(meter)
    key = f"meter{name}"
    made: dict[str, Any] = {
        "id": int(name),
        "medium": pick(key, ["electricity", "gas", "heat", "water"]),
        "installed": f"20{10 + number(key, 16)}-0{1 + number(key + 'm', 9)}-15",
        "tenant": pick(key + "t", ["Nord 4", "Bakery", None, "Stairwell"]),
    }
    if number(key + "r", 3):
        made["last_reading"] = {"value": number(key + "v", 10**6) / 10, "quality": pick(key, "GEM")}
    if number(key + "b", 5) == 0:
        made["battery_percent"] = number(key + "p", 101)
    if number(key + "x", 6) == 0:
        made["replaced_by"] = f"/meters/{number(key + 'y', 90000)}"
    return hal(f"/meters/{name}", made, readings=f"/meters/{name}/readings", site=f"/sites/{name}")


@app.get("/meters")
def listed() -> flask.Response:
    """A page of meters, maybe an empty one."""
    page = int(flask.request.args.get("page", "0"))
    site = flask.request.args.get("site", "")
    ids = [number(f"{site}{page}{n}", 90000) for n in range(number(f"{site}{page}", 7))]
    items = [{"id": one, "_links": {"self": {"href": f"/meters/{one}"}}} for one in ids]
    made = {"count": len(items), "_embedded": {"meters": items}}
    return hal(f"/meters?site={site}&page={page}", made)


@app.get("/meters/<meter>/readings")
def readings(meter: str) -> flask.Response:
    """Readings, by month."""
    key = f"readings{serial(meter)}"
    rows = [
        {
            "month": f"2026-{n:02d}",
            "kwh": number(f"{key}{n}", 9000) / 10 if number(f"{n}{key}", 5) else None,
        }
        for n in range(1, 1 + number(key, 11))
    ]
    return hal(f"/meters/{serial(meter)}/readings", {"unit": "kWh", "readings": rows})


@app.get("/meters/<meter>/readings.csv")
def export(meter: str) -> flask.Response:
    """The same as CSV, in chunks."""

    def lines() -> Iterator[str]:
        yield "hour;kwh\r\n"
        for hour in range(12 + number(f"csv{meter}", 40)):
            yield f"{hour};{number(f'{meter}{hour}', 400) / 100}\r\n"

    return flask.Response(lines(), mimetype="text/csv")


@app.get("/sites/<site>")
def place(site: str) -> flask.Response:
    """A building."""
    key = f"site{site}"
    made = {
        "street": f"{pick(key, ['Mill Lane', 'Dock Road', 'Old Cut'])} {1 + number(key, 90)}",
        "flats": number(key + "f", 60),
        "heating": {"kind": pick(key, ["district", "gas", "pump"]), "kw": 10 + number(key, 300)},
        "caretaker": None if number(key + "c", 3) else {"name": pick(key, ["I. Park", "L. Holt"])},
    }
    return hal(f"/sites/{site}", made, meters=f"/meters?site={site}")


@app.post("/meters/<meter>/readings")
def report(meter: str) -> flask.Response | tuple[str, int, dict[str, str]]:
    """A reading by hand: made, or refused with what was wrong."""
    sent = flask.request.get_json(silent=True) or {}
    if sent.get("value", -1) < 0:
        return problem(422, "a value cannot be negative")
    where = f"/meters/{meter}/readings/{code(f'{meter}{time.time()}', 8)}"
    return "", 201, {"Location": where}


@app.get("/serials/<meter>")
def moved(meter: str) -> flask.Response:
    """An old address."""
    return flask.redirect(f"/meters/{serial(meter)}", 308)


def consumption(own: Asked, site: str) -> tuple[Asked, dict[str, Any]]:
    """A report that takes a while."""
    time.sleep(milliseconds(own.name) / 1000)
    made = {
        "months": [{"month": n, "kwh": number(f"use{site}{n}", 90000)} for n in range(1, 7)],
        "peak": {"hour": number(f"peak{site}", 24), "kw": number(f"kw{site}", 400) / 10},
        "estimate": pick(f"est{site}", [True, False]),
    }
    return own, made


@app.get("/reports/<site>/consumption")
def reported(site: str) -> flask.Response:
    """The report is worked out by an executor; with `by-arrival` the mistake is who takes it."""
    future = POOL.submit(consumption, flask.g.asked, site)
    if FAULT.get("name") == "by-arrival":
        future.add_done_callback(lambda done: DONE.put(done.result()))
        flask.g.made, made = DONE.get()
    else:
        flask.g.made, made = future.result()
    return hal(f"/reports/{flask.g.made.target.split('/')[2]}/consumption", made)


@app.get("/pages/<site>")
def page(site: str) -> Any:
    """A page for people; with `page-globals` the mistake is where its facts are kept."""
    key = f"page{site}"
    facts = {
        "site": site,
        "address": f"{pick(key, ['Mill Lane', 'Dock Road'])} {1 + number(key, 90)}",
        "rows": [(f"Meter {n}", number(f"{key}{n}", 9000)) for n in range(1 + number(key, 5))],
        "alarm": pick(key, [None, None, "Leak suspected"]),
        "asked": flask.g.asked,
    }
    shared: dict[str, Any] = app.jinja_env.globals["shown"]
    kept = shared if FAULT.get("name") == "page-globals" else {}
    kept.update(facts)
    time.sleep(milliseconds(flask.g.asked.name) / 1000)
    flask.g.made = kept["asked"]
    return flask.render_template_string(PAGE, **({} if kept is shared else {"shown": kept}))


@app.get("/status")
def status() -> Any:
    """The health check, in the form that is accepted."""
    if "json" in flask.request.headers.get("Accept", "") or "full" in flask.request.args:
        return {"status": "pass", "checks": {"db": [{"observedValue": 3, "observedUnit": "ms"}]}}
    return flask.Response("pass", mimetype="text/plain")


@app.errorhandler(404)
def missing(_: Exception) -> flask.Response:
    """Nothing there."""
    return problem(404, "no such thing")


if __name__ == "__main__":
    by_gunicorn(app, worker_class="gthread", threads=12)
