from formulas import largest, mean, pool

from bug_cases import Case, layer

X = "(torch.randn(2, 3, 7, 7) - 1,)"
EDGE = [(1, 1), (1, 1)]


def _uncounted(x, w):
    total = pool(x[0], mean, 3, 2, EDGE)
    share = pool(x[0] * 0 + 1, mean, 3, 2, EDGE)
    return total / share


NHWC = "jnp.moveaxis({}, -1, 1)"
INPUT = "jnp.moveaxis(x[0], 1, -1)"
CASES = [
    Case("avg_pool_count_include_pad", layer("nn.AvgPool2d(3, 2, 1)"), X, _uncounted),
    Case("avg_pool_count_include_pad",
         layer("nn.AvgPool2d(3, 2, 1, count_include_pad=False)"), X,
         NHWC.format(f"nnx.avg_pool({INPUT}, (3, 3), (2, 2), ((1, 1), (1, 1)))")),
    Case("max_pool_zero_padding", layer("nn.MaxPool2d(3, 2, 1)"), X,
         lambda x, w: pool(x[0], largest, 3, 2, EDGE, 0.0)),
    Case("pool_stride", layer("nn.MaxPool2d(2)"), X, NHWC.format(f"nnx.max_pool({INPUT}, (2, 2))")),
    Case("pool_stride", layer("nn.AvgPool1d(2)"), "(torch.randn(2, 3, 7),)",
         lambda x, w: pool(x[0], mean, 2, 1)),
    Case("pool_same_padding", layer("nn.MaxPool2d(3, 2)"), "(torch.randn(2, 3, 8, 8),)",
         NHWC.format(f"nnx.max_pool({INPUT}, (3, 3), (2, 2), 'SAME')")),
    Case("pool_same_padding", layer("nn.AvgPool2d(2)"), X,
         NHWC.format(f"nnx.avg_pool({INPUT}, (2, 2), (2, 2), 'SAME')")),
    Case("pool_padding_missing", layer("nn.MaxPool2d(3, 2, 1)"), X,
         lambda x, w: pool(x[0], largest, 3, 2)),
    Case("pool_ceil_mode", layer("nn.MaxPool2d(2, ceil_mode=True)"), X,
         lambda x, w: pool(x[0], largest, 2, 2)),
    Case("max_pool_dilation", layer("nn.MaxPool2d(2, 1, dilation=2)"), X,
         lambda x, w: pool(x[0], largest, 2, 1)),
    Case("avg_pool_divisor", layer("nn.AvgPool2d(2, divisor_override=3)"), X,
         lambda x, w: pool(x[0], mean, 2, 2)),
    Case("adaptive_pool_bins", layer("nn.AdaptiveAvgPool2d(3)"), "(torch.randn(2, 3, 8, 8),)",
         lambda x, w: pool(x[0], mean, 4, 2)),
]  # fmt: skip
