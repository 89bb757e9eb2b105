"""Jobs: create, read, wait, list, cancel, delete."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from http_api import SLEEPER, Client, Server

PYTHON = {"Content-Type": "text/x-python"}


def test_json_job(api: Client) -> None:
    files = [{"path": "model.py", "content": SLEEPER}]
    answer = api.post_json(
        "/v1/jobs",
        {
            "source": {"files": files},
            "entry": "model:Net",
            "name": "n",
            "labels": {"a": "b"},
            "priority": 3,
        },
    )
    job = answer.json()
    assert answer.status == 201
    assert answer.headers["Location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    asked = {
        key: job[key] for key in ("entry", "name", "labels", "priority", "engine", "style", "kind")
    }
    assert asked == {
        "entry": "model:Net",
        "name": "n",
        "labels": {"a": "b"},
        "priority": 3,
        "engine": "auto",
        "style": "faithful",
        "kind": "migrate",
    }
    assert api.get(answer.headers["Location"]).json()["id"] == job["id"]
    api.cancel(job["id"])


def test_python_job(api: Client) -> None:
    answer = api.request("POST", "/v1/jobs?entry=Net&name=a%20b&engine=builtin", SLEEPER, PYTHON)
    job = answer.json()
    assert answer.status == 201, job
    assert (job["entry"], job["name"], job["engine"]) == ("Net", "a b", "builtin")
    api.cancel(job["id"])


def test_many_at_once_are_all_kept(api: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda n: api.submit(SLEEPER, name=f"n{n}"), range(64)))
    ids = {job["id"] for job in jobs}
    assert len(ids) == 64
    with ThreadPoolExecutor(16) as pool:
        states = list(pool.map(lambda i: api.get(f"/v1/jobs/{i}").status, ids))
        list(pool.map(api.cancel, ids))
    assert states == [200] * 64


def test_etag(api: Client, unfinished: Any) -> None:
    api.cancel(unfinished["id"])
    api.finish(unfinished["id"])
    path = unfinished["links"]["self"]
    first = api.get(path)
    assert api.get(path, If_None_Match=first.headers["ETag"]).status == 304
    assert api.get(path, If_None_Match=f'"other", W/{first.headers["ETag"]}').status == 304
    assert api.get(path, If_None_Match='"other"').status == 200


def test_wait_is_over_in_time(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1").client
    running = api.submit(SLEEPER)
    waiting = api.submit(SLEEPER)["links"]["self"]
    etag = api.get(waiting).headers["ETag"]
    began = time.monotonic()
    assert api.get(waiting + "?wait=1").status == 200
    assert api.get(waiting + "?wait=1", If_None_Match=etag).status == 304
    assert 1.9 < time.monotonic() - began < 4
    api.cancel(running["id"])


def test_wait_answers_on_change(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1").client
    api.submit(SLEEPER)
    job = api.submit(SLEEPER)
    etag = api.get(job["links"]["self"]).headers["ETag"]
    with ThreadPoolExecutor(4) as pool:
        plain = [pool.submit(api.get, job["links"]["self"] + "?wait=30") for _ in range(2)]
        with_tag = [
            pool.submit(api.get, job["links"]["self"] + "?wait=30", If_None_Match=etag)
            for _ in range(2)
        ]
        time.sleep(0.5)
        began = time.monotonic()
        assert api.cancel(job["id"]).status in (200, 202)
        answers = [future.result() for future in plain + with_tag]
    assert time.monotonic() - began < 5
    assert {answer.status for answer in answers} == {200}
    assert {answer.json()["state"] for answer in answers} == {"cancelled"}


def test_wait_with_an_old_etag_answers_at_once(api: Client, unfinished: Any) -> None:
    began = time.monotonic()
    assert api.get(unfinished["links"]["self"] + "?wait=30", If_None_Match='"v0"').status == 200
    assert time.monotonic() - began < 5


def test_wait_on_a_final_job_answers_at_once(api: Client, unfinished: Any) -> None:
    api.cancel(unfinished["id"])
    job = api.finish(unfinished["id"])
    etag = api.get(job["links"]["self"]).headers["ETag"]
    began = time.monotonic()
    assert api.get(job["links"]["self"] + "?wait=30").status == 200
    assert api.get(job["links"]["self"] + "?wait=30", If_None_Match=etag).status == 304
    assert time.monotonic() - began < 5


def test_list_pages(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1").client
    made = [api.submit(SLEEPER)["id"] for _ in range(7)]
    seen: list[str] = []
    path = "/v1/jobs?limit=3"
    for size in (3, 3, 1):
        page = api.get(path).json()
        assert len(page["jobs"]) == size
        seen += [job["id"] for job in page["jobs"]]
        path = f"/v1/jobs?limit=3&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == made[::-1]
    assert api.get("/v1/jobs?limit=7").json()["next_cursor"] is None


def test_list_by_state(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1").client
    first, second, third = (api.submit(SLEEPER)["id"] for _ in range(3))
    api.cancel(second)
    cancelled = api.get("/v1/jobs?state=cancelled").json()["jobs"]
    assert [job["id"] for job in cancelled] == [second]
    assert third in [job["id"] for job in api.get("/v1/jobs?state=queued").json()["jobs"]]
    assert first not in [job["id"] for job in api.get("/v1/jobs?state=cancelled").json()["jobs"]]


def test_cancel_is_idempotent(api: Client, unfinished: Any) -> None:
    assert api.cancel(unfinished["id"]).status in (200, 202)
    job = api.finish(unfinished["id"])
    assert job["state"] == "cancelled"
    again = api.cancel(unfinished["id"])
    assert (again.status, again.json()["state"]) == (200, "cancelled")


def test_cancel_of_a_failed_job_is_a_conflict(api: Client) -> None:
    job = api.finish(api.submit("def broken(:\n")["id"])
    assert (job["state"], job["result"]["reason"]) == ("failed", "source_syntax")
    assert api.cancel(job["id"]).code == "conflict"


def test_delete(api: Client, unfinished: Any) -> None:
    path = unfinished["links"]["self"]
    refused = api.request("DELETE", path)
    assert (refused.status, refused.code) == (409, "conflict")
    api.cancel(unfinished["id"])
    api.finish(unfinished["id"])
    assert api.request("DELETE", path).status == 204
    assert api.request("DELETE", path).code == "job_not_found"
    assert api.get(path).status == 404
    assert api.get(path + "/events").status == 404


def test_racing_cancels_end_in_one_cancellation(api: Client, unfinished: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.cancel(unfinished["id"]), range(32)))
    assert {answer.status for answer in answers} <= {200, 202}
    api.finish(unfinished["id"])
    types = [event["type"] for event in api.get(unfinished["links"]["events"]).json()["events"]]
    assert types.count("job.cancelled") == 1


def test_a_commit_does_not_hold_up_readers(api: Client) -> None:
    """While large jobs are taken in, a health check answers quickly."""
    stop = threading.Event()
    slowest = 0.0

    def submit() -> None:
        while not stop.is_set():
            api.cancel(api.submit(SLEEPER + "#" * 4_000_000)["id"])

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(submit) for _ in range(2)]
        for _ in range(30):
            began = time.monotonic()
            assert api.get("/healthz").status == 200
            slowest = max(slowest, time.monotonic() - began)
        stop.set()
        for future in futures:
            future.result()
    assert slowest < 2
