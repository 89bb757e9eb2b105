"""Small sources, one construct each, with lines that their port must contain."""

from __future__ import annotations

from oracle_and_port import HEAD


def module(
    forward: str, init: str = "", shape: str = "3, 4", before: str = "", args: str = "x"
) -> str:
    """A file with one module class `Net`; `forward` and `init` are lines of its methods."""
    constructor = "".join(f"        {line}\n" for line in init.splitlines())
    body = "".join(f"        {line}".rstrip() + "\n" for line in forward.splitlines())
    given = f"torch.randn({shape})" if shape else ""
    return (
        f"{HEAD}{before}\nclass Net(nn.Module):\n"
        f"    def __init__(self):\n        super().__init__()\n{constructor}\n"
        f"    def forward(self, {args}):\n{body}\n\n"
        f"def get_inputs():\n    return [{given}]\n"
    )


# name → (source, lines of the port)
EQUAL: dict[str, tuple[str, list[str]]] = {
    "overloads_of_max": (
        module("v, i = x.max(dim=1)\nreturn torch.max(x) + torch.max(x, -x), v, i"),
        ["v, i = max_dim(x, 1)", "return jnp.max(x) + jnp.maximum(x, -x), v, i"],
    ),
    "size_with_and_without_dim": (
        module("b, c = x.size()\nreturn x.view(b, -1) * x.size(1) + x.numel() + x.dim()"),
        ["b, c = x.shape", "return x.reshape(b, -1) * x.shape[1] + x.size + x.ndim"],
    ),
    "list_of_axes": (
        module("return x.mean([1, 2], keepdim=True)", shape="2, 3, 4"),
        ["return jnp.mean(x, axis=(1, 2), keepdims=True)"],
    ),
    "comments_stay": (
        module("# first\ny = x.relu()  # positive part\n\nreturn y.t()  # turned"),
        [
            "        # first\n        y = jax.nn.relu(x)  # positive part\n\n"
            "        return y.T  # turned"
        ],
    ),
    "operands_keep_their_meaning": (
        module("return (x + 1).transpose(0, 1) @ torch.add(x, x).mul(2 - x)"),
        ["return (x + 1).swapaxes(0, 1) @ ((x + x) * (2 - x))"],
    ),
    "assignment_to_elements": (
        module(
            "y = torch.zeros_like(x)\ny[:, 1:] = x[:, :-1]\ny[0] += 2\ny[y > 1] = 0.5\nreturn y"
        ),
        ["y = y.at[:, 1:].set(x[:, :-1])", "y = y.at[0].add(2)", "y = jnp.where(y > 1, 0.5, y)"],
    ),
    "methods_in_place": (
        module("y = x * 2\ny.add_(1).mul_(3)\ny.clamp_(min=0.0)\nreturn y"),
        ["y = (y + 1) * 3", "y = clamp(y, min=0.0)"],
    ),
    "buffer_written_in_forward": (
        module(
            "self.count += 1\nreturn x * self.count",
            'self.register_buffer("count", torch.zeros(1))',
        ),
        [
            "self.count = Buffer(jnp.zeros((1,)))",
            "self.count[...] += 1",
            "return x * self.count[...]",
        ],
    ),
    "plain_tensor_attribute": (
        module("return x + self.shift", "self.shift = torch.arange(4).float()"),
        ["self.shift = Buffer(jnp.arange(4).astype(jnp.float32))", "return x + self.shift[...]"],
    ),
    "optional_parameter": (
        module(
            "return F.linear(x, self.weight, self.bias)",
            'self.weight = nn.Parameter(torch.randn(2, 4))\nself.register_parameter("bias", None)',
        ),
        ["self.weight = nnx.Param(jax.random.normal(rngs.params(), (2, 4)))", "self.bias = None"],
    ),
    "tied_weights": (
        module(
            "return self.z_out(self.a_in(x))",
            "self.a_in = nn.Linear(4, 4)\nself.z_out = nn.Linear(4, 4)\n"
            "self.z_out.weight = self.a_in.weight",
        ),
        ["self.z_out.weight = self.a_in.weight"],
    ),
    "functional_dropout": (
        module("return F.dropout(x, 0.5, self.training)"),
        [
            "        self.deterministic = False\n        self.rngs = rngs\n",
            "return dropout(x, 0.5, not self.deterministic, rngs=self.rngs)",
        ],
    ),
    "class_in_a_variable": (
        module(
            "return self.act(self.norm(x))",
            "norm = nn.LayerNorm\nself.norm = norm(4)\nself.act = nn.ReLU(inplace=True)",
        ),
        ["norm = LayerNorm", "self.norm = norm(4, rngs=rngs)", "self.act = ReLU(inplace=True)"],
    ),
    "builder_functions": (
        module(
            "return self.net(x)",
            "self.net = nn.Sequential(*[block(4) for _ in range(2)])",
            before="def block(width):\n    return nn.Linear(width, width, bias=False)\n\n",
        ),
        [
            "def block(width, *, rngs: nnx.Rngs | None = None):",
            "self.net = Sequential(*[block(4, rngs=rngs) for _ in range(2)])",
        ],
    ),
    "module_after_none": (
        module("return self.extra(x)", "self.extra = None\nself.extra = nn.Linear(4, 4)"),
        ["self.extra = nnx.data(Linear(4, 4, rngs=rngs))"],
    ),
    "a_name_of_the_prelude_is_taken": (
        module(
            "return LayerNorm()(self.norm(x))",
            "self.norm = nn.LayerNorm(4)",
            before=(
                "class LayerNorm(nn.Module):\n    def forward(self, x):\n        return x - 1\n\n"
            ),
        ),
        ["self.norm = TorchLayerNorm(4)", "return LayerNorm()(self.norm(x))"],
    ),
    "blocks_without_gradients": (
        module("with torch.no_grad():\n    m = x.mean()\nreturn x - m + x.detach() * x"),
        [
            "        m = lax.stop_gradient(jnp.mean(x))\n"
            "        return x - m + lax.stop_gradient(x) * x"
        ],
    ),
    "numbers_read_in_a_constructor": (
        module(
            "return x * self.rates[1]", "self.rates = [r.item() for r in torch.linspace(0, 1, 3)]"
        ),
        ["[r.item() for r in np.linspace(0, 1, 3, dtype=np.float32)]"],
    ),
    "a_list_as_index": (module("return x[:, [2, 0]]"), ["return x[:, jnp.array([2, 0])]"]),
    "devices_go": (
        module("device = x.device\nm = torch.eye(4, device=device).to(device)\nreturn x.cpu() @ m"),
        ["        m = jnp.eye(4)\n        return x @ m"],
    ),
    "an_alias_not_read_again": (
        module(
            "y = self.relu(self.fc(x))\ny += x\nreturn y",
            "self.fc = nn.Linear(4, 4)\nself.relu = nn.ReLU(inplace=True)",
        ),
        ["y += x"],
    ),
}

