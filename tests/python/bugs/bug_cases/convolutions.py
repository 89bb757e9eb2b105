from formulas import conv, conv_transpose, pad

from bug_cases import Case, forward, layer

X = "(torch.randn(2, 4, 8, 8),)"
SMALL = "(torch.randn(2, 4, 5, 5),)"


def _conv(change=lambda w: w, **options):
    return lambda x, w: conv(x[0], change(w["f.weight"]), w["f.bias"], **options)


def _transposed(change=lambda w: w, crop=lambda full: full, **options):
    def wrong(x, w):
        full = conv_transpose(x[0], change(w["f.weight"]), **options)
        return crop(full) + w["f.bias"].reshape(-1, 1, 1)

    return wrong


def _interleaved(x, w):
    return conv(x[0][:, [0, 2, 1, 3]], w["f.weight"], w["f.bias"], groups=2)


def _flip(w):
    return w.flip(2).flip(3)


HWIO = "jnp.transpose(w['f.weight'], (2, 3, 1, 0))"
NHWC = "jnp.moveaxis(x[0], 1, -1)"
FLAX_CONV = (
    "nnx_call(nnx.Conv(4, 6, (3, 3), strides={}, rngs=nnx.Rngs(0)), "
    f"{NHWC}, kernel={HWIO}, bias=w['f.bias'])"
)
FLAX_TRANSPOSE = (
    "jnp.moveaxis(lax.conv_transpose({}, jnp.transpose(w['f.weight'], {}), (2, 2), '{}', "
    "dimension_numbers=('NHWC', 'HWIO', 'NHWC'){}), -1, 1) + w['f.bias'][:, None, None]"
)
CASES = [
    Case("conv_flipped_kernel", layer("nn.Conv2d(4, 6, 3)"), X, _conv(_flip)),
    Case("conv_same_padding", layer("nn.Conv2d(4, 6, 3, stride=2, padding=1)"), X,
         _conv(pairs=[(0, 1), (0, 1)], stride=2)),
    Case("conv_same_padding", layer("nn.Conv2d(4, 6, 3, stride=2, padding=1)"), X,
         f"jnp.moveaxis({FLAX_CONV.format('(2, 2)')}, -1, 1)"),
    Case("conv_same_padding", layer("nn.Conv2d(4, 6, 3)"), X,
         f"jnp.moveaxis({FLAX_CONV.format('(1, 1)')}, -1, 1)"),
    Case("conv_valid_padding", layer("nn.Conv2d(4, 6, 3, padding=1)"), X, _conv()),
    Case("conv_causal_padding", layer("nn.Conv1d(4, 6, 3, padding=1)"), "(torch.randn(2, 4, 7),)",
         _conv(pairs=[(2, 0)])),
    Case("conv_same_odd_pad", layer("nn.Conv1d(4, 6, 4, padding='same')"),
         "(torch.randn(2, 4, 7),)", _conv(pairs=[(2, 1)])),
    Case("conv_dilation", layer("nn.Conv2d(4, 6, 3, padding=2, dilation=2)"), X,
         _conv(pairs=[(2, 2), (2, 2)])),
    Case("conv_stride", layer("nn.Conv2d(4, 6, 3, stride=2)"), X, _conv()),
    Case("conv_kernel_axes", layer("nn.Conv2d(4, 6, 3)"), X, _conv(lambda w: w.transpose(2, 3))),
    Case("conv_channels_swapped", layer("nn.Conv2d(4, 4, 3)"), X,
         _conv(lambda w: w.transpose(0, 1))),
    Case("conv_interleaved_groups", layer("nn.Conv2d(4, 6, 3, groups=2)"), X, _interleaved),
    Case("conv_bias_missing", layer("nn.Conv2d(4, 6, 3)"), X,
         lambda x, w: conv(x[0], w["f.weight"])),
    Case("padding_mode_zeros", layer("nn.Conv2d(4, 6, 3, padding=1, padding_mode='circular')"), X,
         _conv(pairs=[(1, 1), (1, 1)])),
    Case("padding_mode_zeros", forward("return F.pad(x, (2, 1), mode='reflect')"),
         "(torch.randn(2, 4, 8),)",
         lambda x, w: pad(x[0], [(2, 1)])),
    Case("conv_transpose_kernel", layer("nn.ConvTranspose2d(4, 6, 3, stride=2)"), SMALL,
         _transposed(_flip, stride=2)),
    Case("conv_transpose_kernel", layer("nn.ConvTranspose2d(4, 6, 3, stride=2)"), SMALL,
         FLAX_TRANSPOSE.format(NHWC, "(2, 3, 0, 1)", "VALID", "")),
    Case("conv_transpose_padding", layer("nn.ConvTranspose2d(4, 6, 4, padding=1)"), SMALL,
         _transposed(crop=lambda full: full[..., 2:-2, 2:-2])),
    Case("conv_transpose_same", layer("nn.ConvTranspose2d(4, 6, 3, stride=2)"), SMALL,
         FLAX_TRANSPOSE.format(NHWC, "(2, 3, 1, 0)", "SAME", ", transpose_kernel=True")),
    Case("conv_transpose_same", layer("nn.ConvTranspose2d(4, 6, 3, stride=2)"), SMALL,
         FLAX_TRANSPOSE.format(NHWC, "(2, 3, 0, 1)", "SAME", "")),
    Case("conv_transpose_same", layer("nn.ConvTranspose2d(4, 6, 4, stride=2)"), SMALL,
         FLAX_TRANSPOSE.format(NHWC, "(2, 3, 1, 0)", "SAME", ", transpose_kernel=True")),
    Case("conv_transpose_output_padding",
         layer("nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)"), SMALL,
         _transposed(crop=lambda full: full[..., 1:-1, 1:-1], stride=2)),
]  # fmt: skip
