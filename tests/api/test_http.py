"""HTTP itself: methods, senders, sizes, deadlines, connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from http_api import SLEEPER, Client, Server

JSON = "Content-Type: application/json\r\n"


def post(headers: str) -> str:
    """The head of a submission."""
    return f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"


def raw(api: Client, text: str, timeout: float = 10) -> str:
    """Sends bytes as they are; what comes back until the other side closes or is silent."""
    with api.connect(timeout) as connection:
        connection.sendall(text.encode())
        return read_all(connection)


def read_all(connection: socket.socket) -> str:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except (TimeoutError, ConnectionResetError):
        pass
    return received.decode()


def test_wrong_methods_name_the_right_ones(api: Client) -> None:
    for method in ("PATCH", "PUT", "DELETE", "TRACE", "BREW"):
        answer = api.request(method, "/v1/jobs")
        assert (answer.status, answer.code) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST, GET, HEAD, OPTIONS"


def test_options(api: Client) -> None:
    answer = api.request("OPTIONS", "/v1/jobs/job_x/cancel")
    assert (answer.status, answer.headers["Allow"], answer.body) == (204, "POST, OPTIONS", b"")
    assert api.request("OPTIONS", "/v1/nope").code == "not_found"


@pytest.mark.parametrize(
    "path", ["/", "/v1/jobs", "/v1/engines", "/healthz", "/openapi.yaml", "/metrics"]
)
def test_head_is_get_without_a_body(api: Client, path: str) -> None:
    head, get = api.request("HEAD", path), api.get(path)
    assert head.status == get.status == 200
    assert head.body == b""
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert "Content-Length" in head.headers


def test_every_answer_forbids_sniffing(api: Client) -> None:
    for path in ("/", "/v1/jobs", "/v1/nope", "/openapi.yaml"):
        assert api.get(path).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost:x", "10.0.0.1", ""]
)
def test_foreign_hosts_are_refused(api: Client, host: str) -> None:
    answer = api.get("/v1/jobs", Host=host)
    assert (answer.status, answer.code) == (403, "forbidden_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "[::1]:8642", "127.0.0.1"])
def test_names_of_loopback_are_hosts(api: Client, host: str) -> None:
    assert api.get("/healthz", Host=host).status == 200


def test_other_origins_change_nothing(api: Client) -> None:
    own = f"localhost:{api.port}"
    headers = {"Content-Type": "application/json", "Host": own}
    for origin in ("http://evil.example", "null", "https://localhost", f"http://{own}1"):
        headers["Origin"] = origin
        assert api.request("POST", "/v1/jobs", b"{}", headers).code == "forbidden_host"
        assert api.request("DELETE", "/v1/jobs/job_x", headers=headers).code == "forbidden_host"
    headers["Origin"] = f"http://{own}"
    assert api.request("POST", "/v1/jobs", b"{}", headers).code == "missing_field"


def test_no_answer_allows_another_origin_to_read(api: Client) -> None:
    answer = api.get("/v1/jobs", Origin="http://evil.example")
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_large_bodies(api: Client) -> None:
    for size in (8 * 1024 * 1024 + 1, 20_000_000):
        answer = api.request("POST", "/v1/jobs", b" " * size, {"Content-Type": "application/json"})
        assert (answer.status, answer.code) == (413, "too_large")


def test_large_body_is_refused_before_it_is_sent(api: Client) -> None:
    began = time.monotonic()
    assert raw(api, post(f"{JSON}Content-Length: 99999999\r\nExpect: 100-continue\r\n")).startswith(
        "HTTP/1.1 413 "
    )
    assert time.monotonic() - began < 5


def test_large_chunked_body(start_server: Callable[..., Server]) -> None:
    api = start_server("server.body_bytes=4096").client
    head = post(f"{JSON}Transfer-Encoding: chunked\r\nConnection: close\r\n")
    chunk = "800\r\n" + " " * 0x800 + "\r\n"
    assert raw(api, head + chunk * 3 + "0\r\n\r\n").startswith("HTTP/1.1 413 ")
    assert raw(api, head + chunk * 40 + "0\r\n\r\n") == ""
    assert raw(api, head + "2\r\n{}\r\n0\r\n\r\n").startswith("HTTP/1.1 422 ")


def test_a_body_at_the_limit_is_taken(start_server: Callable[..., Server]) -> None:
    api = start_server("server.body_bytes=4096").client
    text = SLEEPER + "#" * (4096 - len(SLEEPER))
    answer = api.request("POST", "/v1/jobs", text, {"Content-Type": "text/x-python"})
    assert answer.status == 201
    answer = api.request("POST", "/v1/jobs", text + "#", {"Content-Type": "text/x-python"})
    assert answer.code == "too_large"


def test_large_heads(api: Client) -> None:
    answer = api.get("/healthz", X_Large="x" * 17000)
    assert (answer.status, answer.code) == (431, "head_too_large")
    far_above = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 200_000}\r\n\r\n"
    assert raw(api, far_above).split(" ")[1] in ("400", "431")


def test_a_slow_head_is_cut_off(start_server: Callable[..., Server]) -> None:
    api = start_server("server.head_ms=1000").client
    with api.connect() as connection:
        began = time.monotonic()
        try:
            for letter in "GET / HTTP/1.1\r\nHost: localhost\r\nX: aaaaaaaaaaaaa":
                connection.sendall(letter.encode())
                time.sleep(0.1)
        except OSError:
            pass
        assert read_all(connection) == ""
        assert time.monotonic() - began < 4


def test_a_slow_body_is_cut_off(start_server: Callable[..., Server]) -> None:
    api = start_server("server.total_ms=1000").client
    with api.connect() as connection:
        began = time.monotonic()
        connection.sendall(post(f"{JSON}Content-Length: 1000\r\n").encode())
        try:
            for _ in range(50):
                connection.sendall(b" ")
                time.sleep(0.1)
        except OSError:
            pass
        assert read_all(connection) == ""
        assert time.monotonic() - began < 7


def test_connections_are_capped_and_come_back(start_server: Callable[..., Server]) -> None:
    api = start_server("server.connections=8", "server.head_ms=1500").client
    idle = [api.connect() for _ in range(8)]
    began = time.monotonic()
    assert api.get("/healthz", timeout=20).status == 200
    assert 0.5 < time.monotonic() - began < 10
    for connection in idle:
        connection.close()


def test_keep_alive_and_pipelining(api: Client) -> None:
    one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert raw(api, one + one + last).count("HTTP/1.1 200 OK") == 3


def test_keep_alive_survives_a_refused_body(api: Client) -> None:
    refused = post("Content-Type: image/png\r\nContent-Length: 5\r\n") + "hello"
    last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = raw(api, refused + last)
    assert answers.startswith("HTTP/1.1 415 ")
    assert "HTTP/1.1 200 OK" in answers


@pytest.mark.parametrize(
    "text",
    [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "\x00\x01\x02\x03\r\n\r\n",
        post(f"{JSON}Content-Length: -5\r\n"),
        post(f"{JSON}Content-Length: 1e3\r\n"),
        post(f"{JSON}Transfer-Encoding: chunked\r\n") + "zz\r\n",
    ],
)
def test_garbage_does_no_harm(api: Client, text: str) -> None:
    answer = raw(api, text, timeout=2)
    assert answer == "" or answer.split(" ")[1][0] in "45"
    assert api.get("/healthz").status == 200


def test_clients_that_leave_early_do_no_harm(api: Client) -> None:
    whole = "GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for text in ("GET /v1/jobs HT", whole, "POST /v1/jobs HTTP/1.1\r\n"):
        for _ in range(20):
            with api.connect() as connection:
                connection.sendall(text.encode())
    assert api.get("/healthz").status == 200


def test_only_loopback_is_served(start_server: Callable[..., Server]) -> None:
    server = start_server()
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(("192.0.2.1", 9))
    outside = probe.getsockname()[0]
    probe.close()
    with pytest.raises(OSError):
        socket.create_connection((outside, server.client.port), 2)
