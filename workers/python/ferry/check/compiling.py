"""How hard the compiler tries.

A program of a check runs a few times, so compiling it usually costs more than running it. At
the lowest level, in one piece, XLA compiles a small convolutional net six times faster than by
default. The kernels that XLA emits itself (its loops for convolutions in float64 or over three
dimensions) are slow without optimisation, though: a program whose runs would take longer than
optimising it gets some. The rates are measured on one core of 2.5 GHz; only their ratio counts.
"""

from __future__ import annotations

import math
from typing import Any

#: Seconds for one operation of an unoptimised kernel, and for optimising one equation.
KERNEL_RATE, EQUATION_RATE = 4.5e-9, 1.3e-3


def compile_for(traced: Any, uses: int) -> Any:
    """Compile a traced program that will run `uses` times (1 if that is not known)."""
    slow = KERNEL_RATE * emitted_operations(traced.jaxpr.jaxpr) * max(uses, 1)
    dear = EQUATION_RATE * _equations(traced.jaxpr.jaxpr)
    return _compile(traced, 1 if slow > dear else 0)


def compile_surely(traced: Any) -> Any:
    """Compile a program whose results were not finite.

    Without optimisation jaxlib 0.10.2 miscompiles some fused reductions: a sum over what passed
    through a maximum begins with the maximum's -inf (`tests/e2e/styles/graph`).
    """
    return _compile(traced, 1)


def _compile(traced: Any, level: int) -> Any:
    return traced.lower().compile(
        compiler_options={
            "xla_backend_optimization_level": level,
            "xla_cpu_use_fusion_emitters": False,
            "xla_cpu_parallel_codegen_split_count": 1,
        }
    )


def emitted_operations(jaxpr: Any) -> float:
    """About how many operations a program does in kernels that XLA emits itself.

    Those are all but matrix products, and convolutions in float32 over at most two dimensions.
    """
    return math.fsum(_cost(equation) for equation in jaxpr.eqns)


def _cost(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    size = sum(float(math.prod(v.aval.shape)) for v in equation.outvars)
    if name == "dot_general":
        return 0.0
    if name == "conv_general_dilated":
        return 2.0 * size * _taps(equation)
    if name.startswith("reduce_window"):
        return size * math.prod(params.get("window_dimensions", (1,)))
    inner = sum(emitted_operations(program) for program in _programs(params))
    if name == "scan":
        return inner * int(params["length"])
    return inner or sum(float(math.prod(v.aval.shape)) for v in equation.invars) + size


def _taps(equation: Any) -> float:
    """Products per element of a convolution's output, none where a library computes it."""
    kernel = equation.invars[1].aval
    if kernel.dtype == "float32" and kernel.ndim <= 4:
        return 0.0
    features = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
    return math.prod(kernel.shape) / max(features, 1)


def _equations(jaxpr: Any) -> int:
    inner = (_equations(p) for e in jaxpr.eqns for p in _programs(e.params))
    return len(jaxpr.eqns) + sum(inner)


def _programs(params: Any) -> list[Any]:
    """The inner programs of an equation."""
    values = [v for value in params.values() for v in _flat(value)]
    return [getattr(v, "jaxpr", v) for v in values if hasattr(v, "eqns")]


def _flat(value: Any) -> Any:
    return value if isinstance(value, (tuple, list)) else (value,)
