"""The HTTP client on the wire."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from mcp_responder.plumbing.http import USER_AGENT, HttpClient, HttpFailure, pin_of

from .server import Manner, Reply, ScriptedServer, scripted_server

TLS = Path(__file__).parent / "tls"


@pytest.fixture
def http() -> Iterator[HttpClient]:
    http = HttpClient()
    yield http
    http.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def tls_server(server: ScriptedServer) -> ScriptedServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.crt", TLS / "localhost.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def test_an_answer_is_brought_whatever_its_status(http: HttpClient, server: ScriptedServer) -> None:
    server.script(Reply(418, {"X-Kind": "teapot"}, b"short and stout"))
    response = http.request("PUT", server.url + "/a/b?c=d", b"tea", {"x-ask": "1"})
    assert (response.status, response.headers["x-kind"], response.body) == (418, "teapot", b"short and stout")
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body, asked.headers["x-ask"]) == ("PUT", "/a/b?c=d", b"tea", "1")
    assert asked.headers["user-agent"] == USER_AGENT
    assert asked.headers["accept-encoding"] == "identity"


def test_connections_are_kept_and_shared_by_threads(http: HttpClient, server: ScriptedServer) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: http.request("POST", server.url, b"x"), range(100)))
    assert len(server.asked) == 100
    assert len({asked.connection for asked in server.asked}) <= 4


def test_an_answer_without_end_is_cut_and_its_connection_given_up(server: ScriptedServer) -> None:
    server.script(Reply(body=b"x" * 200_000))
    http = HttpClient(longest_response=100_000)
    assert len(http.request("GET", server.url).body) == 100_000
    server.script(Reply(body=b"next"))
    assert http.request("GET", server.url).body == b"next"
    http.close()


def test_an_answer_as_long_as_allowed_is_whole(server: ScriptedServer) -> None:
    server.script(Reply(body=b"x" * 100_000))
    http = HttpClient(longest_response=100_000)
    assert http.request("GET", server.url).body == b"x" * 100_000
    http.close()


def test_a_compressed_answer_is_not_unpacked(http: HttpClient, server: ScriptedServer) -> None:
    server.script(Reply(headers={"content-encoding": "gzip"}, body=b"not gzip at all"))
    assert http.request("GET", server.url).body == b"not gzip at all"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(manner="hang"), "no complete answer from {place} within 0.2 s"),
        (Reply(manner="drip"), "no complete answer from {place} within 0.2 s"),
        (Reply(manner="close"), "the connection to {place} broke"),
        (Reply(manner="half"), "the connection to {place} broke"),
        (Reply(manner="garbage"), "the connection to {place} broke"),
    ],
    ids=lambda value: value.manner if isinstance(value, Reply) else "",
)
def test_a_failure_says_what_went_wrong_and_where_only(
    http: HttpClient, server: ScriptedServer, reply: Reply, words: str
) -> None:
    server.script(reply)
    started = time.monotonic()
    with pytest.raises(HttpFailure) as caught:
        http.request("POST", f"http://ann:pw@{server.place}/T0K3N?x=T0K3N", b"", {"x": "T0K3N"}, timeout=0.2)
    assert time.monotonic() - started < 1.5
    assert str(caught.value).startswith(words.format(place=server.place))
    assert "T0K3N" not in str(caught.value)
    assert caught.value.__suppress_context__


@contextmanager
def dripping(pause: float, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that sends one byte of an endless response header now and then."""
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            accepted = listener.accept()[0]
            with tls.wrap_socket(accepted, server_side=True) if tls else accepted as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not over.wait(pause):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join()


def test_a_header_that_drips_is_not_waited_for_beyond_the_time_out(http: HttpClient) -> None:
    started = time.monotonic()
    with dripping(0.05) as port, pytest.raises(HttpFailure, match="no complete answer") as caught:
        http.request("POST", f"http://127.0.0.1:{port}/", b"x", timeout=0.3)
    assert 0.25 < time.monotonic() - started < 1.5
    assert caught.value.sent


