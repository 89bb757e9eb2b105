"""What is refused, with which code, and where a body's fault is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from http_api import Client

JSON = {"Content-Type": "application/json"}
PYTHON = {"Content-Type": "text/x-python"}


def request(**fields: Any) -> dict[str, Any]:
    return {"source": {"files": [{"path": "m.py", "content": "a"}]}, **fields}


def files(*paths: str) -> dict[str, Any]:
    return {"source": {"files": [{"path": path, "content": ""} for path in paths]}}


BODIES: list[tuple[Any, int, str, str | None]] = [
    ({}, 422, "missing_field", "/source"),
    ([], 422, "invalid_field", None),
    (files(), 422, "invalid_field", "/source/files"),
    (files("../x.py"), 422, "invalid_field", "/source/files/0/path"),
    (files("a.py", "/etc/x.py"), 422, "invalid_field", "/source/files/1/path"),
    (files("a.py", "a.py"), 422, "invalid_field", "/source/files/1/path"),
    (files(*(f"{n}.py" for n in range(257))), 422, "invalid_field", "/source/files"),
    (request(surprise=1), 422, "unknown_field", "/surprise"),
    (request(engine="magic"), 422, "invalid_field", "/engine"),
    (request(kind="verify"), 422, "invalid_field", "/kind"),
    (request(webhook={"url": "https://example.com"}), 422, "invalid_field", "/webhook"),
    (request(inputs=[{"shape": [-1]}]), 422, "invalid_field", "/inputs/0/shape/0"),
    (request(inputs=[{"shape": [1], "dtype": "float99"}]), 422, "invalid_field", "/inputs/0/dtype"),
    (request(inputs=[{"shape": [1]}], inputs_expr="()"), 422, "invalid_field", "/inputs_expr"),
    (request(priority="high"), 422, "invalid_field", "/priority"),
]


@pytest.mark.parametrize(("body", "status", "code", "pointer"), BODIES)
def test_bodies(api: Client, body: Any, status: int, code: str, pointer: str | None) -> None:
    answer = api.post_json("/v1/jobs", body)
    assert (answer.status, answer.code, answer.json().get("pointer")) == (status, code, pointer)
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b'{"a": 1, "a": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\\u0000"}',
        b'{"a": NaN}',
        b"[" * 5000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_no_json(api: Client, body: bytes) -> None:
    answer = api.request("POST", "/v1/jobs", body, JSON)
    assert (answer.status, answer.code) == (400, "bad_json")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "image/png"}, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=latin-1"}, "unsupported_media_type"),
        ({}, "unsupported_media_type"),
        ({**JSON, "Content-Encoding": "gzip"}, "unsupported_media_type"),
    ],
)
def test_media_types(api: Client, headers: dict[str, str], code: str) -> None:
    answer = api.request("POST", "/v1/jobs", b"{}", headers)
    assert (answer.status, answer.code) == (415, code)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_media_types_that_are_json(api: Client, content_type: str) -> None:
    answer = api.request("POST", "/v1/jobs", b"{}", {"Content-Type": content_type})
    assert answer.code == "missing_field"


@pytest.mark.parametrize(
    ("query", "body", "headers", "code"),
    [
        ("?entry=a%20b", b"import torch", PYTHON, "invalid_parameter"),
        ("?engine=magic", b"import torch", PYTHON, "invalid_parameter"),
        ("?entry=A&entry=B", b"import torch", PYTHON, "invalid_parameter"),
        ("?entry", b"import torch", PYTHON, "invalid_parameter"),
        ("?entry=", b"import torch", PYTHON, "invalid_parameter"),
        ("?entry=A%00B", b"import torch", PYTHON, "invalid_parameter"),
        ("?surprise=1", b"import torch", PYTHON, "unknown_parameter"),
        ("?entry=A", json.dumps(request()).encode(), JSON, "invalid_parameter"),
        ("", b"", PYTHON, "bad_request"),
        ("", b"a\0b", PYTHON, "bad_request"),
        ("", b"\xff", PYTHON, "bad_request"),
    ],
)
def test_python_bodies(
    api: Client, query: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    answer = api.request("POST", "/v1/jobs" + query, body, headers)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/jobs?limit=abc", "invalid_parameter"),
        ("/v1/jobs?limit=0", "invalid_parameter"),
        ("/v1/jobs?limit=501", "invalid_parameter"),
        ("/v1/jobs?limit=-1", "invalid_parameter"),
        ("/v1/jobs?cursor=zzz", "invalid_parameter"),
        ("/v1/jobs?state=asleep", "invalid_parameter"),
        ("/v1/jobs?label=x", "unknown_parameter"),
        ("/healthz?x=1", "unknown_parameter"),
        ("/v1/jobs/job_nope?wait=x", "invalid_parameter"),
        ("/v1/jobs/job_nope/events?after=-1", "invalid_parameter"),
        ("/v1/jobs/job_nope/events?limit=0", "invalid_parameter"),
    ],
)
def test_parameters(api: Client, path: str, code: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    "path", ["/v1/nope", "/v1/jobs/", "/v1", "/v1/jobs/x/y/z", "/%2e%2e/etc/passwd", "/favicon.ico"]
)
def test_unknown_paths(api: Client, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.json()["instance"].startswith("/")
