"""The jax side of the labels: how far a candidate is from what torch computed.

    python label_jax.py float64|float32 FOLDER < [candidate, …] as JSON

FOLDER is what `label_torch` left. Prints one JSON line per candidate: the distance by stage
(`forward`, `gradient`, `train_gradient`, `state`, `trained`), or `error`. In float64 a float32 that a candidate names
means float64. The map is applied inside the differentiated function, so that its adjoint is
autodiff's, and state is compared in the candidate's variables.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from label_values import Masks, distance, leaves

DTYPE = sys.argv[1]
if DTYPE == "float64":
    jax.config.update("jax_enable_x64", True)
    jnp.float32 = jnp.float64  # before flax makes it the default of its layers

from flax import nnx  # noqa: E402

Tree = Any
Weights = dict[str, Any]
ENOUGH = 1e-6  # above this a candidate is wrong, whatever its later stages say


def main() -> None:
    folder = Path(sys.argv[2])
    for candidate in json.load(sys.stdin):
        runs = pickle.loads((folder / f"{candidate['model']}.pickle").read_bytes())
        try:
            found: dict[str, Any] = Labelled(candidate, runs).measure()
        except Exception as error:  # a bug may raise anything
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(found), flush=True)
        jax.clear_caches()


class Labelled:
    """One candidate beside the runs of its source."""

    def __init__(self, candidate: dict[str, Any], runs: list[dict[str, Any]]) -> None:
        module = ModuleType(candidate["model"])
        exec(compile(candidate["text"], "port.py", "exec"), module.__dict__)
        self._entry = getattr(module, candidate["entry"])
        self._params = (candidate["weights"] or {"params": []})["params"]
        self._runs = runs
        self._is_class = isinstance(self._entry, type)

    def measure(self) -> dict[str, float]:
        """The distance of each stage, up to the first that is too large."""
        found = {"forward": self._worst(self._forward, "out")}
        if DTYPE == "float32" or found["forward"] > ENOUGH:
            return found
        found["gradient"] = self._worst(self._gradients, "grad")
        if self._is_class and found["gradient"] <= ENOUGH:
            found["train_gradient"] = self._worst(self._train_gradients, "train_grad")
            found["state"] = self._worst(self._steps, "state")
            found["trained"] = self._trained()
        return found

    def _worst(self, program: Any, what: str) -> float:
        compiled = jax.jit(program)
        return max(
            distance(self._expected(run, what), _plain(compiled(*self._numbers(run))))
            for run in self._runs
        )

    def _expected(self, run: dict[str, Any], what: str) -> Tree:
        if what == "out":
            return run["out"]
        if what == "grad":
            return {"param": run["gp"], "input": run["gx"], "out": run["out"]}
        if what == "train_grad":
            return run["gt"]
        return {"steps": run["steps"], "after": self._mapped(run["after"])}

    def _numbers(self, run: dict[str, Any]) -> list[Tree]:
        keys = ("w", "x", "x2", "ct")
        return [jax.tree.map(_narrow, run[key]) for key in keys]

    def _model(self, weights: Weights, training: bool) -> Any:
        """The candidate with `weights`; only its `nnx.Param` variables let gradients through."""
        if not self._is_class:
            return self._entry
        model = self._entry(rngs=nnx.Rngs(0))
        values = self._mapped(weights)
        variables = _variables(model)
        if set(values) != set(variables):
            raise ValueError(f"map and variables differ: {set(values) ^ set(variables)}")
        for name, variable in variables.items():
            if values[name].shape != variable.get_value().shape:
                raise ValueError(f"{name}: {values[name].shape} does not fit")
            trained = isinstance(variable, nnx.Param)
            variable.set_value(values[name] if trained else jax.lax.stop_gradient(values[name]))
        (model.train if training else model.eval)()
        return model

    def _mapped(self, weights: Weights) -> Weights:
        return {entry["to"]: apply(entry, weights) for entry in self._params}

    def _forward(self, w: Weights, x: Tree, _x2: Tree, _ct: Tree) -> Tree:
        return _call(self._model(w, False), [x])[0]

    def _gradients(self, w: Weights, x: Tree, _x2: Tree, ct: Tree) -> Tree:
        moving = {path: leaf for path, leaf in leaves(x).items() if _floating(leaf)}
        floats = {name: value for name, value in w.items() if _floating(value)}

        def loss(floats: Weights, moving: Tree) -> tuple[Any, Tree]:
            output = _call(self._model({**w, **floats}, False), [_filled(x, moving)])[0]
            terms = [(leaf * ct[path]).sum() for path, leaf in leaves(output).items() if path in ct]
            return sum(terms, jnp.zeros(())), output

        (by_weight, by_input), output = jax.grad(loss, (0, 1), has_aux=True)(floats, moving)
        params = {name: by_weight[name] for name in self._runs[0]["gp"]}
        return {"param": params, "input": by_input, "out": output}

    def _train_gradients(self, w: Weights, x: Tree, _x2: Tree, ct: Tree) -> Tree:
        floats = {name: value for name, value in w.items() if _floating(value)}

        def loss(floats: Weights) -> Any:
            output = leaves(_call(self._model({**w, **floats}, True), [x])[0])
            return sum(((output[path] * ct[path]).sum() for path in ct), jnp.zeros(()))

        by_weight = jax.grad(loss)(floats)
        return {name: by_weight[name] for name in self._runs[0]["gp"]}

    def _steps(self, w: Weights, x: Tree, x2: Tree, _ct: Tree) -> Tree:
        model = self._model(w, True)
        steps = _call(model, [x, x2])
        after = {n: v.get_value() for n, v in _variables(model).items()}
        return {"steps": steps, "after": after}

    def _trained(self) -> float:
        """Infinite where other variables are trained than those that parameters fill.

        So it is where two variables share one whole parameter, which an optimizer would part.
        """
        whole = [e for e in self._params if all(op["op"] != "slice" for op in e["ops"])]
        names = [name for entry in whole for name in entry["from"]]
        if len(set(names)) < len(names):
            return float("inf")
        trained = set(self._runs[0]["trained"])
        wanted = {e["to"] for e in self._params if trained.intersection(e["from"])}
        model = nnx.eval_shape(lambda: self._entry(rngs=nnx.Rngs(0)))
        found = {n for n, v in _variables(model).items() if isinstance(v, nnx.Param)}
        return 0.0 if wanted == found else float("inf")


def apply(entry: dict[str, Any], weights: Weights) -> Any:
    """The value of a variable as its entry of the map says."""
    values = [jnp.asarray(weights[name]) for name in entry["from"]]
    for op in entry["ops"]:
        match op["op"]:
            case "permute":
                values = [value.transpose(op["axes"]) for value in values]
            case "reshape":
                values = [value.reshape(op["shape"]) for value in values]
            case "flip":
                values = [jnp.flip(value, op["axes"]) for value in values]
            case "scale":
                values = [value * op["by"] for value in values]
            case "slice":
                cut = (slice(None),) * op["axis"] + (slice(op["start"], op["stop"]),)
                values = [value[cut] for value in values]
            case "concat":
                values = [jnp.concatenate(values, op["axis"])]
            case "add":
                values = [sum(values[1:], values[0])]
            case other:
                raise ValueError(other)
    (value,) = values
    return value


def _variables(model: Any) -> dict[str, Any]:
    """All variables but random streams by dotted path, a shared one once."""
    return {
        ".".join(map(str, path)): node
        for path, node in nnx.iter_graph(model)
        if isinstance(node, nnx.Variable) and not isinstance(node, nnx.RngState)
    }


def _call(model: Any, argument_sets: list[Tree]) -> list[Tree]:
    """Outputs of calls in a row; every dropout mask is the one that torch was given."""
    masks = Masks()

    def bernoulli(key: Any, p: float = 0.5, shape: Any = None, **_: Any) -> Any:
        return jnp.asarray(masks.next(p, tuple(shape)))

    original = jax.random.bernoulli
    jax.random.bernoulli = bernoulli
    try:
        return [model(**a) if isinstance(a, dict) else model(*a) for a in argument_sets]
    finally:
        jax.random.bernoulli = original


def _filled(tree: Tree, moving: dict[str, Any], path: str = "") -> Tree:
    if isinstance(tree, list):
        size = len(tree)
        return [_filled(item, moving, f"{path}/{i}of{size}") for i, item in enumerate(tree)]
    if isinstance(tree, dict):
        return {key: _filled(item, moving, f"{path}/{key}") for key, item in tree.items()}
    return moving.get(path, tree)


def _plain(tree: Tree) -> Tree:
    return jax.tree.map(lambda x: np.asarray(x), tree)


def _narrow(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return value.astype(DTYPE)
    return value


def _floating(value: Any) -> bool:
    return hasattr(value, "dtype") and np.dtype(value.dtype).kind == "f"


if __name__ == "__main__":
    main()
