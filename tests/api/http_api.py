"""The daemon as these tests see it: bare HTTP, without redirects, retries or anything hidden."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryd import FINAL, Daemon

SLEEPER = "import time\ntime.sleep(100)\n"
LINEAR = """\
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, 3)  # kept

    def forward(self, x):
        return torch.relu(self.fc(x))


def get_init_inputs():
    return [4]


def get_inputs():
    return [torch.rand(3, 4)]
"""


@dataclass
class Response:
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        problem = self.json()
        assert problem["status"] == self.status
        return str(problem["code"])


class Client:
    """Talks to one daemon."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)

    def connect(self, timeout: float = 30) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 90,
    ) -> Response:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Response(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, timeout: float = 90, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", path, headers=named, timeout=timeout)

    def post_json(self, path: str, value: Any) -> Response:
        return self.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})

    def submit(self, content: str, **fields: Any) -> Any:
        """A new job of one file; returns the job resource."""
        files = [{"path": "model.py", "content": content}]
        answer = self.post_json("/v1/jobs", {"source": {"files": files}, **fields})
        assert answer.status == 201, answer.body
        return answer.json()

    def finish(self, job_id: str, seconds: float = 240) -> Any:
        """Waits until the job has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.get(f"/v1/jobs/{job_id}?wait=10").json()
            if job["state"] in FINAL:
                return job
        raise AssertionError(f"{job_id} has not ended after {seconds} s")

    def cancel(self, job_id: str) -> Response:
        return self.request("POST", f"/v1/jobs/{job_id}/cancel")

    def events(self, job_id: str, timeout: float = 30, **headers: str) -> Stream:
        return Stream(self, f"/v1/jobs/{job_id}/events", timeout, headers)


class Stream:
    """A stream of server-sent events."""

    def __init__(self, client: Client, path: str, timeout: float, headers: Mapping[str, str]):
        self.connection = http.client.HTTPConnection(client.host, client.port, timeout=timeout)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", path, headers={"Accept": "text/event-stream", **named})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.headers = dict(self.answer.getheaders())

    def blocks(self) -> Iterator[list[str]]:
        """Blocks of lines, as the standard ends them with an empty one."""
        lines: list[str] = []
        for raw in self.answer:
            line = raw.decode().rstrip("\n")
            if line:
                lines.append(line)
            elif lines:
                yield lines
                lines = []

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Events as their fields; comments and `retry` are left out."""
        for lines in self.blocks():
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "event" in fields:
                yield fields

    def close(self) -> None:
        self.connection.close()


class Server:
    """A daemon with settings, and a client of it."""

    def __init__(self, home: Path, *settings: str) -> None:
        arguments = [word for setting in settings for word in ("--set", setting)]
        self._daemon = Daemon(*arguments, home=home, keep=True)
        self.client = Client(self._daemon.url)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._daemon.stop(30)
