"""Functions of networks that jax has under its own name. The others are the prelude's."""

from __future__ import annotations

from ferry.translate.ops import Op

_LAST = "_stacklevel:ignore=3"
_WINDOWS = "kernel_size stride=None padding=0 dilation=1 ceil_mode=False return_indices=False"
_WINDOWS_TO = (
    "{input}, {kernel_size}{stride?, stride=%}{padding?, padding=%}{dilation?, dilation=%}"
    "{ceil_mode?, ceil_mode=%}"
)
_INDEXED = (
    *(
        Op(
            f"F.max_pool{rank}d torch.max_pool{rank}d",
            f"input {_WINDOWS}",
            f"max_pool{rank}d_with_indices({_WINDOWS_TO})",
            when="return_indices=True",
            result="tuple",
        )
        for rank in (1, 2, 3)
    ),
    *(
        Op(
            f"F.adaptive_max_pool{rank}d",
            "input output_size return_indices=False",
            f"adaptive_max_pool{rank}d_with_indices({{input}}, {{output_size}})",
            when="return_indices=True",
            result="tuple",
        )
        for rank in (1, 2, 3)
    ),
)

RECORDS = (
    *_INDEXED,
    Op("F.relu", "input inplace:inplace=False", "jax.nn.relu({input})"),
    Op("F.selu", "input inplace:inplace=False", "jax.nn.selu({input})"),
    Op("F.softsign", "input", "jax.nn.soft_sign({input})"),
    Op("F.logsigmoid", "input", "jax.nn.log_sigmoid({input})"),
    Op("F.sigmoid", "input", "jax.nn.sigmoid({input})"),
    Op("F.tanh", "input", "jnp.tanh({input})"),
    Op("F.silu", "input inplace:inplace=False", "jax.nn.silu({input})"),
    Op("F.gelu", "input", "jax.nn.gelu({input}, approximate=False)"),
    Op(
        "F.gelu",
        "input * approximate",
        "jax.nn.gelu({input}, approximate=False)",
        when="approximate='none'",
    ),
    Op(
        "F.gelu",
        "input * approximate",
        "jax.nn.gelu({input}, approximate=True)",
        when="approximate='tanh'",
    ),
    Op(
        "F.gelu",
        "input * approximate",
        'jax.nn.gelu({input}, approximate={approximate.} == "tanh")',
    ),
    Op("F.softmax", f"input dim {_LAST}", "jax.nn.softmax({input}, axis={dim})", when="dim:int"),
    Op(
        "F.softmax",
        f"input dim {_LAST} dtype=None",
        "jax.nn.softmax({input.}.astype({dtype}), axis={dim})",
        when="dtype",
    ),
    Op(
        "F.log_softmax",
        f"input dim {_LAST}",
        "jax.nn.log_softmax({input}, axis={dim})",
        when="dim:int",
    ),
    Op(
        "F.log_softmax",
        f"input dim {_LAST} dtype=None",
        "jax.nn.log_softmax({input.}.astype({dtype}), axis={dim})",
        when="dtype",
    ),
    Op(
        "torch.softmax Tensor.softmax",
        "input dim * dtype=None",
        "jax.nn.softmax({input}, axis={dim})",
        when="!dtype",
    ),
    Op(
        "torch.softmax Tensor.softmax",
        "input dim dtype",
        "jax.nn.softmax({input.}.astype({dtype}), axis={dim})",
    ),
    Op(
        "torch.log_softmax Tensor.log_softmax",
        "input dim * dtype=None",
        "jax.nn.log_softmax({input}, axis={dim})",
        when="!dtype",
    ),
    Op(
        "torch.log_softmax Tensor.log_softmax",
        "input dim dtype",
        "jax.nn.log_softmax({input.}.astype({dtype}), axis={dim})",
    ),
    Op(
        "F.upsample",
        "input size=None scale_factor=None mode='nearest' align_corners=None",
        "interpolate({input}{size?, size=%}{scale_factor?, scale_factor=%}{mode?, mode=%}"
        "{align_corners?, align_corners=%})",
    ),
    Op(
        "torch.utils.checkpoint.checkpoint",
        "function *args:raw * use_reentrant:ignore=None preserve_rng_state:ignore=True",
        "{function.}({args})",
    ),
)
