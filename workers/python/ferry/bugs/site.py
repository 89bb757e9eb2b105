"""One call of a torch function in the source, and what a wrong rule may do to it.

Every call into torch passes a function mode, whether the source wrote ``F.gelu(x)``,
``nn.GELU()(x)`` or kept the function under another name. `Site` gives its arguments by the
names of torch's documentation; a *mutation* computes from a site what the wrong rule gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

from ferry.oracle.trees import Leaves

# The parameters of each operation in order; those that follow ``=`` have a default.
_DECLARED = """
add input other alpha=1
adaptive_avg_pool1d input output_size
adaptive_avg_pool2d input output_size
adaptive_avg_pool3d input output_size
avg_pool1d input kernel_size stride=None padding=0 ceil_mode=False count_include_pad=True
avg_pool2d input kernel_size stride=None padding=0 ceil_mode=False count_include_pad=True divisor_override=None
avg_pool3d input kernel_size stride=None padding=0 ceil_mode=False count_include_pad=True divisor_override=None
batch_norm input running_mean running_var weight=None bias=None training=False momentum=0.1 eps=1e-5
binary_cross_entropy_with_logits input target weight=None size_average=None reduce=None reduction='mean' pos_weight=None
bmm input mat2
cat tensors dim=0
celu input alpha=1.0
chunk input chunks dim=0
clamp input min=None max=None
conv1d input weight bias=None stride=1 padding=0 dilation=1 groups=1
conv2d input weight bias=None stride=1 padding=0 dilation=1 groups=1
conv3d input weight bias=None stride=1 padding=0 dilation=1 groups=1
conv_transpose1d input weight bias=None stride=1 padding=0 output_padding=0 groups=1 dilation=1
conv_transpose2d input weight bias=None stride=1 padding=0 output_padding=0 groups=1 dilation=1
conv_transpose3d input weight bias=None stride=1 padding=0 output_padding=0 groups=1 dilation=1
cross_entropy input target weight=None size_average=None ignore_index=-100 reduce=None reduction='mean' label_smoothing=0.0
cumsum input dim
detach input
div input other rounding_mode=None
dropout input p=0.5 training=True inplace=False
einsum equation left=None right=None
elu input alpha=1.0
embedding input weight padding_idx=None max_norm=None norm_type=2.0
flatten input start_dim=0 end_dim=-1
floor_divide input other
fmod input other
gelu input approximate='none'
glu input dim=-1
grid_sample input grid mode='bilinear' padding_mode='zeros' align_corners=None
group_norm input num_groups weight=None bias=None eps=1e-5
gru input hx flat_weights bias layers dropout train bidirectional batch_first
gru_cell input hx w_ih w_hh b_ih=None b_hh=None
hardsigmoid input inplace=False
hardtanh input min_val=-1.0 max_val=1.0 inplace=False
instance_norm input running_mean=None running_var=None weight=None bias=None use_input_stats=True momentum=0.1 eps=1e-5
interpolate input size=None scale_factor=None mode='nearest' align_corners=None recompute_scale_factor=None antialias=False
kl_div input target size_average=None reduce=None reduction='mean' log_target=False
layer_norm input normalized_shape weight=None bias=None eps=1e-5
leaky_relu input negative_slope=0.01 inplace=False
linear input weight bias=None
local_response_norm input size alpha=0.0001 beta=0.75 k=1.0
log_softmax input dim=None
lstm input hx flat_weights bias layers dropout train bidirectional batch_first
lstm_cell input hx w_ih w_hh b_ih=None b_hh=None
masked_fill input mask value
matmul input other
max_pool1d input kernel_size stride=None padding=0 dilation=1 ceil_mode=False return_indices=False
max_pool2d input kernel_size stride=None padding=0 dilation=1 ceil_mode=False return_indices=False
max_pool3d input kernel_size stride=None padding=0 dilation=1 ceil_mode=False return_indices=False
mean input dim=None keepdim=False
median input dim=None keepdim=False
meshgrid first second indexing=None
mse_loss input target size_average=None reduce=None reduction='mean'
mul input other
multi_head_attention_forward query key value embed_dim num_heads in_proj_weight in_proj_bias bias_k bias_v add_zero_attn dropout_p out_proj_weight out_proj_bias training=True key_padding_mask=None need_weights=True attn_mask=None use_separate_proj_weight=False q_proj_weight=None k_proj_weight=None v_proj_weight=None static_k=None static_v=None average_attn_weights=True is_causal=False
nll_loss input target weight=None size_average=None ignore_index=-100 reduce=None reduction='mean'
normalize input p=2.0 dim=1 eps=1e-12
pad input pad mode='constant' value=None
pairwise_distance x1 x2 p=2.0 eps=1e-6 keepdim=False
permute input
pixel_shuffle input upscale_factor
pixel_unshuffle input downscale_factor
prelu input weight
remainder input other
repeat input
repeat_interleave input repeats dim=None
reshape input
rms_norm input normalized_shape weight=None eps=None
rnn_relu input hx flat_weights bias layers dropout train bidirectional batch_first
rnn_relu_cell input hx w_ih w_hh b_ih=None b_hh=None
rnn_tanh input hx flat_weights bias layers dropout train bidirectional batch_first
rnn_tanh_cell input hx w_ih w_hh b_ih=None b_hh=None
roll input shifts dims=None
scaled_dot_product_attention query key value attn_mask=None dropout_p=0.0 is_causal=False scale=None enable_gqa=False
silu input inplace=False
smooth_l1_loss input target size_average=None reduce=None reduction='mean' beta=1.0
huber_loss input target reduction='mean' delta=1.0
softmax input dim=None
softplus input beta=1.0 threshold=20.0
sort input dim=-1 descending=False
split tensor split_size_or_sections dim=0
std input dim=None unbiased=None
std_mean input dim=None unbiased=None
sum input dim=None keepdim=False
topk input k dim=-1 largest=True
transpose input dim0 dim1
tril input diagonal=0
triu input diagonal=0
unbind input dim=0
var input dim=None unbiased=None
var_mean input dim=None unbiased=None
view input
where condition input other
_weight_norm v g dim=0
"""

# Shapes and orders may be given as one sequence or as separate arguments.
VARIADIC = {"view", "reshape", "permute", "repeat"}


def _literal(text: str) -> Any:
    plain = {"None": None, "True": True, "False": False}
    if text in plain:
        return plain[text]
    if text.startswith("'"):
        return text.strip("'")
    return float(text) if "." in text or "e" in text else int(text)


def _declared(text: str) -> dict[str, dict[str, Any]]:
    table = {}
    for line in text.strip().splitlines():
        op, *parameters = line.split()
        pairs = [p.partition("=") for p in parameters]
        table[op] = {name: _literal(default or "None") for name, _, default in pairs}
    return table


SIGNATURES = _declared(_DECLARED)


class _Same:
    """What a mutation answers where its rule changes nothing at a site."""


SAME = _Same()


class Site:
    """One call: ``site["input"]`` is an argument or its default, `original` runs it again.

    `wanted` is what the candidate gave at the place in question, for the few rules whose
    mutant depends on it (a random mask).
    """

    def __init__(
        self,
        op: str,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        wanted: Leaves | None = None,
    ) -> None:
        self.op = op
        self.wanted = wanted
        self.args = args
        self._func = func
        self._kwargs = dict(kwargs)
        self._names = list(SIGNATURES[op])

    def __getitem__(self, name: str) -> Any:
        if name in self._kwargs:
            return self._kwargs[name]
        position = self._names.index(name) if name in self._names else len(self.args)
        if position < len(self.args):
            return self.args[position]
        return SIGNATURES[self.op].get(name)

    def has(self, name: str) -> bool:
        """Whether the operation has a parameter of that name."""
        return name in SIGNATURES[self.op]

    @property
    def numbers(self) -> list[Any]:
        """The shape or order of a variadic operation."""
        rest = list(self.args[1:]) or list(self._kwargs.values())[:1]
        return list(rest[0]) if len(rest) == 1 and isinstance(rest[0], tuple | list) else rest

    @property
    def dims(self) -> int:
        """The number of spatial dimensions of a convolution, pool or resize."""
        spatial: int = self["input"].ndim - 2
        return spatial

    def each(self, name: str) -> tuple[Any, ...]:
        """An argument that is one number for all spatial dimensions or one for each."""
        value = self[name]
        if isinstance(value, tuple | list):
            return tuple(value) * (self.dims if len(value) == 1 else 1)
        return (value,) * self.dims

    def original(self, **changes: Any) -> Any:
        """The call as the source makes it, with some arguments changed."""
        args, kwargs = list(self.args), dict(self._kwargs)
        for name, value in changes.items():
            position = self._names.index(name) if name in self._names else len(args)
            if position < len(args) and name not in kwargs:
                args[position] = value
            else:
                kwargs[name] = value
        return self._func(*args, **kwargs)


Mutation = Callable[[Site], Any]

_Untyped: Any = TorchFunctionMode


class Mutating(_Untyped):
    """While entered, the operations `ops` are computed by `mutation`.

    `only` limits that to the n-th of the sites that it would change; `hits` counts those
    sites. While `paused` is not zero all calls are left alone. `seen` collects the names of
    all operations that were called meanwhile.
    """

    def __init__(
        self,
        ops: tuple[str, ...] = (),
        mutation: Mutation | None = None,
        only: int | None = None,
        wanted: Leaves | None = None,
    ) -> None:
        super().__init__()
        self.hits = 0
        self.paused = 0
        self.seen: set[str] = set()
        self._ops = set(ops)
        self._mutation = mutation
        self._only = only
        self._wanted = wanted

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(getattr(func, "__name__", ""))
        op = _operation(name)
        if self.paused or op not in SIGNATURES:
            return func(*args, **kwargs)
        self.seen.add(op)
        if op not in self._ops or self._mutation is None:
            return func(*args, **kwargs)
        in_place = (name != op and name.endswith("_")) or bool(kwargs.get("inplace"))
        own = (args[0].clone(), *args[1:]) if in_place else args
        result = self._mutation(Site(op, func, own, kwargs, self._wanted))
        if not self.takes(result):
            return func(*args, **kwargs)
        return args[0].copy_(result) if in_place else result

    def takes(self, result: Any) -> bool:
        """Count a site that the mutation changes; whether it is to be changed in this run."""
        if result is SAME or result is None:
            return False
        self.hits += 1
        return self._only is None or self._only == self.hits - 1


# Other names that torch's dispatch shows for an operation.
_ALIASES = {
    "_softmax": "softmax",
    "true_divide": "div",
    "concat": "cat",
    "__floordiv__": "floor_divide",
}


def _operation(name: str) -> str:
    """The operation behind the name of a function, method or in-place method."""
    if name in SIGNATURES:
        return name
    bare = name.removesuffix("_") if not name.startswith("__") else name
    return _ALIASES.get(bare, bare)
