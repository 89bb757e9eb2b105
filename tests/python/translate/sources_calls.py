"""Small sources about calls and layers that once were refused or ported wrongly; see `sources`."""

from __future__ import annotations

from sources import module

_STAR = (
    "from torch.nn import *\nimport torch\n\n\n"
    + module("return self.net(x)", "self.net = Sequential(Linear(4, 3), ReLU())")
    .split("\n\n", 1)[1]
    .replace("nn.Module", "Module")
    .lstrip()
)

# name → (source, lines of the port)
_PARAMETRIZATIONS = """from torch.nn.utils import parametrize


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).transpose(-1, -2)


class Scaled(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.scale = nn.Parameter(torch.full((size, 1), 2.0))

    def forward(self, X):
        return self.scale * X

    def right_inverse(self, W):
        return W / self.scale


class Halves(nn.Module):
    def forward(self, top, bottom):
        return torch.cat([top, bottom])

    def right_inverse(self, W):
        return W[:2], W[2:]


"""
_CONTAINERS = """class Branches(nn.ModuleDict):
    def __init__(self, sizes):
        super().__init__()
        for index, size in enumerate(sizes):
            self.add_module(f"branch{index}", nn.Linear(4, size))
        self["last"] = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        named = [branch(x) for name, branch in self.items() if name != "last"]
        return self.scale * torch.cat([*named, self["last"](x)], dim=-1) + len(self)


class Stack(nn.ModuleList):
    def __init__(self, count):
        super().__init__([nn.Linear(4, 4) for _ in range(count)])
        self.append(nn.Tanh())
        self.extend([nn.Linear(4, 4)])

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x + self[0](x)


"""
_STATISTICS = (
    'self.register_buffer("mean", torch.zeros(4))\n'
    'self.register_buffer("var", torch.ones(4))\n'
    "self.weight = nn.Parameter(torch.ones(4))\nself.bias = nn.Parameter(torch.zeros(4))\n"
    "self.keep = True"
)

