"""Whether a write in place is seen through another name.

jax arrays never change, so a name that is written is bound again to the new value. That is
the same only if no other name for the same storage is read later; the storage ids in the
facts show it. Where one is, the construct is refused (``unsafe_alias``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ferry.translate.operations import is_taken_as_variable
from ferry.translate.translator import FileTranslator, Refused


def check_alias(tr: FileTranslator, node: ast.AST, written: ast.expr, rebound: str | None) -> None:
    """Refuse a write whose storage another name reads later.

    `rebound` is the text of the target that gets the new value.
    """
    function = tr.source.function_of(node)
    storage = tr.facts.storage(written) or _storage_of_target(tr, function, written)
    if not storage or function is None:
        return
    for other in _later_reads(tr, function, node):
        if (
            ast.unparse(other) != rebound
            and tr.facts.storage(other) & storage
            and tr.is_tensor(other)
        ):
            name, reader = ast.unparse(written), ast.unparse(other)
            why = f"{name} is written in place; {reader}, read in line {other.lineno}, shares it"
            raise Refused(node, "unsafe_alias", why)


def _storage_of_target(
    tr: FileTranslator, function: ast.AST | None, target: ast.expr
) -> frozenset[int]:
    """The storage of a target that is only written: that of its next read, which is the same."""
    text, end = ast.unparse(target), tr.source.span(target)[1]
    reads = [
        n
        for n in ast.walk(function or tr.source.tree)
        if isinstance(n, ast.expr)
        and type(n) is type(target)
        and tr.facts.storage(n)
        and ast.unparse(n) == text
    ]
    after = [n for n in reads if tr.source.span(n)[0] >= end]
    first = min(after, key=tr.source.span, default=None)
    return tr.facts.storage(first) if first is not None else frozenset()


def _later_reads(tr: FileTranslator, function: ast.AST, node: ast.AST) -> Iterator[ast.expr]:
    """Names and attributes read after a statement, or anywhere in a loop around it."""
    statement = tr.source.statement_of(node)
    end = tr.source.span(statement)[1]
    for other in ast.walk(function):
        if not isinstance(other, (ast.Name, ast.Attribute)) or not isinstance(other.ctx, ast.Load):
            continue
        if tr.source.span(other)[0] < end or exclusive(tr, statement, other):
            continue
        if not _asks_for_form(tr, other):
            yield other


def _asks_for_form(tr: FileTranslator, node: ast.expr) -> bool:
    """Whether a read is only of sizes or types, which no write in place changes."""
    parent = tr.source.parents.get(node)
    return isinstance(parent, ast.Attribute) and parent.attr in _FORM


_FORM = frozenset(["shape", "dtype", "ndim", "device", "size", "dim", "numel", "is_cuda"])


def exclusive(tr: FileTranslator, statement: ast.stmt, other: ast.AST) -> bool:
    """Whether two places are in different arms of one ``if``."""
    arms = {}
    child: ast.AST = statement
    for parent in tr.source.ancestors(statement):
        if isinstance(parent, ast.If):
            arms[parent] = child in parent.body
        child = parent
    child = other
    for parent in tr.source.ancestors(other):
        if isinstance(parent, ast.If) and parent in arms and child is not parent.test:
            return arms[parent] != (child in parent.body)
        child = parent
    return False


def assigned(tr: FileTranslator, node: ast.expr) -> str | None:
    """The single target that a call's value is assigned to."""
    parent = tr.source.parents.get(node)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        return ast.unparse(parent.targets[0])
    return None


def check_arguments(tr: FileTranslator, node: ast.Call) -> None:
    """A call that writes one of its arguments in place, as the run showed, must write it unseen.

    In the port the callee makes a new array, so the caller's name keeps the old value.
    """
    for argument in (*node.args, *(k.value for k in node.keywords)):
        written = (tr.facts.of(argument) or {}).get("written") or _moves(tr, node, argument)
        if not written or _is_written_there(tr, argument):
            continue
        if _is_held(tr, argument):
            why = f"{ast.unparse(node.func)} writes into {ast.unparse(argument)}"
            raise Refused(node, "unsafe_alias", why)
        check_alias(tr, node, argument, assigned(tr, node))


def _moves(tr: FileTranslator, node: ast.Call, argument: ast.expr) -> bool:
    """Whether a norm may move an argument as its running statistic, which torch does not count as a
    write. ``batch_norm`` moves none where `training` is False, ``instance_norm`` where
    `use_input_stats` is; the defaults are False and True."""
    trains = [k.value for k in node.keywords if k.arg in ("training", "use_input_stats")]
    trains += node.args[5:6]
    never = ast.unparse(trains[0]) == "False" if trains else "batch_norm" in ast.unparse(node.func)
    return is_taken_as_variable(tr, argument) and not never


def _is_written_there(tr: FileTranslator, argument: ast.expr) -> bool:
    """Whether an argument stays a variable, which the callee writes as torch does."""
    if isinstance(argument, ast.IfExp):
        return _is_written_there(tr, argument.body) and _is_written_there(tr, argument.orelse)
    none = tr.kinds(argument) == {"none"}
    return none or (tr.is_variable(argument) and is_taken_as_variable(tr, argument))


def _is_held(tr: FileTranslator, argument: ast.expr) -> bool:
    """Whether an argument is a variable of a module, by whatever name."""
    storage = tr.facts.storage(argument)
    return tr.is_variable(argument) or any(
        isinstance(n, ast.Attribute) and tr.is_variable(n) and storage & tr.facts.storage(n)
        for n in ast.walk(tr.source.tree)
    )
