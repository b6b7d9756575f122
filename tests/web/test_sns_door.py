"""SNS at the door of a real service: what is signed and listed comes in without a key, what is forged never does."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from mcp_responder.sources._sns_signature import text_to_sign
from tests.authority import DAY, Authority, Owner, chain
from tests.channels.server import Reply
from tests.promises import promise
from tests.service import KEY, Service, eventually, running
from tests.sns import PATH, TOPIC, Sns, sns_on_localhost
from tests.sources.reading import FIXTURES, bodies

ALARM = (FIXTURES / "cloudwatch_alarm" / "metric_firing.json").read_text()
INFORMS = """StackId='arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1'
LogicalResourceId='web'
ResourceType='AWS::CloudFormation::Stack'
ResourceStatus='UPDATE_IN_PROGRESS'
StackName='web'"""
"""What CloudFormation says through SNS, which is kept only."""
SHORT, LONG = "/v1/sources/sns", "/v1/sources/sns?by=the-long-way"
SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
ASKED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@pytest.fixture(scope="module")
def sns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sns]:
    with sns_on_localhost(tmp_path_factory.mktemp("sns")) as server:
        yield server


@pytest.fixture(scope="module")
def service(sns: Sns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = sns.settings | {"SOURCES__SNS__TOPICS": json.dumps([TOPIC, "arn:aws:sns:*:210987654321:any-*"])}
    with running(tmp_path_factory.mktemp("service"), RETRY__FIRST_SECONDS="0.1", **settings) as service:
        yield service


@pytest.fixture(scope="module")
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


class Door:
    """Posts as SNS does, with a key or without."""

    def __init__(self, service: Service, http: urllib3.PoolManager) -> None:
        self.service = service
        self._http = http

    def post(self, body: object, path: str = SHORT, key: str = "", **headers: str) -> Any:
        sent = {"Content-Type": "text/plain; charset=UTF-8", **{k.replace("_", "-"): v for k, v in headers.items()}}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent |= {"X-API-Key": key} if key else {}
        return self._http.request("POST", f"{self.service.url}{path}", body=raw, headers=sent)

    def takes(self, body: object, **how: Any) -> Any:
        """The one alert that a body is."""
        answer = self.post(body, **how)
        assert answer.status == 202, answer.data
        (accepted,) = answer.json()["accepted"]
        return self.service.get(f"/v1/alerts/{accepted['alert_id']}")

    def refuses(self, body: object, status: int, code: str, **how: Any) -> Any:
        answer = self.post(body, **how)
        assert (answer.status, answer.json()["code"]) == (status, code), answer.data
        return answer


@pytest.fixture
def door(service: Service, http: urllib3.PoolManager) -> Door:
    return Door(service, http)


@pytest.fixture(autouse=True)
def nothing_went_wrong(service: Service) -> Iterator[None]:
    yield
    assert "Traceback" not in service.stderr


# -------------------------------------------------------------------------------------------------------- without a key


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("path", [SHORT, LONG])
def test_a_signed_message_of_a_listed_topic_needs_no_key(door: Door, sns: Sns, version: str, path: str) -> None:
    alert = door.takes(sns.envelope(ALARM, version), path=path)
    assert (alert["source"], alert["key"]) == ("cloudwatch_alarm", "signature")


def test_so_do_several_in_the_records_of_lambda(door: Door, sns: Sns) -> None:
    def record(number: int) -> dict[str, Any]:
        envelope = sns.envelope(f"Disk full on web-{number}", MessageId=f"m-{number}", Subject=None)
        envelope["SigningCertUrl"] = envelope.pop("SigningCertURL")
        return {"EventSource": "aws:sns", "Sns": envelope}

    answer = door.post({"Records": [record(1), record(2)]})
    assert (answer.status, len(answer.json()["accepted"])) == (202, 2), answer.data
    forged = record(3)
    forged["Sns"]["Message"] = "Disk empty"
    door.refuses({"Records": [record(4), forged]}, 403, "wrong_signature")
    door.refuses({"Records": [record(4), {"eventSource": "aws:sqs", "body": "Disk full"}]}, 401, "missing_key")


def test_the_same_message_twice_is_one_alert(door: Door, sns: Sns) -> None:
    envelope = sns.envelope("Disk full", MessageId="5a8f2a5e-0d4c-4a3e-9d3b-0b1f5a3e9c11")
    first, again = door.takes(envelope), door.takes(envelope, Idempotency_Key="another")
    assert first["alert_id"] == again["alert_id"]


@promise("forged-message-is-refused")
@pytest.mark.parametrize("path", [SHORT, LONG])
def test_another_topic_needs_a_key_and_nothing_is_fetched_for_it(door: Door, sns: Sns, path: str) -> None:
    sns.asked.clear()
    other = sns.envelope(TopicArn=TOPIC + "-of-a-stranger", SigningCertURL=f"https://{sns.host}/unknown.pem")
    answer = door.refuses(other, 401, "missing_key", path=path)
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert "isn't listed" in answer.json()["detail"]
    assert sns.fetched() == []
    other = sns.envelope(TopicArn=TOPIC + "-of-ours")
    assert door.takes(other, path=path, key=KEY)["key"] == "master"


@pytest.mark.parametrize("body", [{"title": "Disk full"}, "Disk full", [], {}, ALARM.encode(), b"Disk full", b"{"])
def test_what_isnt_signed_needs_a_key(door: Door, body: object) -> None:
    assert door.post(body).status == 401
    if not isinstance(body, bytes):
        assert door.post([{"title": "Disk full"}, body]).status == 401


def test_only_the_address_of_sns_is_open(door: Door, sns: Sns) -> None:
    for path in ("/v1/alerts", "/v1/sources/generic", "/v1/sources/cloudwatch_alarm"):
        door.refuses(sns.envelope(ALARM), 401, "missing_key", path=path)
    door.refuses(sns.envelope(ALARM), 401, "wrong_key", key="rsp_wrong")


def test_an_envelope_in_an_envelope_must_be_signed_too(door: Door, sns: Sns) -> None:
    inner = sns.envelope("Disk full", MessageId="inner")
    assert door.takes(sns.envelope(json.dumps(inner), MessageId="outer"))["title"] == "Disk full"
    inner["Message"] = "Disk empty"
    door.refuses(sns.envelope(json.dumps(inner)), 403, "wrong_signature")


# ------------------------------------------------------------------------------------------------------------ forgeries


@promise("forged-message-is-refused")
@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("field", SIGNED)
def test_a_changed_byte_is_refused(door: Door, sns: Sns, field: str, key: str) -> None:
    envelope = sns.envelope(ALARM, Subject="ALARM: Disk full")
    for changed in changes(envelope, field):
        answer = door.post(changed, key=key)
        assert answer.status in ((403,) if key else (401, 403)), (changed[field], answer.data)


@pytest.mark.parametrize("field", ASKED)
def test_so_it_is_in_what_asks_for_a_confirmation(door: Door, sns: Sns, field: str) -> None:
    for changed in changes(sns.confirmation(), field):
        assert door.post(changed, key=KEY).status == 403, changed[field]


def changes(envelope: dict[str, Any], field: str) -> Iterator[dict[str, Any]]:
    value = envelope[field]
    if field == "Type":
        # Another word is no envelope of SNS any more: then it is any JSON, which needs a key.
        kinds = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")
        yield from ({**envelope, field: kind} for kind in kinds if kind != value)
        return
    for place in {0, len(value) // 2, len(value) - 1}:
        letter = chr(ord(value[place]) ^ 1)
        yield {**envelope, field: value[:place] + letter + value[place + 1 :]}


@pytest.mark.parametrize("path", bodies("sns"), ids=lambda path: path.stem)
def test_every_fixture_is_refused_when_a_signed_byte_is_changed(door: Door, sns: Sns, path: Any) -> None:
    fixture = json.loads(path.read_bytes())
    if not isinstance(fixture.get("Message"), str) or path.stem == "odd_types":
        pytest.skip("holds no envelope that could be signed")
    envelope = sns.envelope(**{"message": "", **{k: v for k, v in fixture.items() if k in SIGNED + ASKED}})
    assert door.post(envelope, key=KEY).status == 202
    for field in (name for name in SIGNED + ASKED if isinstance(envelope.get(name), str) and envelope[name]):
        for changed in changes(envelope, field):
            assert door.post(changed, key=KEY).status == 403, field


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Signature": ""}, "not_verifiable"),
        ({"Signature": "RVhBTVBMRQ=="}, "wrong_signature"),
        ({"Signature": "%%%"}, "not_verifiable"),
        ({"SignatureVersion": "1"}, "wrong_signature"),
        ({"SignatureVersion": "9"}, "not_verifiable"),
        ({"SigningCertURL": ""}, "not_verifiable"),
        ({"SigningCertURL": "https://sns.us-east-1.amazonaws.com.evil.example" + PATH}, "not_verifiable"),
        ({"SigningCertURL": "http://sns.us-east-1.amazonaws.com" + PATH}, "not_verifiable"),
        ({"SigningCertURL": "http://169.254.169.254/latest/meta-data.pem"}, "not_verifiable"),
    ],
)
@pytest.mark.parametrize("key", ["", KEY])
def test_a_signature_that_cant_be_verified_is_refused(
    door: Door, sns: Sns, change: dict[str, str], code: str, key: str
) -> None:
    sns.asked.clear()
    answer = door.refuses({**sns.envelope(), **change}, 403, code, key=key)
    assert answer.headers["content-type"] == "application/problem+json"
    assert sns.fetched() == []


def test_an_array_is_taken_without_its_forgeries(door: Door, sns: Sns) -> None:
    forged = {**sns.envelope(), "Message": "Disk empty"}
    answer = door.post([sns.envelope(MessageId="in-an-array"), forged], key=KEY)
    assert answer.status == 202
    assert [item["error"]["code"] for item in answer.json()["rejected"]] == ["wrong_signature"]
    door.refuses([sns.envelope(MessageId="in-an-array"), forged], 403, "wrong_signature")


@promise("forged-message-is-refused")
@pytest.mark.parametrize("key", ["", KEY])
def test_a_strangers_message_isnt_cut_into_one_of_a_listed_topic(door: Door, sns: Sns, key: str) -> None:
    """What is signed has no marks between its fields: the end of a message can be taken for the fields behind it."""
    stranger = "arn:aws:sns:eu-central-1:999999999999:stranger"
    fields = "22222222-2222-2222-2222-222222222222\nTimestamp\n2026-03-01T10:00:00.000Z\nTopicArn"
    ours = "arn:aws:sns:eu-central-1:210987654321:any-alarms"
    real = sns.envelope(f"{ALARM}\nMessageId\n{fields}\n{ours}", TopicArn=stranger, MessageId="his-own")
    rest = f"MessageId\nhis-own\nTimestamp\n{real['Timestamp']}\nTopicArn\n{stranger}"
    cuts = [
        {"MessageId": fields[:36], "TopicArn": f"{ours}\n{rest}"},
        {"MessageId": f"{fields}\n{ours}\nMessageId\nhis-own"},
    ]
    for cut in cuts:
        forged = {**real, "Message": ALARM, **cut}
        assert text_to_sign(forged) == text_to_sign(real)
        assert door.post(forged, key=key).status == (403 if key else 401)


@promise("forged-message-is-refused")
def test_a_listed_topics_message_isnt_cut_into_another_one_of_its_own(door: Door, sns: Sns) -> None:
    real = sns.envelope("Disk full", Subject="Web", MessageId="cut")
    left_out = {**real, "Message": "Disk full\nMessageId\ncut", "MessageId": None}
    merged = {**real, "Message": "Disk full\nMessageId\ncut\nSubject\nWeb", "MessageId": None, "Subject": None}
    for forged in (left_out, merged):
        assert text_to_sign(forged) == text_to_sign(real)
        door.refuses(forged, 403, "not_verifiable")


@promise("forged-message-is-refused")
def test_nothing_but_envelopes_is_read_without_a_key(door: Door, sns: Sns) -> None:
    """Whoever sends it may be anybody, and other sources unpack what is sent."""
    events = {"messageType": "DATA_MESSAGE", "logEvents": ["ERROR"] * 150_000}
    packed = base64.b64encode(gzip.compress(json.dumps(events).encode())).decode()
    bodies: list[Any] = [
        {"awslogs": {"data": packed}},
        {"Records": [{"kinesis": {"data": packed}}]},
        {"requestId": "r", "timestamp": 1, "records": [{"data": packed}]},
        {"Records": [{"eventSource": "aws:sqs", "body": "Disk full " * 90_000}]},
        {"Records": [sns.envelope(), {"awslogs": {"data": packed}}]},
        sns.envelope("Disk full " * 90_000, TopicArn=TOPIC + "-of-a-stranger"),
        {**sns.envelope("Disk full " * 90_000), "Signature": "FAKE"},
    ]
    for body in bodies:
        start = time.monotonic()
        assert door.post(body).status in (401, 403)
        assert time.monotonic() - start < 1


@promise("forged-message-is-refused")
def test_what_is_beside_a_signed_message_isnt_confirmed(door: Door, sns: Sns) -> None:
    sns.asked.clear()
    asks = {**sns.confirmation(Token="beside", MessageId="beside"), "Signature": "FAKE"}
    half = {name: value for name, value in asks.items() if name != "Message"}
    signed = {"Sns": sns.envelope(MessageId="signed")}
    for number, words in enumerate((" ", INFORMS)):
        queued = {"eventSource": "aws:sqs", "body": words, "messageId": f"queued-{number}"}
        for more in (half, {"Sns": half}):
            assert door.post({"Records": [signed, {**queued, **more}]}, key=KEY).status == 202
    # Of a signed one, what is beside it in the same envelope isn't signed either.
    confirmed = sns.confirmation(TopicArn=TOPIC + "-2", MessageId="with-another", Token="own")
    assert door.post({**confirmed, "Sns": asks}, key=KEY).status == 202
    door.service.settled()
    assert not [path for path in sns.fetched() if "beside" in path]


@pytest.mark.parametrize("subject", [None, " "])
def test_an_empty_notification_is_kept_for_sns_would_send_it_again(door: Door, sns: Sns, subject: str | None) -> None:
    alert = door.takes(sns.envelope(" ", Subject=subject, MessageId=f"empty-{subject is None}"))
    assert (alert["title"], alert["status"], alert["source"]) == ("Empty notification", "info", "sns")


def test_a_mark_in_front_of_json_is_no_text(door: Door, sns: Sns) -> None:
    assert door.takes(sns.envelope("\ufeff" + ALARM, MessageId="marked"))["source"] == "cloudwatch_alarm"


IMPOSTER = Authority("imposter")


@promise("forged-message-is-refused")
@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("imposter", lambda sns: chain([IMPOSTER.leaf("localhost"), IMPOSTER.intermediate, IMPOSTER.root])),
        ("self-signed", lambda sns: IMPOSTER.leaf("localhost", issuer=self_signed(sns)).pem),
        ("expired", lambda sns: signed_by(sns, "localhost", begin=-9 * DAY, end=-DAY)),
        ("other-host", lambda sns: signed_by(sns, "localhost.evil.example")),
    ],
)
def test_a_forged_certificate_is_refused(door: Door, sns: Sns, name: str, forged: Any) -> None:
    with serving(sns, Reply(body=forged(sns))):
        envelope = sns.envelope(SigningCertURL=f"https://{sns.host}/{name}.pem")
        door.refuses(envelope, 403, "untrusted_certificate")


def self_signed(sns: Sns) -> Owner:
    return Owner(sns.signer.certificate, sns.signer.key)


def signed_by(sns: Sns, *names: str, **options: Any) -> bytes:
    return chain([sns.authority.leaf(*names, **options), sns.authority.intermediate])


class serving:  # noqa: N801 - used as a context only
    """For a while something else is at the certificate's address."""

    def __init__(self, sns: Sns, reply: Reply) -> None:
        self.sns, self.reply, self.usual = sns, reply, copy.copy(sns.certificate)

    def __enter__(self) -> None:
        self.sns.certificate = self.reply

    def __exit__(self, *_: object) -> None:
        self.sns.certificate = self.usual


