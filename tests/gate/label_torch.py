"""The torch side of the labels: what a source computes on random weights and inputs.

    python label_torch.py OUT < {"name": {"entry": …, "source": …}, …} as JSON

Leaves OUT/NAME.pickle for each: `trained`, the parameters, and `runs`, each with weights `w`,
arguments `x` and `x2`, output `out` in eval mode, cotangents `ct` of its floating leaves, the
gradients `gp` and `gx` of sum(out * ct), those of the parameters in train mode, `gt`, and outputs
`steps` of two calls in train mode with the weights `after` them.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from label_values import Masks, leaves

RUNS = ((0, 1.0), (1, 10.0), (2, 0.3))


def main() -> None:
    out = Path(sys.argv[1])
    torch.set_default_dtype(torch.float64)
    torch.float32 = torch.float64  # what a source casts by hand is meant to be exact, too
    torch.Tensor.float = torch.Tensor.double
    torch.set_num_threads(1)
    for name, model in json.load(sys.stdin).items():
        module = ModuleType(name)
        exec(compile(model["source"], f"{name}/source.py", "exec"), module.__dict__)
        entry = getattr(module, model["entry"])
        runs = [record(entry, module, seed, scale) for seed, scale in RUNS]
        (out / f"{name}.pickle").write_bytes(pickle.dumps(runs))


def record(entry: Any, module: ModuleType, seed: int, scale: float) -> dict[str, Any]:
    """One draw of weights, two of arguments, and all that follows from them."""
    torch.manual_seed(seed)
    is_class = isinstance(entry, type)
    model = entry() if is_class else entry
    first, second = (arguments(module, seed + k, scale) for k in (10, 20))
    if is_class:
        randomise(model)
    run: dict[str, Any] = {"w": weights(model), "x": plain(first), "x2": plain(second)}
    run.update(evaluated(model, first))
    if is_class:
        run["trained"] = [n for n, p in model.named_parameters() if p.requires_grad]
        with torch.no_grad(), masked_dropout():
            model.load_state_dict({n: torch.tensor(run["w"][n]) for n in model.state_dict()})
            model.train()
            run["steps"] = [plain(call(model, x)) for x in (first, second)]
        run["after"] = weights(model)
        run["gt"] = train_gradients(model, run)
    return run


def evaluated(model: Any, args: Any) -> dict[str, Any]:
    """Output and gradients in eval mode."""
    if isinstance(model, torch.nn.Module):
        model.eval()
    inputs = {path: x for path, x in leaves(args).items() if _floating(x)}
    for x in inputs.values():
        x.requires_grad_(True)
    with masked_dropout():
        output = call(model, args)
    tensors = {path: leaf for path, leaf in leaves(output).items() if _floating(leaf)}
    cotangents = {path: torch.randn_like(leaf) for path, leaf in tensors.items()}
    terms = [(t * cotangents[p]).sum() for p, t in tensors.items() if t.requires_grad]
    if terms:
        torch.stack(terms).sum().backward()
    parameters = dict(model.named_parameters()) if isinstance(model, torch.nn.Module) else {}
    return {
        "out": plain(output),
        "ct": plain(cotangents),
        "gp": {n: gradient(p) for n, p in parameters.items()},
        "gx": {path: gradient(x) for path, x in inputs.items()},
    }


def train_gradients(model: torch.nn.Module, run: dict[str, Any]) -> dict[str, Any]:
    """Gradients of the parameters in train mode, from the weights and for the cotangents of `run`."""
    model.load_state_dict({n: torch.tensor(run["w"][n]) for n in model.state_dict()})
    model.zero_grad()
    with masked_dropout():
        output = leaves(call(model, _mapped(run["x"], torch.as_tensor)))
    terms = [(output[p] * torch.tensor(ct)).sum() for p, ct in run["ct"].items()]
    terms = [term for term in terms if term.requires_grad]
    if terms:
        torch.stack(terms).sum().backward()
    return {n: gradient(p) for n, p in model.named_parameters()}


def call(model: Callable[..., Any], args: Any) -> Any:
    """Run on copies, so that an entry may write into its arguments; a dict holds keywords."""
    copies = _mapped(args, lambda x: x.clone())
    return model(**copies) if isinstance(copies, dict) else model(*copies)


def arguments(module: ModuleType, seed: int, scale: float) -> Any:
    torch.manual_seed(seed)
    given = _mapped(module.get_inputs(), lambda x: x.double() if x.is_floating_point() else x)
    return _mapped(given, lambda x: x * scale if x.is_floating_point() else x)


def randomise(model: torch.nn.Module) -> None:
    """Weights of unit gain, scales near one, biases and statistics that are not zero."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1:
                p.copy_(torch.randn_like(p) / p[0].numel() ** 0.5)
            else:
                p.copy_(0.3 * torch.randn_like(p) + ("weight" in name))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.3 * torch.randn_like(buffer))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand_like(buffer))


def gradient(tensor: torch.Tensor) -> Any:
    return plain(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)


def weights(model: Any) -> dict[str, Any]:
    if not isinstance(model, torch.nn.Module):
        return {}
    named = [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]
    return {name: plain(tensor) for name, tensor in named}


def masked_dropout() -> Any:
    """Replace `F.dropout` by one whose masks both sides can draw."""
    masks = Masks()

    def dropout(
        x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        if not training or p == 0:
            return x
        return x * torch.from_numpy(masks.next(1 - p, tuple(x.shape))) / (1 - p)

    return mock.patch.object(torch.nn.functional, "dropout", dropout)


def plain(tree: Any) -> Any:
    """The tree with NumPy copies of its tensors."""
    return _mapped(tree, lambda x: x.detach().numpy().copy())


def _mapped(tree: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    if isinstance(tree, torch.Tensor | np.ndarray):
        return change(tree)
    if isinstance(tree, tuple | list):
        return [_mapped(item, change) for item in tree]
    if isinstance(tree, dict):
        return {key: _mapped(item, change) for key, item in tree.items()}
    return tree


def _floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


if __name__ == "__main__":
    main()
