"""Layers of torch that a layer of Flax can stand for: the switches of the idiomatic style.

A record says how the constructor is written, when the two layers compute the same, where each
tensor of the layer goes and which of its attributes may be read. Sources: the signatures of
torch.nn and flax.nnx; torch's kernels are (out, in, ...), Flax's (..., in, out).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Config = Mapping[str, Any]
Ops = list[dict[str, Any]]
MakeOps = Callable[[Config, Sequence[int]], Ops]
PLACES = "device:ignore=None dtype:ignore=None"


def as_is(config: Config, shape: Sequence[int]) -> Ops:
    """The tensor itself."""
    return []


@dataclass(frozen=True)
class Variable:
    """A variable of the Flax layer: its path in the layer, and the map's operations that make it.

    `read` gives torch's tensor back as text, ``{}`` being the variable's array.
    """

    path: str
    ops: MakeOps = as_is
    read: str = "{}"


@dataclass(frozen=True, eq=False)
class Switch:
    """One layer of torch and what stands for it.

    `params` are torch's own, in the form of `ferry.translate.ops`, whose kinds here say what the
    Flax layer takes: ``sizes`` one number for each spatial axis, ``tuple`` no list, ``padding``,
    ``single`` one number that may be given as a sequence, ``rest`` one minus the number. `arguments`
    are templates; `when` names a parameter that must be given, or with ``!`` must not.

    `to` is the Flax class or function; `last` and `first` are definitions of the prelude that are
    written instead of it, where channels are on the last axis and where they stay on axis 1, and
    `extra` what only the latter takes. A tensor that maps to no variable is left out of the map.
    `sound` decides by the configuration of a module; `attributes` names those that Flax has too.
    """

    layer: str
    to: str
    params: str = ""
    arguments: tuple[str, ...] = ()
    when: str = ""
    variables: Mapping[str, tuple[Variable, ...]] = field(default_factory=dict)
    sound: Callable[[Config], bool] = lambda config: True
    attributes: Mapping[str, str] = field(default_factory=dict)
    last: str = ""
    first: str = ""
    extra: tuple[str, ...] = ()
    spatial: int = 0
    is_function: bool = False


# --- where tensors go ---


def permuted(*axes: int) -> MakeOps:
    """The tensor with its axes in another order."""
    return lambda config, shape: [{"op": "permute", "axes": list(axes)}]


def spatial_first(config: Config, shape: Sequence[int]) -> Ops:
    """(out, in, ...) to (..., in, out)."""
    return [{"op": "permute", "axes": [*range(2, len(shape)), 1, 0]}]


def projection(part: int) -> MakeOps:
    """One third of the rows of a packed (3E, E) weight, as (E, heads, E/heads)."""

    def ops(config: Config, shape: Sequence[int]) -> Ops:
        heads, size, width = int(config["num_heads"]), shape[0] // 3, shape[1]
        return [
            {"op": "slice", "axis": 0, "start": part * size, "stop": (part + 1) * size},
            {"op": "permute", "axes": [1, 0]},
            {"op": "reshape", "shape": [width, heads, size // heads]},
        ]

    return ops


def projection_bias(part: int) -> MakeOps:
    """One third of a packed bias (3E,), as (heads, E/heads)."""

    def ops(config: Config, shape: Sequence[int]) -> Ops:
        heads, size = int(config["num_heads"]), shape[0] // 3
        return [
            {"op": "slice", "axis": 0, "start": part * size, "stop": (part + 1) * size},
            {"op": "reshape", "shape": [heads, size // heads]},
        ]

    return ops


def joined_heads(config: Config, shape: Sequence[int]) -> Ops:
    """(out, E) to (heads, E/heads, out)."""
    heads = int(config["num_heads"])
    return [
        {"op": "permute", "axes": [1, 0]},
        {"op": "reshape", "shape": [heads, shape[1] // heads, shape[0]]},
    ]


BIAS = (Variable("bias"),)
SCALED = {"weight": (Variable("scale"),), "bias": BIAS}
_PROJECTIONS = ("query", "key", "value")


def _kernel(rank: int) -> dict[str, tuple[Variable, ...]]:
    axes = ", ".join(str(axis) for axis in (rank + 1, rank, *range(rank)))
    read = f"jnp.transpose({{}}, ({axes}))"
    return {"weight": (Variable("kernel", spatial_first, read),), "bias": BIAS}


# --- when a layer of Flax computes the same ---


def _zero_padded(config: Config) -> bool:
    return config.get("padding_mode") == "zeros"


def _plain_transpose(config: Config) -> bool:
    """Whether ``VALID`` of Flax is torch's padding of 0: the windows must touch."""
    sizes = zip(config["kernel_size"], config["stride"], strict=True)
    ones = [*config["dilation"], config["groups"]]
    zeros = [*config["padding"], *config["output_padding"]]
    return all(k >= s for k, s in sizes) and set(ones) == {1} and set(zeros) == {0}


def _counts_batches(config: Config) -> bool:
    """Running statistics by a fixed momentum; the cumulative average is torch's own."""
    return bool(config.get("track_running_stats")) and config.get("momentum") is not None


