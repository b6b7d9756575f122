"""An emulator of AWS on this machine, in an environment of its own (``make test`` installs it)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import urllib3

from tests.service import eventually

PYTHON = Path(__file__).parents[1] / ".venv-emulator" / "bin" / "python"
INSTALLED = PYTHON.is_file()
REGION = "eu-central-1"


class Emulator:
    """Speaks AWS's query API, over plain HTTP and without signatures."""

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10))

    def is_up(self) -> None:
        assert self._http.request("GET", f"{self.url}/_ministack/health").status == 200

    def ask(self, service: str, action: str, **parameters: str) -> dict[str, str]:
        """An action's answer: the texts of its elements, by their names."""
        credential = f"AWS4-HMAC-SHA256 Credential=test/20260301/{REGION}/{service}/aws4_request"
        fields: Any = {"Action": action, **parameters}
        answer = self._http.request(
            "POST",
            self.url,
            fields=fields,
            encode_multipart=False,
            headers={"Authorization": f"{credential}, SignedHeaders=host, Signature=0"},
        )
        assert answer.status == 200, answer.data
        # What the emulator that we have started answers.
        elements = Xml.fromstring(answer.data).iter()
        return {element.tag.rpartition("}")[2]: element.text or "" for element in elements}


@contextlib.contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator that holds nothing yet; its files go to the folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
    }
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "ministack"],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        running = Emulator(port)
        eventually(running.is_up)
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
