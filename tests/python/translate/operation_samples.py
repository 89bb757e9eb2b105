"""Sample calls of the table's operations, as arguments by torch's own names.

`INPUTS` are the arrays that samples name. A sample is the text between a call's parentheses;
`operation_calls` writes it in all styles that torch takes. `GRADLESS` are inputs at which a
function is not smooth in the sense that both libraries define alike (infinities, NaN).
"""

from __future__ import annotations

import numpy as np

_rng = np.random.default_rng(20)


def _normal(*shape: int) -> np.ndarray:
    return _rng.normal(size=shape)


INPUTS: dict[str, np.ndarray] = {
    "x": _normal(3, 4),
    "y": _normal(3, 4),
    "row": _normal(4),
    "col": _normal(3, 1),
    "w": _normal(3),
    "one": _normal(),
    "deep": _normal(2, 3, 4),
    "deeper": _normal(2, 4, 5),
    "mat": _normal(4, 5),
    "sq": _normal(3, 3),
    "spd": (lambda a: a @ a.T + 3 * np.eye(3))(_normal(3, 3)),
    "img": _normal(2, 4, 6, 8),
    "seq": _normal(2, 4, 9),
    "vol": _normal(1, 2, 4, 4, 6),
    "pos": _rng.random((3, 4)) + 0.5,
    "unit": _rng.random((3, 4)) * 0.9 + 0.05,
    "above": _rng.random((3, 4)) + 1.1,
    "wide": _normal(3, 4) * 8,
    "ties": np.array([[0.0, 1.0, -1.0, 0.5], [1.0, 1.0, 0.0, -0.5], [2.0, -2.0, 2.0, 1.5]]),
    "edge": np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 1e-30, 700.0, -700.0]),
    "k": _rng.integers(-4, 5, (3, 4)),
    "n": _rng.integers(1, 6, (3, 4)),
    "i": _rng.integers(0, 3, (3, 4)),
    "perm": np.argsort(_rng.random((3, 4)), axis=0),
    "ix": np.array([2, 0]),
    "labels": np.array([1, 0, 3]),
    "b": _rng.random((3, 4)) < 0.5,
    "b2": _rng.random((3, 4)) < 0.5,
    "brow": np.array([True, False, True, True]),
    "c": _normal(3, 4) + 1j * _normal(3, 4),
    "sign": np.where(_rng.random((3, 4)) < 0.5, -1.0, 1.0),
    "sorted": np.array([-1.0, 0.0, 0.0, 1.5]),
}
GRADLESS = frozenset({"edge"})
FIXED = frozenset({"sign"})  # targets, to which torch gives no gradient

_POINTS = ("x", "ties", "edge", "k", "one")
_PAIRS = ("x, y", "x, row", "x, 2.5", "col, row", "ties, ties", "k, n", "x, n", "edge, edge")


def _each(names: str, *samples: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names.split(), samples)


def _torch(names: str, *samples: str) -> dict[str, tuple[str, ...]]:
    return {f"torch.{name}": samples for name in names.split()}


def _functional(names: str, *samples: str) -> dict[str, tuple[str, ...]]:
    return {f"torch.nn.functional.{name}": samples for name in names.split()}


def _methods(names: str, *samples: str) -> dict[str, tuple[str, ...]]:
    return {f"Tensor.{name}": samples for name in names.split()}