def _one_axis(config: Config) -> bool:
    return len(config.get("normalized_shape") or ()) == 1


def _one_axis_with_eps(config: Config) -> bool:
    return _one_axis(config) and config.get("eps") is not None


def _plain_rows(config: Config) -> bool:
    return config.get("padding_idx") is None and config.get("max_norm") is None


def _plain_attention(config: Config) -> bool:
    """Batch first, one width, and no dropout, whose mask Flax draws in another shape."""
    width = config.get("embed_dim")
    one_width = config.get("kdim") == width and config.get("vdim") == width
    plain = not config.get("add_zero_attn") and config.get("dropout") == 0
    return bool(config.get("batch_first")) and one_width and plain


# --- the records ---

_CONVOLUTION = "in_channels out_channels kernel_size:sizes stride:tuple=1 padding:padding=0"


def _conv(rank: int) -> Switch:
    return Switch(
        f"torch.nn.Conv{rank}d",
        "nnx.Conv",
        f"{_CONVOLUTION} dilation:tuple=1 groups=1 bias=True padding_mode:ignore='zeros' {PLACES}",
        (
            "{in_channels}",
            "{out_channels}",
            "kernel_size={kernel_size}",
            "{stride?strides=%}",
            'padding={padding|"VALID"}',
            "{dilation?kernel_dilation=%}",
            "{groups?feature_group_count=%}",
            "{bias?use_bias=%}",
        ),
        variables=_kernel(rank),
        sound=_zero_padded,
        attributes={"in_channels": "in_features", "out_channels": "out_features"},
        first="ChannelsFirstConv",
        spatial=rank,
    )


def _conv_transpose(rank: int) -> Switch:
    return Switch(
        f"torch.nn.ConvTranspose{rank}d",
        "nnx.ConvTranspose",
        f"{_CONVOLUTION} output_padding:ignore=0 groups:ignore=1 bias=True dilation:ignore=1 "
        f"padding_mode:ignore='zeros' {PLACES}",
        (
            "{in_channels}",
            "{out_channels}",
            "kernel_size={kernel_size}",
            "{stride?strides=%}",
            'padding="VALID"',
            "transpose_kernel=True",
            "{bias?use_bias=%}",
        ),
        variables=_kernel(rank),
        sound=_plain_transpose,
        attributes={"in_channels": "in_features", "out_channels": "out_features"},
        first="ChannelsFirstConvTranspose",
        spatial=rank,
    )


def _batch_norm(rank: int) -> Switch:
    return Switch(
        f"torch.nn.BatchNorm{rank}d",
        "nnx.BatchNorm",
        f"num_features eps=1e-5 momentum:rest=0.1 affine=True track_running_stats:ignore=True {PLACES}",
        (
            "{num_features}",
            "{eps?epsilon=%}",
            "{momentum?momentum=%}",
            "{affine?use_scale=%}",
            "{affine?use_bias=%}",
        ),
        variables={
            **SCALED,
            "running_mean": (Variable("mean"),),
            "running_var": (Variable("var"),),
            "num_batches_tracked": (),
        },
        sound=_counts_batches,
        attributes={"num_features": "num_features", "eps": "epsilon"},
        last="BatchNorm",
        first="BatchNorm",
        extra=("axis=1",),
        spatial=rank,
    )


def _activation(layer: str, to: str, params: str = "", *arguments: str) -> Switch:
    return Switch(f"torch.nn.{layer}", to, params, arguments, is_function=True)


_INPLACE = "inplace:ignore=False"

