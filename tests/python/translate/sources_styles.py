"""Sources for the idiomatic style: each with the switches it must make, by what they become.

`SOURCES` has, per name, the text, and what `wanted` counts: constructions in the source, not modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HEAD = """\
import torch
import torch.nn as nn
import torch.nn.functional as F


"""


@dataclass(frozen=True)
class Styled:
    """One source; `wanted` counts its switches by target, `present` and `absent` are in the port."""

    text: str
    wanted: dict[str, int]
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    kept: tuple[str, ...] = field(default=())


CNN = Styled(
    HEAD
    + '''\
class Net(nn.Module):
    """A small classifier of digits."""

    def __init__(self, classes=5):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 10, kernel_size=(3, 5), stride=2)  # a wide window
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(10 * 3 * 2, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = F.relu(self.conv2(x))
        n, channels, height, width = x.shape
        x = x.view(n, channels * height * width)
        return self.fc(x)


def get_inputs():
    return [torch.randn(3, 1, 14, 14)]
''',
    {"channels last": 1, "nnx.Conv": 2, "nnx.max_pool": 1, "nnx.Linear": 1},
    present=(
        "self.conv1 = nnx.Conv(1, 6, kernel_size=(5, 5), padding=2, rngs=rngs)",
        "# a wide window",
        "n, height, width, channels = x.shape",
    ),
    absent=("class Linear", "class Conv", "lax.conv_general_dilated"),
)

RESNET = Styled(
    HEAD
    + """\
class Block(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, momentum=0.2)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layers = nn.Sequential(Block(4, 4), Block(4, 8, stride=2))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.layers(self.stem(x))
        x = F.adaptive_avg_pool2d(x, (1, 1)).flatten(1)
        return self.head(x)


def get_inputs():
    return [torch.randn(2, 3, 8, 8)]
""",
    {
        "channels last": 1,
        "nnx.Conv": 4,
        "nnx.BatchNorm": 3,
        "nnx.Sequential": 2,
        "nnx.Linear": 1,
        "jax.nn.relu": 1,
    },
    present=("class BatchNorm(nnx.BatchNorm):", "BatchNorm(outputs, momentum=0.8, rngs=rngs)"),
    absent=("class Sequential", "class Conv"),
)

MLP = Styled(
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self, sizes=(7, 12, 9, 4)):
        super().__init__()
        layers = []
        for n_in, n_out in zip(sizes[:-1], sizes[1:]):
            layers += [nn.Linear(n_in, n_out, bias=False), nn.GELU()]
        self.net = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(sizes[-1])

    def forward(self, x):
        return self.norm(self.net(x))


def get_inputs():
    return [torch.randn(5, 7)]
""",
    {"nnx.Linear": 1, "jax.nn.gelu": 1, "nnx.Sequential": 1, "nnx.LayerNorm": 1},
    present=(
        "nnx.Linear(n_in, n_out, use_bias=False, rngs=rngs)",
        "functools.partial(jax.nn.gelu, approximate=False)",
        "nnx.LayerNorm(sizes[-1], epsilon=1e-5, use_fast_variance=False, rngs=rngs)",
    ),
    absent=("array_of", "ferry"),
)

ENCODER = Styled(
    HEAD
    + """\
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x, mask):
        y = self.norm1(x)
        y, _ = self.attn(y, y, y, key_padding_mask=mask)
        x = x + y
        return x + self.mlp(self.norm2(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(8, 2) for _ in range(2)])

    def forward(self, x):
        mask = torch.zeros(x.shape[0], x.shape[1], dtype=torch.bool)
        mask[:, -1] = True  # the last token is padding
        for block in self.blocks:
            x = block(x, mask)
        return x


def get_inputs():
    return [torch.randn(2, 5, 8)]
""",
    {
        "nnx.MultiHeadAttention": 1,
        "nnx.LayerNorm": 2,
        "nnx.Linear": 2,
        "jax.nn.gelu": 1,
        "nnx.Sequential": 1,
    },
    present=("y = self.attn(y, mask=~mask[:, None, None, :])", "approximate=True"),
    absent=("class MultiheadAttention", "in_proj"),
)

