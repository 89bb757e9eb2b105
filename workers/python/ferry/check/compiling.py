"""How hard the compiler tries.

A program of a check runs once or twice, so compiling it costs far more than running it. The
kernels that XLA emits itself (its loops for float64 and 3d convolutions, for example) are slow
without optimisation, though, so programs with much to compute get some. Measured on a small
convolutional net with all stages: a fifth of the compiler's default time.
"""

from __future__ import annotations

from typing import Any

#: Up to this many operations the slowest kernels take less time than optimising them.
FEW_OPERATIONS = 3e7


def compile_quickly(lowered: Any) -> Any:
    """Compile a lowered program for a single run."""
    few = _operations(lowered) <= FEW_OPERATIONS
    return lowered.compile(
        compiler_options={
            "xla_backend_optimization_level": 0 if few else 1,
            "xla_cpu_use_fusion_emitters": False,
        }
    )


def _operations(lowered: Any) -> float:
    """The compiler's own estimate; infinite where it has none."""
    analysis = lowered.cost_analysis()
    return float(analysis.get("flops", float("inf"))) if analysis else float("inf")
