"""The worker's process: takes tasks, a few threads a lane, so that a hanging channel holds up nobody else."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from mcp_responder import app
from mcp_responder.entrypoints.once import load_once
from mcp_responder.model.errors import LeaseLost, Misconfigured, Permanent, Transient
from mcp_responder.model.message import Message, Receipt
from mcp_responder.model.task import Confirm, Leased, Notify
from mcp_responder.pipeline import confirm
from mcp_responder.plumbing import logging
from mcp_responder.plumbing.process import PUBLIC_URL, die_with_parent, take_turns
from mcp_responder.ports import Channel, Delivered
from mcp_responder.storage.sqlite.remote import Answer, Call, OwnerGoneError, RemoteStore

ANALYSIS_LANE = "analysis"
CONFIRMATION_LANE = "confirmation"
REMINDER_LANE = "reminder"
FUNCTIONS = {ANALYSIS_LANE: "analysis", CONFIRMATION_LANE: "reception"}
CHANNEL_LANES = "channel:"
ANALYSIS_THREADS = 2
CHANNEL_THREADS = 4
WAIT_SECONDS = 20.0
REPORT_SECONDS = 2.0
ADOPT_SECONDS = 10.0
"""How often lanes are looked for that have tasks and nobody who serves them."""
DRAIN_SECONDS = 15.0
PAUSE_SECONDS = 1.0
NICENESS = 10
"""Accepting goes first: a busy worker must not make the door wait for a core."""

PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN})
"""What a machine lacks for a while; no task is to blame for it."""

Work = Callable[[Leased], str]
"""Does a task; the id of the alert that it is about."""
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


class Steady:
    """A channel whose unexpected errors are failures like any other: planned again, and called by their name.

    Left to the worker, they would be three tries in a row and a dead letter that blames the worker.
    """

    def __init__(self, channel: Channel, metrics: Metrics) -> None:
        self.name = channel.name
        self.info = channel.info
        self._channel = channel
        self._errors = metrics.errors

    def deliver(self, message: Message, previous: Receipt | None) -> Delivered:
        """Raises Transient or Permanent only."""
        try:
            return self._channel.deliver(message, previous)
        except (Transient, Permanent):
            raise
        except Exception as error:
            kind = type(error).__name__
            self._errors.labels(f"{CHANNEL_LANES}{self.name}", kind).inc()
            log.exception("channel_failed", channel=self.name, incident_id=message.incident.incident_id)
            # Not its words: they may hold a secret, and timelines are sent to people.
            raise Transient(f"the channel failed unexpectedly ({kind}); see the log.", doubtful=True) from error


def passes(error: Exception) -> bool:
    """Whether the machine is to blame (a disk, too few files), so that the same will work later."""
    if isinstance(error, sqlite3.OperationalError):
        # That very code means a wrong statement.
        return getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in PASSING)


class Worker:
    """Lanes of threads over one store, until ``stop``."""

    def __init__(self, store: RemoteStore, metrics: Metrics, stopping: threading.Event) -> None:
        self._store = store
        self._metrics = metrics
        self._stopping = stopping
        self._threads: list[threading.Thread] = []
        self._served: set[str] = set()

    def serve(self, lane: str, work: Work, threads: int) -> None:
        self._served.add(lane)
        for number in range(threads):
            thread = threading.Thread(target=self._lane, args=(lane, work), name=f"{lane}/{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def run(self, stray: Work) -> None:
        """Report metrics until asked to stop. ``stray`` works on tasks for channels that nobody serves."""
        try:
            self._watch(stray)
        except OwnerGoneError:
            log.warning("door_gone")
        self._stopping.set()

    def _watch(self, stray: Work) -> None:
        adopted = float("-inf")
        while True:
            if time.monotonic() - adopted >= ADOPT_SECONDS:
                self._adopt(stray)
                adopted = time.monotonic()
            if self._stopping.wait(REPORT_SECONDS):
                return
            self._store.report(generate_latest(self._metrics.registry))

    def _adopt(self, work: Work) -> None:
        """Serve the lanes of channels that aren't configured: their alerts must not wait for ever."""
        try:
            lanes = set(self._store.depth())
        except sqlite3.Error as error:
            log.warning("lanes_unknown", reason=str(error))
            return
        for lane in sorted(lanes - self._served):
            if lane.startswith(CHANNEL_LANES):
                log.warning("lane_adopted", lane=lane)
                self.serve(lane, work, 1)

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
        while not self._stopping.is_set():
            try:
                self._take(lane, work)
            except (OwnerGoneError, Transient):
                self._stopping.set()
            except Exception as error:
                # A thread that ends here would leave a lane that nobody serves, and nobody would notice.
                self._metrics.errors.labels(lane, type(error).__name__).inc()
                log.exception("lane_failed", lane=lane)
                # What it holds goes to others at once, and not after the lease.
                self._store.hang_up()
                self._stopping.wait(PAUSE_SECONDS)

    def _take(self, lane: str, work: Work) -> None:
        for leased in self._store.receive(lane, 1, WAIT_SECONDS):
            if self._stopping.is_set():
                self._store.release(leased)
            else:
                self._work(lane, work, leased)

    def _work(self, lane: str, work: Work, leased: Leased) -> None:
        start = time.perf_counter()
        try:
            alert_id = work(leased)
        except LeaseLost:
            log.warning("lease_lost", lane=lane, **about(leased))
        except OwnerGoneError:
            raise
        except Exception as error:
            self._metrics.errors.labels(lane, type(error).__name__).inc()
            log.exception("task_failed", lane=lane, **about(leased))
            # A pause, so that a task which always fails doesn't spin; after three receives it is buried, unless the
            # machine is to blame.
            self._stopping.wait(PAUSE_SECONDS)
            self._store.release(leased, counts=not passes(error))
        else:
            seconds = time.perf_counter() - start
            self._metrics.seconds.labels(lane).observe(seconds)
            log.info(
                "task_done",
                function=FUNCTIONS.get(lane, "distribution"),
                lane=lane,
                **{"alert_id": alert_id, **about(leased)},
                metrics={"seconds": round(seconds, 4), "attempt": leased.task.attempt, "receives": leased.receives},
            )