GPT = Styled(
    HEAD
    + """\
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ln2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        b, t, c = x.size()
        q, k, v = self.qkv(self.ln1(x)).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.ln2(x))))


class Net(nn.Module):
    def __init__(self, vocabulary=11, width=8, length=6):
        super().__init__()
        self.tok = nn.Embedding(vocabulary, width)
        self.pos = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, 2) for _ in range(2))
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tok.weight

    def forward(self, ids):
        positions = torch.arange(ids.shape[1])
        x = self.tok(ids) + self.pos(positions)
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln(x))


def get_inputs():
    return [torch.randint(0, 11, (2, 6))]
""",
    {"nnx.Embed": 2, "nnx.LayerNorm": 3, "nnx.Linear": 4},
    present=("self.head.weight = self.tok.embedding", "nnx.Embed(vocabulary, width, rngs=rngs)"),
    absent=("class Embedding",),
)

UNET = Styled(
    HEAD
    + """\
def double(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Net(nn.Module):
    def __init__(self, base=4):
        super().__init__()
        self.down1 = double(1, base)
        self.down2 = double(base, 2 * base)
        self.middle = double(2 * base, 4 * base)
        self.up2 = nn.ConvTranspose2d(4 * base, 2 * base, 2, stride=2)
        self.dec2 = double(4 * base, 2 * base)
        self.up1 = nn.ConvTranspose2d(2 * base, base, kernel_size=2, stride=2)
        self.dec1 = double(2 * base, base)
        self.out = nn.Conv2d(base, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.max_pool2d(b, kernel_size=2))
        y = self.dec2(torch.cat([self.up2(c), b], dim=1))
        y = self.dec1(torch.cat([self.up1(y), a], dim=1))
        return self.out(y)


def get_inputs():
    return [torch.randn(2, 1, 8, 8)]
""",
    {
        "channels last": 1,
        "nnx.Conv": 2,
        "nnx.ConvTranspose": 2,
        "nnx.BatchNorm": 1,
        "nnx.Sequential": 1,
        "jax.nn.relu": 1,
    },
    present=(
        "nnx.max_pool(a, (2, 2), strides=(2, 2))",
        "jnp.moveaxis(self.out(y), -1, 1)",
        "jnp.concatenate",
    ),
    absent=("ChannelsFirst", "class MaxPool"),
)

LSTM = Styled(
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.fc = nn.Linear(5, 3)

    def forward(self, ids):
        out, (hidden, cell) = self.lstm(self.embed(ids))
        return self.fc(hidden[-1])


def get_inputs():
    return [torch.randint(0, 9, (3, 4))]
""",
    {"nnx.Embed": 1, "nnx.Linear": 1},
    present=("LSTM(6, 5, batch_first=True",),
)

GROUPNORM = Styled(
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self, groups=2):
        super().__init__()
        self.conv = nn.Conv1d(3, 4, 3, padding="same", dilation=2)
        self.norm = nn.GroupNorm(groups, 4)
        self.plain = nn.GroupNorm(1, 4, affine=False)
        self.fc = nn.Linear(10, 2)

    def forward(self, x):
        x = F.silu(self.norm(self.conv(x)))
        return self.fc(self.plain(x))


def get_inputs():
    return [torch.randn(2, 3, 10)]
""",
    {"nnx.Conv": 1, "nnx.GroupNorm": 2, "nnx.Linear": 1},
    present=("class ChannelsFirstConv(nnx.Conv)", 'padding="SAME"', "use_fast_variance=False"),
)

DROPOUT = Styled(
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self, p=0.25):
        super().__init__()
        self.fc1 = nn.Linear(6, 8)
        self.drop = nn.Dropout(p)
        self.act = nn.LeakyReLU(0.2)
        self.fc2 = nn.Linear(8, 8)
        self.scale = 1 - self.drop.p

    def forward(self, x):
        x = self.drop(self.act(self.fc1(x)))
        return F.log_softmax(self.fc2(x) * self.scale, dim=1)


def get_inputs():
    return [torch.randn(4, 6)]
""",
    {"nnx.Linear": 2, "nnx.Dropout": 1, "jax.nn.leaky_relu": 1},
    present=(
        "self.drop = nnx.Dropout(p, rngs=rngs)",
        "1 - self.drop.rate",
        "functools.partial(jax.nn.leaky_relu, negative_slope=0.2)",
    ),
)

SUBCLASS = Styled(
    HEAD
    + """\
class Scaled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 0.5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scaled = Scaled(5, 6)
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        return self.fc(torch.tanh(self.scaled(x)))


def get_inputs():
    return [torch.randn(3, 5)]
