"""Classes and functions: bases, constructors with ``rngs``, ``forward`` as ``__call__``."""

from __future__ import annotations

import ast

from ferry.translate.detached import NO_GRAD
from ferry.translate.source import Function, is_docstring, parameters, positioned_children
from ferry.translate.statements import start_lines
from ferry.translate.translator import REMOVED, FileTranslator, Refused

_HOOKS = ("__setattr__", "__getattr__", "_load_from_state_dict", "extra_repr", "_apply")
_DROPPED_DECORATORS = (
    "torch.jit.script",
    "torch.jit.export",
    "torch.jit.ignore",
    "torch.jit.unused",
    "torch.compile",
    "torch.fx.wrap",
    "torch.autograd.once_differentiable",
    "torch.cuda.amp.custom_fwd",
    "torch.cuda.amp.custom_bwd",
)


def class_(tr: FileTranslator, node: ast.ClassDef) -> str | None:
    """A class; a module class without a constructor gets one where it needs one."""
    if node not in tr.project.module_classes:
        return None
    text = tr.keep(node)
    own = any(isinstance(f, ast.FunctionDef) and f.name == "__init__" for f in node.body)
    lines = start_lines(tr, node)
    if own or not _needs_constructor(tr, node, lines):
        return text
    return _with_constructor(tr, node, text, lines)


def _needs_constructor(tr: FileTranslator, node: ast.ClassDef, lines: list[str]) -> bool:
    if lines:
        return True
    inherits = tr.project.takes_rngs(node)
    acts = any(isinstance(s, ast.FunctionDef) for s in node.body)
    return not inherits and acts and _is_passed_on(tr, node)


def _is_passed_on(tr: FileTranslator, node: ast.ClassDef) -> bool:
    """Whether a class is used as a value, so that whoever calls it passes ``rngs``."""
    for unit in tr.project.units.values():
        for other in ast.walk(unit.source.tree):
            if (
                isinstance(other, ast.Name)
                and other.id == node.name
                and isinstance(other.ctx, ast.Load)
            ):
                parent = unit.source.parents[other]
                called = isinstance(parent, ast.Call) and parent.func is other
                if not called and not isinstance(parent, (ast.ClassDef, ast.Attribute)):
                    return True
    return False


def _with_constructor(tr: FileTranslator, node: ast.ClassDef, text: str, lines: list[str]) -> str:
    """Insert a constructor in front of the first method."""
    methods = [s for s in node.body if isinstance(s, ast.FunctionDef)]
    first = next((m for m in methods if tr.render(m) != REMOVED), None)
    if first is None:
        raise Refused(
            node, "unsupported_construct", "a module class without methods needs a constructor"
        )
    indent = tr.source.indent(first)
    inherits = tr.project.takes_rngs(node)
    if inherits:
        head = f"def __init__(self, *args, {_rngs(tr)}, **kwargs):"
        lines = ["super().__init__(*args, rngs=rngs, **kwargs)", *lines]
    else:
        head = f"def __init__(self, *, {_rngs(tr)}):"
    body = "".join(f"\n{indent}    {line}" for line in lines)
    if not lines:
        body = f"\n{indent}    super().__init__()"
    rendered = tr.render(first)
    return text.replace(rendered, f"{head}{body}\n\n{indent}{rendered}", 1)


