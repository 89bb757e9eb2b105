"""The text of a bundle's test: how it imports the entry and builds it."""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferry.deliver.candidate_text import CandidateText

Json = Mapping[str, Any]

#: Read at import: a step has no files.
TEMPLATE = Path(__file__).with_name("bundle").joinpath("test_equivalence.py.in").read_text("utf-8")
TORCH_ROOTS = ("torch", "nn", "F")

MAKE_MODULE = '''\
@functools.cache
def make_model(dtype):
    """The model with the recorded weights in the given precision, in eval mode."""
    model = @BUILD@
    load_weights.load(model, DATA / "weights.safetensors", ROOT / "weights.json", dtype=dtype)
    for _, part in nnx.iter_graph(model):
        if isinstance(part, nnx.Module) and getattr(part, "dtype", None) == np.dtype("float32"):
            part.dtype = np.dtype(dtype)
    model.eval()
    return model'''

MAKE_FUNCTION = '''\
class Entry(nnx.Module):
    """The function under test as a module without variables."""

    def __call__(self, *args, **kwargs):
        return @BUILD@(*args, **kwargs)


def make_model(dtype):
    """The function needs no weights."""
    return Entry()'''


def test_file(plan: Json, text: CandidateText) -> tuple[str, bool]:
    """The test file, and whether it needs `tests/torch_names.py` beside it."""
    entry = plan["entry"]
    if entry["kind"] != "class":
        build, names, counterparts = entry["name"], {entry["name"]}, False
    else:
        build, names, counterparts = _build(plan, text)
    make = MAKE_MODULE if entry["kind"] == "class" else MAKE_FUNCTION
    imports = _imports(entry["module"], sorted(names), counterparts)
    filled = TEMPLATE.replace("@NAME@", entry["name"]).replace("@IMPORTS@", imports)
    filled = filled.replace("@MODULE@", entry["module"])
    return filled.replace("@MAKE_MODEL@", make.replace("@BUILD@", build)), counterparts


def _build(plan: Json, text: CandidateText) -> tuple[str, set[str], bool]:
    """The expression that builds the entry, and the names of its module that it needs."""
    init, entry = plan["init"], plan["entry"]
    own = text.names(entry["module"])
    if init.get("how") == "expr":
        return _expression(init["expr"], own, text)
    top = entry["name"].partition(".")[0]
    rngs = [] if text.takes_rngs(entry["name"]) is False else ["rngs=nnx.Rngs(0)"]
    if init.get("how") in ("get_init_inputs", "code") and "get_init_inputs" in own:
        arguments = ["*get_init_inputs()", *rngs]
        return f"{entry['name']}({', '.join(arguments)})", {top, "get_init_inputs"}, False
    kwargs = [f"{name}={value!r}" for name, value in (init.get("kwargs") or {}).items()]
    arguments = [*map(repr, init.get("args") or []), *kwargs, *rngs]
    return f"{entry['name']}({', '.join(arguments)})", {top}, False


def _expression(expr: str, own: set[str], text: CandidateText) -> tuple[str, set[str], bool]:
    """An `init_expr` with `rngs` supplied and torch's names replaced."""
    tree = _Rewriter(own, text)
    built = ast.unparse(tree.visit(ast.parse(expr.strip(), mode="eval")))
    return built, tree.used, tree.counterparts


class _Rewriter(ast.NodeTransformer):
    """Rewrites an expression of the source for the candidate's namespace."""

    def __init__(self, own: set[str], text: CandidateText) -> None:
        self._own = own
        self._text = text
        self.used: set[str] = set()
        self.counterparts = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        takes = self._text.takes_rngs(ast.unparse(node.func))
        self.generic_visit(node)
        if takes and "rngs" not in {k.arg for k in node.keywords}:
            rngs = ast.parse("nnx.Rngs(0)", mode="eval").body
            node.keywords.append(ast.keyword("rngs", rngs))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if ast.unparse(node).partition(".")[0] in TORCH_ROOTS:
            return self._named(node.attr)
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return node if hasattr(builtins, node.id) else self._named(node.id)

    def _named(self, name: str) -> ast.AST:
        if name in self._own:
            self.used.add(name)
            return ast.Name(name, ast.Load())
        self.counterparts = True
        return ast.parse(f"counterpart({name!r})", mode="eval").body


def _imports(module: str, names: list[str], counterparts: bool) -> str:
    """Import statements for names of the candidate, whatever its file is called."""
    plain = all(p.isidentifier() and not keyword.iskeyword(p) for p in module.split("."))
    if plain:
        lines = [f"from {module} import {', '.join(names)}  # noqa: E402"] if names else []
    else:
        lines = ["import importlib  # noqa: E402", ""]
        lines += [f"{name} = importlib.import_module({module!r}).{name}" for name in names]
    if counterparts:
        lines.insert(0, "from torch_names import counterpart  # noqa: E402")
    return "\n".join(lines)
