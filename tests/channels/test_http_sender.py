"""What every channel over HTTP says of a request that got no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mcp_responder.channels._http import HttpSender
from mcp_responder.model.errors import Transient
from mcp_responder.plumbing.http import HttpClient

from .messages import NOW
from .server import Manner, Reply, ScriptedServer, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def sender() -> Iterator[HttpSender]:
    http = HttpClient()
    yield HttpSender(http, lambda: NOW, timeout=0.2)
    http.close()


@pytest.mark.parametrize("manner", ["hang", "close", "half"])
def test_what_was_sent_and_not_answered_is_doubtful(sender: HttpSender, server: ScriptedServer, manner: Manner) -> None:
    server.script(Reply(manner=manner))
    with pytest.raises(Transient) as caught:
        sender.send("POST", server.url, b"x", {})
    assert caught.value.doubtful


def test_what_was_never_sent_is_not_doubtful(sender: HttpSender, server: ScriptedServer) -> None:
    server.stop()
    with pytest.raises(Transient) as caught:
        sender.send("POST", server.url, b"x", {})
    assert not caught.value.doubtful


def test_what_was_refused_is_not_doubtful(sender: HttpSender, server: ScriptedServer) -> None:
    server.script(Reply(503))
    with pytest.raises(Transient) as caught:
        sender.send("POST", server.url, b"x", {})
    assert not caught.value.doubtful
