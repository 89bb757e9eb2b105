"""What every expression of the source was when it ran: kinds, shapes, values, aliasing."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from ferry.files import Compile, compile_plain
from ferry.oracle.cases import materialize
from ferry.oracle.inputs import call
from ferry.oracle.packages import slice_of, with_slice
from ferry.oracle.places import source_runs
from ferry.oracle.probes import Probes, reporting
from ferry.oracle.program import json_or_none, opened, seed_all
from ferry.oracle.recipe import Weights
from ferry.oracle.state import class_name, load
from ferry.oracle.trees import DTYPES, Arguments, flatten_output
from ferry.slicing.slice import Slice, hidden, is_below, without_idle_names
from ferry.step import StepError

Json = dict[str, Any]

FULL = 256  # observations of a site before only new types are looked at
SHAPES = 4
VALUES = 2
ITEMS = 8
KEYS = 16
STORAGES = 32
MODULES = 512
TEXT = 200
DEPTH = 2


_weak: Any = StorageWeakRef


class Storages:
    """Small numbers for storages; memory that was freed and used again gets a new number."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, int]] = {}
        self._next = 0

    def number(self, tensor: Tensor) -> int:
        """The number of the storage behind `tensor`."""
        storage = tensor.untyped_storage()
        at = storage.data_ptr()
        known = self._known.get(at)
        if known is None or known[0].expired() or at == 0:
            known = (_weak(storage), self._next)
            self._known[at] = known
            self._next += 1
        return known[1]


def kind_of(value: Any) -> str:
    """The kind of a fact."""
    if isinstance(value, Tensor):
        return "tensor"
    if value is None:
        return "none"
    if isinstance(value, torch.Size):
        return "size"
    for cls, kind in _KINDS:
        if isinstance(value, cls):
            return kind
    return "function" if callable(value) and not isinstance(value, type) else "other"


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "str"),
    (tuple, "tuple"),
    (list, "list"),
    (dict, "dict"),
    (nn.Module, "module"),
    (torch.dtype, "dtype"),
    (torch.device, "device"),
)


