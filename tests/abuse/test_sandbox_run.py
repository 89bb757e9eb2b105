"""What `sandbox_run` promises to an honest worker, through the real library and real zygotes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from runner import SandboxRunner, make_package, outcome

STRICT = [
    *("userns", "mountns", "pidns", "netns", "ipcns", "utsns", "mounts", "capabilities"),
    *("rlimits", "descriptors", "no_new_privs", "landlock", "seccomp"),
]

FACTS = """
import os

answer = {
    "pid": os.getpid(),
    "uid": os.getuid(),
    "devices": sorted(os.listdir("/dev")),
    "tmp": os.listdir("/tmp"),
    "home": os.environ["HOME"],
}
"""


def test_a_step_sees_an_empty_machine(sandbox: SandboxRunner) -> None:
    reply = sandbox.run(FACTS)
    assert outcome(reply) == "ok", reply
    facts = reply["result"]["answer"]
    assert facts["pid"] == 1
    assert facts["uid"] == 65534
    assert facts["devices"] == ["full", "null", "random", "urandom"]
    assert facts["tmp"] == []
    assert facts["home"] == "/tmp"


def test_the_confinement_in_force_is_reported(sandbox: SandboxRunner) -> None:
    reply = sandbox.run("answer = 1")
    status = sandbox.status()
    required = [part for part in STRICT if part != "landlock"]
    for parts in (reply["confinement"], status["torch"]["confinement"]):
        assert [part for part in parts if part != "landlock"] == required
    assert status["mode"] == "strict"
    assert status["torch"]["state"] == "ready"
    assert status["torch"]["missing"] == []
    assert status["torch"]["rss_bytes"] > 50 << 20


@pytest.mark.parametrize(("env", "other"), [("torch", "jax"), ("jax", "torch")])
def test_an_environment_lacks_the_other(sandbox: SandboxRunner, env: str, other: str) -> None:
    reply = sandbox.run(
        "import sys\n"
        "sys.path += ['/ferry/base/lib/python3.11/site-packages', '/usr/local/lib']\n"
        f"import {other}",
        env=env,
    )
    assert outcome(reply) == "source_import"
    assert "ModuleNotFoundError" in reply["result"]["error"]["message"]


def test_jax_computes_in_a_forked_step(sandbox: SandboxRunner) -> None:
    code = (
        "import jax, jax.numpy as jnp\n"
        "answer = float(jax.jit(lambda x: (x * x).sum())(jnp.arange(4.0)))"
    )
    replies = [sandbox.run(code, env="jax") for _ in range(2)]
    assert [reply["result"]["answer"] for reply in replies] == [14.0, 14.0]


def test_threads_of_a_step_do_not_take_its_main_threads_locks(sandbox: SandboxRunner) -> None:
    code = """
import ctypes
import threading

# A recursive mutex of the C library lets its owner in again; nobody else may get in.
libc = ctypes.CDLL(None)
mutex, kind = (ctypes.c_char * 64)(), (ctypes.c_char * 16)()
libc.pthread_mutexattr_init(kind)
libc.pthread_mutexattr_settype(kind, 1)
libc.pthread_mutex_init(mutex, kind)
assert libc.pthread_mutex_lock(mutex) == 0
answer = []
for _ in range(8):
    thread = threading.Thread(target=lambda: answer.append(libc.pthread_mutex_trylock(mutex)))
    thread.start()
    thread.join()
"""
    reply = sandbox.run(code)
    assert reply["result"]["answer"] == [16] * 8, reply  # EBUSY


def test_outputs_and_prints_come_back(sandbox: SandboxRunner) -> None:
    code = (
        "import sys\n"
        "print('one')\nprint('two', file=sys.stderr)\nprint('three\\0')\n"
        "tensors = {'expected': b'abc'}\nanswer = [1.5, None]"
    )
    reply = sandbox.run(code, out=["expected", "other"])
    assert outcome(reply) == "ok", reply
    assert reply["output"] == "one\ntwo\nthree?\n"
    assert reply["out"]["expected"] == {"size": 3, "head": "abc"}
    assert reply["out"]["other"]["size"] == 0
    assert reply["result"]["answer"] == [1.5, None]
    assert 0 < reply["cpu_s"] < 5
    assert reply["peak_rss_bytes"] > 50 << 20


def test_an_input_is_read_only(sandbox: SandboxRunner, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_bytes(b"secret tensors")
    code = """
import os

answer = []
for fd in range(3, 32):
    try:
        if os.pread(fd, 6, 0) == b"secret":
            answer.append(fd)
            os.pwrite(fd, b"x", 0)
            answer.append("written")
    except OSError:
        pass
