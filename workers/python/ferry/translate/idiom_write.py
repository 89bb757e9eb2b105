"""The rules of the idiomatic style: constructions, reads and calls of switched layers.

They come before the rules of a faithful port and answer only for nodes that `ferry.translate.idiom`
chose; where it chose none, as in a faithful port, they never answer.
"""

from __future__ import annotations

import ast

from ferry.translate.idiom import Applied
from ferry.translate.idiom_attention import Attends
from ferry.translate.ops import Op, expand
from ferry.translate.rewriting import rewrite
from ferry.translate.table.idiom import SEQUENTIAL
from ferry.translate.tidy import GAP
from ferry.translate.translator import FileTranslator

_LINE = 100


def call(tr: FileTranslator, node: ast.Call) -> str | None:
    """The construction of a switched layer, or a call of one whose arguments change."""
    applied = tr.idioms.constructions.get(node)
    if applied is not None:
        return construction(tr, applied)
    attends = tr.idioms.attends.get(node)
    return attention(tr, node, attends) if attends is not None else None


def attribute(tr: FileTranslator, node: ast.Attribute) -> str | None:
    """An attribute of a switched layer that is read; a Sequential whose children are asked for."""
    if node in tr.idioms.listed:
        return f"{tr.keep(node)}.layers"
    read = tr.idioms.reads.get(node)
    if read is None or not isinstance(node.ctx, ast.Load):
        return None
    if read.variable is None or not tr.is_tensor(node):
        return tr.keep(node)
    return read.variable.read.format(f"{tr.keep(node)}[...]")


def name(tr: FileTranslator, node: ast.Name) -> str | None:
    """A name of a Sequential whose children are asked for."""
    return f"{tr.keep(node)}.layers" if node in tr.idioms.listed else None


def subscript(tr: FileTranslator, node: ast.Subscript) -> str | None:
    """The first of the two results of an attention, of which the port has only that one."""
    if node in tr.idioms.listed:
        return f"{tr.keep(node)}.layers"
    attends = tr.idioms.attends.get(node.value)
    return tr.render(node.value) if attends is not None and attends.replaced is node else None


def assign(tr: FileTranslator, node: ast.Assign) -> str | None:
    """``output, _ = self.attention(...)``, whose second result the port does not have."""
    attends = tr.idioms.attends.get(node.value)
    if attends is None or attends.replaced is not node or attends.target is None:
        return None
    return f"{tr.render(attends.target)} = {tr.render(node.value)}"


def stacked(tr: FileTranslator, node: ast.Assign) -> str | None:
    """A list of blocks as one block whose variables are stacked."""
    scan = next((one for one in tr.idioms.scans if one.made is node), None)
    if scan is None:
        return None
    indent, maker = tr.source.indent(node), f"make_{scan.variable}"
    lines = [
        f"@nnx.split_rngs(splits={tr.render(scan.count)})",
        "@nnx.vmap",
        f"def {maker}(rngs: nnx.Rngs):",
        f"    return {tr.render(scan.block)}",
        "",
        f"{tr.render(node.targets[0])} = {maker}(rngs)",
    ]
    return _indented(lines, indent)


def scanned(tr: FileTranslator, node: ast.For) -> str | None:
    """A loop over a list of blocks as a scan over one block whose variables are stacked."""
    scan = next((one for one in tr.idioms.scans if one.loop is node), None)
    if scan is None:
        return None
    carry, caller = tr.render(scan.call.args[0]), f"call_{scan.variable}"
    lines = [
        "@nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)",
        f"def {caller}({carry}, {scan.variable}):",
        f"    return {tr.render(scan.call)}",
        "",
        f"{carry} = {caller}({carry}, {tr.render(node.iter)})",
    ]
    return _indented(lines, tr.source.indent(node))


def _indented(lines: list[str], indent: str) -> str:
    """Lines of code in the place of a statement, with a blank line before a function that follows another."""
    return "\n".join([GAP, *(indent + line if line else "" for line in ("", *lines))])


def attention(tr: FileTranslator, node: ast.Call, attends: Attends) -> str:
    """A call of `nnx.MultiHeadAttention`, whose mask keeps where torch's drop."""
    arguments = [tr.render(value) for value in attends.inputs]
    mask, padding = attends.attn_mask, attends.padding_mask
    if mask is not None and padding is not None:
        both = f"{tr.operand(mask)} | {tr.operand(padding)}[:, None, None, :]"
        arguments.append(f"mask=~({both})")
    elif mask is not None:
        arguments.append(f"mask=~{tr.operand(mask)}")
    elif padding is not None:
        arguments.append(f"mask=~{tr.operand(padding)}[:, None, None, :]")
    return _laid_out(tr, node, tr.render(node.func), arguments)


