"""What the prelude promises beyond torch's numbers: construction, dtypes, switches, extraction."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from typing import Any

import ferry.prelude
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ferry.prelude.activation_layer import ReLU
from ferry.prelude.base import Buffer, clone_module
from ferry.prelude.container import Sequential
from ferry.prelude.conv import Conv2d, conv2d
from ferry.prelude.dropout import Dropout
from ferry.prelude.linear import Embedding, Linear
from ferry.prelude.loss_layer import CrossEntropyLoss
from ferry.prelude.norm import BatchNorm2d, LayerNorm, RMSNorm
from ferry.prelude.pointwise import clamp
from ferry.prelude.pool_layer import AdaptiveAvgPool2d, MaxPool2d
from ferry.prelude.recurrent import LSTM
from ferry.prelude.shape import Flatten
from ferry.prelude.transformer import TransformerEncoder, TransformerEncoderLayer
from flax import nnx

SOURCES = sorted(Path(ferry.prelude.__path__[0]).glob("[a-z]*.py"))


def small_net(rngs: nnx.Rngs | None) -> Sequential:
    """Convolution, batch norm, pools, dropout, a linear head."""
    return Sequential(
        Conv2d(3, 8, 3, padding=1, rngs=rngs),
        BatchNorm2d(8),
        ReLU(),
        MaxPool2d(2),
        AdaptiveAvgPool2d((3, 2)),
        Flatten(),
        Dropout(0.5, rngs=rngs),
        Linear(48, 5, rngs=rngs),
    )


def test_paths_are_torchs() -> None:
    """State paths are those of torch's state_dict, and statistics are not parameters."""
    model = small_net(nnx.Rngs(0))
    params = {".".join(map(str, p)) for p, _ in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    stats = {".".join(map(str, p)) for p, _ in nnx.to_flat_state(nnx.state(model, nnx.BatchStat))}
    assert params == {"0.weight", "0.bias", "1.weight", "1.bias", "7.weight", "7.bias"}
    assert stats == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float64])
def test_output_dtype_follows_the_weights(dtype: Any) -> None:
    """Nothing stores a dtype: a model filled with one computes in it, in training too."""
    graph, state = nnx.split(nnx.eval_shape(lambda: small_net(nnx.Rngs(0))))

    def fill(path: Any, variable: Any) -> Any:
        if isinstance(variable, nnx.RngState):
            key = isinstance(variable, nnx.RngKey)
            return variable.replace(jax.random.key(1) if key else jnp.zeros((), jnp.uint32))
        kind = dtype if jnp.issubdtype(variable.dtype, jnp.floating) else variable.dtype
        return variable.replace(jnp.ones(variable.shape, kind))

    model = nnx.merge(graph, nnx.map_state(fill, state))
    assert model(jnp.ones((2, 3, 8, 6), dtype)).dtype == dtype
    assert model[1].running_var[...].dtype == dtype
    assert int(model[1].num_batches_tracked[...]) == 2
    sequence = LSTM(3, 4, bidirectional=True)
    nnx.update(sequence, jax.tree.map(lambda x: x.astype(dtype), nnx.state(sequence)))
    assert sequence(jnp.ones((5, 2, 3), dtype))[0].dtype == dtype


def test_train_and_eval_switch_everything() -> None:
    """Modules start in train mode; eval() stops dropout and batch statistics."""
    model = small_net(nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (4, 3, 8, 6))
    assert model.training and model[6].training
    assert not np.allclose(model(x), model(x))
    before = np.array(model[1].running_mean[...])
    model.eval()
    assert not model.training
    np.testing.assert_array_equal(model(x), model(x))
    np.testing.assert_array_equal(before, model[1].running_mean[...])


def test_dropout_needs_rngs_only_to_draw() -> None:
    """Without rngs a dropout works in eval mode and says what it lacks in train mode."""
    layer = Dropout(0.5)
    with pytest.raises(ValueError, match="rngs"):
        layer(jnp.ones(3))
    layer.eval()
    np.testing.assert_array_equal(layer(jnp.ones(3)), np.ones(3))


def test_clones_have_their_own_weights_and_streams() -> None:
    """Stacked layers start equal, but neither share variables nor dropout masks."""
    layer = TransformerEncoderLayer(8, 2, 16, dropout=0.5, rngs=nnx.Rngs(0))
    stack = TransformerEncoder(layer, 2)
    first, second = stack.layers
    assert first.linear1.weight is not second.linear1.weight
    np.testing.assert_array_equal(first.linear1.weight[...], second.linear1.weight[...])
    x = jnp.ones((64,))
    assert not np.array_equal(first.dropout(x), second.dropout(x))
    other = clone_module(first.dropout)
    assert not np.array_equal(first.dropout(x), other(x))