def test_a_header_that_drips_inside_tls_is_not_waited_for_either() -> None:
    http = HttpClient(tls=ssl.create_default_context(cafile=TLS / "localhost.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.crt", TLS / "localhost.key")
    started = time.monotonic()
    with dripping(0.05, context) as port, pytest.raises(HttpFailure, match="no complete answer") as caught:
        http.request("POST", f"https://127.0.0.1:{port}/", b"x", timeout=0.3)
    assert 0.25 < time.monotonic() - started < 1.5
    assert caught.value.sent
    http.close()


def test_a_server_that_does_not_read_is_not_waited_for_beyond_the_time_out(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(HttpFailure) as caught:
        started = time.monotonic()
        http.request("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 50_000_000, timeout=0.3)
    assert time.monotonic() - started < 1.5
    assert caught.value.sent


def test_a_request_after_one_that_timed_out_has_its_own_time(http: HttpClient, server: ScriptedServer) -> None:
    server.script(Reply(manner="hang"), Reply(delay=0.3))
    with pytest.raises(HttpFailure):
        http.request("POST", server.url, b"x", timeout=0.1)
    assert http.request("POST", server.url, b"x", timeout=5).status == 200


@pytest.mark.parametrize("manner", ["hang", "drip", "close", "half", "garbage"])
def test_a_request_without_a_whole_answer_may_have_been_done(
    http: HttpClient, server: ScriptedServer, manner: Manner
) -> None:
    server.script(Reply(manner=manner))
    with pytest.raises(HttpFailure) as caught:
        http.request("POST", server.url, b"x", timeout=0.2)
    assert caught.value.sent


def test_a_connection_that_is_never_made_sends_nothing(http: HttpClient) -> None:
    """The queue of those who wait to be accepted is full, so nobody answers."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with suppress(TimeoutError):
            while True:
                waiting.enter_context(socket.create_connection(listener.getsockname(), timeout=0.1))
        with pytest.raises(HttpFailure, match="no connection to") as caught:
            http.request("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x", timeout=0.3)
    assert not caught.value.sent


def test_a_tls_handshake_without_an_answer_sends_nothing(http: HttpClient) -> None:
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(HttpFailure) as caught:
        http.request("POST", f"https://127.0.0.1:{listener.getsockname()[1]}/", b"x", timeout=0.3)
    assert time.monotonic() - started < 1.5
    assert not caught.value.sent


def test_what_failed_after_sending_does_not_count_for_the_next(http: HttpClient, server: ScriptedServer) -> None:
    server.script(Reply(manner="close"))
    with pytest.raises(HttpFailure) as caught:
        http.request("POST", server.url, b"x")
    assert caught.value.sent
    for url in ("http://nobody.invalid/", "http://"):
        with pytest.raises(HttpFailure) as caught:
            http.request("GET", url)
        assert not caught.value.sent


def test_nobody_listens(http: HttpClient, server: ScriptedServer) -> None:
    server.stop()
    with pytest.raises(HttpFailure, match=r"no connection to 127\.0\.0\.1:\d+ \(Connection refused\)") as caught:
        http.request("GET", server.url)
    assert not caught.value.sent


def test_a_name_that_nobody_has(http: HttpClient) -> None:
    with pytest.raises(HttpFailure, match=r"the name of nobody\.invalid:80 can't be resolved"):
        http.request("GET", "http://nobody.invalid/T0K3N")


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://x/T0K3N", "http://", "http://[T0K3N"])
def test_an_address_that_is_none(http: HttpClient, url: str) -> None:
    with pytest.raises(HttpFailure, match="the address") as caught:
        http.request("GET", url)
    assert "T0K3N" not in str(caught.value)


def test_an_unknown_certificate_is_refused(http: HttpClient, tls_server: ScriptedServer) -> None:
    with pytest.raises(HttpFailure, match=r"no TLS connection to .* \(self-signed certificate\)") as caught:
        http.request("GET", f"https://{tls_server.place}/T0K3N")
    assert not tls_server.asked
    assert not caught.value.sent


def test_a_given_context_decides_whom_to_trust_but_never_allows_old_tls(tls_server: ScriptedServer) -> None:
    context = ssl.create_default_context(cafile=TLS / "localhost.crt")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    http = HttpClient(tls=context)
    assert http.request("GET", f"https://{tls_server.place}/").status == 200
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    http.close()


# ---------------------------------------------------------------------------------------------------- pins and proxies


def pinned(host: str, *pins: str) -> HttpClient:
    return HttpClient(tls=ssl.create_default_context(cafile=TLS / "localhost.crt"), pins={host: pins})


def own_pin() -> str:
    return pin_of(ssl.PEM_cert_to_DER_cert((TLS / "localhost.crt").read_text()))


OTHER_PIN = f"sha256/{'A' * 43}="


def test_a_host_with_one_of_its_pinned_keys_is_spoken_to(tls_server: ScriptedServer) -> None:
    url = tls_server.url.replace("http://127.0.0.1", "https://localhost")
    assert pinned("localhost", OTHER_PIN, own_pin()).request("GET", url).status == 200
    assert pinned("elsewhere.example", OTHER_PIN).request("GET", url).status == 200


def test_a_host_with_another_key_is_told_nothing(tls_server: ScriptedServer) -> None:
    url = tls_server.url.replace("http://127.0.0.1", "https://localhost")
    with pytest.raises(HttpFailure, match="its key isn't one of those that are pinned") as failure:
        pinned("localhost", OTHER_PIN).request("POST", f"{url}/secret", b"secret")
    assert tls_server.asked == []
    assert "secret" not in str(failure.value)


def test_a_pin_is_what_openssl_says_of_the_key() -> None:
    shown = subprocess.run(
        f"openssl x509 -in {TLS}/localhost.crt -pubkey -noout | openssl pkey -pubin -outform der"
        " | openssl dgst -sha256 -binary | base64",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert own_pin() == f"sha256/{shown.stdout.strip()}"


def test_a_proxy_is_asked_for_the_whole_address(server: ScriptedServer) -> None:
    http = HttpClient(proxy=server.url.replace("http://", "http://joe:pa%20ss@"))
    assert http.request("POST", "http://far.example:81/a?b=c", b"x").status == 200
    (asked,) = server.asked
    assert (asked.path, asked.headers["host"]) == ("http://far.example:81/a?b=c", "far.example:81")


@pytest.mark.parametrize(("bypassed", "seen"), [("", "http://127.0.0.1:{port}/x"), ("127.0.0.1", "/x")])
def test_the_environment_names_a_proxy_and_whom_it_is_not_for(
    http: HttpClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, bypassed: str, seen: str
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", bypassed)
    http.request("GET", f"{server.url}/x")
    assert server.asked[0].path == seen.format(port=server.url.rpartition(":")[2])


def test_an_empty_proxy_is_none_whatever_the_environment_says(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert HttpClient(proxy="").request("GET", server.url).status == 200


def test_a_proxy_that_refuses_a_tunnel_has_passed_nothing_on(server: ScriptedServer) -> None:
    with pytest.raises(HttpFailure, match="through the proxy") as failure:
        HttpClient(proxy=server.url).request("POST", "https://far.example/secret", b"x")
    assert not failure.value.sent
    assert "secret" not in str(failure.value)
