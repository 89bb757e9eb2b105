"""A zygote: imports one environment's libraries once, then forks one process per step.

It runs only our own code, in one thread, and reads nothing that a caller wrote. It is an
event loop over descriptors: the daemon's control socket, and for each step its socket, its
report and its pidfd. The protocol is section 1 of `docs/steps.md`.

A process forked after a jax backend started hangs for good, so a zygote that finds one ends;
the daemon starts another.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from ferry import kernel, watch
from ferry.confine import ConfineError, Limits, Plan
from ferry.runner import EXIT_FILE_SIZE, Job, run, run_step
from ferry.step import Json
from ferry.steps import Step, load_environment

MAX_MESSAGE = 64 << 10
MAX_FDS = 16
WATCH_S = 0.05
PROBE_LIMITS = Limits(cpu_s=5, memory_bytes=1 << 30, processes=16, file_bytes=1 << 20)


@dataclass
class Child:
    """A forked process that confines itself."""

    pid: int
    pidfd: int
    report: int


@dataclass
class Running(Child):
    """A step under way."""

    sock: socket.socket
    limits: Limits
    files: list[int]
    limit: str | None = None


def spawn(plan: Plan, limits: Limits, keep: list[int], body: Callable[[], int]) -> Child:
    """Fork a process that confines itself and then exits with what `body` returns."""
    report, child_report = os.pipe2(os.O_CLOEXEC)
    try:
        pid, pidfd = kernel.fork_into(plan.namespaces())
    except OSError:
        os.close(report)
        raise
    else:
        if pid == 0:
            run(plan, limits, keep, child_report, body)
    finally:
        os.close(child_report)
    return Child(pid, pidfd, report)


def probe(plan: Plan) -> Json:
    """Confine a process that does nothing: which parts are in force here, which are not."""
    try:
        child = spawn(plan, PROBE_LIMITS, [], lambda: 0)
    except OSError as error:
        return {"confinement": [], "missing": [{"part": "namespaces", "why": error.strerror}]}
    with open(child.report, "rb") as report:
        text = report.read()
    _, status = os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    if not text:
        why = f"it ended with status {os.waitstatus_to_exitcode(status)} while confining itself"
        return {"confinement": [], "missing": [{"part": "step", "why": why}]}
    said = json.loads(text)
    if "part" in said:
        return {"confinement": [], "missing": [said]}
    return {"confinement": said["confinement"], "missing": []}


def check_forkable() -> None:
    """Raise where a fork would not be safe: with a second thread, or after a backend started."""
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise ConfineError("single_thread", f"the zygote has {threads} threads")
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is not None and bridge._backends:
        raise ConfineError("no_backend", "a jax backend was started in the zygote")


def parse_job(message: Json, fds: list[int]) -> Job:
    """The job that the daemon sent: descriptors come in the protocol's order."""
    wanted = message["limits"]
    limits = Limits(
        cpu_s=int(wanted["cpu_s"]),
        memory_bytes=int(wanted["memory_bytes"]),
        processes=int(wanted["processes"]),
        file_bytes=int(wanted["file_bytes"]),
    )
    rest = iter(fds)
    return Job(
        name=message["step"],
        limits=limits,
        request=next(rest),
        inputs={name: next(rest) for name in message["in"]},
        outputs={name: next(rest) for name in message["out"]},
        result=next(rest),
        stdout=next(rest),
        stderr=next(rest),
    )


