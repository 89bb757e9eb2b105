"""Sources with loops over blocks: those that may become `nnx.scan`, and those in which the loop must stay."""

from __future__ import annotations

from collections.abc import Mapping

from sources_styles import HEAD

BLOCK = '''
class Block(nn.Module):
    """A residual block of two layers."""

    def __init__(self, dim, rate=0.0):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.drop = nn.Dropout(rate)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x, scale=1.0):
        return x + scale * self.down(self.drop(F.gelu(self.up(self.norm(x)))))
'''
NET = """

class Net(nn.Module):
    def __init__(self, dim=6, depth=3):
        super().__init__()
        self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, 2)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def get_inputs():
    return [torch.randn(3, 4, 6)]
"""
SCANNED: Mapping[str, str] = {
    "layers": HEAD + BLOCK + NET,
    "more_arguments": HEAD
    + BLOCK
    + NET.replace("x = block(x)", "x = block(x, scale=gate)").replace(
        "        for", "        gate = torch.sigmoid(x.mean(-1, keepdim=True))\n        for"
    ),
    "generator": HEAD
    + BLOCK
    + NET.replace("[Block(dim) for _ in range(depth)]", "Block(dim) for i in range(depth)"),
    "attention": HEAD
    + """
class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.scale = nn.Parameter(torch.ones(dim))
        self.register_buffer("shift", torch.arange(float(dim)))

    def forward(self, x):
        y, _ = self.attn(x, x, x, need_weights=False)
        return self.norm(x + self.scale * y + self.shift)
"""
    + NET.replace("Block(dim)", "Block(dim, 2)"),
    "convolutions": HEAD
    + """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(2, width)

    def forward(self, x):
        return x + F.relu(self.norm(self.conv(x)))
"""
    + NET.replace("torch.randn(3, 4, 6)", "torch.randn(3, 6, 6)"),
}
KEPT: Mapping[str, str] = {
    "dropout": SCANNED["layers"].replace("Block(dim)", "Block(dim, 0.1)"),
    "configurations": SCANNED["layers"].replace("Block(dim) for _", "Block(dim, i * 0.0) for i"),
    "one_alone": SCANNED["layers"].replace(
        "self.head(x)", "self.head(x) + self.blocks[0].up(x).sum()"
    ),
    "shared_weight": SCANNED["layers"].replace(
        "self.head = ", "self.blocks[1].up = self.blocks[0].up\n        self.head = "
    ),
    "two_loops": SCANNED["layers"].replace(
        "return self.head(x)",
        "for block in self.blocks:\n            x = block(x)\n        return self.head(x)",
    ),
    "counted": SCANNED["layers"].replace(
        "return self.head(x)", "return self.head(x) / len(self.blocks)"
    ),
    "more_in_the_loop": SCANNED["layers"].replace(
        "x = block(x)", "x = block(x)\n            x = x * 2"
    ),
    "batch_norm": SCANNED["convolutions"].replace(
        "nn.GroupNorm(2, width)", "nn.BatchNorm1d(width)"
    ),
    "shrinks": SCANNED["convolutions"]
    .replace("padding=1", "padding=0")
    .replace("x + F.relu", "F.relu")
    .replace("dim=6, depth=3", "dim=6, depth=2")
    .replace("nn.Linear(dim, 2)", "nn.Linear(2, 2)"),
    "kept_attribute": SCANNED["layers"].replace(
        "        return x + scale", "        self.seen = x.shape[0]\n        return x + scale"
    ),
    "drawn": SCANNED["layers"]
    .replace("self.drop(", "F.dropout(", 1)
    .replace("(x))))))", "(x)))), 0.5, self.training))"),
    "one_block": SCANNED["layers"].replace("depth=3", "depth=1"),
}
