"""The door's process: owns the store, takes alerts in, answers the API, and serves the worker."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import secrets
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import structlog
import uvicorn
import uvloop

from mcp_responder import __version__, app
from mcp_responder.entrypoints.once import load_once
from mcp_responder.entrypoints.web.api import create_api
from mcp_responder.entrypoints.web.auth import Authenticator
from mcp_responder.entrypoints.web.certificates import CertificateFetch
from mcp_responder.entrypoints.web.headers import security_headers, with_cors
from mcp_responder.entrypoints.web.ingest import Ingest
from mcp_responder.entrypoints.web.problems import App, Receive, Scope, Send
from mcp_responder.entrypoints.web.shortcut import shortcut
from mcp_responder.entrypoints.web.watch import DoorMetrics, Watch
from mcp_responder.model.errors import Misconfigured, ResponderError
from mcp_responder.operations import LEDGER_SPAN, SCOPES, Operations
from mcp_responder.pipeline.vouch import Verifier
from mcp_responder.plumbing import logging
from mcp_responder.plumbing.process import READY_PIPE, die_with_parent, take_turns
from mcp_responder.settings import Loaded, Settings
from mcp_responder.storage.sqlite.remote import StoreServer
from mcp_responder.storage.sqlite.store import SqliteStore
from mcp_responder.storage.sqlite.writer import Completion, Job, complete

RUNTIME = "runtime.json"
SILENT = "MCP_RESPONDER_SILENT"
"""Set by who starts the service for a story of its own: no banner."""
LAW_SECONDS = 60.0
"""How often the ledger's law is checked."""
FIRST_KEY = "first"

log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn, with signals left to this process's own handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Take no more connections, finish what is under way, end."""
        self.should_exit = True


class Door:
    """The ASGI application: alerts go the short way, everything else to the API."""

    def __init__(self, ingest: Ingest, api: App) -> None:
        self._ingest = ingest
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._ingest.serves(scope):
            await self._ingest(scope, receive, send)
        else:
            await self._api(scope, receive, send)


async def run(loaded: Loaded) -> None:
    """Serve until SIGTERM."""
    settings = loaded.settings
    folder = Path(settings.data_dir)
    channels = app.build_channels(loaded)
    sources = app.build_sources()
    certificates = app.build_certificates(loaded, sources)
    certificates.load()
    receive = app.build_receive(settings, sources, Verifier(certificates), loaded)
    listener = listen(settings)
    tls = bool(settings.tls_certificate)
    url = address(listener, tls=tls)
    store = SqliteStore(folder, app.clock)
    route = app.build_routes(loaded, channels)
    operations = Operations(store, app.clock, route)
    # While this thread may still wait for the writer: below, the writer hands over to this thread's loop.
    first_token = first_key(operations, settings)
    token = secrets.token_urlsafe(32)
    authenticator = Authenticator(store.keys, app.clock, settings.api_key, token)
    watch = Watch()
    metrics = DoorMetrics(operations, watch, ("analysis", *(f"channel:{name}" for name in channels)))
    loop = asyncio.get_running_loop()

    def hand_over(completions: Sequence[Completion]) -> None:
        loop.call_soon_threadsafe(complete, completions)

    store.writer.hand_over = hand_over
    headers = security_headers(https=tls or settings.behind_proxy)
    ingest = Ingest(
        receive=receive,
        sources=sources,
        submit=store.submit_accept,
        decide=app.build_decide(settings, route),
        authenticator=authenticator,
        clock=app.clock,
        body_limit=settings.http.body_limit,
        public_url=settings.public_url.rstrip("/"),
        headers=headers,
        seen=watch,
        keyless=app.build_keyless(loaded, sources),
        fetch=CertificateFetch(certificates.fetch, app.expected_hosts(loaded, sources)),
    )
    api = create_api(
        operations=operations,
        authenticator=authenticator,
        sources=sources,
        channels=channels,
        settings=settings,
        metrics=metrics.text,
        ready=lambda: not_ready(store),
        version=__version__,
        dead_letters=store.dead_letters,
        clock=app.clock,
    )
    app_of_all = with_cors(Door(ingest, api), settings.http.cors_origins)
    # Who sets headers of his own, as CORS and a proxy's addresses do, needs the long way.
    plain = not settings.http.cors_origins and not settings.behind_proxy
    server = Server(server_config(app_of_all, settings, shortcut(ingest, headers) if plain else "httptools"))
    loop.add_signal_handler(signal.SIGTERM, server.stop)
    worker_door = StoreServer(store, folder, lambda text: setattr(metrics, "worker", text))
    await worker_door.start()
    authenticator.refresh()
    # Before the address can be read anywhere: whoever reads it may connect.
    listener.listen(2048)
    write_runtime(folder, url, token)
    banner(url, first_token, settings)
    announce(url)
    take_turns()
    # What an alert leaves behind is freed by counting; the collector need not look after every few of them.
    gc.set_threshold(20_000, 50, 100)
    gc.freeze()
    for doubt in route.doubts():
        log.warning("route_doubtful", reason=doubt)
    law = asyncio.create_task(keep_the_law(operations))
    log.info("door_started", url=url, data_dir=str(folder.absolute()), config=loaded.file)
    try:
        await server.serve(sockets=[listener])
    finally:
        law.cancel()
        worker_door.stop()
        (folder / RUNTIME).unlink(missing_ok=True)
        store.writer.hand_over = complete
        await asyncio.to_thread(store.close)
        log.info("door_stopped")