class Site:
    """All that was seen of one expression."""

    def __init__(self, storages: Storages, depth: int = 0) -> None:
        self.count = 0
        self._storages = storages
        self._depth = depth
        self._types: set[type] = set()
        self._kinds: list[str] = []
        self._shapes: list[list[int]] = []
        self._dtypes: list[str] = []
        self._ndims: list[int] = []
        self._ids: list[int] = []
        self._classes: list[str] = []
        self._values: list[Any] = []
        self._keys: list[str] = []
        self._items: list[Site] | None = None
        self._modules: dict[int, nn.Module] = {}
        self._paths: list[str] | None = None
        self._last: tuple[weakref.ref[Tensor], int] | None = None
        self._written = False

    def observe(self, value: Any) -> None:
        """Take note of one more value."""
        self.count += 1
        self._last = (weakref.ref(value), _version(value)) if isinstance(value, Tensor) else None
        if isinstance(value, nn.Module) and self._depth == 0:
            self._modules[id(value)] = value
        if self.count > FULL and type(value) in self._types:
            return
        self._types.add(type(value))
        kind = kind_of(value)
        _remember(self._kinds, kind, len(_KINDS) + 4)
        if kind == "tensor":
            self._observe_tensor(value)
        elif kind in ("tuple", "list", "size"):
            self._observe_items(value)
        elif kind == "dict":
            for key in list(value)[:KEYS]:
                if isinstance(key, str):
                    _remember(self._keys, key[:TEXT], KEYS)
        elif kind in ("module", "other"):
            _remember(self._classes, class_name(type(value)), VALUES)
        self._observe_value(kind, value)

    def _observe_tensor(self, value: Tensor) -> None:
        _remember(self._shapes, list(value.shape), SHAPES)
        _remember(self._dtypes, DTYPES.get(value.dtype, str(value.dtype)), VALUES)
        _remember(self._ndims, value.ndim, VALUES)
        if value.dtype == torch.bool and value.numel() == 1:
            _remember(self._values, bool(value), VALUES)
        if value.layout == torch.strided:
            _remember(self._ids, self._storages.number(value), STORAGES)

    def _observe_items(self, value: Sequence[Any]) -> None:
        if len(value) > ITEMS or self._depth >= DEPTH:
            self._items = []
        elif self._items is None:
            self._items = [Site(self._storages, self._depth + 1) for _ in value]
        elif len(self._items) != len(value):
            self._items = []
        for site, item in zip(self._items or [], value, strict=False):
            site.observe(item)

    def _observe_value(self, kind: str, value: Any) -> None:
        if kind in ("int", "bool", "str", "float"):
            shown = json_or_none(value[:TEXT] if kind == "str" else value)
            _remember(self._values, str(value) if shown is None else shown, VALUES)
        elif kind in ("dtype", "device"):
            _remember(self._values, str(value), VALUES)
        elif kind == "function" or isinstance(value, type) or inspect.ismodule(value):
            _remember(self._values, callable_name(value), VALUES)

    def check_written(self) -> None:
        """Note it where the tensor seen last has been written since."""
        tensor = self._last[0]() if self._last is not None else None
        if self._last is not None and tensor is not None and _version(tensor) != self._last[1]:
            self._written = True

    def name_modules(self, paths: Mapping[int, list[str]]) -> None:
        """Turn the modules seen into their paths; those that did not stay in the model have none."""
        if 0 < len(self._modules) <= MODULES:
            self._paths = [path for number in self._modules for path in paths.get(number, ())]
        self._modules.clear()

    @property
    def known(self) -> bool:
        """Whether anything of it could be looked at."""
        return bool(self._kinds)

    def to_json(self) -> Json:
        """The *fact* of steps.md."""
        mixed = len(self._kinds) > 1
        fact: Json = {"kind": "mixed" if mixed else self._kinds[0], "count": self.count}
        if mixed:
            fact["kinds"] = self._kinds
        if self._shapes:
            fact["dtype"] = self._dtypes[0] if len(self._dtypes) == 1 else None
            fact["ndim"] = self._ndims[0] if len(self._ndims) == 1 else None
            fact["shapes"] = self._shapes
            fact["storage"] = self._ids
        if self._written:
            fact["written"] = True
        if self._classes:
            fact["cls"] = self._classes[0] if len(self._classes) == 1 else None
            if len(self._classes) > 1:
                fact["classes"] = self._classes
        if self._paths is not None:
            fact["modules"] = self._paths
        if self._values:
            fact["values"] = self._values
        if self._keys:
            fact["keys"] = self._keys
        if self._items:
            fact["items"] = [item.to_json() for item in self._items]
        return fact


def _version(tensor: Tensor) -> int:
    """How often a tensor was written in place, as far as torch counts it."""
    return 0 if tensor.is_inference() else tensor._version


def _remember(known: list[Any], value: Any, most: int) -> None:
    same = any(type(k) is type(value) and k == value for k in known)
    if not same and len(known) < most:
        known.append(value)


def callable_name(value: Any) -> str:
    """A dotted name for a function, class or Python module, as far as it says one."""
    if inspect.ismodule(value):
        return value.__name__
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    module = getattr(value, "__module__", None)
    return f"{module}.{name}" if isinstance(module, str) else name


