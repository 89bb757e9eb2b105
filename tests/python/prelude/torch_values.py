"""Evaluates the tables of cases in torch, float64: `torch_values.py OUTPUT.npz TABLE…`.

For each case the file holds, under `table/number/`: the state before (`state/…`) and after
(`after/…`), the outputs, the gradients of inputs and parameters, and the keep-masks drawn.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from prelude_cases import Case, cotangent, flatten
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class RecordDraws(TorchDispatchMode):
    """Keeps a copy of every keep-mask that torch draws."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[np.ndarray] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if "bernoulli" in str(func):
            self.masks.append(result.detach().numpy().astype(bool))
        return result


def fill_state(module: nn.Module) -> None:
    """Give every parameter and buffer numbers of its own, variances positive ones."""
    rng = np.random.default_rng(7)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            values = rng.normal(size=tuple(tensor.shape)) * 0.5
            if name.endswith(("running_var", "weight")) and tensor.ndim == 1:
                values = np.abs(values) + 0.5
            tensor.copy_(torch.from_numpy(np.asarray(values)))


def run_case(case: Case) -> dict[str, np.ndarray]:
    """All that the other side is compared with."""
    stored: dict[str, np.ndarray] = {}
    inputs = {name: torch.from_numpy(np.array(case.make(name))) for name in case.inputs}
    for tensor in inputs.values():
        tensor.requires_grad_(case.grad and tensor.is_floating_point())
    scope = {"nn": nn, "F": F, "torch": torch, **inputs}
    module = None
    if case.layer is not None:
        module = eval(case.layer, scope)
        module.train(case.train)
        fill_state(module)
        stored |= {f"state/{n}": t.numpy().copy() for n, t in module.state_dict().items()}
        scope["m"] = module
    with RecordDraws() as draws:
        outputs = flatten(eval(case.call, scope))
    stored |= {f"draw/{n}": mask for n, mask in enumerate(draws.masks)}
    stored |= {f"out/{n}": out.detach().numpy() for n, out in enumerate(outputs)}
    if case.grad:
        stored |= gradients(outputs, inputs, module)
    if module is not None:
        stored |= {f"after/{n}": t.numpy().copy() for n, t in module.state_dict().items()}
    return stored


def gradients(
    outputs: list[torch.Tensor], inputs: dict[str, torch.Tensor], module: nn.Module | None
) -> dict[str, np.ndarray]:
    """Gradients of the sum of outputs times cotangents; zeros where torch has none."""
    total = sum(
        (out * torch.from_numpy(cotangent(tuple(out.shape), n))).sum()
        for n, out in enumerate(outputs)
        if out.is_floating_point()
    )
    total.backward()
    leaves = {f"grad/input/{n}": t for n, t in inputs.items() if t.requires_grad}
    if module is not None:
        leaves |= {f"grad/param/{n}": p for n, p in module.named_parameters()}
    return {
        name: (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).detach().numpy()
        for name, leaf in leaves.items()
    }


def main() -> None:
    """Write the values of all tables."""
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    stored: dict[str, np.ndarray] = {}
    for table in sys.argv[2:]:
        cases = importlib.import_module(f"prelude_cases.{table}").CASES
        for number, case in enumerate(cases):
            try:
                values = run_case(case)
            except Exception as error:
                raise SystemExit(f"{table} {case.name}: {error!r}") from error
            stored |= {f"{table}/{number}/{key}": value for key, value in values.items()}
    np.savez(sys.argv[1], **stored)


main()
