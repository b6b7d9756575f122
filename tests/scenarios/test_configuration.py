"""What can be set, and what a wrong setting says."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from mcp_responder import app
from mcp_responder.model.errors import Misconfigured
from mcp_responder.settings import load
from tests.promises import promise
from tests.scenarios.stories import a_service, alarm
from tests.service import KEY, running

SETTINGS = """
[[severities]]
pattern = "^nightly backup"
severity = "LOW"

[sources.generic.fields]
title = ["problem.displayName"]
service = ["problem.affected.0.name"]
severity = ["problem.impact"]
source_id = ["problem.pid"]
"labels.team" = ["custom.squad"]
"""


def test_severities_and_fields_are_read_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "responder.toml").write_text(SETTINGS, encoding="utf-8")
    with running(tmp_path) as service:
        problem = {"displayName": "Failure rate", "affected": [{"name": "web"}], "impact": "critical", "pid": "P-1"}
        mapped, judged, said = (
            service.get(f"/v1/alerts/{alert_id}")
            for alert_id in service.send(
                {"problem": problem, "custom": {"squad": "storefront"}},
                {"title": "Nightly backup has failed, disk full"},
                {"title": "Nightly backup has failed", "severity": "critical"},
            )
        )
    assert (mapped["title"], mapped["service"], mapped["severity"]) == ("Failure rate", "web", "CRITICAL")
    assert (mapped["source_id"], mapped["labels"]["team"]) == ("P-1", "storefront")
    assert (judged["severity"], said["severity"]) == ("LOW", "CRITICAL")


def serve(folder: Path, toml: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Start it as a user does, and wait for it to refuse."""
    (folder / "responder.toml").write_text(toml, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESPONDER_")}
    own = {f"RESPONDER_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "mcp_responder.entrypoints.supervisor"]
    return subprocess.run(
        command, env={**inherited, **own}, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


FILE = "responder.toml"
WRONG = {
    "an unknown key": ("prot = 8080", {}, FILE, "prot", "did you mean 'port'?"),
    "an unknown key in a table": ("[http]\nbody_limits = 1", {}, FILE, "http.body_limits", "'body_limit'"),
    "an unknown variable": ("", {"HTTP__BODY_LIMITS": "1"}, "RESPONDER_HTTP__BODY_LIMITS", "http.body_limits", "body_"),
    "a wrong type": ("port = 'http'", {}, FILE, "port", "expected `int`"),
    "a wrong type in the environment": ("", {"PORT": "http"}, "RESPONDER_PORT", "port", "expected `int`"),
    "a number out of range": ("[retry]\nfirst_seconds = 0", {}, FILE, "retry.first_seconds", "> 0"),
    "no TOML": ("port = ", {}, FILE, "(syntax)", "not valid TOML"),
    "an unknown kind of channel": ("[channels.ops]\nkind = 'pager'", {}, FILE, "channels.ops.kind", "jira, mail"),
    "a wrong address": ("[channels.webhook]\nurl = 'ops'", {}, FILE, "channels.webhook", "http:// or https://"),
    "an unknown key of a channel": ("[channels.webhook]\nurll = 'x'", {}, FILE, "channels.webhook.urll", "'url'"),
    "an unknown source": ("[sources.graphana]", {}, FILE, "sources.graphana", "cloudwatch_alarm"),
    "an unknown key of a source": ("[sources.sns]\ntopic = ['*']", {}, FILE, "sources.sns.topic", "'topics'"),
    "another source's key": ("[sources.generic]\ntopics = ['*']", {}, FILE, "sources.generic.topics", "known here"),
    "a topic that is none": ("[sources.sns]\ntopics = ['alarms']", {}, FILE, "sources.sns", "arn:aws:sns:"),
    "a host that is none": ("[sources.sns]\nhosts = ['a/b']", {}, FILE, "sources.sns", "NAME:PORT"),
    "a wrong type of a source": (
        "",
        {"SOURCES__SNS__VERIFY": "no!"},
        "RESPONDER_SOURCES__SNS",
        "sources.sns.verify",
        "",
    ),
    "no file of authorities": (
        "[sources.sns]\ncertificate_authorities = 'roots.pem'",
        {},
        "configuration",
        "sources.sns.certificate_authorities",
        "'roots.pem'",
    ),
    "an unknown field": ("[sources.generic.fields]\ntitel = ['a']", {}, "", "sources.generic.fields.titel", "title"),
    "a broken pattern": (
        "[[severities]]\npattern = '('\nseverity = 'LOW'",
        {},
        "",
        "severities[0].pattern",
        "missing )",
    ),
    "an unknown severity": (
        "[[severities]]\npattern = 'a'\nseverity = 'BAD'",
        {},
        FILE,
        "severities[0].severity",
        "HIGH",
    ),
    "an unknown level": ("", {"LOG__LEVEL": "loud"}, "RESPONDER_LOG__LEVEL", "log.level", "debug, info"),
    "an identity of labels": ("[correlation]\nidentity = ['labels']", {}, "", "correlation.identity", "signature"),
    "a bind beyond loopback in plain text": ("host = '0.0.0.0'", {}, "", "host", "--behind-proxy"),
    "half a certificate": ("tls_key = 'responder.toml'", {}, "", "tls_key", "set both"),
    "a missing certificate": ("tls_key = 'a'\ntls_certificate = 'b'", {}, "", "tls_certificate", "no file 'b'"),
    "a certificate that is none": (f"tls_key = '{FILE}'\ntls_certificate = '{FILE}'", {}, "", "tls_certificate", "PEM"),
}
FOLDER = {"a data folder that is a file": (f"data_dir = '{FILE}'", {}, "", "data_dir", "name a folder")}
SERVED = ("an unknown key", "a wrong type in the environment", "a bind beyond loopback in plain text", *FOLDER)


@promise("wrong-config-refuses-to-start")
@pytest.mark.parametrize(("toml", "settings", "place", "key", "fix"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_names_place_key_and_fix(
    tmp_path: Path, toml: str, settings: dict[str, str], place: str, key: str, fix: str
) -> None:
    (tmp_path / FILE).write_text(toml, encoding="utf-8")
    with contextlib.chdir(tmp_path), pytest.raises(Misconfigured) as refused:
        app.check(load({f"RESPONDER_{name}": value for name, value in settings.items()}, tmp_path))
    words = str(refused.value)
    assert "\n" not in words
    assert place in words
    assert f" {key}: " in words
    assert fix in words.partition(f" {key}: ")[2]


@promise("wrong-config-refuses-to-start")
@pytest.mark.parametrize("mistake", SERVED)
def test_the_service_refuses_to_start_with_it(tmp_path: Path, mistake: str) -> None:
    toml, settings, place, key, fix = {**WRONG, **FOLDER}[mistake]
    ended = serve(tmp_path, toml, **{"PORT": "0", **settings})
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("mcp-responder: ")
    assert all(words in line for words in (place, f" {key}: ", fix))
    assert not (tmp_path / "data").exists()


@promise("wrong-config-refuses-to-start")
def test_a_port_that_is_taken_refuses_to_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = serve(tmp_path, PORT=str(taken.getsockname()[1]))
    assert ended.returncode == 2
    assert " port: can't listen on " in ended.stderr


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        ended = serve(tmp_path, PORT="0")
        assert ended.returncode == 1
        assert "in use by a running service" in ended.stderr
        assert service.call("GET", "/readyz")[0] == 200


def test_tls_is_served_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
    ]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *named, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with running(tmp_path, TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key)) as service:
        https = urllib3.PoolManager(ca_certs=str(certificate), retries=False)
        headers = {"X-API-Key": KEY}
        answer = https.request("POST", f"{service.url}/v1/alerts", json=alarm(a_service()), headers=headers)
        (accepted,) = answer.json()["accepted"]
        found = https.request("GET", accepted["status_url"], headers=headers)
        plain = urllib3.PoolManager(retries=False)
        with pytest.raises(urllib3.exceptions.HTTPError):
            plain.request("GET", service.url.replace("https://", "http://"))
        for pool in (https, plain):
            pool.clear()
    assert service.url.startswith("https://127.0.0.1:")
    assert (answer.status, found.status) == (202, 200)
    assert answer.headers["strict-transport-security"]
    assert found.headers["strict-transport-security"]