class Recorder:
    """Collects the facts of all sites while instrumented code runs."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._storages = Storages()
        self._sites: dict[int, Site] = {}
        self._ran: set[int] = set()

    def site(self, number: int, value: Any) -> Any:
        """Called in place of each expression; gives back its value."""
        site = self._sites.get(number)
        if site is None:
            site = self._sites[number] = Site(self._storages)
        try:
            for argument in self._probes.arguments.get(number, ()):
                self._check_written(argument)
            site.observe(value)
        except Exception:  # a value may refuse to be looked at; the source must not notice
            site.count += 1
        return value

    def _check_written(self, number: int) -> None:
        site = self._sites.get(number)
        if site is not None:
            site.check_written()

    def name_modules(self, model: Any) -> None:
        """Name the modules that sites have seen by their paths in the finished model."""
        paths: dict[int, list[str]] = {}
        if isinstance(model, nn.Module):
            for path, module in model.named_modules(remove_duplicate=False):
                paths.setdefault(id(module), []).append(path)
        for site in self._sites.values():
            site.name_modules(paths)

    def ran(self, number: int) -> None:
        """Called at the start of each function."""
        self._ran.add(number)

    def sites(self) -> dict[str, dict[str, Json]]:
        """Facts by file and span."""
        found: dict[str, dict[str, Json]] = {}
        for number, site in sorted(self._sites.items()):
            path, span = self._probes.sites[number]
            if site.known:
                found.setdefault(path, {})[":".join(map(str, span))] = site.to_json()
        return found

    def functions(self) -> dict[str, list[list[int]]]:
        """First and last lines of the functions that ran, by file."""
        found: dict[str, list[list[int]]] = {}
        for path, line, end in sorted(self._probes.functions[n] for n in self._ran):
            found.setdefault(path, []).append([line, end])
        return found


def collect_facts(
    request: Json,
    inputs: Sequence[Arguments],
    weights: Weights,
    resized: Sequence[Arguments] = (),
) -> tuple[Json, list[str]]:
    """Run an instrumented copy of the source, in both modes on all inputs, and backward.

    On inputs of other sizes it runs in eval mode only, where they have been tried.

    Where it takes classes from an installed package, a plain copy runs first, for the slice of that
    package; the instrumented copy then has the slice in the package's place.

    Gives `sites`, `ran` and `packages` of the facts, and a note where the instrumented copy failed on the way.
    """
    notes: list[str] = []
    sliced = Slice()
    try:
        sliced = slice_of(request, lambda: _run(request, inputs, weights, compile_plain, resized))
    except StepError as error:
        notes.append(f"the packages were not sliced: {error.message}")
    probes = Probes(without_idle_names(sliced.files))
    recorder = Recorder(probes)
    try:
        expanded = with_slice(request, sliced)
        with reporting(recorder.site, recorder.ran), hidden(is_below(sliced.files)):
            _run(expanded, inputs, weights, probes.compile_file, resized, recorder.name_modules)
    except StepError as error:
        where = f" ({error.file}:{error.line})" if error.file else ""
        notes.append(f"the facts are incomplete: {error.message}{where}")
    facts: Json = {
        "sites": recorder.sites(),
        "ran": recorder.functions(),
        "packages": sliced.to_json(),
    }
    return facts, notes


def _run(
    request: Json,
    inputs: Sequence[Arguments],
    weights: Weights,
    compile_file: Compile,
    resized: Sequence[Arguments],
    ended: Callable[[Any], None] = lambda model: None,
) -> set[str]:
    """Build the source and call it on all inputs; gives the classes of the model's modules.

    `ended` is called with the model when all has run.
    """
    with opened(request, compile_file) as program:
        model = program.build()
        modes = ("eval", "train") if isinstance(model, nn.Module) else ("eval",)
        materialize(program, model, inputs[0])
        if isinstance(model, nn.Module):
            load(model, weights)
        for mode in modes:
            if isinstance(model, nn.Module):
                model.train(mode == "train")
            for arguments in (*inputs, *(resized if mode == "eval" else ())):
                seed_all(program.seed)
                with source_runs(program.paths), torch.no_grad():
                    call(model, arguments.copied())
        if any("backward" in file.text for file in program.files):
            with source_runs(program.paths), torch.enable_grad():
                _run_backward(call(model, inputs[0].mapped(_leaf)))
        ended(model)
        modules = model.modules() if isinstance(model, nn.Module) else ()
        return {class_name(type(module)) for module in modules}


def _leaf(_: str, tensor: Tensor) -> Tensor:
    return tensor.clone().requires_grad_(tensor.is_floating_point())


def _run_backward(output: Any) -> None:
    """Let the source's own backward rules run once."""
    leaves = flatten_output(output)[1].values()
    active = [leaf for leaf in leaves if leaf.is_floating_point() and leaf.requires_grad]
    if active:
        torch.autograd.backward(active, [torch.ones_like(leaf) for leaf in active])
