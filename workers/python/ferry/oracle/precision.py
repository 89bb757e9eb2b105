"""Float64 runs: a narrower type that the source fixes by hand means float64 while one lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

WIDER: dict[torch.dtype, torch.dtype] = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
}
WIDER_METHODS: dict[Any, Any] = {
    Tensor.float: Tensor.double,
    Tensor.half: Tensor.double,
    Tensor.bfloat16: Tensor.double,
}
# names of torch and what they mean in a float64 run
WIDER_NAMES = {
    **dict.fromkeys(("float32", "float", "float16", "half", "bfloat16"), torch.float64),
    **dict.fromkeys(("complex64", "cfloat"), torch.complex128),
    **dict.fromkeys(("FloatTensor", "HalfTensor", "BFloat16Tensor"), torch.DoubleTensor),
}
WIDER_TYPES = dict.fromkeys(
    ("torch.FloatTensor", "torch.HalfTensor", "torch.BFloat16Tensor"), "torch.DoubleTensor"
)
# narrower than float32: a port may compute in these only where the source does
NARROW = {torch.float16: "float16", torch.bfloat16: "bfloat16"}
# what makes tensors of data that has a dtype of its own, such as numpy's float32
FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}


def _widen(value: Any) -> Any:
    """An argument with narrower types replaced by float64, as dtype or as type name."""
    if isinstance(value, torch.dtype):
        return WIDER.get(value, value)
    return WIDER_TYPES.get(value, value) if isinstance(value, str) else value


def _widened(tensor: Tensor) -> Tensor:
    """`tensor`, as float64 where it is of a narrower type."""
    return tensor.to(WIDER.get(tensor.dtype, tensor.dtype))


class _Widen(TorchFunctionMode):
    """Replaces narrower types in every call into torch, also those kept under another name."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = WIDER_METHODS.get(func, func)
        wide = {name: _widen(value) for name, value in (kwargs or {}).items()}
        result = func(*map(_widen, args), **wide)
        return _widened(result) if func in FROM_DATA else result


class NarrowSeen(TorchFunctionMode):
    """Notes the types below float32 that any call into torch gives while it is in force."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor) and value.dtype in NARROW:
                self.names.add(NARROW[value.dtype])
        return result


@contextmanager
def _wide_globals(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Tensors at the top of the source's modules are float64 too."""
    saved: list[tuple[ModuleType, str, Tensor]] = []
    for module in modules:
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor) and value.dtype in WIDER:
                saved.append((module, name, value))
                setattr(module, name, _widened(value))
    try:
        yield
    finally:
        for module, name, value in saved:
            setattr(module, name, value)


@contextmanager
def _wide_names() -> Iterator[None]:
    """torch's own names of narrower types mean float64, which is the default dtype."""
    saved = {name: getattr(torch, name) for name in (*WIDER_NAMES, "from_numpy")}
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for name, wide in WIDER_NAMES.items():
            setattr(torch, name, wide)
        # the one maker of tensors that a function mode does not see
        setattr(torch, "from_numpy", lambda array: _widened(saved["from_numpy"](array)))  # noqa: B010
        yield
    finally:
        torch.set_default_dtype(default)
        for name, value in saved.items():
            setattr(torch, name, value)


@contextmanager
def precision(dtype: str, modules: Iterable[ModuleType]) -> Iterator[None]:
    """The surroundings of a run in `dtype` (``float32`` or ``float64``) of `modules`."""
    if dtype == "float64":
        with _wide_globals(modules), _wide_names(), _Widen():
            yield
    else:
        yield


def _set_deterministic(on: bool, warn_only: bool) -> None:
    """`torch.use_deterministic_algorithms` without its import of the compiler (0.7 s a step)."""
    torch._C._set_deterministic_algorithms(on, warn_only=warn_only)


def _eager_compile(model: Any = None, **_: Any) -> Any:
    """In place of `torch.compile`: what is compiled computes the same."""
    return (lambda function: function) if model is None else model


@contextmanager
def steady() -> Iterator[None]:
    """One thread, nothing compiled or fused for inference, deterministic kernels."""
    threads = torch.get_num_threads()
    fast = torch.backends.mha.get_fastpath_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    strict = torch.are_deterministic_algorithms_enabled()
    compiler: Any = torch.compile
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)
    _set_deterministic(True, True)
    setattr(torch, "compile", _eager_compile)  # noqa: B010  a plain assignment has no such type
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.mha.set_fastpath_enabled(fast)
        _set_deterministic(strict, lenient)
        setattr(torch, "compile", compiler)  # noqa: B010