# name → (source, expected refusal code, text of the line)
REFUSED: dict[str, tuple[str, str, str]] = {
    "unknown_operation": (module("return torch.vander(x[0])"), "unknown_operation", "torch.vander"),
    "unsupported_layer": (
        module(
            "return self.pool(x)", "self.pool = nn.FractionalMaxPool2d(2, 1)", shape="1, 1, 4, 4"
        ),
        "unsupported_layer",
        "FractionalMaxPool2d",
    ),
    "data_dependent_shape": (module("return x[x > 0].sum()"), "data_dependent_shape", "x[x > 0]"),
    "tensor_branch": (
        module("if x.sum() > 1e9:\n    return x\nreturn -x"),
        "tensor_branch",
        "if x.sum()",
    ),
    "tensor_value": (module("return x * x.sum().item()"), "tensor_branch", "item()"),
    "alias_read_later": (module("y = x * 2\nz = y\ny += 1\nreturn z"), "unsafe_alias", "y += 1"),
    "view_read_later": (
        module("y = x * 2\nz = y.view(-1)\nz[0] = 1.0\nreturn y"),
        "unsafe_alias",
        "z[0]",
    ),
    "relu_in_place": (
        module("y = x * 1\nz = self.relu(y)\nreturn y + z", "self.relu = nn.ReLU(inplace=True)"),
        "unsafe_alias",
        "self.relu(y)",
    ),
    "argument": (
        module("return torch.sum(x, dim=1, out=torch.empty(3))"),
        "unsupported_argument",
        "out=",
    ),
}
