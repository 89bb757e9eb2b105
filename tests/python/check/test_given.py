"""Ports that somebody else wrote: other names, other styles, no weight map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import Checked, candidate_text

LINEN = """
import jax
from flax import linen as nn


class Classifier(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(8, (3, 3), strides=2, padding=((1, 1), (1, 1)))(x.transpose(0, 2, 3, 1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5,
                         use_fast_variance=False)(x)
        x = nn.max_pool(nn.relu(x), (2, 2), strides=(2, 2)).transpose(0, 3, 1, 2)
        x = nn.Dropout(0.25, deterministic=not train)(x.reshape(x.shape[0], -1))
        return nn.Dense(self.classes)(x)
"""

PLAIN = """
import jax
import jax.numpy as jnp


def init(classes):
    norm = {"scale": jnp.ones(8), "bias": jnp.zeros(8)}
    stats = {"norm": {"mean": jnp.zeros(8), "var": jnp.ones(8)}}
    head = {"w": jnp.zeros((96, classes)), "b": jnp.zeros(classes)}
    conv = {"w": jnp.zeros((8, 3, 3, 3)), "b": jnp.zeros(8)}
    return {"params": {"conv": conv, "norm": norm, "head": head}, "stats": stats}


def channels(v):
    return v[:, None, None]


def forward(tree, x, train, drop):
    p, stats = tree["params"], tree["stats"]["norm"]
    x = jax.lax.conv_general_dilated(x, p["conv"]["w"], (2, 2), ((1, 1), (1, 1)))
    x = x + channels(p["conv"]["b"])
    mean, var = stats["mean"], stats["var"]
    if train:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        count = x.size // 8
        stats = {"mean": 0.9 * stats["mean"] + 0.1 * mean,
                 "var": 0.9 * stats["var"] + 0.1 * var * count / (count - 1)}
    x = (x - channels(mean)) / jnp.sqrt(channels(var) + 1e-5)
    x = jax.nn.relu(x * channels(p["norm"]["scale"]) + channels(p["norm"]["bias"]))
    window = (1, 1, 2, 2)
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    x = x.reshape(x.shape[0], -1)
    if train:
        x = jnp.where(jax.random.bernoulli(drop, 0.75, x.shape), x / 0.75, 0)
    return x @ p["head"]["w"] + p["head"]["b"], {"params": p, "stats": {"norm": stats}}
"""

ADAPTER = """
import jax
import source


def build(entry, args, kwargs):
    return source.init(*args, **kwargs)


def call(model, args, kwargs):
    return source.forward(model, *args, train=False, drop=None)[0]


def step(model, args, kwargs):
    return source.forward(model, *args, train=True, drop=jax.random.key(0))
"""

TREE = """
import dataclasses
import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Linear:
    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return self.weight @ x + self.bias


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Model:
    linear: Linear
"""


@pytest.fixture
def port(check: Any) -> Any:
    """A check of a caller's own port without a map."""

    def checked(name: str, text: str | None = None, **more: Any) -> Checked:
        return check(name, text=text, no_map=True, given=True, **more)

    return checked


def statuses(found: Checked) -> set[str]:
    return {stage["status"] for stage in found.result["stages"].values()}


@pytest.mark.parametrize("name", ["cnn", "gpt", "config"])
def test_map_is_inferred(port: Any, name: str) -> None:
    """The correct ports of our own, without their maps."""
    found = port(name)
    assert statuses(found) == {"ran"}
    assert found.worst_of("forward_f64", "out/") < 1e-12
    assert found.worst_of("gradients") < 1e-12
    assert found.worst_of("optimizer") < 1e-12
    assert found.result["map_choices"] >= 1
    assert found.result["weights"]["format"] == "ferry.weights/1"


def test_tied_tensors_of_an_inferred_map(port: Any) -> None:
    weights = port("gpt", stages=()).result["weights"]
    assert weights["tied"] == {"head.weight": "tokens.weight"}
    assert "head.weight" in weights["ignored"]


def test_renamed_class(port: Any) -> None:
    text = candidate_text("cnn").replace("class Net(", "class Classifier(")
    found = port("cnn", text, entry="source:Classifier", stages=("forward_f64",))
    assert found.worst_of("forward_f64", "out/") < 1e-12


def test_file_of_another_name(port: Any) -> None:
    """The one file that defines the entry is its module."""
    files = [{"path": "net.py", "content": candidate_text("cnn")}, {"path": "x.py", "content": ""}]
    found = port("cnn", files=files, stages=("forward_f64",))
    assert found.worst_of("forward_f64", "out/") < 1e-12


def test_linen(port: Any) -> None:
    """No adapter is needed; its running variance is the biased one, which train_state shows."""
    found = port("cnn", LINEN, entry="source:Classifier")
    assert statuses(found) == {"ran"}
    assert found.worst_of("forward_f64", "out/") < 1e-12
    assert found.worst_of("resize") < 1e-12
    assert found.worst_of("gradients") < 1e-12
    assert found.worst_of("optimizer", "param/") < 1e-12
    assert found.worst_of("jit") < 1e-5
    (case,) = found.oracle.cases("train_state")
    assert found.worst(f"{case}/out/0/") < 1e-12
    assert found.worst(f"{case}/state/norm.running_mean") < 1e-12
    assert found.worst(f"{case}/state/norm.running_var") > 1e-4


def test_plain_functions_through_an_adapter(port: Any) -> None:
    """A dict of parameters, a function, train mode through `step`."""
    found = port("cnn", PLAIN, entry="source:forward", adapter={"content": ADAPTER})
    assert statuses(found) == {"ran"}
    for stage in ("gradients", "train_state", "optimizer", "resize"):
        assert found.worst_of(stage) < 1e-12


def test_tree_of_an_object(port: Any) -> None:
    """A registered dataclass, as Equinox modules are; the adapter adds the batch axis."""
    text = TREE
    adapter = (
        "import jax\nimport jax.numpy as jnp\nimport source\n\n\n"
        "def build(entry, args, kwargs):\n"
        "    return entry(source.Linear(jnp.zeros((5, 96)), jnp.zeros(5)))\n\n\n"
        "def call(model, args, kwargs):\n    return jax.vmap(model.linear)(*args)\n"
    )
    found = port(
        "cnn", text, entry="source:Model", adapter={"content": adapter}, stages=("weights",)
    )
    error = found.error("weights")
    assert error["why"] == "unmatched"
    assert found.status("build") == "ran"
    assert found.result["unmatched"]["target"] == []
    assert "conv.weight" in found.result["unmatched"]["source"]


def test_unmatched_variables_are_named(port: Any) -> None:
    text = candidate_text("cnn").replace(
        "        self.drop", "        self.extra = nnx.Param(jnp.ones((7, 3)))\n        self.drop"
    )
    found = port("cnn", text, stages=())
    assert found.error("weights")["code"] == "weight_map"
    assert found.result["unmatched"] == {"source": [], "target": ["extra"]}
    assert found.result["map_choices"] == 0


def test_choice_that_is_not_there(port: Any) -> None:
    assert port("cnn", map_choice=8, stages=()).error("weights")["why"] == "no_such_choice"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [("def build(:\n", "syntax", 1), ("x = 1\n", "empty_adapter", None), ("1 / 0\n", None, 1)],
)
def test_broken_adapter(port: Any, text: str, code: str | None, line: int | None) -> None:
    """It is the candidate's error, in the adapter's line."""
    found = port("cnn", adapter={"content": text}, stages=())
    failed = [s["error"] for s in found.result["stages"].values() if s["status"] == "failed"]
    assert len(failed) == 1
    assert failed[0]["why"] == (code or "ZeroDivisionError")
    assert (failed[0]["file"], failed[0]["line"]) == ("<adapter>", line)


def tensor(name: str, shape: tuple[int, ...], kind: str = "", number: int = 0) -> dict[str, Any]:
    owner = name.rpartition(".")[0]
    return {"name": name, "kind": "parameter", "shape": list(shape), "dtype": "float32",
            "storage": number, "owner": owner, "owner_class": f"torch.nn.{kind}"}  # fmt: skip


def inferred(sources: list[Any], targets: dict[str, tuple[int, ...]], choice: int = 0) -> Any:
    from ferry.check.infer import Inference

    tensors = [tensor(n, s, k, i) for i, (n, s, k) in enumerate(sources)]
    choices = Inference(tensors, targets).choices()
    return {entry["to"]: entry for entry in choices[choice]["params"]}


def pushed(entry: Any, tensors: dict[str, np.ndarray]) -> np.ndarray:
    from ferry.deliver.bundle.load_weights import convert

    return convert(entry, tensors)


def test_packed_attention_becomes_heads() -> None:
    """in_proj's second third, transposed, by heads: the values, not only the shapes."""
    found = inferred(
        [("attn.in_proj_weight", (18, 6), "MultiheadAttention"),
         ("attn.in_proj_bias", (18,), "MultiheadAttention"),
         ("attn.out_proj.weight", (6, 6), "NonDynamicallyQuantizableLinear"),
         ("attn.out_proj.bias", (6,), "NonDynamicallyQuantizableLinear")],
        {"attn.query.kernel": (6, 2, 3), "attn.query.bias": (2, 3), "attn.key.kernel": (6, 2, 3),
         "attn.key.bias": (2, 3), "attn.value.kernel": (6, 2, 3), "attn.value.bias": (2, 3),
         "attn.out.kernel": (2, 3, 6), "attn.out.bias": (6,)},
    )  # fmt: skip
    packed = np.arange(108.0).reshape(18, 6)
    key = pushed(found["attn.key.kernel"], {"attn.in_proj_weight": packed})
    np.testing.assert_array_equal(key, packed[6:12].T.reshape(6, 2, 3))
    out = np.arange(36.0).reshape(6, 6)
    found_out = pushed(found["attn.out.kernel"], {"attn.out_proj.weight": out})
    np.testing.assert_array_equal(found_out, out.T.reshape(2, 3, 6))


def test_separate_projections_are_joined() -> None:
    found = inferred(
        [("q_proj.weight", (4, 6), "Linear"), ("k_proj.weight", (4, 6), "Linear"),
         ("v_proj.weight", (4, 6), "Linear")],
        {"qkv.kernel": (6, 12)},
    )  # fmt: skip
    w = {n: np.random.default_rng(i).random((4, 6)) for i, n in enumerate(
        ("q_proj.weight", "k_proj.weight", "v_proj.weight"))}  # fmt: skip
    np.testing.assert_array_equal(
        pushed(found["qkv.kernel"], w), np.concatenate(list(w.values())).T
    )


def test_transposed_convolution_is_flipped() -> None:
    found = inferred([("up.weight", (3, 5, 2, 2), "ConvTranspose2d")], {"up.kernel": (2, 2, 3, 5)})
    w = np.random.default_rng(0).random((3, 5, 2, 2))
    value = pushed(found["up.kernel"], {"up.weight": w})
    np.testing.assert_array_equal(value, w.transpose(2, 3, 0, 1)[::-1, ::-1])


def test_gates_of_a_linen_lstm() -> None:
    """One kernel per gate, one bias per gate: the sum of both of torch's."""
    targets: dict[str, tuple[int, ...]] = {}
    for gate in "ifgo":
        targets[f"cell.i{gate}.kernel"] = (3, 4)
        targets[f"cell.h{gate}.kernel"] = (4, 4)
        targets[f"cell.h{gate}.bias"] = (4,)
    found = inferred(
        [("lstm.weight_ih_l0", (16, 3), "LSTM"), ("lstm.weight_hh_l0", (16, 4), "LSTM"),
         ("lstm.bias_ih_l0", (16,), "LSTM"), ("lstm.bias_hh_l0", (16,), "LSTM")],
        targets,
    )  # fmt: skip
    ih, hh = np.random.default_rng(0).random((2, 16))
    bias = pushed(found["cell.hg.bias"], {"lstm.bias_ih_l0": ih, "lstm.bias_hh_l0": hh})
    np.testing.assert_array_equal(bias, (ih + hh)[8:12])
    w = np.random.default_rng(1).random((16, 3))
    kernel = pushed(found["cell.if.kernel"], {"lstm.weight_ih_l0": w})
    np.testing.assert_array_equal(kernel, w[4:8].T)


def test_scanned_layers_are_stacked() -> None:
    found = inferred(
        [("h.0.fc.weight", (4, 3), "Linear"), ("h.1.fc.weight", (4, 3), "Linear")],
        {"blocks.fc.kernel": (2, 3, 4)},
    )
    w = {f"h.{i}.fc.weight": np.random.default_rng(i).random((4, 3)) for i in range(2)}
    expected = np.stack([w["h.0.fc.weight"].T, w["h.1.fc.weight"].T])
    np.testing.assert_array_equal(pushed(found["blocks.fc.kernel"], w), expected)


def test_square_kernel_has_two_choices() -> None:
    """Transposed first under flax's name, as it is first under torch's."""
    sources = [("fc.weight", (4, 4), "Linear")]
    transposed = [{"op": "permute", "axes": [1, 0]}]
    assert inferred(sources, {"fc.kernel": (4, 4)})["fc.kernel"]["ops"] == transposed
    assert inferred(sources, {"fc.kernel": (4, 4)}, 1)["fc.kernel"]["ops"] == []
    assert inferred(sources, {"fc.weight": (4, 4)})["fc.weight"]["ops"] == []


def test_order_where_names_say_nothing() -> None:
    found = inferred(
        [("a.weight", (4, 3), "Linear"), ("b.weight", (4, 3), "Linear")],
        {"first.kernel": (3, 4), "second.kernel": (3, 4)},
    )
    assert [found[n]["from"] for n in ("first.kernel", "second.kernel")] == [
        ["a.weight"], ["b.weight"]
    ]  # fmt: skip


def used(program: Any, **shapes: tuple[int, ...]) -> Any:
    """What `program`, a function of a dict of variables and an input, does with them."""
    import jax
    from ferry.check.uses import uses

    names = sorted(n for n in shapes if n != "x")
    arrays = {n: jax.ShapeDtypeStruct(shapes[n], "float32") for n in names}
    return uses(jax.make_jaxpr(program)(arrays, np.zeros(shapes["x"], "float32")), names)


def test_uses_tell_rows_from_columns() -> None:
    """Through transposes, einsum, a scan over stacked layers and a vmap over examples."""
    import jax
    import jax.numpy as jnp

    def program(w: Any, x: Any) -> Any:
        x = x @ w["right"] + jnp.einsum("oi,ni->no", w["left"], x)
        x, _ = jax.lax.scan(lambda h, layer: (h @ layer.T, None), x, w["stack"])
        return jax.vmap(lambda row: w["one"] @ row)(x)

    found = used(program, right=(4, 4), left=(4, 4), stack=(3, 4, 4), one=(4, 4), x=(2, 4))
    assert found["right"].roles == {0: "in", 1: "out"}
    assert found["left"].roles == {0: "out", 1: "in"}
    assert found["stack"].roles == {1: "out", 2: "in"}
    assert found["one"].roles == {0: "out", 1: "in"}
    orders = [found[name].order for name in ("right", "left", "stack", "one")]
    assert orders == sorted(orders)


def test_uses_tell_indices_and_flipped_kernels() -> None:
    import jax
    import jax.numpy as jnp

    def program(w: Any, x: Any) -> Any:
        rows = w["table"][jnp.array([1, 2])]
        sizes = {"strides": (2, 2), "padding": "VALID"}
        turned = jax.lax.conv_transpose(x, w["turned"], transpose_kernel=True, **sizes)
        plain = jax.lax.conv_transpose(x, w["plain"], **sizes)
        return rows, turned, plain

    found = used(program, table=(4, 4), turned=(2, 2, 3, 3), plain=(2, 2, 3, 3), x=(1, 4, 4, 3))
    assert found["table"].roles == {0: "index", 1: "out"}
    assert (found["turned"].flipped, found["plain"].flipped) == (True, False)
    assert found["turned"].roles[2] == "out"
    assert found["plain"].roles[2] == "in"


def first_choice(sources: list[Any], targets: dict[str, Any], program: Any, x: Any) -> Any:
    """The first map of targets that `program` uses as it does."""
    from ferry.check.infer import Inference

    tensors = [tensor(n, s, k, i) for i, (n, s, k) in enumerate(sources)]
    uses = used(program, **targets, x=x)
    choices = Inference(tensors, targets, uses).choices()
    return {entry["to"]: entry for entry in choices[0]["params"]}


def test_square_matrices_follow_the_program() -> None:
    """One is multiplied from the left, the other from the right: no names and no shapes tell."""
    found = first_choice(
        [("a.weight", (4, 4), "Linear"), ("b.weight", (4, 4), "Linear")],
        {"a": (4, 4), "b": (4, 4)},
        lambda w, x: (w["a"] @ x.T).T @ w["b"],
        (2, 4),
    )
    assert found["a"]["ops"] == []
    assert found["b"]["ops"] == [{"op": "permute", "axes": [1, 0]}]


def test_patches_through_a_matrix() -> None:
    """A convolution whose stride is its size, as a product with cut-out patches."""
    found = inferred([("p.weight", (5, 2, 2, 2), "Conv2d")], {"p.kernel": (8, 5)})
    w = np.random.default_rng(0).random((5, 2, 2, 2))
    value = pushed(found["p.kernel"], {"p.weight": w})
    np.testing.assert_array_equal(value, w.transpose(2, 3, 1, 0).reshape(8, 5))


def test_scanned_layers_with_projections_by_heads() -> None:
    """Packed in the source, apart in the port, stacked over layers."""
    sources = [(f"h.{i}.attn.in_proj_weight", (12, 4), "MultiheadAttention") for i in range(3)]
    targets = {f"h.attn.{n}.kernel": (3, 4, 2, 2) for n in ("query", "key", "value")}
    found = inferred(sources, targets)
    w = {name: np.random.default_rng(i).random((12, 4)) for i, (name, *_) in enumerate(sources)}
    expected = np.stack([value[4:8].T.reshape(4, 2, 2) for value in w.values()])
    np.testing.assert_array_equal(pushed(found["h.attn.key.kernel"], w), expected)


def test_fused_gate_is_divided() -> None:
    found = inferred(
        [("mlp.gate_up.weight", (6, 4), "Linear")],
        {"mlp.gate.kernel": (4, 3), "mlp.up.kernel": (4, 3)},
    )
    w = np.random.default_rng(0).random((6, 4))
    value = pushed(found["mlp.up.kernel"], {"mlp.gate_up.weight": w})
    np.testing.assert_array_equal(value, w[3:].T)


def test_kernels_of_a_recurrent_layer_are_joined() -> None:
    """One kernel over input and state, one bias, as some cells have it."""
    found = inferred(
        [("lstm.weight_ih_l0", (16, 3), "LSTM"), ("lstm.weight_hh_l0", (16, 4), "LSTM"),
         ("lstm.bias_ih_l0", (16,), "LSTM"), ("lstm.bias_hh_l0", (16,), "LSTM")],
        {"gates": (7, 16), "bias": (16,)},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    w = {"lstm.weight_ih_l0": rng.random((16, 3)), "lstm.weight_hh_l0": rng.random((16, 4))}
    np.testing.assert_array_equal(pushed(found["gates"], w), np.hstack(list(w.values())).T)
    assert found["bias"]["ops"] == [{"op": "add"}]
