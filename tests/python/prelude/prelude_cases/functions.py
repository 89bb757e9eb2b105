"""Functions without a layer: reductions, orderings, indexing, shapes."""

import numpy as np

from prelude_cases import Case

X = {"x": (3, 4, 5)}
TIES = {"x": [[1.0, 1.0, 0.0], [2.0, 3.0, 3.0], [-1.0, -1.0, -1.0]]}
ZERO = {"x": [[0.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]}
BATCHES = {"x": (2, 3, 5), "y": (2, 4, 5)}
INDEX = {"x": (4, 5), "i": {"int": (0, 4, (2, 3))}}

REDUCTIONS = [
    Case("torch.max(x, 1)", X, jax="max_dim(x, 1)"),
    Case("torch.max(x, 1)", TIES, jax="max_dim(x, 1)"),
    Case("torch.min(x, -1, keepdim=True)", TIES, jax="min_dim(x, -1, keepdim=True)"),
    Case("torch.max(x)", TIES, jax="jnp.max(x)"),
    Case("torch.amax(x, 1)", TIES, jax="jnp.max(x, 1)"),
    Case("torch.median(x)", {"x": (3, 4)}),
    Case("torch.median(x)", TIES),
    Case("torch.median(x, 1)", X),
    Case("torch.median(x, 0, keepdim=True)", {"x": (6, 2)}),
    Case("torch.kthvalue(x, 2, 1)", X),
    Case("torch.sort(x, 1)", X),
    Case("torch.sort(x, stable=True, descending=True)", TIES),
    Case("torch.argsort(x, dim=0, descending=True, stable=True)", TIES, grad=False),
    Case("torch.topk(x, 3)", X),
    Case("torch.topk(x, 2, 1, largest=False)", X),
    Case("torch.cummax(x, 1)", TIES),
    Case("torch.cummin(x, 1)", X),
    Case("torch.cumsum(x, -1)", X),
    Case("torch.cumprod(x, 1)", X),
    Case("torch.cumprod(x, 0)", {"x": [1.5, 0.0, 2.0, 0.0, 3.0]}),
    Case("torch.logcumsumexp(x, -1)", X),
    Case("torch.logsumexp(x, 1)", X),
    Case("torch.logsumexp(x, (0, -1), keepdim=True)", X),
    Case("torch.logsumexp(x, 1)", {"x": [[-np.inf, 1.0], [-np.inf, -np.inf]]}, grad=False),
    Case("torch.var(x)", X),
    Case("torch.var(x, 1)", X),
    Case("torch.var(x, (0, 2), unbiased=False, keepdim=True)", X),
    Case("torch.var(x, 1, correction=2)", X),
    Case("torch.var(x, unbiased=False)", X),
    Case("torch.std(x, False)", X),
    Case("torch.std(x, -1, keepdim=True)", X),
    Case("torch.std(x, 1)", TIES),
    Case("torch.std(x, 0)", {"x": (1, 3)}, grad=False),
    Case("torch.var_mean(x, 1)", X),
    Case("torch.std_mean(x, 1, correction=0)", X),
    *[Case(f"torch.norm(x, {p}, dim=1)", ZERO) for p in ("2", "1", "3", "0.5", "float('inf')")],
    Case("torch.norm(x)", X),
    Case("torch.norm(x, dim=(1, 2), keepdim=True)", X),
    Case("torch.norm(x, 2.5, 1)", X),
    Case("torch.norm(x, float('-inf'), 1)", X),
    Case("torch.norm(x, 0, 1)", ZERO),
    Case("torch.linalg.vector_norm(x, 3, (0, 2))", X, jax="vector_norm(x, 3, (0, 2))"),
    Case("torch.linalg.norm(x, dim=-1)", ZERO, jax="linalg_norm(x, dim=-1)"),
    Case("torch.linalg.norm(x)", ZERO, jax="linalg_norm(x)"),
    Case("F.normalize(x)", X),
    Case("F.normalize(x, p=1, dim=-1)", X),
    Case("F.normalize(x, dim=1)", ZERO),
    Case("F.cosine_similarity(x, y, dim=1)", {"x": (2, 3, 4), "y": (1, 3, 4)}),
    Case("F.cosine_similarity(x, y, dim=-1)", {**ZERO, "y": (3, 2)}),
    Case("F.pairwise_distance(x, y)", {"x": (3, 4), "y": (3, 4)}),
    Case("torch.cdist(x, y)", BATCHES),
    Case("torch.cdist(x, y, 1.0)", BATCHES),
    Case("torch.cdist(x, y, float('inf'))", BATCHES),
    Case("torch.cdist(x, y)", {"x": [[0.0, 1.0]], "y": [[0.0, 1.0], [1.0, 1.0]]}),
]
INDEXING = [
    Case("torch.gather(x, 0, i)", INDEX),
    Case("torch.gather(x, 1, i)", {"x": (4, 5), "i": {"int": (0, 5, (3, 7))}}),
    Case("torch.scatter(x, 0, i, s)", {"x": (4, 3), "i": [[0, 1, 2], [3, 0, 1]], "s": (2, 3)}),
    Case(
        "torch.scatter(x, 1, i, 2.5)",
        {"x": (4, 3), "i": [[0], [2]]},
        jax="torch.scatter(x, 1, i, value=2.5)",
    ),
    Case("torch.scatter(x, 1, i, 2.5)", {"x": (4, 3), "i": [[0], [2]]}),
    Case(
        "torch.scatter(x, 0, i, s, reduce='add')",
        {"x": (4, 3), "i": [[0, 1, 1]], "s": (1, 3)},
        grad=False,
    ),
    Case("torch.scatter_add(x, 0, i, s)", {**INDEX, "s": (2, 3)}),
    Case("torch.scatter_add(x, 0, i, s)", {**INDEX, "s": (3, 4)}, grad=False),
    Case("torch.scatter_add(x, -1, i, s)", {"x": (4, 5), "i": [[0, 0, 4], [1, 1, 1]], "s": (2, 3)}),
    *[
        Case(
            f"torch.scatter_reduce(x, 0, i, s, {how!r}, include_self={own})", {**INDEX, "s": (2, 3)}
        )
        for how in ("sum", "mean", "amax", "amin")
        for own in (True, False)
    ],
    Case(
        "torch.scatter_reduce(x, 0, i, s, 'prod', include_self=False)",
        {**INDEX, "s": (2, 3)},
        grad=False,
    ),
    Case("torch.index_select(x, 1, i)", {"x": (3, 4), "i": [3, 0, 3]}),
    Case("torch.index_add(x, 1, i, s, alpha=2)", {"x": (3, 4), "i": [3, 0, 3], "s": (3, 3)}),
    Case("torch.index_copy(x, 0, i, s)", {"x": (3, 4), "i": [2, 0], "s": (2, 4)}),
    Case("torch.index_fill(x, -1, i, 1.5)", {"x": (3, 4), "i": [2, 0]}),
    Case("torch.masked_fill(x, b, -1e9)", {"x": (3, 4), "b": {"bool": (3, 4)}}),
    Case("torch.masked_fill(x, b, v)", {"x": (3, 4), "b": {"bool": (4,)}, "v": ()}),
    Case("torch.take(x, i)", {"x": (3, 4), "i": [[11, 0], [5, 5]]}),
    Case("F.one_hot(i, 5)", {"i": [[0, 4], [2, 2]]}, grad=False),
    Case("torch.bucketize(x, b)", {"x": [0.0, 1.0, 1.5, 9.0], "b": [1.0, 2.0, 3.0]}, grad=False),
    Case("torch.bucketize(x, b, right=True)", {"x": [0.0, 1.0, 9.0], "b": [1.0, 2.0]}, grad=False),
    Case(
        "torch.searchsorted(s, x)", {"s": [[0.0, 1.0], [1.0, 2.0]], "x": [[1.0], [1.0]]}, grad=False
    ),
]
SHAPES = [
    Case("torch.flatten(x)", X),
    Case("torch.flatten(x, 1)", X),
    Case("torch.flatten(x, 0, -2)", X),
    Case("torch.unflatten(x, 1, (2, -1))", X),
    Case("torch.squeeze(x)", {"x": (1, 3, 1)}),
    Case("torch.squeeze(x, 1)", {"x": (1, 3, 1)}),
    Case("torch.squeeze(x, (0, -1))", {"x": (1, 3, 2)}),
    Case("x.expand(2, -1, 4)", {"x": (3, 1)}, jax="expand(x, 2, -1, 4)"),
    Case("x.expand((3, 4))", {"x": (3, 1)}, jax="expand(x, (3, 4))"),
    Case("torch.narrow(x, 1, 1, 2)", X),
    Case("torch.narrow(x, -1, -3, 2)", X),
    Case("torch.split(x, 2, 1)", {"x": (2, 5)}),
    Case("torch.split(x, [1, 3, 1], dim=-1)", {"x": (2, 5)}),
    Case("torch.chunk(x, 4, 1)", {"x": (2, 10)}),
    Case("torch.chunk(x, 3)", {"x": (2, 5)}),
    Case("torch.tensor_split(x, 3, 1)", {"x": (2, 10)}),
    Case("torch.tensor_split(x, (1, 4), 1)", {"x": (2, 10)}),
    Case("torch.unbind(x, 1)", X),
    Case("torch.repeat_interleave(x, 3)", {"x": (2, 2)}),
    Case("torch.repeat_interleave(x, 2, dim=1)", {"x": (2, 2)}),
    Case("torch.meshgrid(x, y)", {"x": (2,), "y": (3,)}),
    Case("torch.meshgrid(x, y, indexing='xy')", {"x": (2,), "y": (3,)}),
    Case("torch.meshgrid([x, y])", {"x": (2,), "y": (3,)}),
    Case("torch.diag_embed(x)", {"x": (2, 3)}),
    Case("torch.diag_embed(x, -1, 0, 2)", {"x": (2, 3)}),
    Case("x.unfold(1, 3, 2)", {"x": (2, 8, 3)}, jax="sliding_windows(x, 1, 3, 2)"),
    Case("x.unfold(-1, 2, 1)", {"x": (2, 8)}, jax="sliding_windows(x, -1, 2, 1)"),
]
PRODUCTS = [
    Case("torch.abs(x)", {"x": [-1.0, -0.0, 0.0, 2.0, np.inf, -np.inf]}, jax="absolute(x)"),
    Case("torch.clamp(x, -1, 1)", {"x": [-2.0, -1.0, 0.0, 1.0, 2.0, np.nan]}, grad=False),
    Case("torch.clamp(x, -1, 1)", {"x": [-2.0, -1.0, 0.0, 1.0, 2.0]}),
    Case("torch.clamp(x, 1, -1)", {"x": [-2.0, -1.0, 0.0, 1.0, 2.0]}),
    Case("torch.clamp(x, min=0.5)", {"x": [0.0, 0.5, 1.0]}),
    Case("torch.clamp(x, max=0.5)", {"x": [0.0, 0.5, 1.0]}),
    Case("torch.clamp(x, a, b)", {"x": (3, 4), "a": [-0.5, 0.0, -1.0, 0.3], "b": (3, 1)}),
    Case("torch.lerp(x, y, 0.3)", {"x": (3,), "y": (3,)}),
    Case("torch.lerp(x, y, w)", {"x": (3,), "y": (3,), "w": {"unit": (3,)}}),
    Case("torch.addcmul(x, y, z, value=0.5)", {"x": (3,), "y": (3,), "z": (3,)}),
    Case("torch.addcdiv(x, y, z, value=2)", {"x": (3,), "y": (3,), "z": {"positive": (3,)}}),
    Case("torch.addmm(b, x, y, beta=0.5, alpha=2)", {"b": (4,), "x": (2, 3), "y": (3, 4)}),
    Case("torch.addmm(b, x, y, beta=0)", {"b": [np.nan] * 4, "x": (2, 3), "y": (3, 4)}, grad=False),
    Case("torch.addmv(b, x, y)", {"b": (2,), "x": (2, 3), "y": (3,)}),
    Case("torch.addr(b, x, y, alpha=3)", {"b": (2, 3), "x": (2,), "y": (3,)}),
    Case("torch.baddbmm(b, x, y, alpha=2)", {"b": (2, 2, 4), "x": (2, 2, 3), "y": (2, 3, 4)}),
    Case("torch.addbmm(b, x, y)", {"b": (2, 4), "x": (2, 2, 3), "y": (2, 3, 4)}),
]

CASES = [*REDUCTIONS, *INDEXING, *SHAPES, *PRODUCTS]
