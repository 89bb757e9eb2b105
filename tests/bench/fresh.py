"""The same check as people write it today: one process, both libraries, an idiomatic eager NNX port, copied weights."""

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from small_cnn import SmallCNN


class Port(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(3, 16, (3, 3), padding=1, rngs=rngs)
        self.conv2 = nnx.Conv(16, 32, (3, 3), strides=2, padding=1, rngs=rngs)
        self.norm = nnx.BatchNorm(32, epsilon=1e-5, use_running_average=True, rngs=rngs)
        self.fc = nnx.Linear(32 * 8 * 8, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv1(x.transpose(0, 2, 3, 1)))
        x = nnx.relu(self.norm(self.conv2(x)))
        return self.fc(x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1))


source = SmallCNN().eval()
port = Port(nnx.Rngs(0))
for name in ("conv1", "conv2"):
    layer, target = getattr(source, name), getattr(port, name)
    target.kernel.value = jnp.asarray(layer.weight.detach().numpy().transpose(2, 3, 1, 0))
    target.bias.value = jnp.asarray(layer.bias.detach().numpy())
port.norm.scale.value = jnp.asarray(source.norm.weight.detach().numpy())
port.norm.bias.value = jnp.asarray(source.norm.bias.detach().numpy())
port.norm.mean.value = jnp.asarray(source.norm.running_mean.numpy())
port.norm.var.value = jnp.asarray(source.norm.running_var.numpy())
port.fc.kernel.value = jnp.asarray(source.fc.weight.detach().numpy().T)
port.fc.bias.value = jnp.asarray(source.fc.bias.detach().numpy())

x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
expected = source(x).detach().numpy()
actual = np.asarray(port(jnp.asarray(x.numpy())))
print(
    "equal" if np.allclose(expected, actual, atol=1e-5) else "differs",
    np.abs(expected - actual).max(),
)