def function(tr: FileTranslator, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """A function or method."""
    if isinstance(tr.source.parents.get(node), ast.Module) and _belongs_to_harness(tr, node):
        return REMOVED
    if tr.initial.function(tr.unit, node):
        return REMOVED
    if isinstance(node, ast.FunctionDef) and tr.initial.serves(tr.unit, node):
        tr.notes.append(f"{tr.unit.path}:{node.lineno}: {node.name} only serves initial values")
        return REMOVED
    owner = tr.project.method_owner(tr.unit, node)
    if owner is not None and node.name in _HOOKS and node.name != "extra_repr":
        raise Refused(node, "unsupported_construct", f"{node.name} of a module class")
    if owner is not None and node.name == "extra_repr":
        return REMOVED
    text = _undecorated(tr, node)
    if owner is not None and node.name == "forward":
        text = text.replace("def forward", "def __call__", 1)
    if node in tr.project.keyed:
        text = _with_rngs(tr, node, text)
    if tr.project.is_constructor(node) and owner is not None:
        text = _with_start(tr, node, owner, text)
    return text


def _belongs_to_harness(tr: FileTranslator, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """``get_inputs`` that draws from torch is the source's test, not its model."""
    return node.name == "get_inputs" and any(tr.names.torch(n) for n in ast.walk(node))


def _undecorated(tr: FileTranslator, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The definition without decorators that mean nothing in jax."""
    dropped = [d for d in node.decorator_list if _drops(tr, d)]
    outside = tr.detached
    if any(_decorator(tr, d) in NO_GRAD for d in dropped):
        tr.detached = "function"
    try:
        if not dropped:
            return tr.keep(node)
        start = tr.source.offset(node.lineno, node.col_offset)
        children = [c for c in positioned_children(node) if c not in node.decorator_list]
        text = tr.splice(start, tr.source.span(node)[1], children, {})
    finally:
        tr.detached = outside
    kept = [f"@{tr.render(d)}" for d in node.decorator_list if d not in dropped]
    return f"\n{tr.source.indent(node)}".join([*kept, text])


def _decorator(tr: FileTranslator, node: ast.expr) -> str | None:
    return tr.names.torch(node.func if isinstance(node, ast.Call) else node)


def _drops(tr: FileTranslator, node: ast.expr) -> bool:
    dotted = _decorator(tr, node)
    if dotted is None:
        return False
    if dotted in _DROPPED_DECORATORS or dotted in NO_GRAD:
        return True
    raise Refused(node, "unsupported_construct", f"the decorator {dotted}")


def _rngs(tr: FileTranslator) -> str:
    """The parameter for the key stream, which layers of Flax can't do without."""
    return "rngs: nnx.Rngs" if tr.idioms.applied else "rngs: nnx.Rngs | None = None"


def _with_rngs(tr: FileTranslator, node: Function, text: str) -> str:
    """Add the keyword ``rngs`` to the parameters of a rendered function."""
    args = node.args
    if any(a.arg == "rngs" for a in parameters(node)):
        raise Refused(
            node, "unsupported_construct", "a parameter of this name is already there: rngs"
        )
    new = _rngs(tr) if not isinstance(node, ast.Lambda) else "rngs=None"
    if not args.kwonlyargs and not args.vararg:
        new = f"*, {new}"
    opened, closed = _parameter_list(text, isinstance(node, ast.Lambda))
    listed = text[opened:closed]
    if args.kwarg is not None:
        at = listed.rindex("**")
        listed = f"{listed[:at]}{new}, {listed[at:]}"
    else:
        bare = listed.rstrip()
        tail = listed[len(bare) :]
        comma = "" if not bare.strip() or bare.endswith(",") else ","
        if "\n" in tail and bare.endswith(","):
            last = bare.rsplit("\n", 1)[-1]
            gap = "\n" + last[: len(last) - len(last.lstrip())]
            listed = f"{bare}{gap}{new.replace('*, ', '*,' + gap)},{tail}"
        else:
            space = " " if bare.strip() or isinstance(node, ast.Lambda) else ""
            listed = f"{bare}{comma}{space}{new}{tail}"
    return text[:opened] + listed + text[closed:]


def _parameter_list(text: str, is_lambda: bool) -> tuple[int, int]:
    """Offsets of the parameter list in a rendered definition."""
    if is_lambda:
        opened = text.index("lambda") + len("lambda")
        return opened, _closing(text, opened, ":")
    opened = text.index("(", text.index("def ")) + 1
    return opened, _closing(text, opened, ")")


def _closing(text: str, at: int, sign: str) -> int:
    """Where a bracket that is open at `at` closes; strings and comments are skipped."""
    depth = 0
    while True:
        char = text[at]
        if depth == 0 and char == sign:
            return at
        if char in "\"'":
            at = text.index(char, at + 1)
        elif char == "#":
            at = text.index("\n", at)
        depth += (char in "([{") - (char in ")]}")
        at += 1


def _with_start(tr: FileTranslator, node: Function, owner: ast.ClassDef, text: str) -> str:
    """Flags for a constructor that does not call its base's."""
    assert isinstance(node, ast.FunctionDef)
    lines = start_lines(tr, owner)
    calls = any(
        isinstance(n, ast.Attribute) and n.attr == "__init__" and isinstance(n.ctx, ast.Load)
        for n in ast.walk(node)
    )
    if calls or not lines:
        return text
    body = [s for s in node.body if not is_docstring(s) and tr.render(s) != REMOVED]
    if not body:
        raise Refused(node, "unsupported_construct", "a constructor without a call of its base's")
    indent = tr.source.indent(body[0])
    first = tr.render(body[0])
    return text.replace(first, f"\n{indent}".join([*lines, first]), 1)


def lambda_(tr: FileTranslator, node: ast.Lambda) -> str | None:
    """A lambda that builds modules takes ``rngs`` as other factories do."""
    if node not in tr.project.keyed:
        return None
    return _with_rngs(tr, node, tr.keep(node))
