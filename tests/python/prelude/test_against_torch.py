"""Every case of every table: outputs, gradients and state must be torch's, in float64."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from conftest import TABLES
from jax_values import run_case
from prelude_cases import Case


def all_cases() -> list[Any]:
    """One parameter set for each case."""
    return [
        pytest.param(case, f"{table}/{number}", id=f"{table}: {case.name}")
        for table in TABLES
        for number, case in enumerate(importlib.import_module(f"prelude_cases.{table}").CASES)
    ]


@pytest.mark.parametrize(("case", "key"), all_cases())
def test_case(case: Case, key: str, truth: dict[str, dict[str, np.ndarray]]) -> None:
    """All arrays that torch has agree; what torch alone has (draws, buffers) is not compared."""
    expected = truth[key]
    actual = run_case(case, expected)
    compared = {n for n in expected if n.startswith(("out/", "grad/"))}
    assert compared <= set(actual)
    for name, value in actual.items():
        assert_same(value, expected[name], case.rtol, name)


def assert_same(actual: np.ndarray, expected: np.ndarray, rtol: float, name: str) -> None:
    """Equal shapes, equal non-finite elements, and a difference small against the range."""
    assert actual.shape == expected.shape, f"{name}: {actual.shape} is not {expected.shape}"
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, err_msg=name)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    atol = rtol * (finite.max() if finite.size else 1.0) + 1e-300
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=name)
