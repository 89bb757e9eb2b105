"""Events: JSON, long polls, streams, their caps, and stopping under them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

from http_api import SLEEPER, Client, Server


def test_json_pages(api: Client, unfinished: Any) -> None:
    api.cancel(unfinished["id"])
    api.finish(unfinished["id"])
    path = unfinished["links"]["events"]
    whole = api.get(path).json()
    assert [event["seq"] for event in whole["events"]] == list(range(1, len(whole["events"]) + 1))
    assert whole["events"][0]["type"] == "job.queued"
    assert whole["events"][-1]["type"] == "job.cancelled"
    assert whole["final"] is True
    first = api.get(path + "?limit=1").json()
    assert (first["events"], first["last_seq"], first["final"]) == (whole["events"][:1], 1, False)
    rest = api.get(path + "?after=1").json()
    assert rest["events"] == whole["events"][1:]
    end = api.get(f"{path}?after={whole['last_seq']}&wait=30").json()
    assert end == {"events": [], "last_seq": whole["last_seq"], "final": True}


def test_long_poll(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1").client
    api.submit(SLEEPER)
    job = api.submit(SLEEPER)
    path = job["links"]["events"] + "?after=1&wait=30"
    with ThreadPoolExecutor(8) as pool:
        polls = [pool.submit(api.get, path) for _ in range(8)]
        time.sleep(0.5)
        began = time.monotonic()
        api.cancel(job["id"])
        answers = [poll.result().json() for poll in polls]
    assert time.monotonic() - began < 5
    assert all(answer["events"] for answer in answers)
    began = time.monotonic()
    other = api.submit(SLEEPER)
    assert api.get(other["links"]["events"] + "?after=1&wait=1").json()["events"] == []
    assert 0.9 < time.monotonic() - began < 4


def test_stream_from_the_start_to_the_end(api: Client, unfinished: Any) -> None:
    stream = api.events(unfinished["id"])
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert stream.headers["Cache-Control"] == "no-store"
    events = iter(stream)
    assert next(events)["event"] == "job.queued"
    api.cancel(unfinished["id"])
    rest = list(events)
    assert rest[-1]["event"] == "job.cancelled"
    whole = api.get(unfinished["links"]["events"]).json()["events"]
    assert [json.loads(event["data"]) for event in rest] == whole[1:]
    assert [int(event["id"]) for event in rest] == [event["seq"] for event in whole[1:]]


def test_stream_goes_on_after_the_last_event_id(api: Client, unfinished: Any) -> None:
    api.cancel(unfinished["id"])
    api.finish(unfinished["id"])
    whole = api.get(unfinished["links"]["events"]).json()["events"]
    again = [int(event["id"]) for event in api.events(unfinished["id"], Last_Event_ID="1")]
    assert again == [event["seq"] for event in whole[1:]]
    done = api.events(unfinished["id"], Last_Event_ID=str(whole[-1]["seq"]))
    assert done.status == 204
    bad = api.get(unfinished["links"]["events"], Accept="text/event-stream", Last_Event_ID="x")
    assert bad.code == "invalid_header"


def test_head_of_a_stream_ends(api: Client, unfinished: Any) -> None:
    answer = api.request(
        "HEAD", unfinished["links"]["events"], headers={"Accept": "text/event-stream"}
    )
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")


def test_many_streams_see_the_same(api: Client, unfinished: Any) -> None:
    with ThreadPoolExecutor(32) as pool:
        streams = [
            pool.submit(lambda: [e["id"] for e in api.events(unfinished["id"])]) for _ in range(32)
        ]
        time.sleep(1)
        api.cancel(unfinished["id"])
        seen = [stream.result() for stream in streams]
    whole = api.get(unfinished["links"]["events"]).json()["events"]
    assert all(ids == [str(event["seq"]) for event in whole] for ids in seen)


def metric(api: Client, name: str) -> int:
    lines = api.get("/metrics").body.decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + " "))


def test_heartbeats_find_clients_that_left(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1", "server.heartbeat_s=1").client
    api.submit(SLEEPER)
    job = api.submit(SLEEPER)
    stays, leaves = api.events(job["id"]), api.events(job["id"])
    blocks = stays.blocks()
    assert next(blocks) == ["retry: 2000"]
    assert next(blocks)[1] == "event: job.queued"
    assert next(blocks) == [": heartbeat"]
    assert metric(api, "ferryd_event_streams") == 2
    leaves.close()
    end = time.monotonic() + 10
    while metric(api, "ferryd_event_streams") > 1 and time.monotonic() < end:
        time.sleep(0.2)
    assert metric(api, "ferryd_event_streams") == 1
    stays.close()


def test_streams_are_capped(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1", "server.streams=2", "server.heartbeat_s=1").client
    api.submit(SLEEPER)
    job = api.submit(SLEEPER)
    streams = [api.events(job["id"]) for _ in range(2)]
    refused = api.get(job["links"]["self"] + "?wait=5")
    assert (refused.status, refused.code) == (503, "overloaded")
    assert refused.headers["Retry-After"] == "1"
    assert api.events(job["id"]).status == 503
    streams[0].close()
    end = time.monotonic() + 10
    while api.get(job["links"]["self"] + "?wait=1").status == 503 and time.monotonic() < end:
        time.sleep(0.2)
    assert api.get(job["links"]["self"] + "?wait=1").status == 200
    streams[1].close()


def test_the_wait_is_capped(start_server: Callable[..., Server]) -> None:
    api = start_server("workers.jobs=1", "server.wait_max_s=1").client
    api.submit(SLEEPER)
    job = api.submit(SLEEPER)
    began = time.monotonic()
    assert api.get(job["links"]["self"] + "?wait=3600").status == 200
    assert time.monotonic() - began < 4


def test_stopping_under_waiting_clients(start_server: Callable[..., Server]) -> None:
    """Streams end, long polls are answered, and the daemon exits with 0."""
    server = start_server("workers.jobs=1")
    api = server.client
    api.submit(SLEEPER)
    job = api.submit(SLEEPER)
    with ThreadPoolExecutor(16) as pool:
        streams = [pool.submit(lambda: list(api.events(job["id"]))) for _ in range(8)]
        polls = [pool.submit(api.get, job["links"]["self"] + "?wait=30") for _ in range(8)]
        time.sleep(1)
        assert server.stop() == 0
        assert all(stream.result()[0]["event"] == "job.queued" for stream in streams)
        assert {poll.result().status for poll in polls} == {200}


def test_stopping_under_writers(start_server: Callable[..., Server]) -> None:
    """Every job that was answered with 201 is there after a restart."""
    server = start_server("workers.jobs=1")
    made: list[str] = []

    def write() -> None:
        try:
            for _ in range(1000):
                made.append(server.client.submit(SLEEPER)["id"])
        except (OSError, HTTPException, AssertionError):
            return  # cut off, refused while stopping, or turned away

    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write) for _ in range(8)]
        time.sleep(0.5)
        assert server.stop() == 0
        for writer in writers:
            writer.result()
    again = start_server("workers.jobs=1").client
    assert made
    assert {again.get(f"/v1/jobs/{job_id}").status for job_id in made} == {200}
