"""Mutants that the sampled tests do not notice, by the reason; `test_mutation` allows no others.

A pattern is searched in a mutant's name (`Mutant.name`).
"""

from __future__ import annotations

import re

_COMMUTES = (
    "max min maximum minimum add mul eq ne logical_and logical_or logical_xor bitwise_and bitwise_or "
    "bitwise_xor hypot logaddexp logaddexp2 fmax fmin dist dot promote_types result_type"
).replace(" ", "|")
_NO_CALLS = (
    "from_numpy utils.checkpoint.checkpoint to_sparse requires_grad_ autograd.Variable Size "
    "cuda.is_available onnx.is_in_onnx_export is_grad_enabled utils._pytree.register_pytree_node "
    "device"
).replace(" ", "|")
_RANDOM = "randn rand randn_like rand_like randint randperm bernoulli normal".replace(" ", "|")

EQUIVALENT: dict[str, str] = {
    rf"^torch\.({_COMMUTES}) .* swap": "the operation commutes",
    r"^torch\.isclose .* swap": "asymmetric only within the relative tolerance",
    rf"^(torch|Tensor)\.({_NO_CALLS}) ": "computes nothing: its calls are in the tests of constructs",
    rf"^torch\.({_RANDOM}) ": "draws: `test_random` compares with the recorded draws",
    r"^(F|torch)\.(log_)?softmax .* (gone|unconditional)": "the prelude's function computes the same",
    r"^F\.gelu .* gone": "the next record for gelu, or the prelude's function, computes the same",
    r"^F\.gelu .* neighbour: 'jax.nn.gelu\(\{input\}, approximate=\{": "the same for a literal",
    r"^torch\.flatten .* gone": "a more general record computes the same",
    r"^torch\.(logsumexp|cumsum|absolute|maximum|minimum|expit|numel) .* gone": (
        "another record or the prelude's function of the name computes the same"
    ),
    r"^Tensor\.to \[\{input\}\] unconditional": "the records before it take what it must not",
    r"^torch\.(tensor|FloatTensor|LongTensor|arange) .* unconditional": (
        "the calls that its condition leaves to others get the same array"
    ),
    r"^torch\.tensor \[\{data\}\] neighbour": "an array is itself under asarray",
    r"^torch\.(add|sub) .*alpha.* unconditional": "an alpha that is not given is 1",
    r"^torch\.(rsqrt|sigmoid) .*astype.* unconditional": "floating inputs are float64 here",
    r"^Tensor\.view_as .* neighbour": "shapes of equal rank",
}


def why_equivalent(name: str) -> str:
    """The reason why a mutant is not noticed; empty where none is listed."""
    return next((why for pattern, why in EQUIVALENT.items() if re.search(pattern, name)), "")
