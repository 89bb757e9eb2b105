"""What the engine must not port: small sources, the refusal's code, and the text of its line."""

from __future__ import annotations

from sources import module

Refused = tuple[str, str, str]

_SHAPES: dict[str, Refused] = {
    name: (module(f"y = x * 1\n{line}", shape="4, 5"), "data_dependent_shape", text)
    for name, line, text in [
        ("nonzero", "return x[torch.nonzero(x[:, 0])].sum()", "torch.nonzero"),
        ("nonzero_method", "return (x > 0).nonzero().float()", ".nonzero()"),
        ("argwhere", "return torch.argwhere(x > 0).float()", "torch.argwhere"),
        ("where_alone", "return x[torch.where(x > 0)].sum()", "torch.where"),
        ("unique", "return torch.unique(x.round())", "torch.unique"),
        ("unique_consecutive", "return x[0].round().unique_consecutive()", ".unique_consecutive"),
        ("masked_select", "return torch.masked_select(x, x > 0)", "torch.masked_select"),
        ("bincount", "return torch.bincount(x[0].abs().long()).float()", "torch.bincount"),
        ("mask_read", "return y[y > 0].mean()", "y[y > 0]"),
        ("mask_of_rows", "return y[y.sum(1) > 0].sum(0)", "y[y.sum(1) > 0]"),
    ]
}

_VALUES: dict[str, Refused] = {
    name: (module(lines), "tensor_branch", text)
    for name, lines, text in [
        ("if_value", "if x.mean() > 0:\n    return x\nreturn -x", "if x.mean() > 0"),
        ("if_both_sides", "if x[0, 0] > 0 and x.ndim == 2:\n    x = x + 1\nreturn x", "if x[0, 0]"),
        ("while_value", "while x.abs().max() > 0.5:\n    x = x / 2\nreturn x", "while x.abs()"),
        ("conditional_value", "return x if x.sum() > 0 else torch.rand_like(x)", "x.sum() > 0"),
        ("item", "return x * x.sum().item()", ".item()"),
        ("tolist", "return x * x[0].tolist()[1]", ".tolist()"),
        ("numpy", "return x + torch.tensor(x.detach().numpy().sum())", ".numpy()"),
        ("float_of_tensor", "return x * float(x.sum())", "float(x.sum())"),
        ("int_of_tensor", "return x * int(x.sum() * 100)", "int(x.sum() * 100)"),
        ("allclose", "return x * torch.allclose(x, x + 1)", "torch.allclose"),
        ("range_of_value", "for _ in range(int(x.abs().sum() * 10)):\n    x = x * 2\nreturn x", "range("),
    ]
}  # fmt: skip

_ALIASES: dict[str, Refused] = {
    name: (module(lines, init, shape="3, 4", before=before), "unsafe_alias", text)
    for name, init, before, lines, text in [
        ("other_name", "", "", "y = x * 2\nz = y\nz.mul_(3)\nreturn y + z", "z.mul_(3)"),
        ("view", "", "", "y = x * 2\nz = y.view(2, 6)\nz += 1\nreturn y", "z += 1"),
        ("row", "", "", "y = x * 2\nrow = y[0]\nrow.zero_()\nreturn y", "row.zero_()"),
        ("transposed", "", "", "y = x * 2\nt = y.t()\nt[0] = 0.0\nreturn y", "t[0] = 0.0"),
        ("chunk", "", "", "y = x * 2\na, b = y.chunk(2, 1)\na += b\nreturn y", "a += b"),
        ("expanded", "", "", "y = x * 2\nz = y[:, :1]\nz.copy_(y[:, 1:2])\nreturn y", "z.copy_"),
        ("diagonal", "", "", "y = x[:, :3] * 2\nd = y.diagonal()\nd.fill_(1.0)\nreturn y", "d.fill_"),
        ("squeezed", "", "", "y = x * 2\nz = y.unsqueeze(0)\nz.sub_(1)\nreturn y", "z.sub_(1)"),
        ("argument_of_function", "", "def bump(t):\n    t += 1\n", "y = x * 2\nbump(y)\nreturn y", "bump(y)"),
        ("argument_of_module", "self.act = nn.Sequential(nn.ReLU(True), nn.Linear(4, 4))", "", "y = x * 2\nz = self.act(y)\nreturn y + z", "self.act(y)"),
        ("functional_in_place", "", "", "y = x * 2\nz = F.relu(y, inplace=True)\nreturn y + z", "F.relu(y"),
        ("functional_underscore", "", "", "y = x * 2\nz = F.relu_(y)\nreturn y + z", "F.relu_(y)"),
        ("buffer_as_argument", 'self.register_buffer("m", torch.zeros(4))', "def move(m, x):\n    m.mul_(0.9).add_(x)\n", "move(self.m, x.mean(0))\nreturn x + self.m", "move(self.m"),
        ("copy_written", "", "", "y = x * 2\ny[[0, 1]].add_(1)\nreturn y", ".add_(1)"),
    ]
}  # fmt: skip