"""
    reply = sandbox.wait(
        sandbox.start(
            env="torch", step="exec", request={"code": code}, **{"in": {"given": str(given)}}
        )
    )
    assert len(reply["result"]["answer"]) == 1, reply
    assert given.read_bytes() == b"secret tensors"


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '{"a": 1}', '{"ok": 1}', '{"ok": false}', '{"ok": true} x', "nul\\0", "[" * 5000],
)
def test_a_forged_result_is_invalid(sandbox: SandboxRunner, text: str) -> None:
    code = (
        "import os, stat\n"
        f"text = {text!r}.encode()\n"
        "for fd in range(3, 32):\n"
        "    try:\n"
        "        os.write(fd, text)\n"
        "    except OSError:\n"
        "        pass\n"
        "os._exit(0)"
    )
    assert outcome(sandbox.run(code)) == "result_invalid"


def test_an_unknown_step_is_refused(sandbox: SandboxRunner) -> None:
    reply = sandbox.wait(sandbox.start(env="torch", step="nothing", request={}))
    assert reply["error"] == "sandbox_unavailable"
    assert "nothing" in reply["error_text"]


def test_cancelling_ends_a_running_step(sandbox: SandboxRunner) -> None:
    begun = time.monotonic()
    reply = sandbox.run("import time\ntime.sleep(60)", cancel_after_ms=300)
    assert reply["error"] == "cancelled"
    assert time.monotonic() - begun < 10


def test_cancelling_ends_the_wait_for_a_slot(sandbox: SandboxRunner) -> None:
    busy = [
        sandbox.start(env="torch", step="exec", request={"code": "import time\ntime.sleep(2)"})
        for _ in range(2)
    ]
    time.sleep(0.5)
    begun = time.monotonic()
    reply = sandbox.run("answer = 1", cancel_after_ms=100)
    assert reply["error"] == "cancelled"
    assert time.monotonic() - begun < 1.2
    assert [outcome(sandbox.wait(number)) for number in busy] == ["ok", "ok"]


def test_slots_are_given_in_order(sandbox: SandboxRunner) -> None:
    busy = [
        sandbox.start(env="torch", step="exec", request={"code": "import time\ntime.sleep(1.5)"})
        for _ in range(2)
    ]
    time.sleep(0.3)
    numbers = []
    for _ in range(6):
        code = "import time\nanswer = time.monotonic()\ntime.sleep(0.05)"
        numbers.append(sandbox.start(env="torch", step="exec", request={"code": code}))
        time.sleep(0.05)
    starts = [sandbox.wait(number)["result"]["answer"] for number in numbers]
    # Two run at once, so neighbours may swap; nobody is overtaken by more.
    assert all(later > earlier for earlier, later in zip(starts, starts[2:], strict=False))
    for number in busy:
        sandbox.wait(number)


def test_a_step_whose_zygote_dies_runs_again(sandbox: SandboxRunner) -> None:
    before = sandbox.status()["torch"]
    number = sandbox.start(
        env="torch", step="exec", request={"code": "import time\ntime.sleep(1.5)\nanswer = 7"}
    )
    time.sleep(0.5)
    os.kill(before["pid"], signal.SIGKILL)
    reply = sandbox.wait(number)
    assert outcome(reply) == "ok", reply
    assert reply["result"]["answer"] == 7
    after = sandbox.status()["torch"]
    assert after["restarts"] == before["restarts"] + 1
    assert after["pid"] != before["pid"]


def test_a_broken_environment_is_reported(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    (package / "ferry" / "zygote.py").write_text("raise SystemExit('the package is broken')\n")
    runner = SandboxRunner(package)
    reply = runner.run("answer = 1")
    assert reply["error"] == "sandbox_unavailable"
    assert "the package is broken" in reply["error_text"]
    assert runner.status()["torch"]["state"] == "failed"
    assert runner.status()["torch"]["missing"] == [
        {"part": "zygote", "why": "the package is broken"}
    ]
    assert runner.close() == 0


def test_weak_mode_says_so(tmp_path: Path) -> None:
    runner = SandboxRunner(make_package(tmp_path), "--weak")
    reply = runner.run("answer = 1")
    assert outcome(reply) == "ok"
    assert "userns" not in reply["confinement"]
    assert {"seccomp", "rlimits", "no_new_privs"} <= set(reply["confinement"])
    assert runner.status()["mode"] == "weak"
    code = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    bomb = runner.run(code, limits={"processes": 32, "wall_ms": 20000})
    assert outcome(bomb) == "limit_processes", json.dumps(bomb)
    assert outcome(runner.run("answer = 1")) == "ok"
    assert runner.close() == 0


def test_a_zygote_never_forks_after_a_backend_started(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    steps = package / "ferry" / "steps.py"
    start_backend = "    if env == 'jax':\n        importlib.import_module('jax').devices()\n"
    before = '    return {"exec"'
    assert before in steps.read_text()
    steps.write_text(steps.read_text().replace(before, start_backend + before))
    runner = SandboxRunner(package)
    reply = runner.run("answer = 1", env="jax")
    assert reply["error"] == "sandbox_unavailable"
    assert "the zygote has" in reply["error_text"] or "backend" in reply["error_text"]
    assert outcome(runner.run("answer = 1")) == "ok"
    assert runner.close() == 0


def processes_with(word: str) -> list[str]:
    """Processes of this machine whose command line has `word`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue  # it ended while we looked
    return found


def wait_for_end_of(alive: Callable[[], list[str]]) -> None:
    deadline = time.monotonic() + 10
    while alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive()


def test_nothing_outlives_a_killed_daemon(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    runner = SandboxRunner(package)
    runner.start(env="torch", step="exec", request={"code": "import time\ntime.sleep(60)"})
    assert outcome(runner.run("answer = 1")) == "ok"
    zygotes = [runner.status()[env]["pid"] for env in ("torch", "jax")]
    runner.process.kill()
    runner.process.wait()
    wait_for_end_of(lambda: processes_with(str(package)))
    wait_for_end_of(lambda: [str(pid) for pid in zygotes if Path(f"/proc/{pid}").exists()])


def test_nothing_outlives_a_daemon_killed_while_zygotes_start(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    for moment in range(20):
        runner = SandboxRunner(package)
        time.sleep(0.003 * moment)
        runner.process.kill()
        runner.process.wait()
    wait_for_end_of(lambda: processes_with(str(package)))
