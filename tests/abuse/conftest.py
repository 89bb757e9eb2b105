"""Fixtures of the sandbox's own tests, which need no daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from runner import SandboxRunner, make_package


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRunner]:
    """A running sandbox with the tests' own step; it must end cleanly."""
    package = make_package(tmp_path_factory.mktemp("package"))
    runner = SandboxRunner(package, "--slots", "2")
    yield runner
    assert runner.close() == 0
