"""What goes wrong with a candidate, as the `error` object of a stage.

An error shows the candidate's own frames only: where it failed in *its* code is what an
engine or a reader can act on, frames of jax, flax and of this package are not.
"""

from __future__ import annotations

import traceback
from collections.abc import Container, Iterator

from ferry.step import Json, StepError

MESSAGE_LIMIT = 4000

#: Exceptions of jax and flax that have one known cause, with its code.
KNOWN_CAUSES = {
    "ConcretizationTypeError": "value_needed_while_tracing",
    "TracerArrayConversionError": "value_needed_while_tracing",
    "TracerBoolConversionError": "value_needed_while_tracing",
    "TracerIntegerConversionError": "value_needed_while_tracing",
    "NonConcreteBooleanIndexError": "value_needed_while_tracing",
    "TraceContextError": "tracer_leak",
    "UnexpectedTracerError": "tracer_leak",
}


class WeightMapError(StepError):
    """The weight map does not fit the source or the candidate; `why` is the precise code."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__("weight_map", message, why=why)


class DrawsDiffer(StepError):
    """The candidate draws random numbers in another order, kind or shape than the source."""

    def __init__(self, message: str) -> None:
        super().__init__("draws_differ", message)


class NotReplayable(StepError):
    """The candidate draws inside of a transformation, where recorded draws have no place.

    A body that is traced once may run many times, or for a whole batch.
    """

    def __init__(self, kind: str) -> None:
        message = f"the candidate draws ({kind}) inside of a transformation of jax"
        super().__init__("draws_differ", message, why="inside_transformation")


def describe(error: BaseException, files: Container[str]) -> Json:
    """The `error` object for whatever a stage raised; `files` are the candidate's paths."""
    frames = _own_frames(error, files)
    where = frames[-1] if frames else None
    if isinstance(error, StepError):
        found = error.to_json()
    else:
        message = f"{type(error).__name__}: {_text(error)}"
        found = StepError("candidate_error", message, why=_why(error)).to_json()
    if where is not None and found["line"] is None:
        found.update(file=where.filename, line=where.lineno, text=where.line)
    if frames and found["traceback"] is None:
        found["traceback"] = "".join(traceback.format_list(frames))
    found["message"] = found["message"][:MESSAGE_LIMIT]
    return found


def _text(error: BaseException) -> str:
    """What the exception says; a candidate's own class may fail to say anything."""
    try:
        return str(error)
    except Exception:
        return "an exception that can't be shown"


def _why(error: BaseException) -> str:
    """A short reason for the failures that have a known cause."""
    name = type(error).__name__
    return KNOWN_CAUSES.get(name, name)


def _own_frames(error: BaseException, files: Container[str]) -> list[traceback.FrameSummary]:
    """The candidate's frames of the first exception in the chain that has any."""
    for link in _chain(error):
        frames = [
            frame for frame in traceback.extract_tb(link.__traceback__) if frame.filename in files
        ]
        if frames:
            return frames
    return []


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, what it was raised from, and so on."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
