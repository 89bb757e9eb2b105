"""What is refused, with which code, and where a body's fault is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ferryd import ROOT
from http_api import Client
from jsonschema import Draft202012Validator

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
REQUEST = Draft202012Validator(
    {"$ref": "#/components/schemas/JobRequest", "components": DOCUMENT["components"]}
)
JSON = {"Content-Type": "application/json"}
PYTHON = {"Content-Type": "text/x-python"}


def request(**fields: Any) -> dict[str, Any]:
    return {"source": {"files": [{"path": "m.py", "content": "a"}]}, **fields}


def verify(**candidate: Any) -> dict[str, Any]:
    given = {"files": [{"path": "m.py", "content": "b"}], **candidate}
    return request(kind="verify", candidate=given)


def mapped(*ops: Any, **entry: Any) -> dict[str, Any]:
    """A request whose map has one entry."""
    params = [{"to": "w", "from": ["w"], "ops": list(ops), **entry}]
    return verify(weights={"format": "ferry.weights/1", "params": params})


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
    (request(scan=True), 422, "invalid_field", "/scan"),
    (request(scan=True, style="faithful"), 422, "invalid_field", "/scan"),
    (request(kind="prove"), 422, "invalid_field", "/kind"),
    (request(kind="verify"), 422, "missing_field", "/candidate"),
    (request(candidate={"files": []}), 422, "invalid_field", "/candidate/files"),
    ({**verify(), "kind": "migrate"}, 422, "invalid_field", "/candidate"),
    (request(engine="given"), 422, "invalid_field", "/engine"),
    ({**verify(), "engine": "builtin"}, 422, "invalid_field", "/engine"),
    (request(contract={"stages": ["backward"]}), 422, "invalid_field", "/contract/stages/0"),
    (request(contract={"seeds": 17}), 422, "invalid_field", "/contract/seeds"),
    (request(webhook={"url": "https://example.com"}), 422, "invalid_field", "/webhook"),
    (request(inputs=[{"shape": [-1]}]), 422, "invalid_field", "/inputs/0/shape/0"),
    (request(inputs=[{"shape": [1], "dtype": "float99"}]), 422, "invalid_field", "/inputs/0/dtype"),
    (request(inputs=[{"shape": [1]}], inputs_expr="()"), 422, "invalid_field", "/inputs_expr"),
    (request(priority="high"), 422, "invalid_field", "/priority"),
]


ENTRY = "/candidate/weights/params/0"
CANDIDATES: list[tuple[Any, str, str]] = [
    (verify(files=[]), "invalid_field", "/candidate/files"),
    (verify(model="x"), "unknown_field", "/candidate/model"),
    (verify(adapter={}), "missing_field", "/candidate/adapter/content"),
    (verify(weights=[]), "invalid_field", "/candidate/weights"),
    (verify(weights={"format": "x", "params": []}), "invalid_field", "/candidate/weights/format"),
    (verify(weights={"format": "ferry.weights/1"}), "missing_field", "/candidate/weights/params"),
    (mapped(to=1), "invalid_field", f"{ENTRY}/to"),
    (mapped(**{"from": "w"}), "invalid_field", f"{ENTRY}/from"),
    (mapped(optional="yes"), "invalid_field", f"{ENTRY}/optional"),
    (mapped({}), "missing_field", f"{ENTRY}/ops/0/op"),
    (mapped({"op": "add"}, {"op": "rotate"}), "invalid_field", f"{ENTRY}/ops/1/op"),
    (mapped({"op": "permute"}), "missing_field", f"{ENTRY}/ops/0/axes"),
    (mapped({"op": "permute", "axes": [0, "1"]}), "invalid_field", f"{ENTRY}/ops/0/axes/1"),
    (mapped({"op": "slice", "axis": 0, "start": 0}), "missing_field", f"{ENTRY}/ops/0/stop"),
    (mapped({"op": "scale", "by": "2"}), "invalid_field", f"{ENTRY}/ops/0/by"),
    (mapped({"op": "cast", "dtype": "half"}), "invalid_field", f"{ENTRY}/ops/0/dtype"),
    (mapped({"op": "add", "axis": 0}), "unknown_field", f"{ENTRY}/ops/0/axis"),
]


@pytest.mark.parametrize(("body", "code", "pointer"), CANDIDATES)
def test_candidates(api: Client, body: Any, code: str, pointer: str) -> None:
    """The daemon says where; the description refuses the same bodies."""
    answer = api.post_json("/v1/jobs", body)
    assert (answer.status, answer.code, answer.json().get("pointer")) == (422, code, pointer)
    assert not REQUEST.is_valid(body)


@pytest.mark.parametrize(
    "body",
    [
        verify(),
        verify(entry="port:Net", adapter={"content": "def build(e, a, k): ..."}, weights=None),
        mapped({"op": "permute", "axes": [1, 0]}, {"op": "scale", "by": 2}, optional=True),
        mapped({"op": "constant", "value": 0, "shape": [2], "dtype": "float32"}),
        request(contract={"stages": ["forward", "optimizer", "jit"], "seeds": 16}),
    ],
)
def test_what_is_described_is_accepted(api: Client, body: Any) -> None:
    assert REQUEST.is_valid(body)
    answer = api.post_json("/v1/jobs", body)
    assert answer.status == 201, answer.body
    api.cancel(answer.json()["id"])


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
