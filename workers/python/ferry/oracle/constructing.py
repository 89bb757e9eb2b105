"""What a method that a constructor calls does to its module, where that can be said in a few lines.

``self.post_init()`` and its like draw initial values and tie parameters. The values are of no
consequence to a port, whose variables are all filled; what is left are ties and plain attributes.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import nn

from ferry.slicing.installed import Effect

Place = tuple[str, int]


@dataclass
class _State:
    """A module tree: its parameters by identity, its attributes, and all else that may change."""

    parameters: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    rest: list[Any] = field(default_factory=list)


def _state(module: nn.Module) -> _State:
    found = _State()
    for path, part in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for name, parameter in part._parameters.items():
            found.parameters[prefix + name] = id(parameter)
            found.rest.append(None if parameter is None else parameter.requires_grad)
        found.rest += [path, id(part), part.training, len(part._forward_hooks)]
        found.rest += [(name, id(buffer)) for name, buffer in part._buffers.items()]
        for name, value in vars(part).items():
            if name not in _TORCHS:
                found.attributes[prefix + name] = _text(value)
    return found


def _text(value: Any) -> str:
    """A value as Python writes it, where that gives it back; else its identity, in ``<>``."""
    text = repr(value)
    try:
        same = bool(ast.literal_eval(text) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        same = False
    return text if same else f"<{id(value)}>"


_TORCHS = frozenset(vars(nn.Module())) | {"training"}


class Effects:
    """Collects the effects of calls in constructors, by the place of the call."""

    def __init__(self) -> None:
        self.found: dict[Place, Effect | None] = {}

    def watch(self, frame: FrameType) -> Callable[[], None] | None:
        """Called when a function begins; gives what to call at its end."""
        caller = frame.f_back
        if (
            caller is None
            or caller.f_code.co_name != "__init__"
            or frame.f_code.co_name == "__init__"
        ):
            return None
        owner = _first_argument(frame)
        if not isinstance(owner, nn.Module) or owner is not _first_argument(caller):
            return None
        if "_parameters" not in vars(owner) or frame.f_code.co_flags & inspect.CO_GENERATOR:
            return None
        place = (caller.f_code.co_filename, caller.f_lineno)
        before = _state(owner)

        def ended() -> None:
            effect = _difference(before, _state(owner), owner)
            known = self.found.setdefault(place, effect)
            self.found[place] = effect if known == effect else None

        return ended


def _first_argument(frame: FrameType) -> Any:
    names = frame.f_code.co_varnames
    return frame.f_locals.get(names[0]) if names else None


def _difference(before: _State, after: _State, owner: nn.Module) -> Effect | None:
    """What changed; None where that is more than ties and plain attributes of the module itself."""
    if before.rest != after.rest or before.parameters.keys() != after.parameters.keys():
        return None
    lines: list[str] = []
    stay = {i: p for p, i in after.parameters.items() if before.parameters[p] == i}
    for path, identity in after.parameters.items():
        if before.parameters[path] != identity:
            if identity not in stay:
                return None
            lines.append(f"self{_access(owner, path)} = self{_access(owner, stay[identity])}")
    changed = {
        name: value
        for name, value in after.attributes.items()
        if before.attributes.get(name) != value
    }
    own = {name: value for name, value in changed.items() if "." not in name}
    if any(value.startswith("<") and not name.startswith("_") for name, value in own.items()):
        return None
    return Effect(tuple(lines), tuple(sorted(own.items())))


def _access(owner: nn.Module, path: str) -> str:
    """``.block[0].weight`` for ``block.0.weight``."""
    text = ""
    at: Any = owner
    for part in path.split("."):
        indexed = isinstance(at, nn.ModuleList | nn.Sequential | nn.ParameterList)
        keyed = isinstance(at, nn.ModuleDict | nn.ParameterDict)
        text += f"[{part}]" if indexed else f'["{part}"]' if keyed else f".{part}"
        at = getattr(at, part)
    return text
