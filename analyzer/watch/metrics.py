"""How the watch is, for Prometheus: read when it is asked for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.watch.watching import Watch

PREFIX = "wrangler_forensics_watch"

# Of `Watch.status`: the name of the metric, whether it only grows, and what it means.
TABLE: dict[str, tuple[str, bool, str]] = {
    "bytes_recorded": ("recorded_bytes", True, "Bytes of packets written to the ring"),
    "packets_dropped_by_kernel": ("dropped_packets", True, "Packets that the kernel dropped"),
    "restarts_of_recorder": ("recorder_restarts", True, "Tries to start the recorder again"),
    "deaths_of_judge": ("judge_deaths", True, "Ends of the judging process that nobody wanted"),
    "rounds": ("rounds", True, "Windows judged"),
    "failed_rounds": ("failed_rounds", True, "Windows that could not be judged"),
    "skipped": ("skipped_files", True, "Files of the ring that no round has judged"),
    "alarms": ("alarms", True, "Alarms raised"),
    "withdrawn": ("withdrawn_alarms", True, "Alarms withdrawn"),
    "incidents": ("incidents", True, "Incidents found"),
    "undecided": ("undecided_incidents", True, "Incidents that lost packets may have feigned"),
    "alarms_left_out": ("alarms_left_out", True, "Alarms there was no room for"),
    "findings_that_went_on": ("continued_findings", True, "Findings of incidents told before"),
    "ring_bytes": ("ring_bytes", False, "Bytes in the ring"),
    "evidence_bytes": ("evidence_bytes", False, "Bytes of evidence that are kept"),
    "ring_seconds": ("ring_age_seconds", False, "Seconds that the ring goes back"),
    "seconds_since_last_frame": ("lag_seconds", False, "Seconds since the last judged packet"),
    "seconds_of_last_round": ("round_seconds", False, "Seconds that the last round took"),
    "judged": ("judged_requests", False, "Requests in the window that was judged last"),
}


class Collector:
    """Makes the metrics from a watch's status."""

    def __init__(self, watch: "Watch") -> None:
        self.watch = watch

    def collect(self) -> Iterator[Any]:
        """The metrics, as prometheus_client wants them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        status = self.watch.status()
        for key, (name, grows, meaning) in TABLE.items():
            if status[key] is None:
                continue
            family = CounterMetricFamily if grows else GaugeMetricFamily
            yield family(f"{PREFIX}_{name}", meaning, value=status[key])
        open_now = len(status["open_alarms"])
        yield GaugeMetricFamily(f"{PREFIX}_open_alarms", "Alarms that are open", value=open_now)


def serve(watch: "Watch", host: str, port: int) -> Any:
    """Serve the metrics in a thread; returns prometheus_client's server.

    Raises InputError where that cannot be.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError:
        raise InputError("--metrics takes pip install 'wrangler-forensics[watch]'") from None
    registry = CollectorRegistry()
    registry.register(Collector(watch))
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise InputError(f"--metrics {host}:{port}: {error.strerror}") from None
    return server