RECORDS = (
    Switch(
        "torch.nn.Linear",
        "nnx.Linear",
        f"in_features out_features bias=True {PLACES}",
        ("{in_features}", "{out_features}", "{bias?use_bias=%}"),
        variables={"weight": (Variable("kernel", permuted(1, 0), "{}.T"),), "bias": BIAS},
        attributes={"in_features": "in_features", "out_features": "out_features"},
    ),
    *(_conv(rank) for rank in (1, 2, 3)),
    *(_conv_transpose(rank) for rank in (1, 2, 3)),
    *(_batch_norm(rank) for rank in (1, 2, 3)),
    Switch(
        "torch.nn.LayerNorm",
        "nnx.LayerNorm",
        f"normalized_shape:single eps=1e-5 elementwise_affine bias=True {PLACES}",
        (
            "{normalized_shape}",
            "epsilon={eps}",
            "use_scale={elementwise_affine}",
            "use_bias={elementwise_affine.}{bias? and %}",
            "use_fast_variance=False",
        ),
        when="elementwise_affine",
        variables=SCALED,
        sound=_one_axis,
        attributes={"eps": "epsilon"},
    ),
    Switch(
        "torch.nn.LayerNorm",
        "nnx.LayerNorm",
        f"normalized_shape:single eps=1e-5 elementwise_affine=True bias=True {PLACES}",
        ("{normalized_shape}", "epsilon={eps}", "{bias?use_bias=%}", "use_fast_variance=False"),
        variables=SCALED,
        sound=_one_axis,
        attributes={"eps": "epsilon"},
    ),
    Switch(
        "torch.nn.RMSNorm",
        "nnx.RMSNorm",
        f"normalized_shape:single eps=None elementwise_affine=True {PLACES}",
        ("{normalized_shape}", "epsilon={eps}", "{elementwise_affine?use_scale=%}"),
        variables={"weight": (Variable("scale"),)},
        sound=_one_axis_with_eps,
        attributes={"eps": "epsilon"},
    ),
    Switch(
        "torch.nn.GroupNorm",
        "nnx.GroupNorm",
        f"num_groups num_channels eps=1e-5 affine=True {PLACES}",
        (
            "{num_channels}",
            "num_groups={num_groups}",
            "epsilon={eps}",
            "{affine?use_scale=%}",
            "{affine?use_bias=%}",
            "use_fast_variance=False",
        ),
        variables=SCALED,
        attributes={"num_groups": "num_groups", "eps": "epsilon"},
        first="ChannelsFirstGroupNorm",
        spatial=-1,
    ),
    Switch(
        "torch.nn.Embedding",
        "nnx.Embed",
        "num_embeddings embedding_dim padding_idx:ignore=None max_norm:ignore=None "
        f"norm_type:ignore=2.0 scale_grad_by_freq=False sparse:ignore=False {PLACES}",
        ("{num_embeddings}", "{embedding_dim}"),
        when="!scale_grad_by_freq",
        variables={"weight": (Variable("embedding"),)},
        sound=_plain_rows,
        attributes={"num_embeddings": "num_embeddings", "embedding_dim": "features"},
    ),
    Switch(
        "torch.nn.MultiheadAttention",
        "nnx.MultiHeadAttention",
        "embed_dim num_heads dropout:ignore=0.0 bias=True add_bias_kv:ignore=False "
        "add_zero_attn:ignore=False kdim:ignore=None vdim:ignore=None "
        f"batch_first:ignore=False {PLACES}",
        (
            "{num_heads}",
            "{embed_dim}",
            "{bias?use_bias=%}",
            "attention_fn=attend",
            "decode=False",
        ),
        variables={
            "in_proj_weight": tuple(
                Variable(f"{name}.kernel", projection(i)) for i, name in enumerate(_PROJECTIONS)
            ),
            "in_proj_bias": tuple(
                Variable(f"{name}.bias", projection_bias(i)) for i, name in enumerate(_PROJECTIONS)
            ),
            "out_proj.weight": (Variable("out.kernel", joined_heads),),
            "out_proj.bias": (Variable("out.bias"),),
        },
        sound=_plain_attention,
        attributes={"embed_dim": "in_features", "num_heads": "num_heads", "head_dim": "head_dim"},
    ),
    Switch(
        "torch.nn.Dropout",
        "nnx.Dropout",
        f"p=0.5 {_INPLACE}",
        ("{p}",),
        attributes={"p": "rate"},
    ),
    Switch(
        "torch.nn.Dropout2d",
        "nnx.Dropout",
        f"p=0.5 {_INPLACE}",
        ("{p}", "broadcast_dims=(2, 3)"),
        attributes={"p": "rate"},
    ),
    _activation("ReLU", "jax.nn.relu", _INPLACE),
    _activation("ReLU6", "jax.nn.relu6", _INPLACE),
    _activation("SiLU", "jax.nn.silu", _INPLACE),
    _activation("SELU", "jax.nn.selu", _INPLACE),
    _activation("ELU", "jax.nn.elu", f"alpha=1.0 {_INPLACE}", "{alpha?alpha=%}"),
    _activation("CELU", "jax.nn.celu", f"alpha=1.0 {_INPLACE}", "{alpha?alpha=%}"),
    _activation(
        "LeakyReLU",
        "jax.nn.leaky_relu",
        f"negative_slope=0.01 {_INPLACE}",
        "{negative_slope?negative_slope=%}",
    ),
    _activation("Sigmoid", "jax.nn.sigmoid"),
    _activation("Tanh", "jnp.tanh"),
    _activation("LogSigmoid", "jax.nn.log_sigmoid"),
    _activation("Softsign", "jax.nn.soft_sign"),
    _activation(
        "GELU", "jax.nn.gelu", "approximate:tanh='none'", "approximate={approximate|False}"
    ),
    _activation("Softmax", "jax.nn.softmax", "dim", "axis={dim}"),
    _activation("LogSoftmax", "jax.nn.log_softmax", "dim", "axis={dim}"),
    _activation("GLU", "jax.nn.glu", "dim=-1", "axis={dim}"),
)

SEQUENTIAL = Switch("torch.nn.Sequential", "nnx.Sequential")


def by_layer(records: Sequence[Switch]) -> dict[str, tuple[Switch, ...]]:
    """Records by the layer that they are for, in their order."""
    found: dict[str, tuple[Switch, ...]] = {}
    for record in records:
        found[record.layer] = (*found.get(record.layer, ()), record)
    return found
