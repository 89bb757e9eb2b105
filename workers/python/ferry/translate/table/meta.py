"""Types, sizes, places, gradients: what a tensor is rather than what it holds."""

from __future__ import annotations

from ferry.translate.ops import Op

_TO = "non_blocking:ignore=False copy:ignore=False memory_format:ignore=None"

RECORDS = (
    Op("Tensor.size", "input", "{input.}.shape", result="size"),
    Op("Tensor.size torch.Tensor.size", "input dim", "{input.}.shape[{dim}]", result="int"),
    Op("Tensor.dim Tensor.ndimension", "input", "{input.}.ndim", result="int"),
    Op("Tensor.numel Tensor.nelement torch.numel", "input", "{input.}.size", result="int"),
    Op("Tensor.element_size", "input", "{input.}.dtype.itemsize", result="int"),
    Op("Tensor.__len__", "input", "len({input})", result="int"),
    Op(
        "Tensor.to Tensor.type",
        f"input dtype {_TO}",
        "{input.}.astype({dtype})",
        when="dtype:dtype",
    ),
    Op("Tensor.to", f"input other {_TO}", "{input.}.astype({other.}.dtype)", when="other:tensor"),
    Op(
        "Tensor.to",
        f"input device:ignore dtype {_TO}",
        "{input.}.astype({dtype})",
        when="device:device,dtype:dtype",
    ),
    Op("Tensor.to", f"input device:ignore=None {_TO}", "{input}", when="device:device"),
    Op("Tensor.to", f"input * device:ignore=None dtype {_TO}", "{input.}.astype({dtype})"),
    Op("Tensor.type_as", "input other", "{input.}.astype({other.}.dtype)"),
    Op("Tensor.float", f"input {_TO}", "{input.}.astype(jnp.float32)"),
    Op("Tensor.double", f"input {_TO}", "{input.}.astype(jnp.float64)"),
    Op("Tensor.half", f"input {_TO}", "{input.}.astype(jnp.float16)"),
    Op("Tensor.bfloat16", f"input {_TO}", "{input.}.astype(jnp.bfloat16)"),
    Op("Tensor.int", f"input {_TO}", "{input.}.astype(jnp.int32)"),
    Op("Tensor.long", f"input {_TO}", "{input.}.astype(int)"),
    Op("Tensor.short", f"input {_TO}", "{input.}.astype(jnp.int16)"),
    Op("Tensor.char", f"input {_TO}", "{input.}.astype(jnp.int8)"),
    Op("Tensor.byte", f"input {_TO}", "{input.}.astype(jnp.uint8)"),
    Op("Tensor.bool", f"input {_TO}", "{input.}.astype(bool)"),
    Op(
        "Tensor.cuda Tensor.cpu",
        "input device:ignore=None non_blocking:ignore=False memory_format:ignore=None",
        "{input}",
    ),
    Op("Tensor.to_sparse Tensor.to_dense", "input", "{input}"),
    Op("Tensor.detach torch.detach", "input", "lax.stop_gradient({input})"),
    Op("Tensor.requires_grad_", "input requires_grad:ignore=True", "{input}"),
    Op(
        "torch.autograd.Variable",
        "data requires_grad:ignore=False volatile:ignore=False",
        "{data}",
    ),
    Op("Tensor.get_device", "input:ignore", "-1", result="int"),
    Op(
        "Tensor.is_floating_point torch.is_floating_point",
        "input",
        "jnp.issubdtype({input.}.dtype, jnp.floating)",
        result="bool",
    ),
    Op("Tensor.is_complex torch.is_complex", "input", "jnp.iscomplexobj({input})", result="bool"),
    Op("torch.is_tensor", "obj", "isinstance({obj}, jax.Array)", result="bool"),
    Op("torch.numel", "input", "{input.}.size", result="int"),
    Op("torch.get_default_dtype", "", "jnp.result_type(float)", result="dtype"),
    Op("torch.promote_types", "type1 type2", "jnp.promote_types({type1}, {type2})", result="dtype"),
    Op(
        "torch.result_type",
        "tensor1 tensor2",
        "jnp.result_type({tensor1}, {tensor2})",
        result="dtype",
    ),
    Op(
        "Tensor.is_contiguous",
        "input:ignore memory_format:ignore=None",
        "True",
        result="bool",
    ),
    Op("torch.finfo", "type", "jnp.finfo({type})", result="other"),
    Op("torch.iinfo", "type", "jnp.iinfo({type})", result="other"),
    Op("torch.Size", "sizes", "tuple({sizes})", result="size"),
    Op(
        "torch.cuda.is_available torch.jit.is_scripting torch.jit.is_tracing",
        "",
        "False",
        result="bool",
    ),
    Op(
        "torch.onnx.is_in_onnx_export torch.compiler.is_compiling torch.is_autocast_enabled",
        "",
        "False",
        result="bool",
    ),
    Op("torch.is_grad_enabled", "", "True", result="bool"),
    Op(
        "torch.utils._pytree.register_pytree_node",
        "cls flatten_fn unflatten_fn * serialized_type_name:ignore=None "
        "flatten_with_keys_fn:ignore=None to_dumpable_context:ignore=None "
        "from_dumpable_context:ignore=None",
        "register_tree({cls}, {flatten_fn}, {unflatten_fn})",
        result="none",
    ),
    Op("torch.broadcast_shapes", "*shapes:raw", "jnp.broadcast_shapes({shapes})", result="size"),
    Op("torch.device", "type:ignore index:ignore=None", "None", result="none"),
)

# attributes of tensors; an empty text means that the name stays
ATTRIBUTES = {
    "shape": "",
    "dtype": "",
    "ndim": "",
    "T": "",
    "mT": "",
    "real": "",
    "imag": "",
    "itemsize": "",
    "device": "None",
    "is_cuda": "False",
    "data": "lax.stop_gradient({input})",
}

# dtypes: int64 is written `int`, which follows jax's own switch for 64-bit types
DTYPES = {
    "float32": "jnp.float32",
    "float": "jnp.float32",
    "float64": "jnp.float64",
    "double": "jnp.float64",
    "float16": "jnp.float16",
    "half": "jnp.float16",
    "bfloat16": "jnp.bfloat16",
    "int64": "int",
    "long": "int",
    "int32": "jnp.int32",
    "int": "jnp.int32",
    "int16": "jnp.int16",
    "short": "jnp.int16",
    "int8": "jnp.int8",
    "uint8": "jnp.uint8",
    "bool": "bool",
    "complex64": "jnp.complex64",
    "complex128": "jnp.complex128",
    "cfloat": "jnp.complex64",
}

CONSTANTS = {
    "torch.inf": "jnp.inf",
    "torch.nan": "jnp.nan",
    "torch.pi": "jnp.pi",
    "torch.e": "jnp.e",
    "torch.newaxis": "None",
}

# classes and types; layers are the prelude's own
CLASSES = {
    "torch.Tensor": "jax.Array",
    "torch.FloatTensor": "jax.Array",
    "torch.LongTensor": "jax.Array",
    "torch.BoolTensor": "jax.Array",
    "torch.nn.Module": "nnx.Module",
    "torch.nn.Parameter": "nnx.Param",
    "torch.nn.parameter.Parameter": "nnx.Param",
    "torch.nn.ModuleList": "nnx.List",
    "torch.nn.ModuleDict": "nnx.Dict",
    "torch.nn.ParameterList": "nnx.List",
    "torch.nn.ParameterDict": "nnx.Dict",
    "torch.Size": "tuple",
    "torch.dtype": "jnp.dtype",
    "torch.device": "object",
}
