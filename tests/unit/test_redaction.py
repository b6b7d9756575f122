"""Secrets are taken out of text, what only looks like one stays, and no text takes long."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_responder.model.alert import Severity
from mcp_responder.plumbing.redaction import redact, redacted

LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123_-x"

SECRETS = [
    # text, what must be gone, what must be there
    ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7", "key <aws-access-key> used"),
    ("AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalr", "<aws-access-key>,<aws-secret-key>"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/b", "wJalr", "aws_secret_access_key = <secret>"),
    (f"ghp_{LETTERS}abcd", LETTERS, "<github-token>"),
    (f"github_pat_{LETTERS}", LETTERS, "<github-token>"),
    (f"glpat-{LETTERS}", LETTERS, "<gitlab-token>"),
    (f"xoxb-123456789012-{LETTERS}", LETTERS, "<slack-token>"),
    (f"sk_live_{LETTERS}", LETTERS, "<stripe-key>"),
    (f"npm_{LETTERS}abcd", LETTERS, "<npm-token>"),
    (f"pypi-AgEIcHlwaS5vcmc{LETTERS}{LETTERS}", LETTERS, "<pypi-token>"),
    (f"sk-ant-api03-{LETTERS}", LETTERS, "<anthropic-key>"),
    (f"sk-proj-{LETTERS}", LETTERS, "<openai-key>"),
    (f"AIza{LETTERS}abc", LETTERS, "<google-api-key>"),
    (f"abc8Q~{LETTERS}", LETTERS, "<azure-client-secret>"),
    (JWT, "eyJzdWIi", "<jwt>"),
    (f"before {PEM} after", "MIIEp", "before <private-key> after"),
    ('{"private_key": "' + PEM.replace("\n", "\\n") + '", "id": 1}', "MIIEp", '"<private-key>", "id": 1}'),
    (PEM[:70] + "A" * 64 + "\nand then", "A" * 20, "and then"),
    ("postgres://app:hunter2@db:5432/x", "hunter2", "postgres://app:<password>@db:5432/x"),
    ("amqp://app:p@ss:w0rd@mq", "w0rd", "amqp://app:<password>@mq"),
    ("redis://:hunter2@cache:6379", "hunter2", "redis://:<password>@cache:6379"),
    (f"https://{LETTERS}@host/x", LETTERS, "https://<credentials>@host/x"),
    ("jdbc:mysql://db/x?user=app&password=hunter2", "hunter2", "jdbc:mysql://db/x?user=app&password=<secret>"),
    ("jdbc:oracle:thin:scott/tiger7@//db:1521/x", "tiger7", "jdbc:oracle:thin:scott/<password>@//db:1521/x"),
    ("password=swordfish user=bob", "swordfish", "password=<secret> user=bob"),
    ("DB_PASSWORD: swordfish\nuser: bob", "swordfish", "DB_PASSWORD: <secret>\nuser: bob"),
    ("login with password: hunter2 failed", "hunter2", "login with password: <secret> failed"),
    ('"password":"two \\"words\\"","user":"bob"', "words", '"password":"<secret>","user":"bob"'),
    ('{\\"password\\": \\"hunter2\\", \\"u\\": 1}', "hunter2", '{\\"password\\": \\"<secret>\\", \\"u\\": 1}'),
    ("Server=db;User Id=sa;Password=P@ss,word1;Database=x", "word1", "Id=sa;Password=<secret>;Database=x"),
    ("AccountName=x;AccountKey=abcd1234+/==;EndpointSuffix=y", "abcd1234", "AccountName=x;AccountKey=<secret>;E"),
    ("Authorization: Bearer abcdef123456.xyz", "abcdef", "Authorization: Bearer <credentials>"),
    ('"authorization": ["Basic dXNlcjpwYXNz"]', "dXNl", '"authorization": ["Basic <credentials>"]'),
    ("-H 'Authorization: Token 9944b09199c62bcf' https://x", "9944b", "-H 'Authorization: Token <credentials>' https://x"),
    ("Cookie: session=abc123; csrf=def", "abc123", "Cookie: <cookies>"),
    ("Set-Cookie: sid=s%3Aabc; Path=/", "3Aabc", "Set-Cookie: <cookies>"),
    ("X-API-Key: 12345-abcde", "12345", "X-API-Key: <secret>"),
    ("curl -u admin:hunter2 http://x", "hunter2", "curl -u admin:<password> http://x"),
    ("mysql -h db -u root -phunter2 shop", "hunter2", "-p<secret> shop"),
    ("psql --password hunter2 -h db", "hunter2", "psql --password <secret> -h db"),
    ("<password>hunter2</password>", "hunter2", "<password><secret></password>"),
    ("https://hooks.slack.com/services/T0/B0/Xy12345678", "Xy123", "https://hooks.slack.com/services/<slack-webhook>"),
    ("https://s3/x?X-Amz-Signature=deadbeef&X-Amz-Date=2026", "deadbeef", "X-Amz-Signature=<secret>&X-Amz-Date=2026"),
    ("https://blob/x?sv=1&sig=abc%3D&se=2", "abc%3D", "https://blob/x?sv=1&sig=<secret>&se=2"),
]  # fmt: skip

HARMLESS = [
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7",
    "request 550e8400-e29b-41d4-a716-446655440000",
    "arn:aws:iam::123456789012:role/deployer",
    "SecretId: arn:aws:secretsmanager:eu-central-1:123456789012:secret:db",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAA",
    "invalid token: expired",
    "error: invalid password: too short",
    'FATAL: password authentication failed for user "app"',
    "Access denied for user 'root'@'10.0.0.1' (using password: YES)",
    "SyntaxError: Unexpected token < in JSON at position 0",
    'secrets "db-creds" not found; secretName: db-creds',
    "password: ${DB_PASSWORD}, token: null, api_key: ***",
    "max_tokens: 4096, tokens=512, tokenizer: fast, Keyspace=orders, primary key: id",
    "PWD=/srv/app OLDPWD=/home",
    "http://host:8080/path?mail=a@b.com and ssh://git@github.com/x",
    "Authorization: failed for user; cookie: missing; Basic authentication required",
    "pass: 12 fail: 3",
    "couldn't find key password in Secret shop/db",
]


@pytest.mark.parametrize(("text", "gone", "there"), SECRETS, ids=[text[:24] for text, _, _ in SECRETS])
def test_a_secret_is_taken_out_and_what_is_around_it_stays(text: str, gone: str, there: str) -> None:
    cleaned = redact(text)
    assert gone not in cleaned
    assert there in cleaned


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(("text", "gone", "there"), SECRETS[:40:3])
def test_secrets_are_found_inside_of_json_inside_of_json(text: str, gone: str, there: str) -> None:
    once = msgspec.json.encode({"message": text}).decode()
    assert gone not in redact(once)
    assert gone not in redact(msgspec.json.encode({"body": once}).decode())


@given(st.lists(st.sampled_from([text for text, _, _ in SECRETS] + HARMLESS), max_size=6), st.sampled_from("\n ,;|"))
def test_redacting_twice_changes_nothing_more(texts: list[str], between: str) -> None:
    once = redact(between.join(texts))
    assert redact(once) == once


@given(st.text(), st.sampled_from([f"ghp_{LETTERS}abcd", "AKIAIOSFODNN7EXAMPLE", JWT]), st.text())
def test_a_marked_secret_is_found_between_any_words(before: str, secret: str, after: str) -> None:
    assert secret not in redact(f"{before} {secret} {after}")


@pytest.mark.parametrize(
    "piece",
    ["a", "eyJ-", "password", "password=", 'password="', 'password=\\"', "-----BEGIN PRIVATE KEY-----", "://a:", "://",
     "mysql ", "cookie=a=b ", "authorization: ", "bearer ", "sk-", "-u a", "--a", "<password>", "password=a,", "token ",
     "-----BEGIN PRIVATE KEY-----\nabc\n", "xoxb-", "\\\\\\\"", "İpassword="],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    """Twice the text may take twice the time, not four times; a megabyte takes about half a second on a free core."""
    begun = time.process_time()
    redact(piece * (1_000_000 // len(piece)))
    assert time.process_time() - begun < 8


class Nested(msgspec.Struct, frozen=True):
    words: str
    labels: dict[str, str]
    severity: Severity
    inner: tuple[str, ...]
    raw: msgspec.Raw


def test_every_text_of_a_struct_is_redacted_and_the_rest_stays() -> None:
    raw = msgspec.Raw(b'"password=hunter2"')
    labels = {"db_password": "hunter2", "team": "shop", "url": "redis://:hunter2@c"}
    thing = Nested("password=hunter2", labels, Severity.HIGH, ("x", "token=hunter2"), raw)
    clean = redacted(thing)
    assert clean == Nested(
        "password=<secret>",
        {"db_password": "<secret>", "team": "shop", "url": "redis://:<password>@c"},
        Severity.HIGH,
        ("x", "token=<secret>"),
        raw,
    )
    assert redacted(clean) == clean
    assert redacted(Severity.HIGH) is Severity.HIGH
