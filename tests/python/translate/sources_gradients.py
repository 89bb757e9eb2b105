"""Small sources about what is differentiated and what is not; see `sources`."""

from __future__ import annotations

from sources import module

_SIGN = """class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return torch.sign(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad = grad_output.clone()
        grad[x.abs() > ctx.bound] = 0
        return grad.neg(), None

"""

# name → (source, lines of the port)
EQUAL: dict[str, tuple[str, list[str]]] = {
    "data_of_a_weight": (
        module(
            "self.fc.weight.data *= 0.5\nself.fc.bias.data.clamp_(min=0.0)\nreturn self.fc(x)",
            "self.fc = nn.Linear(4, 4)",
        ),
        [
            "self.fc.weight[...] = with_data(self.fc.weight[...], self.fc.weight[...] * 0.5)",
            "self.fc.bias[...] = with_data(self.fc.bias[...], "
            "clamp(lax.stop_gradient(self.fc.bias[...]), min=0.0))",
        ],
    ),
    "writes_without_gradients": (
        module(
            "with torch.no_grad():\n"
            "    self.mean.mul_(0.9).add_(0.1 * x.mean(0))\n"
            "    target = torch.zeros_like(x)\n"
            "    target.fill_(0.2)\n"
            "    if x.size(0) > 1:\n"
            "        values = []\n"
            "        values.append(x.sum())\n"
            "        low, high = x.min(), x.max(1)[0]\n"
            "return x * target + self.mean - low * values[0] + high.mean()",
            'self.register_buffer("mean", torch.zeros(4))',
        ),
        [
            "target = lax.stop_gradient(jnp.full_like(target, 0.2))",
            "values.append(lax.stop_gradient(jnp.sum(x)))",
            "low, high = lax.stop_gradient(jnp.min(x)), lax.stop_gradient(max_dim(x, 1)[0])",
        ],
    ),
    "a_tensor_scaled_without_gradients": (
        module("y = x * x\nwith torch.no_grad():\n    y *= 2\nreturn y"),
        ["        y = with_data(y, y * (2))"],
    ),
    "a_function_without_gradients": (
        module(
            "return x * self.scale(x)",
            before="",
        ).replace(
            "    def forward",
            "    @torch.no_grad()\n    def scale(self, y):\n        z = y.exp()\n"
            "        return z.sum()\n\n    def forward",
        ),
        ["        z = jnp.exp(y)\n        return lax.stop_gradient(jnp.sum(z))"],
    ),
    "a_gradient_of_its_own": (
        module("return Sign.apply(x * 2, 1.5) * x", before=_SIGN),
        ["class Sign(Function):", "grad = jnp.where(absolute(x) > ctx.bound, 0, grad)"],
    ),
    "frozen_parameters": (
        module(
            "return self.head(self.body(x) + self.extra(x) + self.gain.weight[0])",
            "self.body = nn.Sequential(nn.Linear(4, 4), nn.Tanh())\n"
            "for p in self.body.parameters():\n    p.requires_grad = False\n"
            "self.extra = nn.Linear(4, 4).requires_grad_(True)\n"
            "self.gain = nn.Embedding(2, 4)\n"
            "self.gain.weight.requires_grad = False\n"
            "self.head = nn.Linear(4, 2)\n"
            "self.extra.requires_grad_(False)",
        ),
        [
            "        freeze(self.body)\n",
            "        freeze(self.extra)\n",
            "self.gain.weight = Buffer(self.gain.weight[...])",
        ],
    ),
    "train_mode_of_a_part": (
        module(
            "return self.norm(self.body(x))",
            "self.body = nn.BatchNorm1d(4)\nself.norm = nn.BatchNorm1d(4)",
        ).replace(
            "    def forward",
            "    def train(self, mode=True):\n        super().train(mode)\n"
            "        self.body.eval()\n        return self\n\n    def forward",
        ),
        ["        set_training(self, mode)\n"],
    ),
}