_LAYERS: dict[str, Refused] = {
    name: (module("return self.layer(x)", f"self.layer = {layer}", shape=shape), "unsupported_layer", text)
    for name, layer, shape, text in [
        ("fractional_pool", "nn.FractionalMaxPool2d(2, output_size=3)", "1, 1, 8, 8", "nn.FractionalMaxPool2d"),
        ("fractional_pool_3d", "nn.FractionalMaxPool3d(2, output_size=3)", "1, 1, 8, 8, 8", "nn.FractionalMaxPool3d"),
    ]
}  # fmt: skip

_OPERATIONS: dict[str, Refused] = {
    name: (module(lines, shape="4, 4"), "unknown_operation", text)
    for name, lines, text in [
        ("eigenvectors", "return torch.linalg.eigh(x @ x.T)[1]", "torch.linalg.eigh"),
        ("singular_vectors", "return torch.linalg.svd(x)[0]", "torch.linalg.svd"),
        ("histc", "return torch.histc(x, 4)", "torch.histc"),
        ("mode", "return x.mode(1)[0]", "x.mode(1)"),
        ("stride", "return x * x.stride(0)", "x.stride(0)"),
        ("lu", "return torch.linalg.lu(x)[1]", "torch.linalg.lu"),
        ("as_strided", "return x.as_strided((2, 2), (1, 2))", "as_strided"),
        ("vander", "return torch.vander(x[0])", "torch.vander"),
        ("storage", "return x + x.storage_offset()", "storage_offset"),
        ("data_ptr", "return x if x.data_ptr() else -x", "data_ptr"),
    ]
}  # fmt: skip

_CONSTRUCTS: dict[str, Refused] = {
    name: (module(lines, init, before=before), code, text)
    for name, init, before, lines, code, text in [
        ("python_random", "", "import random\n", "return x * random.random()", "unsupported_construct", "random.random()"),
        ("draws_under_partial", "self.draw = functools.partial(noise, 4)", "import functools\n\n\ndef noise(n):\n    return torch.randn(n)\n", "return x + self.draw() * 0", "unsupported_construct", "functools.partial"),
        ("hook_at_run_time", "self.fc = nn.Linear(4, 4)", "", "self.fc.register_forward_hook(lambda m, a, o: o * 2)\nreturn self.fc(x)", "unsupported_construct", "register_forward_hook"),
        ("state_dict", "self.fc = nn.Linear(4, 4)", "", 'return x * self.fc.state_dict()["weight"].sum()', "unsupported_construct", "state_dict()"),
        ("named_parameters", "self.fc = nn.Linear(4, 4)", "", "for name, p in self.fc.named_parameters():\n    x = x + p.sum()\nreturn x", "unsupported_construct", "named_parameters()"),
        ("autocast", "self.fc = nn.Linear(4, 4)", "", 'with torch.autocast("cpu"):\n    x = self.fc(x)\nreturn x.float()', "unsupported_construct", "torch.autocast"),
        ("attribute_in_forward", "", "", "self.last = x.mean(0)\nreturn x - self.last", "unsupported_construct", "self.last = x.mean(0)"),
        ("generator", "", "", "return x + torch.rand(4, generator=torch.Generator().manual_seed(0))", "unsupported_argument", "generator="),
        ("out_used_at_once", "", "", "return torch.add(x, 1, out=torch.empty(3, 4))", "unsupported_argument", "out="),
        ("indices_of_a_pool", "where = True\nself.pool = nn.MaxPool1d(2, return_indices=where)", "", "return self.pool(x)[0]", "unsupported_argument", "return_indices"),
    ]
}  # fmt: skip

REFUSED: dict[str, Refused] = {
    **_SHAPES,
    **_VALUES,
    **_ALIASES,
    **_LAYERS,
    **_OPERATIONS,
    **_CONSTRUCTS,
}
