"""The worker's process: takes tasks, a few threads a lane, so that a hanging channel holds up nobody else."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from mcp_responder import app
from mcp_responder.model.errors import LeaseLost, Misconfigured, Transient
from mcp_responder.model.incident import Incident
from mcp_responder.model.task import Leased, Notify
from mcp_responder.plumbing import logging
from mcp_responder.plumbing.process import die_with_parent
from mcp_responder.settings import load
from mcp_responder.storage.sqlite.remote import Answer, Call, OwnerGoneError, RemoteStore

ANALYSIS_LANE = "analysis"
ANALYSIS_THREADS = 2
CHANNEL_THREADS = 4
WAIT_SECONDS = 20.0
REPORT_SECONDS = 2.0
DRAIN_SECONDS = 15.0
PAUSE_SECONDS = 1.0
NICENESS = 5
"""Accepting goes first: a busy worker must not make the door wait for a core."""
PUBLIC_URL = "MCP_RESPONDER_PUBLIC_URL"

Work = Callable[[Leased], Incident]
log = structlog.get_logger()


class Metrics:
    """What the worker counts; the door shows it."""

    def __init__(self) -> None:
        # Else each counter is shown twice, the second time with its birthday.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "responder_task_seconds",
            "Time to work on a task.",
            ["lane"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.errors = Counter(
            "responder_task_errors", "Tasks that failed unexpectedly.", ["lane", "error"], registry=self.registry
        )
        self.deliveries = Counter(
            "responder_deliveries", "Tries to tell a channel.", ["channel", "result"], registry=self.registry
        )
        self.delivery_errors = Counter(
            "responder_delivery_errors", "Failed tries by class.", ["channel", "error"], registry=self.registry
        )
        self.told_seconds = Histogram(
            "responder_told_seconds",
            "From the news about an incident to its delivery.",
            ["channel"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 3600, 86400),
        )

    def delivery(self, channel: str, result: str, error: str, seconds: float) -> None:
        """Count a try to tell a channel."""
        self.deliveries.labels(channel, result).inc()
        if error:
            self.delivery_errors.labels(channel, error).inc()
        else:
            self.told_seconds.labels(channel).observe(seconds)


class PatientStore(RemoteStore):
    """Waits while the store can't be written (a full disk): what was done once must not be done again for that."""

    def __init__(self, folder: Path, stopping: threading.Event) -> None:
        super().__init__(folder)
        self._stopping = stopping

    def _call(self, call: Call) -> Answer:
        while True:
            try:
                return super()._call(call)
            except Transient as error:
                if self._stopping.wait(PAUSE_SECONDS):
                    raise
                log.warning("store_waits", reason=str(error))


class Worker:
    """Lanes of threads over one store, until ``stop``."""

    def __init__(self, store: RemoteStore, metrics: Metrics, stopping: threading.Event) -> None:
        self._store = store
        self._metrics = metrics
        self._stopping = stopping
        self._threads: list[threading.Thread] = []

    def serve(self, lane: str, work: Work, threads: int) -> None:
        for number in range(threads):
            thread = threading.Thread(target=self._lane, args=(lane, work), name=f"{lane}/{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def run(self) -> None:
        """Report metrics until asked to stop; then let the tasks under way finish."""
        try:
            while not self._stopping.wait(REPORT_SECONDS):
                self._store.report(generate_latest(self._metrics.registry))
        except OwnerGoneError:
            log.warning("door_gone")
        self._stopping.set()

    def stop(self) -> None:
        self._stopping.set()

    def drain(self) -> None:
        """Wait for the tasks under way."""
        end = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(OwnerGoneError):
            self._store.retire()
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _lane(self, lane: str, work: Work) -> None:
        try:
            while not self._stopping.is_set():
                for leased in self._store.receive(lane, 1, WAIT_SECONDS):
                    if self._stopping.is_set():
                        self._store.release(leased)
                    else:
                        self._work(lane, work, leased)
        except (OwnerGoneError, Transient):
            self._stopping.set()

    def _work(self, lane: str, work: Work, leased: Leased) -> None:
        start = time.perf_counter()
        try:
            incident = work(leased)
        except LeaseLost:
            log.warning("lease_lost", lane=lane, incident_id=leased.task.work.incident_id)
        except OwnerGoneError:
            raise
        except Exception as error:
            self._metrics.errors.labels(lane, type(error).__name__).inc()
            log.exception("task_failed", lane=lane, incident_id=leased.task.work.incident_id)
            # A pause, so that a task which always fails doesn't spin; after three receives it is buried.
            self._stopping.wait(PAUSE_SECONDS)
            self._store.release(leased, counts=True)
        else:
            seconds = time.perf_counter() - start
            self._metrics.seconds.labels(lane).observe(seconds)
            log.info(
                "task_done",
                function="analysis" if lane == ANALYSIS_LANE else "distribution",
                alert_id=incident.alert_id,
                incident_id=incident.incident_id,
                lane=lane,
                metrics={"seconds": round(seconds, 4), "attempt": leased.task.attempt, "receives": leased.receives},
            )


def main() -> int:
    """Run the worker of the service in the data folder until SIGTERM, or until the service is gone."""
    loaded = load(os.environ, Path.cwd())
    settings = loaded.settings
    logging.configure("worker", settings.log.level, settings.log.format)
    os.nice(NICENESS)
    stopping = threading.Event()
    store = PatientStore(Path(settings.data_dir), stopping)
    metrics = Metrics()
    worker = Worker(store, metrics, stopping)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    channels = app.build_channels(loaded)
    route = app.build_route(channels)
    public_url = (settings.public_url or os.environ.get(PUBLIC_URL, "")).rstrip("/")
    notifier = app.build_notifier(settings, store, route, public_url, metrics.delivery)
    analyzer = app.build_analyzer(settings, store, route)

    def notify(leased: Leased) -> Incident:
        work = leased.task.work
        return notifier.notify(leased, channels.get(work.channel) if isinstance(work, Notify) else None)

    for name in channels:
        worker.serve(f"channel:{name}", notify, CHANNEL_THREADS)
    for lane in store.depth():
        if lane.startswith("channel:") and lane.removeprefix("channel:") not in channels:
            worker.serve(lane, notify, 1)
    worker.serve(ANALYSIS_LANE, analyzer.analyze, ANALYSIS_THREADS)
    log.info("worker_started", channels=list(channels))
    worker.run()
    worker.drain()
    log.info("worker_stopped")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Misconfigured as error:
        sys.exit(f"mcp-responder: {error}")
