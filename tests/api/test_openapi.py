"""openapi.yaml describes exactly what is served: routes, parameters, words, codes and bodies."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import yaml
from ferryd import ROOT
from http_api import Client, Response
from jsonschema import Draft202012Validator

METHODS = {"get", "post", "delete", "put", "patch", "head", "options"}
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def table(header: str, name: str) -> list[str]:
    """The words (first string) of an X-macro table."""
    text = (ROOT / header).read_text()
    body = re.search(rf"#define {name}\(X\)(.*?[^\\])\n", text, re.S)
    assert body, name
    return re.findall(r'X\(\w+, "([^"]+)"', body[1])


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def check_body(schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): {**operation, "shared": item.get("parameters", [])}
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def parameters(operation: dict[str, Any], place: str) -> list[str]:
    every = [resolved(p) for p in [*operation["shared"], *operation.get("parameters", [])]]
    return [p["name"] for p in every if p["in"] == place]


def routes() -> dict[tuple[str, str], list[str]]:
    binary = os.environ.get("FERRYD", str(ROOT / "build" / "ferryd"))
    command = [binary, "--print-routes"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        method, path, *params = line.split(" ")
        found[method, path] = params[0].split(",") if params else []
    return found


def test_it_is_valid_openapi() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_routes_and_parameters_are_the_router_table() -> None:
    described = {key: parameters(op, "query") for key, op in operations().items()}
    served = {key: sorted(names) for key, names in routes().items()}
    assert {key: sorted(names) for key, names in described.items()} == served


def test_path_parameters_are_described() -> None:
    for (_, path), operation in operations().items():
        assert parameters(operation, "path") == re.findall(r"{(\w+)}", path)


def test_operations_have_unique_names_and_problems() -> None:
    names = [op["operationId"] for op in operations().values()]
    assert len(set(names)) == len(names)
    for operation in operations().values():
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}


@pytest.mark.parametrize(
    ("schema", "macro"),
    [
        ("JobState", "JOB_STATE_TABLE"),
        ("Step", "STEP_TABLE"),
        ("Stage", "STAGE_TABLE"),
        ("StageStatus", "STAGE_STATUS_TABLE"),
        ("Verdict", "VERDICT_TABLE"),
        ("Reason", "REASON_TABLE"),
        ("Engine", "ENGINE_TABLE"),
        ("Style", "STYLE_TABLE"),
        ("Kind", "KIND_TABLE"),
        ("EventType", "EVENT_TABLE"),
    ],
)
def test_words_are_those_of_vocab(schema: str, macro: str) -> None:
    assert SCHEMAS[schema]["enum"] == table("daemon/vocab.h", macro)


def test_error_codes_are_those_of_the_table() -> None:
    assert SCHEMAS["ErrorCode"]["enum"] == table("daemon/err.h", "FERR_TABLE")


def test_dtypes_are_those_of_the_step_protocol() -> None:
    protocol = (ROOT / "docs" / "steps.md").read_text()
    plain = re.search(r"names: `([^`]+)`", protocol)
    assert plain
    assert SCHEMAS["Dtype"]["enum"] == [*plain[1].split(), "complex64", "complex128"]


def test_the_page_names_every_event_type() -> None:
    script = (ROOT / "api" / "dashboard" / "app.js").read_text()
    listed = re.search(r"EVENT_TYPES = \[(.*?)\]", script, re.S)
    assert listed
    assert re.findall(r'"([^"]+)"', listed[1]) == SCHEMAS["EventType"]["enum"]


def test_guide_names_every_route_and_error_code() -> None:
    guide = (ROOT / "docs" / "api.md").read_text()
    for _, path in operations():
        assert f"{path}`" in guide, path
    for code in SCHEMAS["ErrorCode"]["enum"]:
        assert f"| `{code}` |" in guide, code


def check_response(method: str, path: str, response: Response) -> None:
    """The status is described, and so is the body."""
    answers = operations()[method, path]["responses"]
    answer = resolved(answers.get(str(response.status), answers["default"]))
    content = answer.get("content", {})
    if not content:
        assert response.body == b""
        return
    media_type = response.headers["Content-Type"].split(";")[0]
    assert media_type in content, (path, response.status, media_type)
    if media_type.endswith("json"):
        check_body(content[media_type]["schema"], response.json())


@pytest.mark.parametrize("path", [p for m, p in operations() if m == "GET" and "{" not in p])
def test_plain_resources(api: Client, unfinished: Any, path: str) -> None:
    response = api.get(path)
    assert response.status in (200, 503 if path == "/readyz" else 200)
    check_response("GET", path, response)


@pytest.mark.parametrize("path", [p for m, p in operations() if m == "GET" and "{id}" in p])
def test_resources_of_an_unfinished_job(api: Client, unfinished: Any, path: str) -> None:
    check_response("GET", path, api.get(path.format(id=unfinished["id"], n=1)))


@pytest.mark.parametrize("path", [p for m, p in operations() if m == "GET" and "{id}" in p])
def test_resources_of_a_proven_job(api: Client, finished: Any, path: str) -> None:
    response = api.get(path.format(id=finished["id"], n=1))
    assert response.status == 200, response.body
    check_response("GET", path, response)


@pytest.mark.parametrize(("method", "path"), [k for k in operations() if "{id}" in k[1]])
def test_an_unknown_job_is_404_everywhere(api: Client, method: str, path: str) -> None:
    for job_id in ("job_nope", "job_" + "0" * 26, "x" * 300):
        response = api.request(method, path.format(id=job_id, n=1))
        assert (response.status, response.code) == (404, "job_not_found")
        check_response(method, path, response)


def test_commands_answer_as_described(api: Client, unfinished: Any) -> None:
    item, cancel = "/v1/jobs/{id}", "/v1/jobs/{id}/cancel"
    check_response("DELETE", item, api.request("DELETE", item.format(**unfinished)))
    check_response("POST", cancel, api.cancel(unfinished["id"]))
    api.finish(unfinished["id"])
    check_response("POST", cancel, api.cancel(unfinished["id"]))
    check_response("DELETE", item, api.request("DELETE", item.format(**unfinished)))


def test_it_serves_itself(api: Client) -> None:
    assert api.get("/openapi.yaml").body == Path(ROOT / "openapi.yaml").read_bytes()
