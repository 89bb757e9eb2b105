"""What a proven job hands out."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest
from http_api import Client

ARTIFACTS = {
    "diff": "text/x-diff; charset=utf-8",
    "report": "application/json",
    "logs": "text/plain; charset=utf-8",
    "picture": "image/svg+xml",
    "bundle": "application/gzip",
}


def test_it_is_proven(finished: Any) -> None:
    assert finished["state"] == "succeeded"
    assert finished["result"]["verdict"] == "equal"
    assert finished["result"]["reason"] is None
    assert finished["progress"]["done"] == finished["progress"]["total"]
    assert finished["attempt"] == 1


@pytest.mark.parametrize(("name", "media_type"), ARTIFACTS.items())
def test_artifacts_carry_their_digest(
    api: Client, finished: Any, name: str, media_type: str
) -> None:
    answer = api.get(finished["links"][name])
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
    assert api.get(finished["links"][name], If_None_Match=answer.headers["ETag"]).status == 304
    head = api.request("HEAD", finished["links"][name])
    assert (head.body, int(head.headers["Content-Length"])) == (b"", len(answer.body))


def test_diff_and_bundle_hold_the_same_candidate(api: Client, finished: Any) -> None:
    with tarfile.open(fileobj=io.BytesIO(api.get(finished["links"]["bundle"]).body)) as archive:
        names = archive.getnames()
        root = next(n for n in names if n.endswith("weights.json")).removesuffix("weights.json")
        member = archive.extractfile(root + "source.diff")
        assert member is not None
        assert member.read() == api.get(finished["links"]["diff"]).body
        candidate = archive.extractfile(root + "jax/model.py")
        assert candidate is not None
        text = candidate.read().decode()
    attempt = api.get(finished["links"]["attempts"] + "/1").json()
    assert attempt["files"] == [{"path": "model.py", "content": text}]


def test_report_in_two_forms(api: Client, finished: Any) -> None:
    report = api.get(finished["links"]["report"])
    assert json.loads(report.body)["result"]["verdict"] == "equal"
    markdown = api.get(finished["links"]["report"], Accept="text/markdown")
    assert markdown.status == 200
    assert markdown.headers["Vary"] == "Accept"


def test_attempts(api: Client, finished: Any) -> None:
    listed = api.get(finished["links"]["attempts"]).json()["attempts"]
    assert [attempt["n"] for attempt in listed] == [1]
    assert "files" not in listed[0]
    for n in ("2", "0", "x", "99999999999999999999"):
        assert api.get(f"{finished['links']['attempts']}/{n}").code == "not_found"


def test_artifacts_before_the_end(api: Client, unfinished: Any) -> None:
    for name in ("diff", "report", "bundle"):
        answer = api.get(unfinished["links"][name])
        assert (answer.status, answer.code) == (409, "not_ready")


def test_artifacts_that_never_came(api: Client, unfinished: Any) -> None:
    api.cancel(unfinished["id"])
    api.finish(unfinished["id"])
    answer = api.get(unfinished["links"]["bundle"])
    assert (answer.status, answer.code) == (404, "not_found")


def test_events_tell_the_steps_in_order(api: Client, finished: Any) -> None:
    events = api.get(finished["links"]["events"]).json()["events"]
    steps = [event["data"]["step"] for event in events if event["type"] == "step.finished"]
    assert steps[:2] == ["inspect", "capture"]
    assert steps[-1] == "deliver"
    assert events[-1]["type"] == "job.succeeded"