def construction(tr: FileTranslator, applied: Applied) -> str:
    """A switched layer's constructor."""
    switch, node = applied.switch, applied.node
    if switch is SEQUENTIAL and node.lineno != node.end_lineno:
        return rewrite(tr, node, switch.to)
    if switch is SEQUENTIAL:
        return _laid_out(tr, node, switch.to, [tr.render(child) for child in node.args])
    arguments = _arguments(tr, applied)
    if switch.is_function:
        partial = _laid_out(tr, node, "functools.partial", [switch.to, *arguments])
        return partial if arguments else switch.to
    own = switch.last if tr.idioms.is_last(switch) else switch.first
    callee = tr.use(own) if own else switch.to
    return _laid_out(tr, node, callee, [*arguments, f"rngs={tr.rngs(node)}"])


def _arguments(tr: FileTranslator, applied: Applied) -> list[str]:
    """The templates of a switch, filled with the arguments of the call."""
    switch, bound = applied.switch, applied.bound
    parameters = {p.name: p for p in Op("", switch.params, "").parameters()}

    def one(field: str, as_operand: bool) -> str | None:
        value = bound.values.get(field)
        if value is None:
            return None
        text = converted(tr, value, parameters[field].kind, switch.spatial)
        return (
            f"({text})" if as_operand and not isinstance(value, (ast.Name, ast.Constant)) else text
        )

    defaults = {n: p.default or "None" for n, p in parameters.items()}
    extra = () if tr.idioms.is_last(switch) else switch.extra
    templates = [*switch.arguments, *extra]
    texts = [expand(template, one, defaults) for template in templates]
    return [_spelled(tr, text) for text in texts if text]


def _spelled(tr: FileTranslator, text: str) -> str:
    """An argument that names a function of the prelude takes it into the output."""
    head, _, value = text.rpartition("=")
    return f"{head}={tr.use(value)}" if value in tr.library.definitions else text


def converted(tr: FileTranslator, value: ast.expr, kind: str, spatial: int) -> str:
    """An argument in the form that the Flax layer takes."""
    text = tr.render(value)
    literal = value.value if isinstance(value, ast.Constant) else None
    if kind == "single" and isinstance(value, (ast.Tuple, ast.List)):
        return tr.render(value.elts[0])
    if kind == "tanh":
        return str(literal == "tanh") if isinstance(literal, str) else f'{text} == "tanh"'
    if kind == "rest":
        return (
            f"{1 - literal:g}" if isinstance(literal, (int, float)) else f"1 - {tr.operand(value)}"
        )
    if kind == "padding" and (literal == 0 or isinstance(literal, str)):
        return f'"{literal.upper()}"' if isinstance(literal, str) else '"VALID"'
    if kind == "pairs":
        return _pairs(tr, value, spatial) if literal != 0 else ""
    if kind in ("sizes", "tuple", "padding") and isinstance(value, (ast.Tuple, ast.List)):
        inner = ", ".join(tr.render(e) for e in value.elts)
        return f"({inner},)" if len(value.elts) == 1 else f"({inner})"
    if kind == "sizes" and "tuple" not in tr.kinds(value):
        inner = ", ".join([text] * spatial)
        return f"({inner},)" if spatial == 1 else f"({inner})"
    return text


def _pairs(tr: FileTranslator, value: ast.expr, spatial: int) -> str:
    """The same padding at both ends of each axis."""
    ends = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value] * spatial
    inner = ", ".join(f"({tr.render(e)}, {tr.render(e)})" for e in ends)
    return f"({inner},)" if len(ends) == 1 else f"({inner})"


def _laid_out(tr: FileTranslator, node: ast.expr, callee: str, arguments: list[str]) -> str:
    """A call on one line, or one argument to a line where it leads a line that would be too long."""
    whole = f"{callee}({', '.join(arguments)})"
    line = tr.source.lines[node.lineno - 1]
    before = line.encode()[: node.col_offset].decode()
    leads = not before.strip() or before.endswith(("= ", "return "))
    if not leads or len(before) + len(whole) <= _LINE:
        return whole
    indent = line[: len(line) - len(line.lstrip())]
    inner = f"\n{indent}    ".join(f"{argument}," for argument in arguments)
    return f"{callee}(\n{indent}    {inner}\n{indent})"
