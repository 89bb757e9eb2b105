"""Fixtures of all tests that talk to a real daemon over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ferryd import Daemon


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """One daemon for a module's tests, with default settings."""
    from ferryd import Daemon

    with Daemon() as running:
        yield running
