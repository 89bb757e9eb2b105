"""A running daemon and a small HTTP client, for the demo, the tests and the benches.

Standard library only. `Daemon` starts build/ferryd (or the binary that the environment variable FERRYD
names) on a free loopback port with a data directory of its own, and stops it by its own pid.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FINAL = ("succeeded", "failed", "cancelled")
PROVEN = ("equal", "equal_under_assumptions")
STAGES = [
    "parse",
    "import",
    "build",
    "weights",
    "shapes",
    "forward_f64",
    "forward_f32",
    "resize",
    "gradients",
    "train_state",
    "optimizer",
    "jit",
    "heldout",
    "worst_case",
]


@dataclass
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Daemon:
    """One ferryd process; a context manager that stops it and removes its folder."""

    def __init__(self, *args: str, home: Path | None = None, keep: bool = False) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="ferryd-"))
        self.data = self.home / "data"
        self.log = self.home / "ferryd.log"
        self.keep = keep
        binary = os.environ.get("FERRYD", str(ROOT / "build" / "ferryd"))
        self._command = [binary, "--listen", "127.0.0.1:0", "--data-dir", str(self.data), *args]
        self.start()

    def start(self) -> None:
        """Start the process (again, on the same data directory) and wait until it serves."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(rb"ready.*listen=([\d.:]+)", self.log.read_bytes()[before:])
            if found:
                self.url = f"http://{found[1].decode()}"
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"ferryd did not start: {self.log.read_text()[-1000:]}")

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if not self.keep:
            shutil.rmtree(self.home, ignore_errors=True)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 90,
    ) -> Response:
        """One request; a mapping is sent as JSON. HTTP errors are responses, not exceptions."""
        sent = dict(headers or {})
        if isinstance(body, Mapping):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, body, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return Response(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.headers, error.read())

    def get(self, path: str, **kwargs: Any) -> Response:
        return self.request("GET", path, **kwargs)

    def post(
        self, path: str, body: bytes | Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Response:
        return self.request("POST", path, b"" if body is None else body, **kwargs)

    def submit(self, source: str | Sequence[Mapping[str, str]], **fields: Any) -> dict[str, Any]:
        """Submit one file's text (as model.py) or a list of files; returns the job resource."""
        files = (
            [{"path": "model.py", "content": source}] if isinstance(source, str) else list(source)
        )
        reply = self.post("/v1/jobs", {"source": {"files": files}, **fields})
        if reply.status != 201:
            raise RuntimeError(f"submit: {reply.status} {reply.text[:500]}")
        return dict(reply.json())

    def wait(self, job_id: str, timeout: float = 300) -> dict[str, Any]:
        """The job once it is final."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            job = self.get(f"/v1/jobs/{job_id}?wait=10").json()
            if job["state"] in FINAL:
                return dict(job)
        raise TimeoutError(f"{job_id} is not final after {timeout} s")

    def bundle(self, job_id: str) -> dict[str, bytes]:
        """The files of the job's bundle by their path below its one top folder."""
        reply = self.get(f"/v1/jobs/{job_id}/bundle.tar.gz")
        if reply.status != 200:
            raise RuntimeError(f"bundle: {reply.status} {reply.text[:500]}")
        files = {}
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as tar:
            for member in tar:
                handle = tar.extractfile(member)
                if handle is not None:
                    files[member.name.split("/", 1)[1]] = handle.read()
        return files

    def events(self, job_id: str, timeout: float = 300) -> Iterator[tuple[str, dict[str, Any]]]:
        """(type, data) of the job's event stream until it ends."""
        url = f"{self.url}/v1/jobs/{job_id}/events"
        request = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
        with urllib.request.urlopen(request, timeout=timeout) as stream:
            kind = ""
            for raw in stream:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)["data"]
