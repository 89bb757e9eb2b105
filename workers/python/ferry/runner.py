"""Inside a step's process: confine it, run the step, write its result.

Nothing here decides anything: what the step's code leaves behind in the descriptors is
checked by the daemon. This module only makes an honest step easy.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from ferry.confine import ConfineError, Limits, Plan, confine
from ferry.step import FdContext, Json, StepError, write_all
from ferry.steps import Step

# Exit statuses by which a step says what it can't say in a result.
EXIT_UNCONFINED = 125
EXIT_FILE_SIZE = 128 + signal.SIGXFSZ


@dataclass(frozen=True)
class Job:
    """One step as the daemon asked for it, with its descriptors."""

    name: str
    limits: Limits
    request: int
    inputs: dict[str, int]
    outputs: dict[str, int]
    result: int
    stdout: int
    stderr: int

    def fds(self) -> list[int]:
        """All descriptors of the step."""
        streams = (self.request, self.result, self.stdout, self.stderr)
        return [*streams, *self.inputs.values(), *self.outputs.values()]

    def writable_files(self) -> list[int]:
        """Those whose bytes count as the step's memory."""
        return [*self.outputs.values(), self.result]


def run(
    plan: Plan, limits: Limits, keep: list[int], report: int, body: Callable[[], int]
) -> NoReturn:
    """In a new process: confine it, say so on `report`, then exit with what `body` returns."""
    status = EXIT_UNCONFINED
    try:
        if _confine(plan, limits, [0, 1, 2, report, *keep], report):
            status = 1
            status = body()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _confine(plan: Plan, limits: Limits, keep: list[int], report: int) -> bool:
    try:
        parts = confine(plan, limits, keep)
    except ConfineError as error:
        _report(report, {"part": error.part, "why": error.why})
        return False
    _report(report, {"confinement": parts})
    return True


def _report(fd: int, message: Json) -> None:
    write_all(fd, json.dumps(message).encode())
    os.close(fd)


def run_step(job: Job, step: Step) -> int:
    """Run `step` and write its result; returns the process's exit status."""
    os.dup2(job.stdout, 1)
    os.dup2(job.stderr, 2)
    os.close(job.stdout)
    os.close(job.stderr)
    signal.signal(signal.SIGXFSZ, lambda *_: os._exit(EXIT_FILE_SIZE))
    gc.enable()
    dumps, write = json.dumps, write_all  # the step may take modules apart
    result = _outcome(job, step)
    try:
        write(job.result, dumps(result, allow_nan=False).encode())
    except OSError as error:
        return EXIT_FILE_SIZE if error.errno == errno.EFBIG else 1
    return 0


def _outcome(job: Job, step: Step) -> Json:
    try:
        return {"ok": True, **step(FdContext(job.request, job.inputs, job.outputs))}
    except StepError as error:
        return {"ok": False, "error": error.to_json()}
    except MemoryError:
        failure = StepError("limit_memory", "the step asked for more memory than it may have")
        return {"ok": False, "error": failure.to_json()}
    except OSError as error:
        if error.errno == errno.EFBIG:
            os._exit(EXIT_FILE_SIZE)
        return _crash(error)
    except BaseException as error:
        return _crash(error)


def _crash(error: BaseException) -> Json:
    text = "".join(traceback.format_exception(error))
    failure = StepError("step_crashed", f"{type(error).__name__}: {error}", traceback=text)
    return {"ok": False, "error": failure.to_json()}
