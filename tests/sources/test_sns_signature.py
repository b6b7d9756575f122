"""What SNS signs, and which addresses are its own."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_responder.sources._sns_signature import (
    certificate_names,
    confirmation_url,
    is_listed,
    seal_of,
    text_to_sign,
)

PEM = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
NOTIFICATION = {
    "Type": "Notification",
    "MessageId": "m-1",
    "TopicArn": TOPIC,
    "Subject": "Disk full",
    "Message": "on wéb-1\nreally",
    "Timestamp": "2026-03-01T10:00:00.000Z",
    "SignatureVersion": "2",
    "Signature": "c2lnbmVk",
    "SigningCertURL": f"https://sns.eu-west-1.amazonaws.com{PEM}",
}
CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "m-2",
    "TopicArn": TOPIC,
    "Token": "t0k3n",
    "Message": "You have chosen",
    "SubscribeURL": f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t0k3n",
    "Timestamp": "2026-03-01T10:00:00.000Z",
}
NOTIFICATION_TEXT = """\
Message
on wéb-1
really
MessageId
m-1
Subject
Disk full
Timestamp
2026-03-01T10:00:00.000Z
TopicArn
arn:aws:sns:eu-west-1:123456789012:alarms
Type
Notification
"""
CONFIRMATION_TEXT = f"""\
Message
You have chosen
MessageId
m-2
SubscribeURL
{CONFIRMATION["SubscribeURL"]}
Timestamp
2026-03-01T10:00:00.000Z
Token
t0k3n
TopicArn
arn:aws:sns:eu-west-1:123456789012:alarms
Type
SubscriptionConfirmation
"""


def test_names_and_values_are_signed_in_the_order_of_the_alphabet() -> None:
    assert text_to_sign({**NOTIFICATION, "more": "x"}).decode() == NOTIFICATION_TEXT
    assert text_to_sign({**CONFIRMATION}).decode() == CONFIRMATION_TEXT
    assert text_to_sign({**CONFIRMATION, "Type": "UnsubscribeConfirmation"}).decode() == CONFIRMATION_TEXT.replace(
        "SubscriptionConfirmation", "UnsubscribeConfirmation"
    )


@pytest.mark.parametrize("subject", [None, ...])
def test_a_subject_that_isnt_there_isnt_signed(subject: object) -> None:
    envelope = {name: value for name, value in NOTIFICATION.items() if name != "Subject"}
    envelope |= {"Subject": subject} if subject is None else {}
    assert text_to_sign(envelope).decode() == NOTIFICATION_TEXT.replace("Subject\nDisk full\n", "")


@pytest.mark.parametrize(("version", "digest"), [("1", "sha1"), ("2", "sha256")])
def test_the_version_says_how_it_is_computed(version: str, digest: str) -> None:
    seal = seal_of({**NOTIFICATION, "SignatureVersion": version}, ())
    assert (seal.digest, seal.signature, seal.flaw) == (digest, b"signed", "")
    assert seal.certificate_url == NOTIFICATION["SigningCertURL"]


def test_lambda_writes_a_name_in_another_way() -> None:
    envelope: dict[str, Any] = {**NOTIFICATION}
    envelope["SigningCertUrl"] = envelope.pop("SigningCertURL")
    assert seal_of(envelope, ()) == seal_of({**NOTIFICATION}, ())
    asked: dict[str, Any] = {**CONFIRMATION}
    asked["SubscribeUrl"] = asked.pop("SubscribeURL")
    assert text_to_sign(asked).decode() == CONFIRMATION_TEXT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Signature": None}, "no signature"),
        ({"SigningCertURL": ""}, "no signature"),
        ({"Signature": "FAKE!"}, "Base64"),
        ({"Signature": "ünsigned"}, "Base64"),
        ({"SignatureVersion": "3"}, "SignatureVersion"),
        ({"SignatureVersion": None}, "SignatureVersion"),
        ({"SigningCertURL": "https://evil.example/x.pem"}, "SigningCertURL"),
        ({"SigningCertURL": ["https://sns.eu-west-1.amazonaws.com"]}, "no signature"),
    ],
)
def test_what_cant_be_verified_says_why(change: dict[str, Any], words: str) -> None:
    assert words in seal_of({**NOTIFICATION, **change}, ()).flaw


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("sns.us-east-1.amazonaws.com", "sns.amazonaws.com"),
        ("sns.af-south-1.amazonaws.com", "sns-signing.af-south-1.amazonaws.com"),
        ("sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"),
        ("sns.cn-north-1.amazonaws.com.cn", "sns-cn-north-1.amazonaws.com.cn"),
        ("sns.eusc-de-east-1.amazonaws.eu", "sns-signing.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_certificates_are_at_snss_hosts_under_the_names_that_aws_uses(host: str, name: str) -> None:
    names = certificate_names(f"https://{host}{PEM}", ())
    assert {host, name} <= set(names)


@pytest.mark.parametrize(
    "url",
    [
        f"http://sns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com.evil.example{PEM}",
        f"https://sns.us-east-1.amazonaws.com@evil.example{PEM}",
        f"https://a:b@sns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com:443{PEM}",
        f"https://sns.us-east-1.amazonaws.com:8443{PEM}",
        f"https://evil.example/sns.us-east-1.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.com{PEM}?x=1",
        f"https://sns.us-east-1.amazonaws.com{PEM}#x",
        f"https://sns.us-east-1.amazonaws.com{PEM}\n",
        f"https://sns.us-east-1.amazonaws.com{PEM}/../x",
        f"https://sns.us-east-1.amazonaws.com/..{PEM}",
        f"https://sns.us-east-1.amazonaws.com/bucket{PEM}",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-xyz123xyz.pem",
        "https://sns.us-east-1.amazonaws.com/?Action=Publish",
        f"https://sns-us-east-1.amazonaws.com{PEM}",
        f"https://s3.us-east-1.amazonaws.com{PEM}",
        f"https://sns.evil.s3.us-east-1.amazonaws.com{PEM}",
        f"https://sns.evil.amazonaws.com{PEM}",
        f"https://sns.us-east-1.amazonaws.co{PEM}",
        f"https://sns.us-east-1.amazonaws.com.cn.evil{PEM}",
        f"https://snsxus-east-1xamazonaws.com{PEM}",
        f"https://sns.us-east-\uff11.amazonaws.com{PEM}",
        f"//sns.us-east-1.amazonaws.com{PEM}",
        f"file:///etc{PEM}",
        "https://169.254.169.254/latest.pem",
        "",
        "https://[",
    ],
)
def test_certificates_are_nowhere_else(url: str) -> None:
    assert certificate_names(url, ()) == ()
    assert certificate_names(url, ("cloud.example", "http://127.0.0.1:4566")) == ()


def test_the_users_own_hosts_may_have_certificates() -> None:
    hosts = ("sns.cloud.example:8443", "http://127.0.0.1:4566")
    assert certificate_names("https://sns.cloud.example:8443/sns/keys/1.pem", hosts) == ("sns.cloud.example",)
    assert certificate_names("http://127.0.0.1:4566/cert.pem", hosts) == ("127.0.0.1",)
    for url in (
        "http://sns.cloud.example:8443/1.pem",
        "https://sns.cloud.example:8443.evil.example/1.pem",
        "https://sns.cloud.example/1.pem",
        "https://sns.cloud.example:8443/../1.pem",
        "https://sns.cloud.example:8443/1.txt",
        "https://127.0.0.1:4566/cert.pem",
    ):
        assert certificate_names(url, hosts) == (), url


def test_the_address_of_a_confirmation_is_taken_as_it_is() -> None:
    assert confirmation_url({**CONFIRMATION}, ()) == CONFIRMATION["SubscribeURL"]
    own = f"http://127.0.0.1:4566/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t0k3n"
    assert confirmation_url({**CONFIRMATION, "SubscribeURL": own}, ("http://127.0.0.1:4566",)) == own
    assert confirmation_url({**CONFIRMATION, "SubscribeURL": own}, ()) == ""


HOST = "https://sns.eu-west-1.amazonaws.com"
QUERY = f"Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t0k3n"


@pytest.mark.parametrize(
    "change",
    [
        {"Type": "UnsubscribeConfirmation"},
        {"Type": "Notification"},
        {"TopicArn": TOPIC + "2"},
        {"Token": "another"},
        {"SubscribeURL": ""},
        {"SubscribeURL": None},
        {"SubscribeURL": f"http://sns.eu-west-1.amazonaws.com/?{QUERY}"},
        {"SubscribeURL": f"https://sns.eu-west-1.amazonaws.com.evil.example/?{QUERY}"},
        {"SubscribeURL": f"https://sns.eu-west-1.amazonaws.com@evil.example/?{QUERY}"},
        {"SubscribeURL": f"{HOST}:8443/?{QUERY}"},
        {"SubscribeURL": f"{HOST}/path?{QUERY}"},
        {"SubscribeURL": f"{HOST}/?{QUERY}#x"},
        {"SubscribeURL": f"{HOST}/?{QUERY} x"},
        {"SubscribeURL": f"{HOST}/?{QUERY}&Action=DeleteTopic"},
        {"SubscribeURL": f"{HOST}/?{QUERY.replace('ConfirmSubscription', 'DeleteTopic')}"},
        {"SubscribeURL": f"{HOST}/?{QUERY}&TopicArn={TOPIC}2"},
        {"SubscribeURL": f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token="},
        {"SubscribeURL": f"{HOST}/?Action=ConfirmSubscription&Token=t0k3n"},
        {"SubscribeURL": HOST},
    ],
)
def test_any_other_address_is_never_fetched(change: dict[str, Any]) -> None:
    assert confirmation_url({**CONFIRMATION, **change}, ()) == ""


@pytest.mark.parametrize(
    ("listed", "is_in"),
    [
        ((TOPIC,), True),
        (("*",), False),
        (("arn:*",), False),
        (("arn:aws:sns:*:*:*",), True),
        (("arn:aws:sns:*:123456789012:*",), True),
        (("arn:aws:sns:eu-west-1:123456789012:al*ms",), True),
        ((TOPIC + "x", TOPIC), True),
        ((), False),
        ((TOPIC[:-1],), False),
        ((TOPIC + "2",), False),
        (("arn:aws:sns:eu-west-1:999999999999:*",), False),
        (("arn:aws:sns:eu-west-1:12345678901.:alarms",), False),
        (("arn:aws:sns:eu-west-1:123456789012:alarm",), False),
    ],
)
def test_topics_are_listed_whole_or_with_a_star(listed: tuple[str, ...], is_in: bool) -> None:
    assert is_listed(TOPIC, listed) is is_in
    assert not is_listed("", listed)


@pytest.mark.parametrize(
    ("topic", "listed"),
    [
        ("arn:aws:sns:eu-west-1:999999999999:x:123456789012:y", "arn:aws:sns:*:123456789012:*"),
        (f"{TOPIC}\nTopicArn\narn:aws:sns:eu-west-1:999999999999:x", "arn:aws:sns:*:123456789012:*"),
        (f"{TOPIC} x", "arn:aws:sns:*:123456789012:*"),
    ],
)
def test_a_star_stays_within_its_part_of_the_arn(topic: str, listed: str) -> None:
    assert not is_listed(topic, (listed,))


@pytest.mark.parametrize(
    "change",
    [
        {"MessageId": "m-1\nSubject\nx"},
        {"MessageId": "m 1"},
        {"MessageId": None},
        {"MessageId": 7},
        {"Subject": "Disk\nfull"},
        {"Subject": "Disk\rfull"},
        {"Subject": 7},
        {"Timestamp": "2026-03-01T10:00:00.000Z\nTopicArn\nx"},
        {"Timestamp": "2026-03-01"},
        {"Timestamp": None},
        {"TopicArn": f"{TOPIC}\nx"},
        {"TopicArn": f" {TOPIC}"},
        {"TopicArn": f"{TOPIC}:x"},
        {"TopicArn": f"{TOPIC}\n"},
        {"TopicArn": "arn:aws:sqs:eu-west-1:123456789012:alarms"},
        {"Message": None},
    ],
)
def test_a_field_that_could_be_read_in_two_ways_cant_be_verified(change: dict[str, Any]) -> None:
    flaw = seal_of({**NOTIFICATION, **change}, ()).flaw
    assert flaw.startswith(f"Its {next(iter(change))} isn't")


@pytest.mark.parametrize(
    "change", [{"Token": "t\nTopicArn\nx"}, {"Token": None}, {"SubscribeURL": "https://x\n"}, {"SubscribeURL": None}]
)
def test_so_it_is_in_what_asks_for_a_confirmation(change: dict[str, Any]) -> None:
    sealed = {name: NOTIFICATION[name] for name in ("Signature", "SignatureVersion", "SigningCertURL")}
    assert not seal_of({**CONFIRMATION, **sealed}, ()).flaw
    assert next(iter(change)) in seal_of({**CONFIRMATION, **sealed, **change}, ()).flaw


@pytest.mark.parametrize(
    "change",
    [
        {"Subject": None},
        {"Subject": ""},
        {"Subject": "Störung ✓"},
        {"Message": "\nMessageId\nx\0"},
        {"TopicArn": "arn:aws-us-gov:sns:us-gov-west-1:123456789012:alarms"},
        {"TopicArn": "arn:aws-cn:sns:cn-north-1:123456789012:Alarms_1-x.fifo"},
        {"Timestamp": "2026-03-01T10:00:00Z"},
    ],
)
def test_what_sns_writes_is_right(change: dict[str, Any]) -> None:
    assert seal_of({**NOTIFICATION, **change}, ()).flaw == ""
