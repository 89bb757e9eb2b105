import torch

from bug_cases import Case, forward

X = "(torch.randn(4, 6),)"
PAIR = "(torch.randn(4, 6) * 9, torch.randn(4, 6) * 2)"


CASES = [
    Case("std_ddof", forward("return x.std(1)"), X, "jnp.std(x[0], 1)"),
    Case("std_ddof", forward("return torch.var(x, dim=1, keepdim=True)"), X,
         "jnp.var(x[0], 1, keepdims=True)"),
    Case("std_ddof", forward("return x.var(1, unbiased=False)"), X,
         lambda x, w: ((x[0] - x[0].mean(1, keepdim=True)) ** 2).sum(1) / 5),
    Case("std_ddof", forward("return torch.std(x)"), X, "jnp.std(x[0])"),
    Case("std_ddof", forward("return torch.var(x, 1, False)"), X,
         lambda x, w: ((x[0] - x[0].mean(1, keepdim=True)) ** 2).sum(1) / 5),
    Case("median_mean", forward("return x.median(1)[0]"), X, "jnp.median(x[0], 1)"),
    Case("median_mean", forward("return torch.median(x)"), X, "jnp.median(x[0])"),
    Case("spatial_axes", forward("return x.mean((2, 3))"), "(torch.randn(2, 3, 4, 4),)",
         lambda x, w: torch.einsum("nabc->nc", x[0]) / 12),
    Case("sum_for_mean", forward("return x.mean(1)"), X, "jnp.sum(x[0], 1)"),
    Case("sum_for_mean", forward("return x.sum()"), X, "jnp.mean(x[0])"),
    Case("sort_order", forward("return torch.sort(x, 1, descending=True)[0]"), X,
         "jnp.sort(x[0], 1)"),
    Case("topk_smallest", forward("return x.topk(2, largest=False)[0]"), X,
         "jax.lax.top_k(x[0], 2)[0]"),
    Case("remainder_sign", forward("return x % y", args="x, y"), PAIR, "jnp.fmod(x[0], x[1])"),
    Case("remainder_sign", forward("return torch.fmod(x, y)", args="x, y"), PAIR,
         "jnp.remainder(x[0], x[1])"),
    Case("division_rounding", forward("return x // y", args="x, y"), PAIR,
         lambda x, w: (x[0] / x[1]).fix()),
    Case("division_rounding", forward("return torch.div(x, y, rounding_mode='trunc')", args="x, y"),
         PAIR, "jnp.floor_divide(x[0], x[1])"),
    Case("pairwise_distance_eps", forward("return F.pairwise_distance(x, y)", args="x, y"),
         "(torch.randn(4, 6), torch.randn(4, 6))",
         lambda x, w: torch.sqrt(((x[0] - x[1]) ** 2).sum(1))),
]  # fmt: skip
