"""Convolutions, linear maps, embeddings."""

from prelude_cases import Case


def layer(text: str, *shape: int, call: str = "m(x)") -> Case:
    """A layer applied to one input."""
    return Case(call, {"x": shape}, layer=f"nn.{text}")


CASES = [
    layer("Linear(5, 3)", 2, 5),
    layer("Linear(5, 3, bias=False)", 2, 4, 5),
    layer("Linear(5, 3)", 5),
    Case("m(x, y)", {"x": (2, 3, 4), "y": (2, 3, 5)}, layer="nn.Bilinear(4, 5, 6)"),
    Case("m(x, y)", {"x": (2, 4), "y": (2, 5)}, layer="nn.Bilinear(4, 5, 1, bias=False)"),
    Case("m(i)", {"i": {"int": (0, 7, (2, 4))}}, layer="nn.Embedding(7, 3)"),
    Case("m(i)", {"i": [[0, 2, 6], [2, 2, 1]]}, layer="nn.Embedding(7, 3, padding_idx=2)"),
    Case("m(i)", {"i": [6, 5, 6]}, layer="nn.Embedding(7, 3, padding_idx=-1)"),
    Case("F.embedding(i, w, 1)", {"i": [1, 0, 1, 3], "w": (4, 2)}),
    layer("Identity(54, unused=True)", 2, 3),
    layer("Conv1d(4, 6, 3)", 2, 4, 9),
    layer("Conv1d(4, 6, 3)", 4, 9),
    layer("Conv1d(4, 6, 4, padding='same')", 2, 4, 9),
    layer("Conv1d(4, 6, 2, padding='same', dilation=3, padding_mode='reflect')", 2, 4, 9),
    layer("Conv1d(4, 8, 3, stride=2, padding=2, dilation=2, groups=4, bias=False)", 2, 4, 9),
    layer("Conv1d(4, 6, 3, padding=2, padding_mode='circular')", 2, 4, 9),
    layer("Conv2d(3, 4, 3)", 2, 3, 7, 8),
    layer("Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0))", 2, 3, 7, 8),
    layer("Conv2d(4, 6, 3, padding=1, groups=2)", 2, 4, 6, 5),
    layer("Conv2d(4, 4, 3, padding=1, groups=4)", 2, 4, 6, 5),
    layer("Conv2d(3, 4, 3, padding='valid')", 3, 7, 8),
    layer("Conv2d(3, 4, (2, 4), padding='same')", 2, 3, 7, 8),
    layer("Conv2d(3, 4, (2, 3), padding='same', padding_mode='replicate')", 2, 3, 7, 8),
    layer("Conv2d(3, 4, 3, padding=(2, 1), padding_mode='reflect')", 2, 3, 7, 8),
    layer("Conv2d(3, 4, 3, padding=(2, 1), stride=2, padding_mode='circular')", 2, 3, 7, 8),
    layer("Conv2d(3, 4, 3, padding=(1, 2), padding_mode='replicate')", 2, 3, 7, 8),
    layer("Conv2d(3, 4, 3, dilation=(2, 1), padding=4)", 2, 3, 7, 8),
    layer("Conv2d(3, 4, 1, stride=3)", 2, 3, 7, 8),
    layer("Conv3d(2, 4, 3, padding=1)", 2, 2, 4, 5, 6),
    layer("Conv3d(2, 4, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 2), groups=2)", 2, 2, 4, 5, 6),
    layer("Conv3d(2, 4, (2, 2, 3), padding='same', padding_mode='circular')", 2, 4, 5, 6),
    Case(
        "F.conv2d(x, w, b, 2, padding='valid', dilation=2)",
        {"x": (2, 3, 9, 8), "w": (4, 3, 2, 3), "b": (4,)},
    ),
    Case("F.conv1d(x, w, padding=1, groups=2)", {"x": (2, 4, 9), "w": (6, 2, 3)}),
    Case("F.conv3d(x, w)", {"x": (1, 2, 4, 4, 4), "w": (3, 2, 2, 2, 2)}),
    layer("ConvTranspose1d(4, 6, 3)", 2, 4, 5),
    layer("ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1)", 4, 5),
    layer("ConvTranspose1d(4, 6, 3, stride=3, padding=4, dilation=2, groups=2)", 2, 4, 5),
    layer("ConvTranspose2d(4, 6, 3)", 2, 4, 5, 4),
    layer("ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), bias=False)", 2, 4, 5, 4),
    layer(
        "ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=(1, 0), groups=2)",
        2, 4, 5, 4,
    ),
    layer("ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4)", 2, 4, 5, 4),
    layer("ConvTranspose2d(4, 6, 3, stride=2, dilation=2, output_padding=1)", 2, 4, 5, 4),
    layer("ConvTranspose2d(4, 6, 3, padding=3)", 2, 4, 7, 6),
    layer("ConvTranspose2d(4, 6, 1, stride=2, padding=1)", 2, 4, 7, 6),
    layer("ConvTranspose2d(4, 6, 3, stride=2, padding=1)", 2, 4, 5, 4, call="m(x, (10, 7))"),
    layer("ConvTranspose3d(2, 4, 3, stride=2, padding=1, output_padding=1)", 2, 2, 3, 2, 3),
    layer("ConvTranspose3d(2, 4, (1, 2, 3), groups=2, dilation=(1, 2, 1))", 2, 2, 3, 4, 3),
    Case(
        "F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1, groups=2, dilation=1)",
        {"x": (2, 4, 3, 4), "w": (4, 3, 3, 3), "b": (6,)},
    ),
    Case("F.conv_transpose1d(x, w, None, 2)", {"x": (2, 4, 3), "w": (4, 3, 3)}),
    Case("F.linear(x, w, b)", {"x": (2, 4), "w": (3, 4), "b": (3,)}),
    Case("F.bilinear(x, y, w)", {"x": (2, 4), "y": (2, 3), "w": (5, 4, 3)}),
]  # fmt: skip
