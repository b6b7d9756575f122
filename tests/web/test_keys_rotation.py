"""Keys that are rotated again and again, and a process that dies in the middle of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcp_responder.model.alert import Severity
from mcp_responder.operations import Operations
from mcp_responder.pipeline.route import everyone
from mcp_responder.ports import ApiKey
from mcp_responder.storage.memory import MemoryStore
from tests.contract.clock import FakeClock
from tests.promises import promise
from tests.web.house import Client, House

DAY = timedelta(days=1)


class Died(BaseException):
    """The process has ended here."""


class MortalStore(MemoryStore):
    """Takes this many more keys, then the process dies."""

    life = 99

    def put_key(self, key: ApiKey) -> None:
        if not self.life:
            raise Died
        self.life -= 1
        super().put_key(key)


class Home:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MortalStore(self.clock)
        self.operations = Operations(self.store, self.clock, everyone(()))
        self.operations.create_key("ci", ("read",))

    def working(self) -> list[str]:
        """The hashes of the keys that are let in now."""
        return [key.hash for key in self.store.keys() if key.expires_at is None or key.expires_at > self.clock()]


@pytest.fixture
def home() -> Home:
    return Home()


@promise("keys-open-their-own-doors-only")
def test_at_most_two_keys_of_a_name_work_however_often_it_is_rotated(client: Client, house: House) -> None:
    tokens = [house.tokens["read"]]
    for _ in range(4):
        tokens.append(client.post("/v1/keys/read/rotate", {"overlap": "24h"}).json["token"])
        house.clock.advance(minutes=1)
    answers = [client.get("/v1/alerts", key=token).status for token in tokens]
    assert answers == [401, 401, 401, 200, 200]


def test_no_overlap_ends_all_older_keys_at_once(client: Client, house: House) -> None:
    second = client.post("/v1/keys/read/rotate", {"overlap": "24h"}).json["token"]
    third = client.post("/v1/keys/read/rotate", {"overlap": "0s"}).json["token"]
    answers = [client.get("/v1/alerts", key=token).status for token in ("read", second, third)]
    assert answers == [401, 401, 200]


def test_a_rotation_prolongs_no_older_key(home: Home) -> None:
    home.operations.rotate_key("ci", timedelta(0))
    ended = {key.hash: key.expires_at for key in home.store.keys() if key.replaced}
    home.clock.advance(hours=1)
    home.operations.rotate_key("ci", DAY)
    assert {key.hash: key.expires_at for key in home.store.keys() if key.hash in ended} == ended


@pytest.mark.parametrize("overlap", [timedelta(0), DAY])
@pytest.mark.parametrize("rotations", [0, 1, 2])
@pytest.mark.parametrize("writes", range(5))
def test_a_key_that_was_in_use_works_until_there_is_a_new_one(
    home: Home, overlap: timedelta, rotations: int, writes: int
) -> None:
    for _ in range(rotations):
        home.clock.advance(hours=1)
        home.operations.rotate_key("ci", DAY)
    (in_use,) = [key.hash for key in home.store.keys() if not key.replaced]
    home.clock.advance(hours=1)
    home.store.life = writes
    try:
        home.operations.rotate_key("ci", overlap)
    except Died:
        new = [key.hash for key in home.store.keys() if not key.replaced and key.hash != in_use]
        assert in_use in home.working() or new
    home.store.life = 99
    home.clock.advance(days=30)
    assert home.working()
    home.operations.rotate_key("ci", overlap)
    assert len([key for key in home.store.keys() if not key.replaced]) == 1
    assert 1 <= len(home.working()) <= 2


@pytest.mark.parametrize("name", ["master", "local", "Master", "LOCAL"])
def test_a_key_cannot_be_called_like_a_built_in_one(client: Client, name: str) -> None:
    body = {"name": name, "scopes": ["read"]}
    assert name in client.post("/v1/keys", body).problem(422, "reserved_name")["detail"]


@pytest.mark.parametrize("kind", ["alerts", "incidents"])
@pytest.mark.parametrize("text", ["critical", "Critical", "CRITICAL"])
def test_a_severity_is_asked_for_in_any_case(client: Client, house: House, kind: str, text: str) -> None:
    house.opens(title="x", severity=Severity.CRITICAL)
    house.opens(title="y", severity=Severity.LOW)
    assert [item["title"] for item in client.items(f"/v1/{kind}?severity={text}")] == ["x"]


def test_a_severity_that_is_none_is_told_what_there_is(client: Client) -> None:
    problem = client.get("/v1/alerts?severity=urgent").problem(422, "invalid_parameter")
    assert "CRITICAL, HIGH, MEDIUM, LOW" in problem["detail"]