# --------------------------------------------------------------------------------------------------------- certificates


ABSENT = {
    "error": Reply(503),
    "redirect": Reply(302, {"location": "/elsewhere.pem"}),
    "page": Reply(body=b"<html>Welcome to the hotel</html>"),
    "huge": Reply(body=b"-----BEGIN CERTIFICATE-----\n" * 10_000),
    "hang-up": Reply(manner="close"),
    "half": Reply(manner="half"),
    "slow": Reply(manner="drip"),
}


@pytest.mark.parametrize(("name", "reply"), ABSENT.items(), ids=ABSENT)
def test_a_certificate_that_cant_be_fetched_costs_no_message(door: Door, sns: Sns, name: str, reply: Reply) -> None:
    sns.asked.clear()
    envelope = sns.envelope(SigningCertURL=f"https://{sns.host}/{name}.pem", MessageId=name)
    with serving(sns, reply):
        answer = door.refuses(envelope, 503, "unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        # A storm doesn't ask again for each message.
        for path in (SHORT, LONG) * 5:
            door.refuses(envelope, 503, "unavailable", path=path)
    assert sns.fetched() == [f"/{name}.pem"]


def test_it_is_taken_once_the_certificate_can_be_had(door: Door, sns: Sns) -> None:
    envelope = sns.envelope(SigningCertURL=f"https://{sns.host}/comes-back.pem", MessageId="comes-back")
    with serving(sns, Reply(503)):
        door.refuses(envelope, 503, "unavailable")

    def taken() -> None:
        assert door.post(envelope).status == 202

    eventually(taken)


def test_a_storm_fetches_a_certificate_once_and_holds_up_nobody(door: Door, sns: Sns) -> None:
    sns.asked.clear()
    url = f"https://{sns.host}/storm.pem"
    with serving(sns, Reply(body=sns.certificate.body, delay=0.5)), ThreadPoolExecutor(8) as threads:
        paths = (SHORT, LONG) * 4
        posts = [
            threads.submit(door.post, sns.envelope(SigningCertURL=url, MessageId=f"storm-{n}"), path)
            for n, path in enumerate(paths)
        ]
        assert door.service.send({"title": "Not held up"})
        assert not any(post.done() for post in posts)
        assert {post.result().status for post in posts} == {202}
    assert sns.fetched() == ["/storm.pem"]


def test_after_a_restart_it_is_there_though_its_host_is_down(
    sns: Sns, tmp_path: Path, http: urllib3.PoolManager
) -> None:
    with running(tmp_path, **sns.settings) as service:
        Door(service, http).takes(sns.envelope(MessageId="before"))
    with serving(sns, Reply(503)), running(tmp_path, **sns.settings) as service:
        sns.asked.clear()
        Door(service, http).takes(sns.envelope(MessageId="after"))
    assert sns.fetched() == []


# --------------------------------------------------------------------------------------------------------- raw delivery


def test_raw_delivery_has_its_messages_id(door: Door) -> None:
    how: dict[str, Any] = {
        "key": KEY,
        "x_amz_sns_message_type": "Notification",
        "x_amz_sns_message_id": "0b8b9c8e-6f6d-4c8c-9f1a-0b8f8a3f1a11",
        "x_amz_sns_topic_arn": TOPIC,
        "x_amz_sns_rawdelivery": "true",
    }
    body = {"title": "Disk full", "service": "web"}
    first, again = door.takes(body, **how), door.takes({**body, "try": 2}, **how)
    assert first["alert_id"] == again["alert_id"]
    how["x_amz_sns_message_id"] = "another"
    assert door.takes(body, **how)["alert_id"] != first["alert_id"]
    text = door.takes(b"Disk full on web-7", **how)
    assert (text["source"], text["title"]) == ("generic", "Disk full on web-7")
    alarm = door.takes(ALARM.encode(), **how)
    assert alarm["alert_id"] == door.takes(ALARM.encode(), key=KEY)["alert_id"]
    how["key"] = ""
    door.refuses(body, 401, "missing_key", **how)


OTHERS = ("alertmanager", "aws_notification", "cloudwatch_alarm", "cloudwatch_logs", "eventbridge", "generic")


@pytest.mark.parametrize("path", [path for name in OTHERS for path in bodies(name)], ids=lambda path: path.stem)
def test_raw_delivery_is_plain_text_and_may_go_to_any_address(door: Door, path: Path) -> None:
    """SNS gives up at once on what is answered with 4xx."""
    answer = door.post(path.read_bytes(), f"/v1/sources/{path.parent.name}", KEY)
    assert answer.status in (200, 202), answer.data


# -------------------------------------------------------------------------------------------------------- confirmations


def outcome(service: Service, alert: Any, wanted: str) -> Any:
    def settled() -> Any:
        why = service.get(f"/v1/alerts/{alert['alert_id']}/why")
        assert why["outcome"] == wanted, why
        return why

    return eventually(settled)


def test_a_listed_topics_subscription_is_confirmed(door: Door, sns: Sns) -> None:
    sns.script(Reply(body=b"<ConfirmSubscriptionResponse/>"))
    sns.asked.clear()
    envelope = sns.confirmation(MessageId="confirmed", Token="t1")
    alert = door.takes(envelope)
    assert (alert["status"], alert["title"]) == ("info", "SNS subscription to alarms: confirmed by itself")
    why = outcome(door.service, alert, "suppressed:confirmed")
    assert "asked for a confirmation" in why["explanation"]
    asked = [item for item in sns.asked if not item.path.endswith(".pem")]
    assert [(item.method, f"https://{sns.host}{item.path}") for item in asked] == [("GET", envelope["SubscribeURL"])]
    # A second sending asks for nothing more.
    assert door.takes(envelope)["alert_id"] == alert["alert_id"]
    assert door.service.settled()["balanced"]
    assert len([item for item in sns.asked if "t1" in item.path]) == 1


def test_it_is_tried_again_while_sns_is_down(door: Door, sns: Sns) -> None:
    sns.script(Reply(503), Reply(manner="close"), Reply())
    alert = door.takes(sns.confirmation(MessageId="down", Token="t2"))
    outcome(door.service, alert, "suppressed:confirmed")
    assert len([item for item in sns.asked if "t2" in item.path]) == 3


@pytest.mark.parametrize("reply", [Reply(302, {"location": "/stolen"}), Reply(403), Reply(404)])
def test_what_sns_refuses_is_a_dead_letter_and_no_redirect_is_followed(door: Door, sns: Sns, reply: Reply) -> None:
    sns.script(reply)
    alert = door.takes(sns.confirmation(MessageId=f"refused-{reply.status}", Token=f"r{reply.status}"))
    why = outcome(door.service, alert, "dead")
    assert any(str(reply.status) in step["detail"] for step in why["path"] if step["what"] == "not_confirmed")
    assert "/stolen" not in sns.fetched()
    letters = door.service.get("/v1/dead-letters")["items"]
    assert {"type": "confirm", "alert_id": alert["alert_id"]} in [letter["task"]["work"] for letter in letters]
    assert door.service.get("/v1/ledger")["balanced"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("another-topic", {"TopicArn": TOPIC + "-2"}),
        ("an-end", {"Type": "UnsubscribeConfirmation"}),
        (
            "a-look-alike",
            {"SubscribeURL": "https://sns.us-east-1.amazonaws.com.evil.example/?Action=ConfirmSubscription"},
        ),
        ("another-action", {"SubscribeURL": "https://HOST/?Action=DeleteTopic&TopicArn=" + TOPIC}),
        ("another-topics", {"SubscribeURL": f"https://HOST/?Action=ConfirmSubscription&TopicArn={TOPIC}2&Token=t3"}),
    ],
)
def test_anything_else_is_left_to_a_person(door: Door, sns: Sns, name: str, change: dict[str, str]) -> None:
    sns.asked.clear()
    change = {field: value.replace("HOST", sns.host) for field, value in change.items()}
    alert = door.takes(sns.confirmation(MessageId=f"left-{name}", Token="t3", **change), key=KEY)
    assert (alert["status"], alert["outcome"]) == ("info", "suppressed:info")
    assert "by hand" in alert["message"]
    door.service.settled()
    assert [path for path in sns.fetched() if not path.endswith(".pem")] == []


