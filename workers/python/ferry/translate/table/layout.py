"""What operations of torch mean for arrays whose channels are on the last axis.

Names are those of `torch`, `torch.nn.functional` and methods of tensors, without their module.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ferry.translate.table.idiom import Switch

# one element of the result for each element of the operands, wherever it lies
ELEMENTWISE = frozenset(
    [
        "relu",
        "relu_",
        "relu6",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "softplus",
        "mish",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
        "softsign",
        "logsigmoid",
        "abs",
        "neg",
        "exp",
        "log",
        "log1p",
        "sqrt",
        "rsqrt",
        "square",
        "sin",
        "cos",
        "erf",
        "pow",
        "clamp",
        "clip",
        "sign",
        "add",
        "sub",
        "mul",
        "div",
        "maximum",
        "minimum",
        "where",
        "lerp",
        "masked_fill",
        "zeros_like",
        "ones_like",
        "float",
        "double",
        "to",
        "type_as",
        "contiguous",
        "clone",
        "detach",
        "cpu",
        "cuda",
    ]
)

# operations along an axis: where the axis is among the positional arguments, the tensor being the first
ALONG = {
    "cat": 1,
    "concat": 1,
    "concatenate": 1,
    "chunk": 2,
    "split": 2,
    "softmax": 1,
    "log_softmax": 1,
    "cumsum": 1,
}
REDUCE = {"mean": 1, "sum": 1, "amax": 1, "amin": 1}
# about the tensor, not of it
ASK = frozenset(["dim", "numel", "is_floating_point", "ndimension", "nelement"])


def _sized(config: Mapping[str, Any]) -> bool:
    plain = not config.get("ceil_mode") and config.get("divisor_override") is None
    return plain and config.get("dilation") in (1, None) and not config.get("return_indices")


def _to_one(config: Mapping[str, Any]) -> bool:
    return config.get("output_size") in (1, [1], [1, 1], [1, 1, 1])


def _pools(kind: str, rank: int) -> tuple[Switch, ...]:
    """A pool by windows; torch's stride is the window's size where it is not given."""
    return tuple(
        Switch(
            f"torch.nn.{kind.capitalize()}Pool{rank}d",
            f"nnx.{kind}_pool",
            f"kernel_size:sizes {stride} padding:pairs=0",
            (
                "window_shape={kernel_size}",
                f"strides={{{strides}}}",
                "{padding?padding=%}",
            ),
            when=when,
            sound=_sized,
            spatial=rank,
            is_function=True,
        )
        for when, stride, strides in (
            ("stride", "stride:sizes", "stride"),
            ("", "stride:sizes=None", "kernel_size"),
        )
    )


def _global_pool(kind: str, to: str, rank: int) -> Switch:
    """An adaptive pool to one element."""
    return Switch(
        f"torch.nn.Adaptive{kind}Pool{rank}d",
        to,
        "output_size:ignore",
        (f"axis={_space(rank)}", "keepdims=True"),
        sound=_to_one,
        spatial=rank,
        is_function=True,
    )


def _space(rank: int) -> str:
    """The spatial axes, as text."""
    return str(tuple(range(1, rank + 1)))


# layers that are written otherwise only where channels are last
RECORDS = (
    *(pool for kind in ("max", "avg") for rank in (1, 2, 3) for pool in _pools(kind, rank)),
    *(_global_pool("Avg", "jnp.mean", rank) for rank in (1, 2, 3)),
    *(_global_pool("Max", "jnp.max", rank) for rank in (1, 2, 3)),
)


@dataclass(frozen=True)
class Pool:
    """A pool as a function: what is written for it, ``{}`` being the image."""

    to: str
    windows: bool

    def text(self, node: ast.Call, rank: int) -> str | None:
        """The call with its sizes, where they are written out and all others are the defaults."""
        sizes = [_literal(value) for value in node.args[1:]]
        named = {k.arg: _literal(k.value) for k in node.keywords}
        names = ("kernel_size", "stride", "padding") if self.windows else ("output_size",)
        given = dict(zip(names, sizes, strict=False)) | named
        if (
            not node.args
            or None in given.values()
            or set(given) - set(names)
            or len(sizes) > len(names)
        ):
            return None
        if not self.windows:
            one = given["output_size"] in (1, (1,), (1,) * rank)
            return f"{self.to}({{}}, axis={_space(rank)}, keepdims=True)" if one else None
        window, stride, padding = (
            _each(given.get(n, d), rank)
            for n, d in zip(names, (None, given["kernel_size"], 0), strict=True)
        )
        pads = f", padding={tuple((p, p) for p in padding)}" if any(padding) else ""
        return f"{self.to}({{}}, {window}, strides={stride}{pads})"


def _literal(node: ast.expr) -> Any:
    """A number or a tuple of numbers that is written out."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return tuple(value) if isinstance(value, list) else value


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * rank


POOLS = {
    f"{prefix}{kind}_pool{rank}d": Pool(to, not prefix)
    for rank in (1, 2, 3)
    for prefix, kind, to in (
        ("", "max", "nnx.max_pool"),
        ("", "avg", "nnx.avg_pool"),
        ("adaptive_", "avg", "jnp.mean"),
        ("adaptive_", "max", "jnp.max"),
    )
}


def moved_axis(axis: int, rank: int) -> int:
    """An axis of (N, C, ...) in (N, ..., C), for `rank` axes in all."""
    axis %= rank
    if axis == 0:
        return 0
    return -1 if axis == 1 else axis - 1