async def keep_the_law(operations: Operations) -> None:
    """Say so loudly, and again every minute, when received isn't what became of it."""
    while True:
        await asyncio.sleep(LAW_SECONDS)
        with contextlib.suppress(sqlite3.Error):
            ledger = await asyncio.to_thread(operations.ledger, app.clock() - LEDGER_SPAN)
            for hour in ledger.hours:
                if hour.balance:
                    log.error("ledger_broken", hour=hour.hour.isoformat(), metrics={"missing": hour.balance})


def server_config(
    door: App, settings: Settings, protocol: type[asyncio.Protocol] | Literal["httptools"]
) -> uvicorn.Config:
    return uvicorn.Config(
        door,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips="*" if settings.behind_proxy else None,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


def listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise Misconfigured("port", "configuration", f"can't listen on {where} ({error.strerror}).") from error
    return listener


def address(listener: socket.socket, *, tls: bool) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def first_key(operations: Operations, settings: Settings) -> str:
    """The token of the first API key, if this start has made it."""
    if settings.api_key or operations.keys():
        return ""
    return operations.create_key(FIRST_KEY, SCOPES).token or ""


def write_runtime(folder: Path, url: str, token: str) -> None:
    """Tell the command line on this machine where the service is and how to be let in."""
    path = folder / RUNTIME
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, file)


def banner(url: str, token: str, settings: Settings) -> None:
    """What a person who has just started the service wants to know."""
    if os.environ.get(SILENT):
        return
    example = '{"title": "Database connection pool exhausted", "severity": "CRITICAL", "service": "checkout"}'
    lines = [f"mcp-responder {__version__} listens on {url}", ""]
    if token:
        lines += [f"API key '{FIRST_KEY}' (shown once, keep it): {token}", ""]
    elif not settings.api_key:
        lost = f"if it is lost: {program(settings)} keys rotate {FIRST_KEY}"
        lines += [f"Put the API key that you kept into RESPONDER_API_KEY ({lost}).", ""]
    lines += [
        "Send an alert:",
        f"  curl -X POST {url}/v1/alerts -H 'Content-Type: application/json' \\",
        f'    -H "X-API-Key: {token or "$RESPONDER_API_KEY"}" \\',
        f"    -d '{example}'",
        "",
        f"See what became of it, in another terminal:  {program(settings)} incidents",
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def program(settings: Settings) -> str:
    """How the command is called from here, so that it finds this service."""
    installed = Path(sys.executable).with_name("mcp-responder")
    here = Path.cwd()
    shown = installed.relative_to(here) if installed.is_relative_to(here) else installed
    elsewhere = settings.data_dir != Settings().data_dir
    return f"{f'RESPONDER_DATA_DIR={settings.data_dir} ' if elsewhere else ''}{shown}"


def announce(url: str) -> None:
    pipe = os.environ.get(READY_PIPE)
    if pipe:
        os.write(int(pipe), f"{url}\n".encode())
        os.close(int(pipe))


def not_ready(store: SqliteStore) -> str:
    """Why the service can't take alerts now; empty when it can."""
    trouble = store.writer.trouble
    if trouble:
        # Where nobody sends to a service that isn't ready, nothing else would find out that writing works again.
        with contextlib.suppress(ResponderError):
            store.writer.submit(Job(run=lambda _: None, done=lambda *_: None))
        return trouble
    try:
        store.keys()
    except (sqlite3.Error, ResponderError) as error:
        return f"The store can't be read: {error}."
    return ""


def main() -> int:
    """Run the door until SIGTERM. Raises Misconfigured."""
    loaded = load_once(os.environ, Path.cwd())
    logging.configure("door", loaded.settings.log.level, loaded.settings.log.format)
    app.check_bind(loaded.settings)
    # The supervisor decides when to stop; Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    uvloop.run(run(loaded))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ResponderError as error:
        sys.stderr.write(f"mcp-responder: {error}\n")
        sys.exit(2 if isinstance(error, Misconfigured) else 1)
