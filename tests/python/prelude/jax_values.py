"""Evaluates one case with the prelude: built abstractly, filled with torch's state, one jit."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any
from unittest import mock

import ferry.prelude
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from prelude_cases import Case, cotangent, flatten

Arrays = Mapping[str, np.ndarray]


@functools.cache
def prelude_names() -> dict[str, Any]:
    """Every public name that a prelude module defines."""
    names: dict[str, Any] = {}
    for info in pkgutil.iter_modules(ferry.prelude.__path__):
        module = importlib.import_module(f"ferry.prelude.{info.name}")
        names |= {n: v for n, v in vars(module).items() if not n.startswith("_")}
    return names


class Namespace:
    """Stands for `nn`, `F` and `torch`: the prelude's names, layers with rngs supplied."""

    def __getattr__(self, name: str) -> Any:
        found = prelude_names().get(name)
        if found is None:
            found = jnp.asarray if name == "tensor" else getattr(jnp, name, None)
            found = found or getattr(jax.nn, name)
        if isinstance(found, type) and issubclass(found, nnx.Module):
            return functools.partial(found, rngs=nnx.Rngs(0))
        return found


def scope_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The names that a case's text may use."""
    spaces = {name: Namespace() for name in ("nn", "F", "torch")}
    return {**prelude_names(), **spaces, "jnp": jnp, "jax": jax, **inputs}


def build(case: Case, state: Arrays) -> tuple[Any, Any, Any]:
    """Graph, parameters and the rest; every variable of the layer must be in `state`."""
    abstract = nnx.eval_shape(lambda: eval(case.layer or "", scope_of({})))
    abstract.train() if case.train else abstract.eval()
    graph, params, rest = nnx.split(abstract, nnx.Param, ...)
    used: set[str] = set()

    def fill(path: tuple[Any, ...], variable: Any) -> Any:
        if isinstance(variable, nnx.RngKey):
            return variable.replace(jax.random.key(0))
        if isinstance(variable, nnx.RngState):
            return variable.replace(jnp.zeros((), jnp.uint32))
        name = ".".join(map(str, path))
        used.add(name)
        assert variable.shape == state[name].shape, name
        return variable.replace(jnp.asarray(state[name]))

    params, rest = nnx.map_state(fill, params), nnx.map_state(fill, rest)
    assert used == set(state)
    return graph, params, rest


def replay(masks: list[np.ndarray]) -> Any:
    """A `jax.random.bernoulli` that hands out torch's masks, of exactly their shapes."""

    def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, **kwargs: Any) -> Any:
        mask = masks.pop(0)
        assert tuple(shape) == mask.shape, (shape, mask.shape)
        return jnp.asarray(mask)

    return mock.patch.object(jax.random, "bernoulli", bernoulli)


def run_case(case: Case, truth: Arrays) -> dict[str, np.ndarray]:
    """The arrays that `torch_values.run_case` stores, made with the prelude."""
    inputs = {name: jnp.asarray(case.make(name)) for name in case.inputs}
    smooth = {n: x for n, x in inputs.items() if jnp.issubdtype(x.dtype, jnp.floating)}
    fixed = {n: x for n, x in inputs.items() if n not in smooth}
    graph, params, rest = None, {}, {}
    if case.layer is not None:
        graph, params, rest = build(case, under(truth, "state/"))
    text = case.jax or case.call

    def total(params: Any, smooth: Any, rest: Any, fixed: Any) -> Any:
        scope = scope_of({**smooth, **fixed})
        scope["rngs"] = nnx.Rngs(0)
        after = {}
        if graph is not None:
            scope["m"] = nnx.merge(graph, params, rest, copy=True)
        outputs = flatten(eval(text, scope))
        if graph is not None:
            after = nnx.state(scope["m"], nnx.BatchStat)
        value = sum(
            (jnp.sum(out * cotangent(out.shape, n)) for n, out in enumerate(outputs)
             if jnp.issubdtype(out.dtype, jnp.floating)),
            start=jnp.zeros(()),
        )  # fmt: skip
        return value, (outputs, after)

    masks = list(under(truth, "draw/").values())
    with replay(masks):
        if case.grad:
            run = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
            (param_grads, input_grads), (outputs, after) = run(params, smooth, rest, fixed)
        else:
            param_grads, input_grads = {}, {}
            _, (outputs, after) = jax.jit(total)(params, smooth, rest, fixed)
    assert not masks, "torch draws more often"
    actual = {f"out/{n}": np.asarray(out) for n, out in enumerate(outputs)}
    actual |= {f"grad/input/{n}": np.asarray(g) for n, g in input_grads.items()}
    actual |= {f"grad/param/{n}": g for n, g in by_path(param_grads).items()}
    actual |= {f"after/{n}": x for n, x in by_path(after).items()}
    return actual


def under(truth: Arrays, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, without it."""
    return {key[len(prefix) :]: value for key, value in truth.items() if key.startswith(prefix)}


def by_path(state: Any) -> dict[str, np.ndarray]:
    """A state's arrays by their dotted paths."""
    if not state:
        return {}
    flat = nnx.to_flat_state(state)
    return {".".join(map(str, path)): np.asarray(variable[...]) for path, variable in flat}
