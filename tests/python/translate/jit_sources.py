"""Sources of models as people write them, one for each family, small enough to run in every way."""

from __future__ import annotations

HEAD = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n"

CNN = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 4 * 4, 5)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.fc(torch.flatten(x, 1))


def get_inputs():
    return [torch.randn(4, 3, 8, 8)]
"""

RESNET = """\
class Block(nn.Module):
    def __init__(self, width, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.down = nn.Sequential()
        if stride > 1:
            self.down = nn.Sequential(nn.Conv2d(width, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.down(x)
        return F.relu(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(3, 4, 2), Block(4, 4, 1))
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.pool(self.blocks(x)).flatten(1))


def get_inputs():
    return [torch.randn(4, 3, 8, 8)]
"""

ENCODER = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        return self.head(self.encoder(self.tokens(tokens)).mean(1))


def get_inputs():
    return [torch.randint(0, 20, (4, 6))]
"""

GPT = """\
class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.register_buffer("mask", torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8))

    def forward(self, x):
        n, t, c = x.size()
        q, k, v = self.qkv(x).split(c, dim=2)
        q, k, v = (y.view(n, t, self.heads, -1).transpose(1, 2) for y in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (c // self.heads) ** -0.5
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.proj(y.transpose(1, 2).contiguous().view(n, t, c))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(20, 16)
        self.wpe = nn.Embedding(8, 16)
        self.norm = nn.LayerNorm(16)
        self.attn = Attention(16, 2)
        self.mlp = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        x = x + self.attn(self.norm(x))
        return self.head(x + self.mlp(x))


def get_inputs():
    return [torch.randint(0, 20, (4, 6))]
"""

LSTM = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 8, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        x, _ = self.lstm(x)
        return self.fc(x[:, -1])


def get_inputs():
    return [torch.randn(4, 5, 6)]
"""

GRU = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.cell = nn.GRUCell(8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x, h = self.gru(x)
        return self.fc(self.cell(x[:, -1], torch.tanh(h[0])))


def get_inputs():
    return [torch.randn(4, 5, 6)]
"""

UNET = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.out = nn.Conv2d(7, 2, 1)

    def forward(self, x):
        y = F.silu(self.norm(self.down(x)))
        y = self.up(F.avg_pool2d(F.interpolate(self.middle(y), scale_factor=2), 2))
        return self.out(torch.cat([x, y], dim=1))


def get_inputs():
    return [torch.randn(4, 3, 8, 8)]
"""

MLP = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 32)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(32, 3)

    def forward(self, x):
        return F.log_softmax(self.fc2(self.drop(F.elu(self.fc1(x)))), dim=-1)


def get_inputs():
    return [torch.randn(4, 8)]
"""

VAE = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(8, 16)
        self.mu = nn.Linear(16, 4)
        self.logvar = nn.Linear(16, 4)
        self.dec = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 8), nn.Sigmoid())

    def forward(self, x):
        h = F.leaky_relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu
        if self.training:
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


def get_inputs():
    return [torch.randn(4, 8)]
"""

BAG = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 8, padding_idx=0)
        self.norm = nn.RMSNorm(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, words):
        kept = (words != 0).unsqueeze(-1)
        total = (self.words(words) * kept).sum(1) / kept.sum(1).clamp(min=1)
        return self.fc(self.norm(total))


def get_inputs():
    return [torch.randint(0, 20, (4, 6))]
"""

SOURCES = {
    "cnn": CNN,
    "resnet": RESNET,
    "encoder": ENCODER,
    "gpt": GPT,
    "lstm": LSTM,
    "gru": GRU,
    "unet": UNET,
    "mlp": MLP,
    "vae": VAE,
    "bag": BAG,
}