EQUAL: dict[str, tuple[str, list[str]]] = {
    "pools_with_indices": (
        module(
            "h, where = self.pool(x)\n"
            "g, at = F.max_pool2d(h, 2, 1, return_indices=True)\n"
            "b, bins = self.bins(x)\n"
            "g = F.max_unpool2d(g, at, 2, 1, output_size=h.shape)\n"
            "return self.unpool(g, where, output_size=x.size()), b, bins.float()",
            "self.pool = nn.MaxPool2d(2, stride=2, return_indices=True)\n"
            "self.bins = nn.AdaptiveMaxPool2d((3, None), return_indices=True)\n"
            "self.unpool = nn.MaxUnpool2d(2, stride=2)",
            shape="2, 3, 7, 6",
        ),
        [
            "self.pool = MaxPool2dWithIndices(2, stride=2)",
            "self.bins = AdaptiveMaxPool2dWithIndices((3, None))",
            "h, where = self.pool(x)",
            "g, at = max_pool2d_with_indices(h, 2, stride=1)",
        ],
    ),
    "losses_over_sequences_and_classes": (
        module(
            "p = self.fc(x).log_softmax(2)\n"
            "t = torch.tensor([[1, 2, -1, 0], [3, 3, 0, -1], [-1, 1, 2, 3]])\n"
            "out, loss = self.words(x[0], t[:, 1])\n"
            "return self.ctc(p, t.abs(), (6, 5, 4), (2, 2, 1)) + loss, out, self.labels(x[0], t)",
            "self.fc = nn.Linear(4, 5)\nself.ctc = nn.CTCLoss(zero_infinity=True)\n"
            "self.words = nn.AdaptiveLogSoftmaxWithLoss(4, 9, [2, 5], div_value=2.0)\n"
            "self.labels = nn.MultiLabelMarginLoss(reduction='none')",
            shape="6, 3, 4",
        ),
        ["self.words = AdaptiveLogSoftmaxWithLoss(4, 9, [2, 5], div_value=2.0, rngs=rngs)"],
    ),
    "either_side_is_computed": (
        module(
            "if x.mean() > 0:\n    y = self.up(x)\nelse:\n    y = F.relu(self.down(x))\n"
            "if y.sum() > x.sum():\n    y = y * 2\n"
            "z = y.sin() if y.max() > x.max() else y.cos()\n"
            "if z.mean() < y.mean():\n    return z + y\nelse:\n    return z * x",
            "self.up = nn.Linear(4, 4)\nself.down = nn.Linear(4, 4)",
        ),
        [
            "        y = jax.lax.cond(jnp.mean(x) > 0, lambda: self.up(x), lambda: jax.nn.relu(self.down(x)))\n",
            "        y = jax.lax.cond(jnp.sum(y) > jnp.sum(x), lambda: y * 2, lambda: y)\n",
            "        z = jax.lax.cond(jnp.max(y) > jnp.max(x), lambda: jnp.sin(y), lambda: jnp.cos(y))\n",
            "        return jax.lax.cond(jnp.mean(z) < jnp.mean(y), lambda: z + y, lambda: z * x)\n",
        ],
    ),
    "parametrizations": (
        module(
            "return F.linear(self.c(self.b(self.a(x))), self.weight)",
            'self.a = nn.Linear(4, 4)\nparametrize.register_parametrization(self.a, "weight", Symmetric())\n'
            'parametrize.register_parametrization(self.a, "weight", Scaled(4))\n'
            "self.b = parametrize.register_parametrization(nn.Linear(4, 3), 'weight', Scaled(3))\n"
            "self.c = nn.Linear(3, 4)\n"
            'parametrize.register_parametrization(self.c, "weight", Halves())\n'
            "self.weight = nn.Parameter(torch.ones(4, 4))\n"
            'parametrize.register_parametrization(self, "weight", Symmetric())',
            before=_PARAMETRIZATIONS,
        ),
        ["return linear(self.c(self.b(self.a(x))), self.weight)"],
    ),
    "classes_derived_from_containers": (
        module(
            "return self.branches(self.stack(x))",
            "self.stack = Stack(2)\nself.branches = Branches([3, 1])",
            before=_CONTAINERS,
        ),
        [
            "class Branches(ModuleDict):",
            "class Stack(ModuleList):",
            'self["last"] = Linear(4, 2, rngs=rngs)',
        ],
    ),
    "statistics_of_a_batch": (
        module(
            "return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, self.training, 0.2, 1e-3)",
            _STATISTICS,
        ),
        ["return batch_norm(x, self.mean, self.var, self.weight[...], self.bias[...],"],
    ),
    "statistics_where_kept": (
        module(
            "return F.batch_norm(\n    x,\n"
            "    self.mean if not self.training or self.keep else None,\n"
            "    running_var=self.var if not self.training or self.keep else None,\n"
            "    training=self.training,\n)",
            _STATISTICS,
        ),
        ["            self.mean if not (not self.deterministic) or self.keep else None,\n"],
    ),
    "what_a_dtype_is": (
        module(
            "known = x.dtype.is_floating_point and not x.dtype.is_complex\nreturn x if known else -x"
        ),
        [
            "jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(x.dtype, jnp.complexfloating)"
        ],
    ),
    "elements_of_a_shape": (
        module("return x.reshape(x.shape[1:].numel(), -1)", shape="3, 4, 2"),
        ["return x.reshape(math.prod(x.shape[1:]), -1)"],
    ),
    "assertion_by_call": (
        module('torch._assert(x.shape[1] == 4, "four columns")\nreturn 2 * x'),
        ['        assert x.shape[1] == 4, "four columns"\n'],
    ),
    "placement_of_a_base": (
        module(
            "return self.norm(x)",
            "self.norm = Norm(4)",
            before="class Norm(nn.GroupNorm):\n"
            "    def __init__(self, channels, device=None, dtype=None):\n"
            "        super().__init__(2, channels, eps=1e-3, device=device, dtype=dtype)\n\n",
        ),
        ["super().__init__(2, channels, eps=1e-3)"],
    ),
    "a_draw_that_never_ran": (
        module(
            "return drop(x, 0.0, self.training)",
            before="def drop(x, rate, training):\n"
            "    if rate == 0.0 or not training:\n        return x\n"
            "    return x * x.new_empty(x.shape).bernoulli_(1 - rate)\n\n",
        ),
        ["def drop(x, rate, training, *, rngs"],
    ),
    "a_generator_as_the_only_argument": (
        module(
            "for layer in self.layers:\n    x = layer(x)\nreturn x",
            "self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))",
        ),
        ["self.layers = nnx.List(Linear(4, 4, rngs=rngs) for _ in range(2))"],
    ),
    "values_that_choose_an_operation": (
        module(
            'y = F.gelu(x, approximate="tanh") + F.gelu(x, approximate="none")\n'
            'return y + torch.div(x, 2, rounding_mode="floor")'
            ' + torch.div(x, 2, rounding_mode="trunc")'
        ),
        ["jax.nn.gelu(x, approximate=True) + jax.nn.gelu(x, approximate=False)"],
    ),
    "windows_and_pieces": (
        module(
            "a, b = x.split(split_size=[1, 3], dim=1)\n"
            "return x.unfold(1, 2, 1).unfold(0, 2, 1).sum(-1), a, b"
        ),
        ["sliding_windows(sliding_windows(x, 1, 2, 1), 0, 2, 1)"],
    ),
    "operands_in_a_list": (
        module(
            "parts = [x, x]\nreturn torch.einsum('ij,kj->ik', [x, x]), "
            "torch.einsum('ij,ij->i', parts)"
        ),
        ["jnp.einsum('ij,kj->ik', x, x), jnp.einsum('ij,ij->i', *parts)"],
    ),
    "writes_under_a_mask": (
        module(
            "mask = x > 0\nrows = x.sum(1) > 0\n"
            "y = torch.zeros_like(x)\ny[mask] = x[mask] * 2 - (x * x)[mask]\n"
            "z = x.clone()\nz[~mask] *= 3\nz[rows] = self.token\nz[rows] += 1.0\n"
            "return y, z",
            "self.token = nn.Parameter(torch.randn(4))",
        ),
        [
            "y = jnp.where(mask, (x * 2) - (x * x), y)",
            "z = jnp.where(~mask, z * 3, z)",
            "z = jnp.where(rows[..., None], self.token[...], z)",
            "z = jnp.where(rows[..., None], z + 1.0, z)",
        ],
    ),
    "part_of_a_tensor_written_by_a_method": (
        module("y = x * 1\ny[:, ::2].mul_(0.5)\nreturn y"),
        ["y = y.at[:, ::2].set(y[:, ::2] * 0.5)"],
    ),
    "sizes_of_what_was_written": (
        module("y = x * 2\nz = F.relu(y, inplace=True)\nreturn z.view(y.size(0), -1)"),
        ["return z.reshape(y.shape[0], -1)"],
    ),
    "children_added_by_name": (
        module(
            "return self.net(x)",
            "self.net = nn.Sequential()\n"
            "for i in range(2):\n    self.net.add_module(f'layer{i}', nn.Linear(4, 4))\n"
            "self.net.add_module('act', nn.ReLU())",
        ),
        ["self.net.add_module(f'layer{i}', Linear(4, 4, rngs=rngs))"],
    ),
    "modules_in_a_plain_list": (
        module(
            "return sum(head(x) for head in self.heads)",
            "self.heads = [nn.Linear(4, 4) for _ in range(2)]\n"
            "for i, head in enumerate(self.heads):\n    self.add_module(f'head{i}', head)",
        ),
        ["self.heads = nnx.List([Linear(4, 4, rngs=rngs) for _ in range(2)])"],
    ),
    "buffers_by_a_local_function": (
        module(
            "return x * self.table",
            "put = lambda name, value: self.register_buffer(name, value.float())\n"
            "put('table', torch.arange(4))",
        ),
        ["put = lambda name, value: setattr(self, name, Buffer(value.astype(jnp.float32)))"],
    ),
    "initial_values_in_a_helper": (
        module(
            "return self.fc(x)",
            "self.fc = started(nn.Linear(4, 4))",
            before="def started(layer, gain=2.0):\n    nn.init.orthogonal_(layer.weight, gain)\n"
            "    return layer\n\n",
        ),
        ["def started(layer, gain=2.0):\n    return layer"],
    ),
    "a_layer_with_a_computed_weight": (
        module(
            "return self.conv(x[None])",
            "self.conv = Standardised(3, 2, 3, padding=1)",
            before="class Standardised(nn.Conv1d):\n    def forward(self, x):\n"
            "        w = self.weight - self.weight.mean(dim=(1, 2), keepdim=True)\n"
            "        return self._conv_forward(x, w, self.bias)\n\n",
        ),
        ["return self._conv_forward(x, w, self.bias[...])"],
    ),
    "old_weight_norm": (
        module(
            "return self.s(self.a(x))",
            "self.a = nn.utils.weight_norm(nn.Linear(4, 3), dim=None)\n"
            "self.s = nn.utils.spectral_norm(nn.Linear(3, 2), n_power_iterations=2)",
        ),
        ["self.a = weight_norm(Linear(4, 3, rngs=rngs), dim=None)"],
    ),
    "new_weight_norm": (
        module(
            "return self.s(self.a(x)).mean(), self.t(x[None, :, :, None])",
            "self.a = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))\n"
            "self.s = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2))\n"
            "self.t = nn.utils.parametrizations.spectral_norm(nn.ConvTranspose2d(3, 2, 2))",
        ),
        ["self.s = parametrized_spectral_norm(Linear(3, 2, rngs=rngs))"],
    ),
    "layers_of_einops": (
        module(
            "return self.swap(x), self.mean(x)",
            "self.swap = Rearrange('a (b c) -> c a b', c=2)\nself.mean = Reduce('a b -> a', 'max')",
            before="from einops.layers.torch import Rearrange, Reduce\n\n",
        ),
        ["self.swap = Rearrange('a (b c) -> c a b', c=2)"],
    ),
    "transforms": (
        module(
            "y = torch.fft.rfft2(x, norm='ortho')\n"
            "z = torch.fft.fftshift(torch.fft.fftn(x, dim=(0,)), dim=0)\n"
            "return torch.fft.irfft2(y * self.w, s=(3, 4), norm='ortho'), z.abs(), "
            "torch.fft.fftfreq(4, d=0.5) * x",
            "self.w = nn.Parameter(torch.rand(3, 3, dtype=torch.cfloat))",
        ),
        ["jnp.fft.rfft2(x, norm='ortho')", "jnp.fft.fftfreq(4, d=0.5)"],
    ),
    "noise_of_gumbel": (
        module("return F.gumbel_softmax(x, tau=0.5, hard=True, dim=1)"),
        ["return gumbel_softmax(x, tau=0.5, hard=True, dim=1, rngs=self.rngs)"],
    ),
    "all_names_of_the_layers": (_STAR, ["self.net = Sequential(Linear(4, 3, rngs=rngs), ReLU())"]),
    "a_method_that_never_ran_is_kept": (
        module("return self.fc(x), x", "self.fc = nn.Linear(4, 5)").replace(
            "    def forward",
            "    @torch.no_grad()\n    def sample(self, x, k, shape):\n"
            "        noise = torch.randn(shape)\n"
            "        logits, _ = self(x)\n        v, _ = torch.topk(logits, k)\n"
            "        logits[logits < v[:, [-1]]] = -float('inf')\n"
            "        return torch.multinomial(F.softmax(logits, dim=-1), num_samples=1) + noise\n\n"
            "    def forward",
        ),
        [
            "noise = jax.random.normal(self.rngs.noise(), as_shape(shape))",
            "logits = jnp.where(logits < v[:, jnp.array([-1])], -float('inf'), logits)",
            "multinomial(jax.nn.softmax(logits, axis=-1), num_samples=1, rngs=self.rngs)",
        ],
    ),
}

# name → (source, expected refusal code, text of the line)
REFUSED: dict[str, tuple[str, str, str]] = {
    "statistics_by_another_name": (
        module(
            "mean = self.mean\nreturn F.batch_norm(x, mean, self.var, training=self.training)",
            _STATISTICS,
        ),
        "unsafe_alias",
        "return F.batch_norm(x, mean",
    ),
    "positions_of_a_mask": (
        module("i, j = torch.where(x > 0)\nreturn x[i, j].sum()"),
        "data_dependent_shape",
        "torch.where(x > 0)",
    ),
    "quotients_under_a_mask": (
        module("y = torch.zeros_like(x)\nm = x > 0\ny[m] = 1 / x[m]\nreturn y"),
        "data_dependent_shape",
        "y[m] = 1 / x[m]",
    ),
    "a_copy_is_written": (
        module("y = x * 1\ny[torch.tensor([0, 1])].mul_(2)\nreturn y"),
        "unsafe_alias",
        ".mul_(2)",
    ),
}