CREATION = {
    **_torch("zeros ones empty", "2, 3", "(2, 3)", "2, dtype=torch.int64", "size=(2, 3)"),
    **_torch("full", "(2, 3), 1.5", "size=(2,), fill_value=3", "(2,), 1, dtype=torch.float64"),
    **_torch(
        "arange",
        "5",
        "1, 6",
        "1, 9, 2",
        "0, 1, 0.25",
        "start=1, end=4",
        "5, dtype=torch.float64",
        "6, 0, -2",
    ),
    **_torch("eye", "3", "3, 4", "n=2, dtype=torch.int64"),
    **_torch("linspace", "0, 1, 5", "start=-1, end=1, steps=4", "0, 3, steps=1"),
    **_torch("logspace", "0, 2, 4", "start=0, end=1, steps=3, base=2.0"),
    **_torch(
        "tensor",
        "[1.0, 2.5]",
        "[[1, 2], [3, 4]]",
        "3.5",
        "[True, False]",
        "[1, 2], dtype=torch.float64",
    ),
    **_torch("FloatTensor LongTensor", "[1, 2]"),
    **_torch("as_tensor", "[1.0, 2.0]", "x", "x, dtype=torch.int64"),
    **_torch("zeros_like ones_like empty_like", "x", "k", "x, dtype=torch.int64"),
    **_torch("full_like", "x, 2.5", "k, 3", "input=x, fill_value=1, dtype=torch.int64"),
    **_methods(
        "new_zeros new_ones new_empty", "x, 2, 3", "x, (2, 3)", "x, (2,), dtype=torch.int64"
    ),
    **_methods("new_full", "x, (2, 3), 1.5", "k, (2,), 3"),
    **_methods("new_tensor", "x, [1.0, 2.0]", "k, [1, 2]"),
    **_torch("tril_indices triu_indices", "3, 4", "3, 3, 1", "row=2, col=3, offset=-1"),
    **_torch(
        "hann_window hamming_window blackman_window", "5", "6, False", "1", "4, periodic=True"
    ),
    **_torch("complex", "x, y"),
    **_torch("polar", "pos, x"),
}
SHAPE = {
    **_methods("view reshape", "deep, 6, 4", "deep, (4, -1)", "deep, -1"),
    **_torch("reshape", "deep, (6, 4)", "input=deep, shape=(-1,)"),
    **_methods("view_as reshape_as", "x, y"),
    **_torch("flatten", "deep", "deep, 1", "deep, start_dim=0, end_dim=1", "one"),
    **_torch("unflatten", "img, 1, (2, 2)", "input=img, dim=-1, sizes=(2, -1)"),
    **_torch("permute", "deep, (2, 0, 1)", "input=deep, dims=(0, 2, 1)"),
    **_methods("permute", "deep, 2, 0, 1", "deep, (-1, 0, 1)"),
    **_torch("transpose swapaxes swapdims", "deep, 0, 1", "deep, -1, -2"),
    **_torch("t", "x", "row"),
    **_torch("adjoint", "x", "c"),
    **_torch("movedim moveaxis", "deep, 0, 2", "deep, (0, 1), (2, 0)"),
    **_torch("unsqueeze", "x, 0", "x, dim=-1", "x, 1"),
    **_torch("squeeze", "col", "col, 1", "col, dim=0", "col, (0, 1)"),
    **_methods("expand", "col, 3, 4", "col, (2, 3, 4)", "col, -1, 5"),
    **_methods("expand_as", "col, x"),
    **_torch("broadcast_to", "col, (3, 4)"),
    **_torch("broadcast_tensors", "col, row"),
    **_methods("repeat", "x, 2, 3", "row, (2, 1, 2)", "row, 3"),
    **_torch("tile", "x, (2,)", "x, dims=(2, 3)"),
    **_methods("tile", "x, 2, 3", "x, (2, 1)"),
    **_torch("repeat_interleave", "x, 2", "x, 2, dim=1", "x, repeats=3, dim=-1"),
    **_torch(
        "split",
        "mat, 2",
        "mat, 2, 1",
        "mat, [1, 3], dim=0",
        "tensor=mat, split_size_or_sections=3, dim=1",
    ),
    **_methods("split", "mat, 2", "mat, 2, 1", "mat, [1, 4], dim=1", "mat, split_size=3"),
    **_torch("chunk", "mat, 3", "mat, 2, 1", "input=mat, chunks=4, dim=-1"),
    **_torch("tensor_split", "mat, 3", "mat, 2, dim=1", "mat, (1, 3), 1"),
    **_torch("hsplit", "x, 2"),
    **_torch("vsplit", "x, 3"),
    **_torch("dsplit", "deep, 2"),
    **_torch("unbind", "x", "x, 1", "input=x, dim=-1"),
    **_torch("cat concat concatenate", "[x, y]", "(x, y), 1", "tensors=[x, y], dim=-1", "[x, k]"),
    **_torch("stack", "[x, y]", "(x, y), 1", "tensors=[x, y], dim=-1"),
    **_torch("hstack vstack dstack", "[x, y]", "(row, row)"),
    **_torch("column_stack", "[w, w]", "(x, y)"),
    **_torch("roll", "x, 1", "x, 1, 0", "x, (1, 2), (0, 1)", "x, shifts=-1, dims=1"),
    **_torch("flip", "x, (0,)", "x, [0, 1]", "input=x, dims=(1,)"),
    **_methods("flip", "x, 0", "x, 0, 1", "x, (1,)"),
    **_torch("fliplr flipud", "x"),
    **_torch("rot90", "x", "x, 2", "x, 1, (1, 0)"),
    **_torch("narrow", "x, 1, 1, 2", "x, dim=0, start=-2, length=1"),
    **_torch("select", "x, 0, 1", "x, dim=1, index=-1"),
    **_methods("unfold", "x, 1, 2, 1", "deep, 2, 3, 1"),
    **_torch("meshgrid", "row, w", "w, row, indexing='ij'", "row, w, indexing='xy'"),
    **_methods("contiguous", "x"),
    **_torch("clone", "x"),
    **_torch("ravel", "x"),
    **_torch("atleast_1d atleast_2d atleast_3d", "one", "row", "deep"),
    **_torch("block_diag", "x, mat"),
    **_torch("cartesian_prod", "w, row"),
    **_torch("view_as_complex", "deep[..., :2]"),
    **_methods("fill_diagonal", "x, 1.5"),
    **_torch("broadcast_shapes", "(3, 1), (1, 4)"),
    **_torch("view_as_real", "c"),
    **_torch("kron", "x, sq"),
    **_torch("combinations", "w"),
}
INDEX = {
    **_torch("index_select", "x, 0, ix", "x, dim=1, index=ix"),
    **_torch("gather", "x, 0, i", "x, dim=1, index=i"),
    **_torch("scatter", "x, 0, perm, y", "x, 1, i, 2.0", "input=x, dim=0, index=perm, src=y", "x, 0, i, value=1.5"),
    **_torch("scatter_add", "x, 0, i, y", "x, dim=1, index=i, src=y"),
    **_torch("scatter_reduce", "x, 0, i, y, reduce='sum'", "x, 0, i, y, 'amax', include_self=False", "x, 1, i, y, 'mean'"),
    **_torch("index_add", "x, 0, ix, x[:2]", "x, dim=0, index=ix, source=x[:2], alpha=2"),
    **_torch("index_copy", "x, 0, ix, y[:2]", "x, dim=1, index=ix, source=y[:, :2]"),
    **_torch("index_fill", "x, 0, ix, 1.5", "x, dim=1, index=ix, value=2"),
    **_methods("index_put", "x, (ix,), y[:2]", "x, (ix, ix), row[:2], accumulate=True"),
    **_torch("masked_fill", "x, b, 2.0", "x, mask=b, value=float('-inf')", "x, brow, one"),
    **_torch("masked_scatter", "x, b, y"),
    **_torch("where", "b, x, y", "b, x, 0.0", "condition=b, input=x, other=y", "b, 1.0, row", "x > 0, x, k"),
    **_methods("where", "x, b, y", "x, b, 0.0", "x, condition=b, other=y"),
    **_torch("take", "x, i"), **_torch("take_along_dim", "x, i, 0", "x, indices=i, dim=1", "x, i"),
    **_torch("isin", "k, n"),
    **_torch("topk", "x, 2", "x, k=2, dim=0", "x, 3, -1, False", "x, 2, largest=True, sorted=True"),
    **_torch("sort", "x", "x, 0", "x, dim=1, descending=True", "x, -1, True", "ties, stable=True"),
    **_torch("argsort", "x", "x, 0", "x, dim=-1, descending=True"),
    **_torch("searchsorted", "sorted, x", "sorted, x, right=True"),
    **_torch("bucketize", "x, sorted", "x, boundaries=sorted, right=True"),
    **_torch("tril triu", "sq", "x, 1", "deep, diagonal=-1"),
    **_torch("diag", "row", "sq", "x, 1", "x, diagonal=-1"),
    **_torch("diagonal", "x", "deep, 0, 1, 2", "deep, offset=1, dim1=-2, dim2=-1"),
    **_torch("diag_embed", "x", "x, offset=1"), **_torch("diagflat", "w"),
    **_torch("trace", "x"),
    **_functional("one_hot", "i, 4", "labels, num_classes=5"),
}  # fmt: skip
_REDUCE = ("x", "x, 1", "x, dim=0, keepdim=True", "deep, (0, 2)", "deep, dim=[1, 2], keepdim=True")
REDUCE = {
    **_torch(
        "sum",
        *_REDUCE,
        "k",
        "b",
        "k, 1",
        "edge",
        "x, dtype=torch.float64",
        "x, dim=1, dtype=torch.float64",
        "x, -1, True",
    ),
    **_torch("mean", *_REDUCE, "edge", "k, dtype=torch.float64", "deep, -1, True"),
    **_torch("prod", "x", "x, 1", "x, dim=0, keepdim=True", "k", "ties, 1"),
    **_torch("nansum nanmean", "x", "edge", "x, 1, True"),
    **_torch(
        "max min",
        "x",
        "ties",
        "x, y",
        "ties, -ties",
        "x, 1",
        "ties, dim=1, keepdim=True",
        "k",
        "x, 1, True",
        "edge",
        "x, dim=-1",
    ),
    **_torch("amax amin", *_REDUCE, "ties", "ties, 1", "edge", "k"),
    **_torch("aminmax", "x", "x, dim=1, keepdim=True"),
    **_torch("argmax argmin", "x", "x, 1", "x, dim=0, keepdim=True", "ties", "edge", "k, -1"),
    **_torch(
        "std var",
        *_REDUCE,
        "x, 1, unbiased=False",
        "x, dim=1, correction=0",
        "x, False",
        "x, unbiased=False",
        "x, 1, True, True",
    ),
    **_torch("var_mean std_mean", "x", "x, 1", "x, dim=1, unbiased=False, keepdim=True"),
    **_torch(
        "norm",
        "x",
        "x, 2",
        "x, 1, 1",
        "x, p=2, dim=1, keepdim=True",
        "x, p='fro'",
        "x, dim=(0, 1)",
        "ties, float('inf'), 1",
    ),
    **_torch("logsumexp", "x, 1", "x, dim=(0, 1), keepdim=True", "wide, -1"),
    **_torch("cumsum cumprod", "x, 1", "x, dim=0", "k, -1", "ties, 1"),
    **_torch("cummax cummin", "x, 1", "ties, dim=0"),
    **_torch("logcumsumexp", "x, 1"),
    **_torch("any all", "b", "b, 1", "b, dim=0, keepdim=True", "x", "k, 1"),
    **_torch("count_nonzero", "k", "ties, 1", "ties, dim=(0, 1)"),
    **_torch("median", "x", "x, 1", "ties, dim=0, keepdim=True"),
    **_torch("kthvalue", "x, 2", "x, k=1, dim=0, keepdim=True"),
    **_torch("quantile", "x, 0.3", "x, 0.5, dim=1", "x, q=0.25, dim=0, keepdim=True"),
    **_torch("diff", "x", "x, dim=0", "x, n=2"),
    **_torch("dist", "x, y", "x, y, 1"),
    **_torch("trapezoid", "x", "x, dim=0"),
}
POINTWISE = {
    **_torch("abs exp expm1 sin cos tanh sigmoid square erf atan floor ceil trunc round neg", *_POINTS),
    **_torch("sinh cosh asinh relu deg2rad rad2deg sinc positive exp2 erfc tan", *_POINTS),
    **_torch("frac", "x", "ties", "edge"),
    **_torch("isnan isinf isfinite signbit isposinf isneginf", "x", "edge"),
    **_torch("isreal real conj angle", "x", "c"),
    **_torch("imag", "c"),
    **_torch("logical_not", "k", "b"),
    **_torch("sign", "x", "ties", "k"),
    **_torch("absolute negative arctan arcsinh fix selu celu sgn", "x", "ties"),
    **_torch("sqrt log rsqrt log2 log10 reciprocal", "pos", "edge", "n"),
    **_torch("log1p", "pos", "edge"),
    **_torch("lgamma digamma", "pos", "n"), **_torch("i0", "x"),
    **_torch("asin acos arcsin arccos", "unit", "ties / 2"), **_torch("atanh arctanh erfinv logit", "unit / 2"),
    **_torch("acosh arccosh", "above"),
    **_torch("bitwise_not", "k", "b"),
    **_torch("round", "wide, decimals=1"),
    **_torch("add sub", *_PAIRS, "x, y, alpha=2", "input=x, other=y, alpha=0.5", "k, 2"),
    **_torch("subtract", "x, y"), **_torch("rsub", "x, y"),
    **_torch("mul multiply", *_PAIRS, "k, 2", "input=x, other=y", "b, x"),
    **_torch("div divide true_divide", *_PAIRS, "k, 2", "input=x, other=y"),
    **_torch("div divide", "wide, x, rounding_mode='floor'", "wide, x, rounding_mode='trunc'", "k, n, rounding_mode='floor'", "k, n, rounding_mode='trunc'", "k, n", "x, y, rounding_mode=None"),
    **_torch("floor_divide", "wide, pos", "k, n", "k, 2", "wide, -1.5"),
    **_torch("remainder fmod", "wide, pos", "k, n", "k, -3", "wide, 2.5", "-wide, pos"),
    **_torch("pow", "pos, y", "x, 2", "x, exponent=3", "pos, -0.5", "k, 2", "ties, 0", "ties, 2", "2.0, x", "edge, 2.0"),
    **_torch("eq ne lt le gt ge", *_PAIRS), **_torch("not_equal less less_equal greater greater_equal", "x, y"),
    **_torch("logical_and logical_or logical_xor", "b, b2", "x, b", "k, n"),
    **_torch("bitwise_and bitwise_or bitwise_xor", "k, n", "b, b2", "k, 3"),
    **_torch("bitwise_left_shift bitwise_right_shift", "n, 2"),
    **_torch("maximum minimum", "x, y", "ties, -ties", "edge, -edge", "k, n", "col, row"), **_torch("fmax fmin", "x, y", "edge, edge * 0"),
    **_torch("atan2 arctan2 hypot", "x, y"), **_torch("logaddexp", "x, y", "wide, -wide"), **_torch("logaddexp2", "x, y"),
    **_torch("xlogy", "x, pos", "ties, pos"), **_torch("copysign", "x, y"), **_torch("heaviside", "ties, row"),
    **_torch("ldexp", "x, n"),
    **_torch("isclose", "x, y", "x, x + 1e-9", "edge, edge, equal_nan=True"),
    **_torch("clamp clip", "x, -0.5, 0.5", "x, min=0.0", "x, max=0.5", "ties, min=-1.0, max=1.0", "x, -y.abs(), y.abs()", "k, 0, 2", "edge, -1.0, 1.0", "x, 0.2"),
    **_torch("clamp_min", "x, 0.1", "ties, 0.0"), **_torch("clamp_max", "x, max=0.1"),
    **_torch("lerp", "x, y, 0.3", "x, y, unit", "input=x, end=y, weight=0.9"),
    **_torch("addcmul", "x, y, y", "x, y, y, value=0.5"), **_torch("addcdiv", "x, y, pos, value=2.0"),
    **_torch("nan_to_num", "edge", "edge, 1.0", "edge, nan=0.0, posinf=3.0, neginf=-3.0"),
    **_each("torch.special.expit torch.special.erf torch.special.log1p torch.special.expm1", "unit"),
    **_each("torch.special.logit torch.special.xlog1py torch.special.ndtr torch.special.log_ndtr", "unit"),
    **_each("torch.special.gammaln torch.special.i0 torch.special.sinc torch.special.entr", "pos"),
    **_each("torch.special.i0e torch.special.i1 torch.special.i1e", "pos"),
}  # fmt: skip
POINTWISE["torch.special.xlog1py"] = ("x, pos",)
POINTWISE["torch.true_divide"] = ("x, y", "k, n")
LINALG = {
    **_torch("matmul", "x, mat", "deep, deep.mT", "row, mat", "x, row", "row, row", "deep, mat"),
    **_torch("bmm", "deep, deeper", "input=deep, mat2=deeper"), **_torch("mm", "x, mat"), **_torch("mv", "x, row"),
    **_torch("dot inner", "row, row"), **_torch("vdot", "row, row"), **_torch("outer ger", "w, row"),
    **_torch("inner", "x, y"),
    **_torch("addmm", "row, x, mat[:, :4]", "x, sq, y, beta=0.5, alpha=2.0"), **_torch("addmv", "w, x, row"),
    **_torch("baddbmm", "one, deep, deeper", "deep[:, :, :1], deep, deeper, alpha=0.5"), **_torch("addbmm", "one, deep, deeper"),
    **_torch("addr", "x, w, row", "x, w, row, beta=2, alpha=3"),
    **_torch("einsum", "'ij,jk->ik', x, mat", "'bij,bjk', deep, deeper", "'b i j -> b j', deep", "'...j,jk->...k', deep, mat", "'ij->', x", "'ii', sq", "'ij,jk', [x, mat]", "x, [0, 1], mat, [1, 2], [0, 2]"),
    **_torch("tensordot", "x, mat, 1", "deep, x, dims=2", "deep, x, ([2], [1])"),
    **_torch("chain_matmul", "sq, x, mat"),
    **_torch("inverse det slogdet logdet", "spd"), **_torch("cholesky", "spd"),
    **_torch("pinverse", "x"), **_torch("matrix_exp", "sq"), **_torch("matrix_power", "sq, 2"),
    **_torch("cross", "sq, spd", "sq, spd, dim=0", "sq, spd, -1"),
    **_torch("cdist", "deep, deep + 1.0", "x, y, 1.0", "x, y, p=2.0"),
    **_torch("cov corrcoef", "x"),
    **_each("torch.linalg.norm", "x", "x, dim=1", "x, ord=2, dim=-1, keepdim=True", "x, 'fro'", "row, 1"),
    **_each("torch.linalg.vector_norm", "x", "x, 3, 1", "x, ord=1, dim=0, keepdim=True"),
    **_each("torch.linalg.matrix_norm", "x", "deep", "sq, 1"),
    **_each("torch.linalg.inv torch.linalg.det torch.linalg.slogdet torch.linalg.cholesky", "spd"),
    **_each("torch.linalg.qr", "spd"),
    **_each("torch.linalg.eigvalsh torch.linalg.svdvals torch.linalg.pinv torch.linalg.matrix_exp", "spd"),
    **_each("torch.linalg.solve torch.linalg.lstsq", "spd, x"), **_each("torch.linalg.matrix_power", "sq, 3"),
    **_each("torch.linalg.multi_dot", "[sq, x, mat]"), **_each("torch.linalg.cross", "sq, spd"),
    **_each("torch.linalg.diagonal", "deep"), **_each("torch.linalg.vecdot", "x, y"), **_each("torch.linalg.matmul", "x, mat"),
    **_each("torch.linalg.solve_triangular", "spd, x, upper=True", "spd, x, upper=False"),
}  # fmt: skip
del LINALG["torch.linalg.lstsq"]
_ACTIVATIONS = (
    "relu relu6 elu selu celu silu mish gelu softplus softsign tanhshrink logsigmoid hardtanh"
)
FUNCTIONAL = {
    **_functional(_ACTIVATIONS, "x", "wide", "ties", "edge"),
    **_functional("hardswish hardsigmoid softshrink hardshrink leaky_relu sigmoid tanh", "x", "wide", "ties", "edge"),
    **_functional("relu relu6 elu silu mish hardtanh hardswish leaky_relu", "x * 1, inplace=True", "wide", "ties", "edge"),
    **_functional("gelu", "x", "x, approximate='tanh'", "wide, approximate='none'", "edge"),
    **_functional("leaky_relu", "x, 0.2", "ties, negative_slope=0.1", "x * 1, 0.1, True", "edge"), **_functional("elu", "x, 0.5", "ties, alpha=2.0", "x * 1, 1.0, True"),
    **_functional("softplus", "x, 2", "wide, beta=1, threshold=5"), **_functional("hardtanh", "wide, -2.0, 2.0", "wide, min_val=0.0, max_val=6.0"),
    **_functional("threshold", "x, 0.1, 2.0"), **_functional("prelu", "seq, row", "x, one.reshape(1)", "ties, row"), **_functional("glu", "x", "img, dim=1", "x, -1"),
    **_functional("softmax log_softmax softmin", "x, 1", "x, dim=0", "wide, dim=-1", "x, dim=1, dtype=torch.float64", "x, -1"),
    **_torch("softmax log_softmax", "x, 1", "x, dim=0", "x, -1, torch.float64", "x, dim=1, dtype=torch.float64"),
    **_functional("linear", "x, mat.T, mat[0]", "x, weight=mat.T", "x, mat.T, None"),
    **_functional("bilinear", "x, y, deep.reshape(2, 4, 3)[:, :, :1].expand(2, 4, 4)"),
    **_functional("embedding", "labels, mat", "i, weight=mat, padding_idx=0"),
    **_functional("conv1d", "seq, seq[:, :, :3]", "seq, seq[:, :, :3], row[:2], 2, 1", "seq, weight=seq[:, :2, :2], stride=2, padding=1, dilation=2, groups=2", "seq, seq[:, :, :3], padding='same'"),
    **_functional("conv2d", "img, img[:, :, :3, :3]", "img, img[:, :, :3, :2], row[:2], (2, 1), padding=(1, 0)", "img, img[:, :1, :2, :2].reshape(2, 1, 2, 2).repeat(2, 1, 1, 1), groups=4", "img, img[:, :, :2, :3], padding='same', dilation=2"),
    **_functional("conv3d", "vol, vol[:, :, :2, :2, :2], stride=2, padding=1"),
    **_functional("conv_transpose1d", "seq, seq[:1, :, :3].permute(1, 0, 2)", "seq, seq[:1, :, :3].permute(1, 0, 2), stride=2, padding=1, output_padding=1"),
    **_functional("conv_transpose2d", "img, img[:, :, :3, :2].permute(1, 0, 2, 3)", "img, img[:, :, :3, :2].permute(1, 0, 2, 3), row[:2], 2, 1, 1, 1, 2"),
    **_functional("conv_transpose3d", "vol, vol[:, :, :2, :2, :2].permute(1, 0, 2, 3, 4), stride=2"),
    **_functional("max_pool1d avg_pool1d", "seq, 3", "seq, kernel_size=2, stride=2", "seq, 3, 2, 1", "seq, 2, ceil_mode=True"),
    **_functional("max_pool2d avg_pool2d", "img, 2", "img, (2, 3), stride=(1, 2)", "img, 3, 2, 1", "img, 3, stride=2, ceil_mode=True", "img, 3, 2, padding=1, ceil_mode=True"),
    **_functional("avg_pool2d", "img, 3, 2, 1, False, False", "img, 2, divisor_override=3"),
    **_functional("max_pool3d avg_pool3d", "vol, 2"), **_functional("lp_pool1d", "seq, 2.0, 3"), **_functional("lp_pool2d", "img, 2.0, 2, stride=1"),
    **_functional("adaptive_avg_pool1d adaptive_max_pool1d", "seq, 3", "seq, output_size=4"), **_functional("adaptive_avg_pool2d adaptive_max_pool2d", "img, 1", "img, (3, 5)", "img, (None, 2)"),
    **_functional("adaptive_avg_pool3d adaptive_max_pool3d", "vol, 2"),
    **_functional("batch_norm", "seq, row.detach(), row.detach().abs() + 1", "seq, None, None, row, row, True, 0.1, 1e-3", "img, row.detach(), row.detach().abs() + 1, weight=row, bias=row"),
    **_functional("layer_norm", "x, (4,)", "x, [4], row, row, 1e-3", "deep, normalized_shape=deep.shape[1:]"), **_functional("group_norm", "img, 2", "img, 2, row, row, 1e-3"),
    **_functional("instance_norm", "img", "seq, weight=row, bias=row"), **_functional("rms_norm", "x, (4,)", "x, (4,), row, 1e-5"), **_functional("local_response_norm", "img, 3", "img, size=2, alpha=0.1, beta=0.5, k=2.0"),
    **_functional("normalize", "x", "x, dim=-1", "x, p=1, dim=0", "x, 2.0, 1, 1e-3"), **_functional("cosine_similarity", "x, y", "x, y, dim=-1", "x, y, 0, 1e-6"), **_functional("pairwise_distance", "x, y", "x, y, p=1.0, keepdim=True"),
    **_torch("cosine_similarity", "x, y", "x, y, dim=-1"), **_torch("pairwise_distance", "x, y"), **_functional("pdist", "x"),
    **_functional("pad", "x, (1, 2)", "img, (1, 1, 2, 0), 'constant', 1.5", "img, [1, 2, 1, 1], mode='reflect'", "seq, (2, 1), mode='replicate'", "img, (1, 1, 1, 1), mode='circular'", "x, (-1, 1)", "x, pad=(1, 0, 0, 1), value=2.0", "b, (1, 0), value=True"),
    **_functional("interpolate upsample", "img, scale_factor=2", "img, (3, 4)", "img, size=(9, 12), mode='bilinear', align_corners=False", "img, scale_factor=2, mode='bilinear', align_corners=True", "seq, size=5, mode='linear'", "img, size=(4, 4), mode='area'"),
    **_functional("interpolate", "img, scale_factor=(2.0, 0.5), mode='bicubic'", "img, scale_factor=1.5, mode='bilinear', recompute_scale_factor=True", "img, size=(9, 5), mode='bicubic', align_corners=True", "img, (3, 3), mode='nearest-exact'", "img, (3, 5), mode='bilinear', antialias=True", "img, (9, 4), mode='bicubic', antialias=True", "img, scale_factor=0.6, mode='bilinear', antialias=True", "vol, scale_factor=2, mode='trilinear'"),
    **_functional("unfold", "img, 2", "img, kernel_size=(2, 3), stride=2, padding=1, dilation=1"), **_functional("fold", "img.reshape(2, 16, 12), (4, 5), 2", "img.reshape(2, 16, 12), output_size=(4, 5), kernel_size=(2, 2)"),
    **_functional("pixel_shuffle", "img, 2"), **_functional("pixel_unshuffle", "img, 2"), **_functional("channel_shuffle", "img, 2"), **_torch("pixel_shuffle", "img, 2"), **_torch("channel_shuffle", "img, 2"),
    **_functional("scaled_dot_product_attention", "deep, deep, deep", "deep, deep, deep, is_causal=True", "deep, deep, deep, x[:, :3]", "deep, deep, deep, attn_mask=b[:, :3], scale=0.3"),
    **_functional("grid_sample", "img, img.reshape(2, 6, 16, 2)[:, :3, :5], align_corners=False", "img, img.reshape(2, 6, 16, 2)[:, :3, :5], mode='nearest', padding_mode='border', align_corners=True"), **_functional("affine_grid", "deep[:, :2, :3], (2, 4, 3, 5), align_corners=False"),
    **_functional("mse_loss l1_loss smooth_l1_loss huber_loss", "x, y", "x, y, reduction='sum'", "x, target=y, reduction='none'", "ties, -ties"),
    **_functional("smooth_l1_loss", "x, y, beta=0.5"), **_functional("huber_loss", "x, y, delta=0.5"),
    **_functional("cross_entropy", "x, labels", "x, labels, weight=row.detach().abs()", "x, labels, ignore_index=0, reduction='sum'", "x, labels, label_smoothing=0.1", "x, y.softmax(1)", "seq[:, :, :4].transpose(0, 2), i[:, :2].T.clamp(max=1).T[:2, :].T[:1].expand(4, 2) * 0 + 1" ),
    **_functional("nll_loss", "x, labels", "x, labels, row.detach().abs(), reduction='none'"),
    **_functional("binary_cross_entropy", "unit, b.to(unit.dtype)", "unit, b.to(unit.dtype), weight=pos.detach()"),
    **_functional("binary_cross_entropy_with_logits", "x, unit", "wide, b.to(x.dtype), pos_weight=row.detach().abs()", "x, unit, reduction='none'"),
    **_functional("kl_div", "x, unit", "x, y, reduction='batchmean', log_target=True", "x, unit, reduction='sum'"),
    **_functional("margin_ranking_loss", "x, y, sign", "x, y, sign, margin=0.5"), **_functional("hinge_embedding_loss soft_margin_loss", "x, sign"),
    **_functional("cosine_embedding_loss", "x, y, sign[:, 0]"), **_functional("triplet_margin_loss", "x, y, -x", "x, y, -x, margin=2.0, p=1"), **_functional("multi_margin_loss", "x, labels"),
    **_functional("multilabel_soft_margin_loss", "x, b.to(x.dtype)"), **_functional("poisson_nll_loss", "x, pos", "x, pos, log_input=False, full=True"), **_functional("gaussian_nll_loss", "x, y, pos"),
    **_functional("dropout alpha_dropout feature_alpha_dropout", "x, 0.5, False", "x, p=0.3, training=False"), **_functional("dropout1d", "seq, training=False"), **_functional("dropout2d", "img, 0.5, False"), **_functional("dropout3d", "vol, training=False"),
}  # fmt: skip
FUNCTIONAL["torch.nn.functional.cross_entropy"] = FUNCTIONAL["torch.nn.functional.cross_entropy"][
    :-1
]
TYPES = {
    **_methods("to", "x, torch.int64", "k, torch.float32", "x, k", "x, dtype=torch.int64", "x, 'cpu'", "x, 'cpu', torch.int64", "x, device='cpu', dtype=torch.int64"),
    **_methods("float double long int bool half bfloat16 short byte char", "n", "x"), **_methods("type", "x, torch.int64"), **_methods("type_as", "k, x"),
    **_methods("detach cpu", "x"), **_methods("numel dim", "deep", "one"), **_methods("size", "deep", "deep, 1", "deep, dim=-1"), **_methods("ndimension nelement element_size", "deep"),
    **_torch("numel", "deep"), **_torch("is_floating_point is_complex is_tensor", "x"), **_methods("is_floating_point is_complex", "k"), **_torch("finfo", "torch.float32"), **_torch("iinfo", "torch.int32"),
    **_methods("is_contiguous get_device __len__", "x"), **_torch("get_default_dtype", ""),
    **_torch("result_type", "x, k"), **_torch("promote_types", "torch.float32, torch.int64"),
}  # fmt: skip
FFT = {
    **_each("torch.fft.fft torch.fft.rfft torch.fft.ifft", "seq", "seq, dim=1", "x, 6, 1, 'ortho'"),
    **_each("torch.fft.irfft torch.fft.hfft torch.fft.ihfft", "seq", "seq, n=8, dim=-1"),
    **_each("torch.fft.fft2 torch.fft.rfft2 torch.fft.ifft2 torch.fft.irfft2 torch.fft.fftn torch.fft.rfftn torch.fft.ifftn torch.fft.irfftn", "img", "img, norm='ortho'", "img, dim=(1, 2)"),
    **_each("torch.fft.fftshift torch.fft.ifftshift", "x", "x, dim=1", "x, dim=(0, 1)"), **_each("torch.fft.fftfreq torch.fft.rfftfreq", "6", "5, d=0.5"),
}  # fmt: skip

FAMILIES = {
    "creation": CREATION,
    "shape": SHAPE,
    "index": INDEX,
    "reduce": REDUCE,
    "pointwise": POINTWISE,
    "linalg": LINALG,
    "functional": FUNCTIONAL,
    "types": TYPES,
    "fft": FFT,
}