# -------------------------------------------------------------------------------------------------------------- limits


def test_a_message_of_a_quarter_of_a_megabyte_comes_in_and_one_of_a_megabyte_is_413(door: Door, sns: Sns) -> None:
    words = "Disk full\n" + '"\n' * 128_000
    assert door.takes(sns.envelope(words, MessageId="large"))["title"] == "Disk full"
    door.refuses(sns.envelope("x" * 1_100_000), 413, "too_large")
    deep = sns.envelope("[" * 100_000 + "]" * 100_000, MessageId="deep", Subject="Deep")
    assert door.takes(deep)["title"] == "Deep"
    body: Any = {"title": "Disk full"}
    for depth in range(10):
        body = sns.envelope(json.dumps(body), MessageId=f"nested-{depth}", Subject=f"Envelope {depth}")
    assert door.takes(body)["title"] == "Envelope 6"


def test_without_a_key_only_so_many_are_taken_and_forgeries_dont_count(
    sns: Sns, tmp_path: Path, http: urllib3.PoolManager
) -> None:
    with running(tmp_path, **sns.settings, SOURCES__SNS__KEYLESS_PER_MINUTE="2") as service:
        door = Door(service, http)
        for _ in range(5):
            door.refuses({**sns.envelope(), "Message": "Disk empty"}, 403, "wrong_signature")
        door.takes(sns.envelope(MessageId="limited-1"))
        door.takes(sns.envelope(MessageId="limited-2"))
        answer = door.refuses(sns.envelope(MessageId="limited-3"), 429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 10
        assert door.takes(sns.envelope(MessageId="limited-3"), key=KEY)


def test_without_topics_every_message_needs_a_key_and_unsigned_ones_come_in_if_the_user_says_so(
    sns: Sns, tmp_path: Path, http: urllib3.PoolManager
) -> None:
    with running(tmp_path, SOURCES__SNS__VERIFY="false") as service:
        door = Door(service, http)
        forged = {**sns.envelope(), "Signature": "FAKE"}
        door.refuses(forged, 401, "missing_key")
        assert door.takes(forged, key=KEY)["title"] == "Disk full"
        asks = door.takes({**sns.confirmation(MessageId="asks"), "Signature": "FAKE"}, key=KEY)
        assert asks["outcome"] == "suppressed:info"
