"""Starts and stops what is measured: our service, and its peers where they are installed.

Each start is a fresh one, in a throw-away folder and on a free port of 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.events import Traffic, alerta_event, alertmanager_event, fill, responder_event
from bench.load import Client, LoadError
from bench.machine import WORK, command_of, tree

RUNS = WORK / "runs"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
SETTLE_SECONDS = 10.0
SAME = 3
"""So many equal counts in a row mean that nothing is on its way any more."""
ALERTMANAGER = shutil.which("prometheus-alertmanager") or ""
ALERTA_VERSION = "9.1.0"
ALERTA_PACKAGES = (f"alerta-server=={ALERTA_VERSION}", "psycopg2-binary", "gunicorn")
ALERTA_APP = "alerta:create_app()"
GUNICORN = ("-k", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket")
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


class NotInstalledError(Exception):
    """A peer that isn't on this machine, or can't be brought there."""


class System(ABC):
    """One running system; a context manager. ``names`` of events that it stores are told by ``traffic``."""

    name: str

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path()
        self._processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def traffic(self, *, own_incident: bool) -> Traffic:
        """How events are sent to it."""

    @abstractmethod
    def check(self, status: int, body: bytes) -> None:
        """Raises LoadError unless this is the answer to one event that was taken."""

    @abstractmethod
    def stored(self) -> int:
        """How many events it says that it has taken."""

    @abstractmethod
    def _launch(self) -> None: ...

    @abstractmethod
    def _ready(self) -> bool: ...

    @property
    def roots(self) -> list[int]:
        """The processes that were started; what is below them is theirs."""
        return [process.pid for process in self._processes]

    def __enter__(self) -> Self:
        RUNS.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name.lower()}-", dir=RUNS))
        try:
            self._launch()
            self._wait(self._ready, START_SECONDS, "did not become ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for process in reversed(self._processes):
            stop(process)
        self._processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        """The body of a page. Raises OSError, or LoadError unless it is there."""
        with Client(self.url, headers) as client:
            status, body = client.get(path)
        if status != 200:
            raise LoadError(f"{self.name}: {path} answered {status}: {body[:200]!r}")
        return body

    def sample(self, first: int, *, own_incident: bool, count: int = 5) -> None:
        """Send single events and look at the answers. Raises LoadError if one isn't as it must be."""
        traffic = self.traffic(own_incident=own_incident)
        with Client(self.url, traffic.headers) as client:
            for number in range(first, first + count):
                self.check(*client.post(traffic.path, fill(traffic.body(1), number)))

    def settled(self, least: int) -> int:
        """What is stored, once it is no less than that and has stopped growing."""
        end = time.monotonic() + SETTLE_SECONDS
        seen = [self.stored()]
        while time.monotonic() < end:
            time.sleep(0.2)
            seen.append(self.stored())
            if seen[-1] >= least and len(seen) > SAME and len(set(seen[-SAME:])) == 1:
                break
        return seen[-1]

    def _start(
        self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        with (self.folder / f"{Path(command[0]).name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [str(word) for word in command],
                    cwd=self.folder,
                    env={**plain_environment(), **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=user,
                )
            )

    def _wait(self, ready: object, seconds: float, complaint: str) -> None:
        assert callable(ready)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = next((process for process in self._processes if process.poll() is not None), None)
            if ended:
                raise LoadError(f"{self.name} ended with {ended.returncode}: {self.log()}")
            with contextlib.suppress(OSError, LoadError):
                if ready():
                    return
            time.sleep(0.05)
        raise LoadError(f"{self.name} {complaint} within {seconds:.0f} s: {self.log()}")

    def log(self) -> str:
        """The end of what it has written."""
        return "".join(file.read_text(errors="replace")[-1500:] for file in sorted(self.folder.glob("*.log"))).strip()


class Responder(System):
    """Our service, started as a user would."""

    name = "mcp-responder"

    def __init__(self, webhook: str) -> None:
        super().__init__()
        self._key = secrets.token_urlsafe(16)
        self._webhook = webhook
        self._headers = {"X-API-Key": self._key}

    def traffic(self, *, own_incident: bool) -> Traffic:
        return Traffic("/v1/alerts", self._headers, responder_event(own_incident=own_incident))

    def check(self, status: int, body: bytes) -> None:
        answer = json.loads(body)
        if status != 202 or len(answer.get("accepted", ())) != 1 or answer["rejected"]:
            raise LoadError(f"{self.name} answered {status}: {body[:200]!r}")

    def stored(self) -> int:
        return int(self.ask("/v1/ledger")["received"])

    def ask(self, path: str) -> Any:
        """A page of the API, decoded."""
        return json.loads(self.get(path, self._headers))

    @property
    def door(self) -> int:
        """The process that accepts."""
        return next(pid for pid in tree(self.roots[0]) if "entrypoints.door" in command_of(pid))

    def _launch(self) -> None:
        settings = {
            "RESPONDER_PORT": str(self.port),
            "RESPONDER_DATA_DIR": str(self.folder / "data"),
            "RESPONDER_API_KEY": self._key,
            "RESPONDER_CHANNELS__WEBHOOK__URL": self._webhook,
            "RESPONDER_LOG__LEVEL": "warning",
            # Each incident is told by itself, as by the others.
            "RESPONDER_DIGEST__INCIDENTS": "0",
            "RESPONDER_REMINDERS__AFTER_MINUTES": "0",
        }
        self._start([Path(sys.executable).with_name("mcp-responder"), "serve"], settings)

    def _ready(self) -> bool:
        return bool(self.get("/readyz"))


class Alertmanager(System):
    """Prometheus's Alertmanager, alone. Without a webhook it groups by name and tells nobody within the run."""

    name = "Alertmanager"

    def __init__(self, webhook: str = "") -> None:
        if not ALERTMANAGER:
            raise NotInstalledError("Alertmanager isn't installed (apt-get install prometheus-alertmanager)")
        super().__init__()
        self._webhook = webhook

    def traffic(self, *, own_incident: bool) -> Traffic:
        return Traffic("/api/v2/alerts", {}, alertmanager_event(own_incident=own_incident), always_array=True)

    def check(self, status: int, body: bytes) -> None:
        if status != 200:
            raise LoadError(f"{self.name} answered {status}: {body[:200]!r}")

    def stored(self) -> int:
        counts = re.findall(r"^alertmanager_alerts_received_total\{.*\} (\S+)$", self.get("/metrics").decode(), re.M)
        return int(sum(map(float, counts)))

    def _launch(self) -> None:
        group_by, wait = ("['...']", "0s") if self._webhook else ("[alertname]", "5m")
        told = f"\n    webhook_configs: [{{url: '{self._webhook}', send_resolved: false}}]" if self._webhook else ""
        config = self.folder / "alertmanager.yml"
        config.write_text(
            f"route: {{receiver: bench, group_by: {group_by}, group_wait: {wait}, group_interval: 5m}}\n"
            f"receivers:\n  - name: bench{told}\n"
        )
        self._start(
            [
                ALERTMANAGER,
                f"--config.file={config}",
                f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
                "--log.level=error",
            ]
        )

    def _ready(self) -> bool:
        return bool(self.get("/-/ready"))


class Alerta(System):
    """Alerta on PostgreSQL with its durable defaults; gunicorn with two workers of eight threads."""

    name = "Alerta"

    def __init__(self) -> None:
        super().__init__()
        self._postgres = postgres_folder()
        if not self._postgres:
            raise NotInstalledError("Alerta needs PostgreSQL, which isn't installed (apt-get install postgresql)")
        self._venv = alerta_venv()
        self._database_port = free_port()

    def traffic(self, *, own_incident: bool) -> Traffic:
        return Traffic("/alert", {}, alerta_event(own_incident=own_incident))

    def check(self, status: int, body: bytes) -> None:
        if status != 201 or json.loads(body).get("status") != "ok":
            raise LoadError(f"{self.name} answered {status}: {body[:200]!r}")

    def stored(self) -> int:
        return int(json.loads(self.get("/alerts/count"))["total"])

    def _launch(self) -> None:
        self._start_database()
        config = self.folder / "alertad.conf"
        config.write_text(
            f"DATABASE_URL = 'postgresql://bench@127.0.0.1:{self._database_port}/postgres'\n"
            f"SECRET_KEY = '{secrets.token_hex()}'\nAUTH_REQUIRED = False\nLOG_LEVEL = 'WARNING'\n"
        )
        settings = {"ALERTA_SVR_CONF_FILE": str(config), "HOME": str(self.folder)}
        # Its tables are made first: two workers that start at once trip over each other there.
        subprocess.run(
            [self._venv / "bin/python", "-c", "import alerta; alerta.create_app()"],
            env={**plain_environment(), **settings},
            cwd=self.folder,
            capture_output=True,
            check=True,
        )
        self._start([self._venv / "bin/gunicorn", *GUNICORN, "-b", f"127.0.0.1:{self.port}", ALERTA_APP], settings)

    def _start_database(self) -> None:
        assert self._postgres
        user = database_user()
        cluster = self.folder / "database"
        cluster.mkdir(mode=0o700)
        # PostgreSQL refuses to run as root.
        if user:
            self.folder.chmod(0o755)
            shutil.chown(cluster, user)
        subprocess.run(
            [str(self._postgres / "initdb"), "-D", str(cluster), "-U", "bench", "-A", "trust", "-E", "UTF8"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            check=True,
            user=user,
        )
        address = ["-h", "127.0.0.1", "-p", str(self._database_port), "-c", "unix_socket_directories="]
        self._start([self._postgres / "postgres", "-D", cluster, *address], user=user)
        self._wait(self._database_ready, START_SECONDS, "'s database did not become ready")

    def _database_ready(self) -> bool:
        assert self._postgres
        asked = [
            str(self._postgres / "pg_isready"),
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self._database_port),
            "-U",
            "bench",
        ]
        return subprocess.run(asked, check=False).returncode == 0

    def _ready(self) -> bool:
        return self.stored() == 0


def postgres_folder() -> Path | None:
    """Where PostgreSQL's programs are; the newest version's."""
    versions = sorted(DEBIAN_POSTGRES.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return Path(found).parent if found else None


def database_user() -> str | None:
    """Whom to run the database as: root may not."""
    return "postgres" if os.geteuid() == 0 else None


def alerta_venv() -> Path:
    """Alerta's own environment, made on first use. Raises NotInstalledError if the package can't be had."""
    venv = WORK / f"alerta-{ALERTA_VERSION}"
    if not (venv / "bin/gunicorn").exists():
        print("installing Alerta into bench/.work ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
            pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *ALERTA_PACKAGES], check=True, capture_output=True, timeout=300)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NotInstalledError(f"Alerta can't be installed: {error}") from error
    return venv


def versions() -> dict[str, str]:
    """Of the peers and of wrk; what isn't installed is left out."""
    found = {"wrk": _first_line("wrk", "-v", word=1)}
    if ALERTMANAGER:
        found["Alertmanager"] = _first_line(ALERTMANAGER, "--version", word=2)
    postgres = postgres_folder()
    if postgres:
        found["PostgreSQL"] = _first_line(postgres / "postgres", "--version", word=2)
        found["Alerta"] = ALERTA_VERSION
    return found


def _first_line(*command: str | Path, word: int) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return (ran.stdout or ran.stderr).split()[word].rstrip(",")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then make it; and nothing below it stays."""
    family = tree(process.pid)
    if process.poll() is None:
        # PostgreSQL's fast shutdown is SIGINT: SIGTERM would wait for its clients.
        process.send_signal(signal.SIGINT if "postgres" in str(process.args[0]) else signal.SIGTERM)  # type: ignore[index]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    for pid in family:
        if pid != process.pid or process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()


def plain_environment() -> dict[str, str]:
    """This one, without settings that were meant for another service."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RESPONDER_", "MCP_RESPONDER_"))}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