def test_functions_take_variables() -> None:
    """`conv2d(x, self.weight)` and the like need no `[...]`."""
    x, kernel = jnp.ones((1, 2, 5, 5)), nnx.Param(jnp.ones((3, 2, 2, 2)))
    np.testing.assert_array_equal(conv2d(x, kernel), conv2d(x, kernel[...]))
    np.testing.assert_array_equal(clamp(nnx.Param(jnp.arange(3)), 1, 1), np.ones(3))


def test_vmap_over_samples() -> None:
    """A batch-free call under vmap equals the batched call."""
    model = Conv2d(3, 4, 3, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (5, 3, 6, 7))
    np.testing.assert_allclose(jax.vmap(model)(x), model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (Linear(400, 300, rngs=nnx.Rngs(1)), 1 / 400**0.5),
        (Conv2d(16, 64, 5, groups=2, rngs=nnx.Rngs(1)), 1 / (8 * 25) ** 0.5),
        (LSTM(50, 60, rngs=nnx.Rngs(1)).weight_hh_l0, 1 / 60**0.5),
    ],
)
def test_initial_weights_fill_torchs_interval(layer: Any, bound: float) -> None:
    """torch's default: uniform between -1/sqrt(fan_in) and 1/sqrt(fan_in)."""
    weight = np.asarray(layer[...] if isinstance(layer, nnx.Param) else layer.weight[...])
    assert bound * 0.99 < np.abs(weight).max() <= bound
    assert abs(weight.std() - bound / 3**0.5) < 0.02 * bound


def test_initial_embedding() -> None:
    """Rows are standard normal, the padding row is zero."""
    weight = np.asarray(Embedding(400, 30, padding_idx=-1, rngs=nnx.Rngs(0)).weight[...])
    assert abs(weight[:-1].std() - 1) < 0.02
    assert not weight[-1].any()


def test_class_weights_are_buffers() -> None:
    """A loss's weights are state as in torch, and not trained."""
    loss = CrossEntropyLoss(jnp.ones(3))
    assert isinstance(loss.weight, Buffer)
    assert not nnx.state(loss, nnx.Param)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_rms_norm_epsilon_is_the_dtypes(dtype: Any) -> None:
    """Without eps torch adds the machine epsilon of the input's type."""
    x = jnp.full((1,), 1e-5, dtype)
    expected = 1e-5 / (1e-10 + np.finfo(dtype).eps) ** 0.5
    np.testing.assert_allclose(RMSNorm(1)(x), [expected], rtol=1e-5)


def test_large_mean_keeps_precision() -> None:
    """The variance is the two-pass one: float32 around 3000 still normalises."""
    x = np.random.default_rng(0).normal(size=(2, 1024)) + 3000
    got = LayerNorm(1024)(jnp.asarray(x, jnp.float32))
    x32 = x.astype(np.float32).astype(np.float64)
    expected = (x32 - x32.mean(1, keepdims=True)) / x32.std(1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.mark.parametrize("text", [
    "MaxPool2d(2, return_indices=True)",
    "MultiheadAttention(4, 2, add_bias_kv=True)",
    "LSTM(3, 4, proj_size=2)",
    "Embedding(3, 4, max_norm=1.0)",
    "ConvTranspose2d(1, 1, 2, padding_mode='circular')",
    "one_hot(jnp.zeros(3, int))",
    "norm(jnp.ones((2, 2)), 'nuc')",
])  # fmt: skip
def test_what_is_not_supported_says_so(text: str) -> None:
    """A refusal is a ValueError that names the option."""
    from jax_values import prelude_names

    with pytest.raises(ValueError, match=r"support|given|pad"):
        eval(text, {**prelude_names(), "jnp": jnp})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_modules_can_be_taken_apart(path: Path) -> None:
    """Only documented top-level definitions, from allowed imports, with names of their own."""
    allowed = {"math", "functools", "itertools", "collections.abc", "typing"}
    allowed |= {"jax", "flax", "numpy", "einops"}
    defined = [name for source in SOURCES for name in definitions(source)]
    assert len(defined) == len(set(defined))
    assert not set(defined) & set(dir(builtins)) - {"sorted"}
    for node in ast.parse(path.read_text()).body[1:]:
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        elif isinstance(node, ast.ImportFrom):
            assert node.module in allowed or (node.module or "").startswith("ferry.prelude.")
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            assert ast.get_docstring(node), node.name
            outside = [d for d in node.decorator_list if ast.unparse(d) != "functools.cache"]
            assert not outside, "a rule set from outside would not be copied along"
        else:
            assert isinstance(node, ast.Assign), ast.dump(node)


def definitions(path: Path) -> list[str]:
    """Names of the top-level definitions of a module."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return names
