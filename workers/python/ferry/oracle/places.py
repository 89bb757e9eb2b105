"""Where in the caller's files an exception comes from, as a `StepError`."""

from __future__ import annotations

import errno
import linecache
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ferry.step import StepError

# how torch's allocator says it, in a RuntimeError
NO_MEMORY = "can't allocate memory"


@dataclass(frozen=True)
class Place:
    """The innermost frame of an exception that lies in the caller's files."""

    file: str | None = None
    line: int | None = None
    text: str | None = None
    traceback: str | None = None


def place_of(error: BaseException, sources: Collection[str]) -> Place:
    """The source's own frames of `error`; empty where none of them is the source's."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in sources]
    if not frames:
        return Place()
    last = frames[-1]
    text = linecache.getline(last.filename, last.lineno or 0).strip() or None
    shown = "".join(traceback.format_list(frames))
    shown += "".join(traceback.format_exception_only(error))
    return Place(last.filename, last.lineno, text, shown)


def describe(error: BaseException) -> str:
    """``ValueError: what it says``, in one piece and of a sane length."""
    try:
        said = str(error)
    except Exception:
        said = "(its text cannot be shown)"
    name = type(error).__name__
    return (f"{name}: {said}" if said else name)[:2000]


def missing_package(error: BaseException, modules: Collection[str]) -> str | None:
    """The package that `error` says is not installed, unless the caller's files should have it."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    package = error.name.partition(".")[0]
    return None if package in modules else package


def to_step_error(
    error: BaseException, code: str, sources: Collection[str], why: str | None = None
) -> StepError:
    """`error`, raised while running the source, with its place."""
    place = place_of(error, sources)
    roots = {path.partition("/")[0].removesuffix(".py") for path in sources}
    package = missing_package(error, roots)
    message = describe(error)
    if package is not None:
        code, message = "missing_package", f"the package {package!r} is not installed"
        why = package
    return StepError(
        code,
        message,
        file=place.file,
        line=place.line,
        text=place.text,
        why=why,
        traceback=place.traceback,
    )


@contextmanager
def source_runs(
    sources: Collection[str], code: str = "source_error", why: str | None = None
) -> Iterator[None]:
    """Whatever the source raises inside becomes a `StepError` with `code` and its place.

    Only limits of the step itself pass through.
    """
    try:
        yield
    except (StepError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if is_limit(error):
            raise
        if NO_MEMORY in describe(error):
            raise MemoryError from error
        raise to_step_error(error, code, sources, why) from error


def is_limit(error: BaseException) -> bool:
    """Whether the step ran into its file size, which is the runner's to report."""
    return isinstance(error, OSError) and error.errno == errno.EFBIG
