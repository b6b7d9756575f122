"""What the other side of a channel calls: the door does what was asked, once, and says why it couldn't."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_responder.channels import Callback, Called, Deed
from mcp_responder.model.errors import Transient, Unverified
from mcp_responder.model.incident import Event
from mcp_responder.model.message import Receipt, ReceiptState
from mcp_responder.ports import Commit
from tests.contract.clock import START
from tests.service import eventually
from tests.web.house import Client, FakeChannel, House

ACTIONS = "/v1/channels/ops/actions"


class ListeningChannel(FakeChannel):
    """A channel that is called back, and reads into each call what a test tells it to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.means = Called()
        self.heard: list[Callback] = []
        self.answered: list[tuple[str, str]] = []
        self.refuses: Exception | None = None

    def called(self, callback: Callback) -> Called:
        self.heard.append(callback)
        if self.refuses:
            raise self.refuses
        return self.means

    def answer(self, called: Called, words: str) -> None:
        self.answered.append((called.answer_to, words))


@pytest.fixture
def channel(house: House) -> ListeningChannel:
    listening = ListeningChannel("ops")
    house.channels["ops"] = listening
    return listening


def called(verb: Any, call_id: str = "c-1", **rest: Any) -> Called:
    return Called(call_id=call_id, deed=Deed(verb=verb, who="ops: Ada", **rest), answer_to="https://there.example/1")


def test_the_exact_bytes_and_headers_are_handed_on(client: Client, channel: ListeningChannel) -> None:
    channel.means = Called(reply="challenge-1")
    body = b"payload=%7B%22a%22%3A+1%7D\r\n"
    answer = client.post("/v1/channels/ops/events", body, headers={"x-their-signature": "v0=1"})
    assert (answer.status, answer.body) == (200, b"challenge-1")
    [heard] = channel.heard
    assert (heard.what, heard.body, heard.headers["x-their-signature"]) == ("events", body, "v0=1")


@pytest.mark.parametrize(
    ("verb", "status"), [("acknowledge", "acknowledged"), ("resolve", "resolved"), ("silence", "open")]
)
def test_what_was_asked_is_done(
    client: Client, house: House, channel: ListeningChannel, verb: str, status: str
) -> None:
    incident = house.opens()
    channel.means = called(verb, incident_id=incident)
    assert client.post(ACTIONS, b"x").status == 200
    view = house.operations.incident(incident)
    assert view.status == status
    assert view.timeline[-1].by == "ops: Ada"
    assert not channel.answered


def test_a_call_that_comes_again_does_nothing(client: Client, house: House, channel: ListeningChannel) -> None:
    incident = house.opens()
    channel.means = called("comment", incident_id=incident, text="on it")
    for _ in range(3):
        assert client.post(ACTIONS, b"x").status == 200
    channel.means = called("comment", "c-2", incident_id=incident, text="on it")
    client.post(ACTIONS, b"x")
    assert [entry.text for entry in house.operations.incident(incident).timeline][-2:] == ["on it"] * 2
    assert len([e for e in house.operations.incident(incident).timeline if e.text == "on it"]) == 2


def test_what_could_not_be_done_now_is_done_when_it_comes_again(
    client: Client, house: House, channel: ListeningChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = house.opens()
    channel.means = called("acknowledge", incident_id=incident)
    with monkeypatch.context() as broken:

        def unwell(*_: object) -> None:
            raise Transient("The disk is full.")

        broken.setattr(house.store, "commit", unwell)
        assert client.post(ACTIONS, b"x").status == 503
    assert client.post(ACTIONS, b"x").status == 200
    assert house.operations.incident(incident).acknowledged_by == "ops: Ada"


def test_the_one_who_asks_is_told_why_it_is_not_done(client: Client, house: House, channel: ListeningChannel) -> None:
    incident = house.opens()
    house.operations.acknowledge(incident, "ann")
    channel.means = called("acknowledge", incident_id=incident)
    assert client.post(ACTIONS, b"x").status == 200
    eventually(lambda: channel.answered[0])
    [(where, words)] = channel.answered
    assert where == "https://there.example/1"
    assert "already acknowledged by ann" in words


def test_a_comment_finds_its_incident_by_the_receipt(client: Client, house: House, channel: ListeningChannel) -> None:
    incident = house.opens()
    receipt = Receipt(
        channel="ops", state=ReceiptState.DELIVERED, news=1, event=Event.OPENED, at=START, reference="C1:17.1"
    )
    house.store.commit(Commit(incident_id=incident, receipt=receipt))
    channel.means = called("comment", reference="C1:17.1", text="looks like the deploy")
    assert client.post("/v1/channels/ops/events", b"{}").status == 200
    entry = house.operations.incident(incident).timeline[-1]
    assert (entry.event, entry.by, entry.text) == ("commented", "ops: Ada", "looks like the deploy")
    channel.means = called("comment", "c-9", reference="C1:18.2", text="elsewhere")
    assert client.post("/v1/channels/ops/events", b"{}").status == 200


def test_a_forged_call_is_refused(client: Client, house: House, channel: ListeningChannel) -> None:
    incident = house.opens()
    channel.means = called("resolve", incident_id=incident)
    channel.refuses = Unverified("wrong_signature", "The signature doesn't fit.")
    answer = client.post(ACTIONS, b"x")
    assert (answer.status, answer.json["code"]) == (403, "wrong_signature")
    assert house.operations.incident(incident).status == "open"


def test_a_channel_that_takes_no_callbacks_says_so(client: Client) -> None:
    for name in ("ops", "nobody"):
        answer = client.post(f"/v1/channels/{name}/actions", b"x")
        assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_endless_bodies_are_refused(client: Client, channel: ListeningChannel) -> None:
    assert client.post(ACTIONS, b"x" * 30_000).status == 413
    assert not channel.heard