""",
    {"nnx.Linear": 1},
    present=("class Scaled(Linear)", "self.fc = nnx.Linear(6, 2, rngs=rngs)"),
)

READS = Styled(
    HEAD
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 6)
        self.norm = nn.LayerNorm(6)
        self.other = nn.Linear(6, 6)
        self.odd = nn.Linear(6, 6)
        self.odd.weight.requires_grad = False

    def forward(self, x):
        x = F.linear(x, self.fc.weight, self.fc.bias) / self.fc.out_features
        x = self.other(self.norm(x)) + self.norm.weight + self.norm.eps
        penalty = (self.fc.weight**2).sum()
        return self.odd(x) + penalty


def get_inputs():
    return [torch.randn(3, 5)]
""",
    {"nnx.Linear": 3, "nnx.LayerNorm": 1},
    present=(
        "self.fc.kernel[...].T",
        "self.norm.scale[...]",
        "self.norm.epsilon",
        "self.odd.kernel = Buffer(self.odd.kernel[...])",
    ),
)

MODULES = Styled(
    HEAD
    + """\
class Block(nn.Module):
    def __init__(self, width, act):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.act = act

    def forward(self, x):
        return x + self.act(self.fc(self.norm(x)))


class Net(nn.Module):
    def __init__(self, width=6, depth=3):
        super().__init__()
        self.blocks = nn.ModuleList([Block(width, nn.SiLU()) for _ in range(depth)])
        self.heads = nn.ModuleDict({"a": nn.Linear(width, 2), "b": nn.Linear(width, 3)})
        self.tail = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        for layer in self.tail:
            x = layer(x)
        x = self.tail[0](x)
        return {name: head(x) for name, head in self.heads.items()}


def get_inputs():
    return [torch.randn(4, 6)]
""",
    {"nnx.Linear": 4, "nnx.RMSNorm": 1, "jax.nn.silu": 1, "jnp.tanh": 1, "nnx.Sequential": 1},
    present=("for layer in self.tail.layers:", "self.tail.layers[0](x)"),
)

MIXED = Styled(
    HEAD
    + """\
class Net(nn.Module):
    \"\"\"Image to tokens: the convolution's layout does not pay for one layer.\"\"\"

    def __init__(self, width=8, patch=4):
        super().__init__()
        self.patch = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True, bias=False)
        self.norm = nn.LayerNorm((width,))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1)
        x = x + self.attn(self.norm(x), x, x, need_weights=False)[0]
        return self.head(x[:, 0])


def get_inputs():
    return [torch.randn(2, 3, 8, 8)]
""",
    {
        "channels last": 1,
        "nnx.Conv": 1,
        "nnx.MultiHeadAttention": 1,
        "nnx.LayerNorm": 1,
        "nnx.Linear": 1,
    },
    present=("self.attn(self.norm(x), x)", "kernel_size=(patch, patch)"),
)

GATED = Styled(
    HEAD
    + """\
class Gate(nn.Module):
    \"\"\"Squeeze and excitation.\"\"\"

    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 2, 1)
        self.fc2 = nn.Conv2d(channels // 2, channels, 1)

    def forward(self, x):
        s = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(s))))


class Net(nn.Module):
    def __init__(self, channels=4):
        super().__init__()
        self.conv = nn.Conv2d(2, channels, 3, padding=1, groups=2)
        self.gate = Gate(channels)
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.down = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        x = self.gate(self.conv(x)) * self.gamma
        a, b = self.down(x).chunk(2, dim=1)
        a = a[:, :, 1:, :2] + b[:, :, 1:, :2]
        return F.avg_pool2d(a, 2).sum(dim=(2, 3)), a


def get_inputs():
    return [torch.randn(3, 2, 6, 6)]
""",
    {"channels last": 1, "nnx.Conv": 4},
    present=(
        "a[:, 1:, :2]",
        "axis=(1, 2)",
        "feature_group_count=2",
        "jnp.moveaxis(self.gamma[...], 1, -1)",
    ),
    absent=("ChannelsFirst",),
)

SOURCES: dict[str, Styled] = {
    "cnn": CNN,
    "resnet": RESNET,
    "mlp": MLP,
    "encoder": ENCODER,
    "gpt": GPT,
    "unet": UNET,
    "lstm": LSTM,
    "groupnorm": GROUPNORM,
    "dropout": DROPOUT,
    "subclass": SUBCLASS,
    "reads": READS,
    "modules": MODULES,
    "mixed": MIXED,
    "gated": GATED,
}