class Zygote:
    """The event loop."""

    def __init__(self, plan: Plan, steps: dict[str, Step], control: socket.socket) -> None:
        self.plan = plan
        self.steps = steps
        self.control = control
        self.poll = select.poll()
        self.handlers: dict[int, Callable[[], None]] = {}
        self.running: dict[int, Running] = {}
        self.watched = 0.0

    def serve(self) -> None:
        """Say hello, then serve until the daemon closes the control socket."""
        self.control.send(json.dumps({"hello": 1, **probe(self.plan)}).encode())
        self._on(self.control.fileno(), self._accept)
        while True:
            for fd, _ in self.poll.poll(1000 * WATCH_S if self.running else None):
                handler = self.handlers.get(fd)  # an earlier one may have closed it
                if handler is not None:
                    handler()
            if self.running and time.monotonic() - self.watched >= WATCH_S:
                self._watch()

    def _on(self, fd: int, handler: Callable[[], None]) -> None:
        self.handlers[fd] = handler
        self.poll.register(fd, select.POLLIN)

    def _off(self, fd: int) -> None:
        if self.handlers.pop(fd, None):
            self.poll.unregister(fd)

    def _accept(self) -> None:
        data, fds, _, _ = socket.recv_fds(
            self.control, MAX_MESSAGE, MAX_FDS, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            sys.exit(0)  # the daemon is gone, and with us goes all that still runs
        sock = socket.socket(fileno=fds[0])
        try:
            check_forkable()
            self._start(parse_job(json.loads(data), fds[1:]), sock)
        except OSError as error:
            self._send(sock, {"refused": error.strerror or str(error)})
            sock.close()
        finally:
            for fd in fds[1:]:
                os.close(fd)

    def _start(self, job: Job, sock: socket.socket) -> None:
        step = self.steps.get(job.name)
        if step is None:
            raise FileNotFoundError(f"no step {job.name} in this environment")
        child = spawn(self.plan, job.limits, job.fds(), lambda: run_step(job, step))
        files = [os.dup(fd) for fd in job.writable_files()]
        step_run = Running(child.pid, child.pidfd, child.report, sock, job.limits, files)
        self.running[child.pid] = step_run
        self._on(child.report, lambda: self._confined(step_run))
        self._on(child.pidfd, lambda: self._ended(step_run))
        self._on(sock.fileno(), lambda: self._abandoned(step_run))

    def _confined(self, step: Running) -> None:
        """The step's process said whether it could confine itself."""
        said = json.loads(os.read(step.report, MAX_MESSAGE) or b"{}")
        self._off(step.report)
        os.close(step.report)
        step.report = -1
        if "confinement" in said:
            message = {"started": True, "confinement": said["confinement"]}
            self._send(step.sock, message, [step.pidfd])
        else:
            why = f"{said.get('part', 'step')}: {said.get('why', 'it died')}"
            self._send(step.sock, {"refused": why})

    def _abandoned(self, step: Running) -> None:
        """The worker closed its end: nobody waits for this step any more."""
        self._off(step.sock.fileno())
        self._kill(step)

    def _kill(self, step: Running) -> None:
        try:
            if self.plan.weak:
                os.killpg(step.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(step.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _watch(self) -> None:
        self.watched = time.monotonic()
        usages = watch.measure(self.running)
        for pid, usage in usages.items():
            step = self.running[pid]
            if step.limit is None:
                step.limit = usage.exceeded(step.limits, step.files)
                if step.limit:
                    self._kill(step)

    def _ended(self, step: Running) -> None:
        if step.report >= 0:
            self._confined(step)
        if self.plan.weak:
            self._kill(step)
        _, status, used = os.wait4(step.pid, 0)
        cpu_s = used.ru_utime + used.ru_stime
        code = os.waitstatus_to_exitcode(status)
        limit = step.limit
        if limit is None and code == EXIT_FILE_SIZE:
            limit = "file_size"
        if limit is None and code == -signal.SIGKILL and cpu_s >= step.limits.cpu_s:
            limit = "cpu"
        message: Json = {
            "ended": {"exit": code} if code >= 0 else {"signal": -code},
            "cpu_s": cpu_s,
            "peak_rss_bytes": used.ru_maxrss << 10,
        }
        if limit:
            message["limit"] = limit
        self._forget(step)
        self._send(step.sock, message)
        step.sock.close()

    def _forget(self, step: Running) -> None:
        del self.running[step.pid]
        self._off(step.sock.fileno())
        self._off(step.pidfd)
        for fd in (step.pidfd, *step.files):
            os.close(fd)

    @staticmethod
    def _send(sock: socket.socket, message: Json, fds: list[int] | None = None) -> None:
        """A worker that is gone, or slow beyond reason, loses its answer; others must not wait."""
        try:
            flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
            socket.send_fds(sock, [json.dumps(message).encode()], fds or [], flags)
        except OSError:
            pass


def main() -> None:
    """Started by ferry-jail."""
    parser = argparse.ArgumentParser(prog="ferry.zygote")
    parser.add_argument("--env", required=True, choices=("torch", "jax"))
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--filter-fd", type=int, required=True)
    parser.add_argument("--weak", action="store_true")
    args = parser.parse_args()
    control = socket.socket(fileno=args.control_fd)
    control.setblocking(True)
    os.set_inheritable(args.control_fd, False)
    steps = load_environment(args.env)
    check_forkable()
    gc.collect()
    gc.freeze()  # pages that the collector never touches stay shared with every step
    gc.disable()
    Zygote(Plan.gather(weak=args.weak, filter_fd=args.filter_fd), steps, control).serve()


if __name__ == "__main__":
    main()
