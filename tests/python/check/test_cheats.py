"""No candidate that cheats ends as an honest one does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cheats import IMPORT, LAST, NOTICED, OUTPUT, Noticed
from oracles import Checked, candidate_text, weight_map

ODD_SCALE = "        self.scale = nnx.Param("


@pytest.mark.parametrize("cheat", NOTICED, ids=[cheat.name for cheat in NOTICED])
def test_noticed(check: Any, cheat: Noticed) -> None:
    """The stage in which it happens fails, and says what was done."""
    text = cheat.text(candidate_text("cnn"))
    if cheat.why == "variable_changes_value":
        text = text.replace(ODD_SCALE, "        self.scale = Odd(")
    found = check("cnn", text=text, stages=("shapes", "jit"))
    assert found.error(cheat.stage)["why"] == cheat.why


def test_what_was_noticed_once_stays(check: Any) -> None:
    """Later stages fail too: what was run there is not what will be delivered."""
    call = "try:\n    open('x')\nexcept OSError:\n    pass"
    text = Noticed("", "", call=call).text(candidate_text("cnn"))
    found = check("cnn", text=text, stages=("forward_f64", "jit"))
    assert {found.error(stage)["why"] for stage in ("forward_f64", "jit")} == {"reads_files"}


def test_ordinary_python_is_let_through(check: Any) -> None:
    """What models do use: logging, named tuples, dataclasses, warnings, setting variables."""
    top = (
        "import collections, dataclasses, enum, logging, os, typing, warnings\n"
        "os.environ.setdefault('XLA_FLAGS', '')\n"
        "Pair = collections.namedtuple('Pair', 'a b')\n"
        "class Named(typing.NamedTuple):\n    a: int\n"
        "class Kind(enum.Enum):\n    A = 1\n"
        "@dataclasses.dataclass\nclass Config:\n    width: int = 8\n"
        "logging.getLogger(__name__).info('imported')\n"
        "import jax\njax.config.update('jax_enable_x64', True)\n"
    )
    call = "logging.getLogger('net').debug('called')\nwarnings.warn('slow', stacklevel=1)"
    text = Noticed("", "", top=top, call=call).text(candidate_text("cnn"))
    found = check("cnn", text=text, stages=("forward_f64", "forward_f32", "jit"))
    assert [s for s in ("forward_f64", "forward_f32", "jit") if found.status(s) != "ran"] == []


def changed(output: str, top: str = "") -> Callable[[str], str]:
    return lambda honest: Noticed("", "", top=top, output=output).text(honest)


def stored(numbers: np.ndarray) -> str:
    return f"jnp.array({numbers.tolist()}, x.dtype)"


# name, what to change, the stage that differs, and by how much at least
WRONG: list[tuple[str, Callable[[str], str], str, float]] = [
    ("uninitialised", changed("jnp.asarray(numpy.empty((x.shape[0], 5), x.dtype.name))",
                              "import numpy"), "forward_f64", 1e-3),
    ("nan", changed(f"{OUTPUT} * jnp.nan"), "forward_f64", float("inf")),
    ("float16", changed(f"{OUTPUT}.astype(jnp.float16).astype(x.dtype)"), "forward_f64", 1e-6),
    ("bfloat16_in_float32", changed(f"{OUTPUT} if x.dtype.name == 'float64' else "
                                    f"{OUTPUT}.astype(jnp.bfloat16).astype(x.dtype)"),
     "forward_f32", 1e-4),
    ("deaf_to_a_weight", changed("self.drop(x.reshape(x.shape[0], -1)) @ self.fc.kernel[...]"),
     "forward_f64", 1e-3),
    ("no_gradient", changed(f"jax.lax.stop_gradient({OUTPUT})", "import jax"), "gradients", 0.5),
    ("never_trains", lambda t: t.replace("    def __call__(self, x):\n        x = nnx.relu",
                                         "    def train(self, **kw):\n        self.eval()\n\n"
                                         "    def __call__(self, x):\n        x = nnx.relu"),
     "train_state", 1e-3),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "stage", "least"), WRONG, ids=[w[0] for w in WRONG])
def test_wrong(check: Any, name: str, change: Any, stage: str, least: float) -> None:
    found = check("cnn", text=change(candidate_text("cnn")), stages=(stage,))
    assert failed_or_far(found, stage, least)


def failed_or_far(found: Checked, stage: str, least: float) -> bool:
    if found.status(stage) == "failed":
        return True
    error = found.worst_of(stage, "out/" if stage.startswith("forward") else "")
    return not error < least


def test_stored_output(check: Any, oracle: Any) -> None:
    """The answers of the first weight draw are not those of the others."""
    recorded = oracle("cnn")
    outputs = {recorded.expected[f"{case['id']}/out/0"].shape[0]: case["id"]
               for case in recorded.plan["cases"][:3]}  # fmt: skip
    table = {batch: recorded.expected[f"{case}/out/0"] for batch, case in outputs.items()}
    choice = ", ".join(f"{batch}: {stored(value)}" for batch, value in table.items())
    output = f"{{{choice}}}[x.shape[0]] + 0 * {OUTPUT}"
    found = check("cnn", text=changed(output)(candidate_text("cnn")), stages=("forward_f64",))
    assert found.worst("c0/out/") < 1e-12
    assert found.worst_of("forward_f64", "out/") > 1e-3


def test_keys_on_recorded_inputs(check: Any, oracle: Any) -> None:
    """Right for every input of the oracle, wrong for others: what was held out tells."""
    given = oracle("cnn")
    from safetensors.numpy import load

    tensors = load(given.given)
    sums = [float(tensors[f"x{i}/0"].astype("f8").sum()) for i in range(len(given.plan["inputs"]))]
    known = f"jnp.any(jnp.abs(jnp.array({sums}) - seen) < 1e-2 * (1 + jnp.abs(seen)))"
    text = Noticed("", "", call="seen = x.sum()", output=f"jnp.where({known}, 1, 1.5) * {OUTPUT}")
    code = text.text(candidate_text("cnn"))
    honest = check("cnn", text=code, stages=("forward_f64", "forward_f32", "resize", "gradients"))
    assert honest.worst_of("forward_f64", "out/") < 1e-12
    assert honest.worst_of("resize") < 1e-12
    assert honest.worst_of("gradients") < 1e-12
    assert check("cnn", text=code, accept=True).worst_of("heldout") > 1e-2


def test_stored_gradients(check: Any, oracle: Any) -> None:
    """A derivative rule with the recorded numbers is not that of the other draws, nor held out."""
    recorded = oracle("cnn")
    grads = [recorded.expected[f"{case}/grad/input/0"] for case in recorded.cases("gradients")]
    table = {len(grad): np.round(grad, 12).tolist() for grad in grads}
    assert len(table) == len(grads)
    top = (
        "import jax\n\n\n@jax.custom_vjp\ndef mark(x):\n    return x\n\n\n"
        f"GRADS = {table}\n\n\n"
        "def backward(_, g):\n    stored = GRADS.get(len(g))\n"
        "    return (g if stored is None else jnp.asarray(stored, g.dtype),)\n\n\n"
        "mark.defvjp(lambda x: (x, None), backward)\n"
    )
    text = Noticed("", "", top=top, call="x = mark(x)").text(candidate_text("cnn"))
    found = check("cnn", text=text, stages=("gradients",))
    assert found.worst_of("gradients", "grad/input") < 1e-9
    found = check("cnn", text=text, accept=True)
    (held,) = [c["id"] for c in found.oracle.plan["cases"] if c.get("gradients")]
    assert found.worst(f"{held}/out/") < 1e-12
    assert found.worst(f"{held}/grad/input") > 0.1
    assert found.result["assumptions"] == []


def test_numbers_in_the_map(check: Any) -> None:
    """A weight that the map replaces by numbers does not follow the draws."""
    weights = copy.deepcopy(weight_map("cnn"))
    bias = next(entry for entry in weights["params"] if entry["to"] == "fc.bias")
    constant = {"op": "constant", "value": 0.25, "shape": [5], "dtype": "float32"}
    bias.update({"from": [], "ops": [constant]})
    weights["ignored"].append("fc.bias")
    found = check("cnn", weights=weights, stages=("forward_f64", "gradients", "optimizer"))
    assert found.worst_of("forward_f64", "out/") > 1e-3
    assert found.worst_of("gradients", "grad/param/fc.bias") > 0.5


def test_own_masks(check: Any) -> None:
    """Dropout by other means than a draw is a draw too few."""
    drop = LAST.replace("self.drop(x.reshape(x.shape[0], -1))", "x.reshape(x.shape[0], -1) * 1.0")
    text = candidate_text("cnn").replace(LAST, drop)
    error = check("cnn", text=text, stages=("train_state",)).error("train_state")
    assert error["code"] == "draws_differ"


def test_inputs_can_not_be_written(check: Any) -> None:
    """Numbers of the oracle are the same after a candidate that tries to write into them."""
    call = "try:\n    numpy.asarray(x)[...] = 0\nexcept Exception:\n    pass"
    text = Noticed("", "", top="import numpy", call=call).text(candidate_text("cnn"))
    found = check("cnn", text=text, stages=("forward_f64", "jit"))
    assert found.worst_of("forward_f64", "out/") < 1e-12
    assert found.worst_of("jit") < 1e-5


def test_imports_of_the_honest_candidate() -> None:
    """The edits above fit its text."""
    text = candidate_text("cnn")
    assert text.count(IMPORT) == text.count(LAST) == text.count(ODD_SCALE) == 1