def about(leased: Leased) -> dict[str, str]:
    """Whom a task is about, for the log."""
    work = leased.task.work
    return {"alert_id": work.alert_id} if isinstance(work, Confirm) else {"incident_id": work.incident_id}


def log_confirmation(alert_id: str, result: confirm.Result, reason: str) -> None:
    """Say what came of the try to confirm a subscription."""
    level = log.info if result == "confirmed" else log.warning
    level("confirmation", alert_id=alert_id, result=result, reason=reason)


def main() -> int:
    """Run the worker of the service in the data folder until SIGTERM, or until the service is gone."""
    loaded = load_once(os.environ, Path.cwd())
    settings = loaded.settings
    logging.configure("worker", settings.log.level, settings.log.format)
    os.nice(NICENESS)
    take_turns()
    stopping = threading.Event()
    store = PatientStore(Path(settings.data_dir), stopping)
    metrics = Metrics()
    worker = Worker(store, metrics, stopping)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    channels = {name: Steady(channel, metrics) for name, channel in app.build_channels(loaded).items()}
    route = app.build_routes(loaded, channels)
    public_url = (settings.public_url or os.environ.get(PUBLIC_URL, "")).rstrip("/")
    notifier = app.build_notifier(settings, store, route, public_url, metrics.delivery)
    analyzer = app.build_analyzer(settings, store, route)

    confirmer = app.build_confirmer(loaded, store, log_confirmation)

    def notify(leased: Leased) -> str:
        work = leased.task.work
        return notifier.notify(leased, channels.get(work.channel) if isinstance(work, Notify) else None).alert_id

    for name in channels:
        worker.serve(f"{CHANNEL_LANES}{name}", notify, CHANNEL_THREADS)
    worker.serve(ANALYSIS_LANE, lambda leased: analyzer.analyze(leased).alert_id, ANALYSIS_THREADS)
    reminder = app.build_reminder(settings, store, route)
    worker.serve(REMINDER_LANE, lambda leased: reminder.remind(leased).alert_id, 1)
    worker.serve(CONFIRMATION_LANE, confirmer.confirm, 1)
    log.info("worker_started", channels=list(channels))
    worker.run(stray=notify)
    worker.drain()
    log.info("worker_stopped")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Misconfigured as error:
        sys.exit(f"mcp-responder: {error}")
