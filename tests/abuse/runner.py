"""Drives `build/tests/sandbox_run_main`: real steps through the real sandbox, without a daemon."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FERRY_BUILD", ROOT / "build"))


def interpreter(env: str) -> str:
    """The interpreter of an environment."""
    default = ROOT / "build" / "envs" / env / "bin" / "python"
    return os.environ.get(f"FERRY_{env.upper()}_PY", str(default))


def make_package(folder: Path) -> Path:
    """A copy of the ferry package whose steps are those of the tests."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "workers" / "python" / "ferry", folder / "ferry", ignore=ignore)
    shutil.copy(Path(__file__).parent / "steps.py", folder / "ferry" / "steps.py")
    folder.chmod(0o755)  # steps are not root
    return folder


class SandboxRunner:
    """One running sandbox; replies are handed to whoever asked."""

    def __init__(self, package: Path, *options: str) -> None:
        command = [str(BUILD / "tests" / "sandbox_run_main"), "--jail", str(BUILD / "ferry-jail")]
        command += ["--torch", interpreter("torch"), "--jax", interpreter("jax")]
        command += ["--package", str(package), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.replies: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.count = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            reply = json.loads(line)
            self.replies[reply["id"]].put(reply)

    def start(self, **order: Any) -> int:
        """Start a step (or a status query) and return its number."""
        self.count += 1
        self.replies[self.count] = queue.Queue()
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"id": self.count, **order}).encode() + b"\n")
        self.process.stdin.flush()
        return self.count

    def wait(self, number: int, seconds: float = 120) -> dict[str, Any]:
        """The reply to `number`."""
        return self.replies[number].get(timeout=seconds)

    def run(self, code: str, env: str = "torch", **order: Any) -> dict[str, Any]:
        """Run `code` in an `exec` step."""
        return self.wait(self.start(env=env, step="exec", request={"code": code}, **order))

    def status(self) -> dict[str, Any]:
        """What `sandbox_status()` says."""
        return self.wait(self.start(status=True))

    def close(self) -> int:
        """End of input: the exit status."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(60)


def outcome(reply: dict[str, Any]) -> str:
    """The reason why a step failed, whoever found it; "ok" where it did not."""
    if reply["error"]:
        return str(reply["error"])
    if not reply["ok"]:
        return str(reply["reason"])
    result = reply["result"]
    return "ok" if result["ok"] else str(result["error"]["code"])
