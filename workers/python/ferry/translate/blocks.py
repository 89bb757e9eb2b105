"""Blocks: branches, loops, assertions, ``with`` around torch's switches."""

from __future__ import annotations

import ast
import textwrap

from ferry.translate import both_sides, import_lines
from ferry.translate.attributes import bool_test, observed_side
from ferry.translate.detached import NO_GRAD
from ferry.translate.translator import REMOVED, FileTranslator, Refused


def branch(tr: FileTranslator, node: ast.If) -> str | None:
    """``if``: a test on a tensor is refused; an arm that never ran may be left out."""
    if _is_main_guard(node):
        uses = any(
            tr.names.torch(n) or tr.project.target(tr.unit, n) is not None for n in ast.walk(node)
        )
        return REMOVED if uses else None
    try:
        side = observed_side(tr, node.test)
    except Refused:
        computed = both_sides.of_statement(tr, node)
        if computed is None:
            raise
        return computed
    return _without_dead_arms(tr, node) if side is None else _arm(tr, node, side)


def _arm(tr: FileTranslator, node: ast.If, side: bool) -> str:
    """The arm of an ``if`` that always ran, in the place of the whole."""
    kept = node.body if side else node.orelse
    if tr.source.segment(node).startswith("elif"):
        raise Refused(node, "tensor_branch", "an elif depends on the value of a tensor")
    if not kept:
        return REMOVED
    if isinstance(kept[0], ast.If) and tr.source.segment(kept[0]).startswith("elif"):
        text = tr.render(kept[0])
        return text if text == REMOVED else text.removeprefix("el")
    return _in_place_of(tr, node, kept)


def _in_place_of(tr: FileTranslator, node: ast.stmt, kept: list[ast.stmt]) -> str:
    """Statements of a block, one level further out, in the place of the whole block."""
    start, end = tr.source.span(kept[0])[0], tr.source.span(kept[-1])[1]
    if "\n" not in tr.source.text[tr.source.span(node)[0] : start]:
        return tr.splice(start, end, list(kept), {})
    body = tr.source.indent(kept[0]) + tr.splice(start, end, list(kept), {})
    return textwrap.indent(textwrap.dedent(body), tr.source.indent(node)).lstrip()


def guarded_import(tr: FileTranslator, node: ast.Try) -> str | None:
    """``try: import x`` of what the port can't import: the handler's lines."""
    imports = [s for s in node.body if isinstance(s, (ast.Import, ast.ImportFrom))]
    if all(import_lines.works(tr, s) for s in imports) or not node.handlers:
        return None
    body = node.handlers[0].body
    if all(isinstance(s, ast.Pass) for s in body):
        return REMOVED
    return _in_place_of(tr, node, body)


def loop(tr: FileTranslator, node: ast.While) -> str | None:
    """``while``: its test must not be a tensor."""
    bool_test(tr, node.test)
    return None


def assertion(tr: FileTranslator, node: ast.Assert) -> str | None:
    """An assertion about a tensor's values held in the run; it is left out and listed."""
    return None if _can_assert(tr, node, node.test) else REMOVED


def asserting_call(tr: FileTranslator, node: ast.Expr) -> str | None:
    """``torch._assert(test, message)``, which a trace of torch can record, is an assertion."""
    call = node.value
    if not isinstance(call, ast.Call) or tr.names.torch(call.func) != "torch._assert":
        return None
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    test, message = [*call.args, *(named[n] for n in ("condition", "message") if n in named)]
    if not _can_assert(tr, node, test):
        return REMOVED
    return f"assert {tr.render(test)}, {tr.render(message)}"


def _can_assert(tr: FileTranslator, node: ast.stmt, test: ast.expr) -> bool:
    """Whether a test is no matter of a tensor's values; one that is, is noted to hold."""
    try:
        bool_test(tr, test)
        tr.render(test)
    except Refused as refused:
        if refused.code not in ("tensor_branch", "data_dependent_shape"):
            raise
        tr.assume("assertion_left_out", f"holds: {ast.unparse(test)}", node)
        return False
    return True


def _is_main_guard(node: ast.If) -> bool:
    return "__name__" in ast.unparse(node.test) and "__main__" in ast.unparse(node.test)


def _without_dead_arms(tr: FileTranslator, node: ast.If) -> str | None:
    """Arms that never ran and can't be translated end in an error that says so."""
    function = tr.source.function_of(node)
    if function is None or not tr.ever_ran(function):
        return None
    replaced: dict[ast.AST, str] = {}
    for arm in (node.body, node.orelse):
        is_elif = len(arm) == 1 and isinstance(arm[0], ast.If) and arm is node.orelse
        if not arm or is_elif or any(tr.facts.of(n) for s in arm for n in ast.walk(s)):
            continue
        mark = len(tr.refusals)
        texts = [tr.render(s) for s in arm]
        if len(tr.refusals) == mark:
            replaced.update(zip(arm, texts, strict=True))
            continue
        why = tr.refusals[mark].why
        del tr.refusals[mark:]
        tr.assume("branch_left_out", f"this branch never ran and is left out: {why}", arm[0])
        replaced.update(dict.fromkeys(arm, REMOVED))
        replaced[arm[0]] = f'raise NotImplementedError("not ported: {_quoted(why)}")'
    return tr.keep(node, replaced) if replaced else None


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")


def with_(tr: FileTranslator, node: ast.With) -> str | None:
    """Blocks that switch gradients or mixed precision off become plain statements."""
    managers = [tr.names.torch(_manager(i.context_expr)) for i in node.items]
    if not any(managers):
        return None
    if not all(m in NO_GRAD | _NEUTRAL for m in managers):
        raise Refused(
            node, "unsupported_construct", f"with {ast.unparse(node.items[0].context_expr)}"
        )
    for item, manager in zip(node.items, managers, strict=True):
        if manager in _AUTOCAST and not _is_disabled(item.context_expr):
            raise Refused(node, "unsupported_construct", "mixed precision is not supported")
    detached = any(m in NO_GRAD for m in managers)
    return dedented(tr, node, detached)


_AUTOCAST = {"torch.autocast", "torch.cuda.amp.autocast", "torch.amp.autocast"}
_NEUTRAL = {*_AUTOCAST, "torch.enable_grad", "torch.profiler.record_function"}


def _manager(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _is_disabled(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and any(
        k.arg == "enabled" and isinstance(k.value, ast.Constant) and k.value.value is False
        for k in node.keywords
    )


def dedented(tr: FileTranslator, node: ast.With, detached: bool) -> str:
    """The body of a block one level further out; detached values stop gradients."""
    start = tr.source.span(node.body[0])[0]
    end = tr.source.span(node)[1]
    if "\n" not in tr.source.text[tr.source.span(node)[0] : start]:
        raise Refused(node, "unsupported_construct", "a block on one line")
    outside, tr.detached = tr.detached, tr.detached or ("block" if detached else "")
    try:
        body = tr.splice(start, end, list(node.body), {})
    finally:
        tr.detached = outside
    text = tr.source.indent(node.body[0]) + body
    return textwrap.indent(textwrap.dedent(text), tr.source.indent(node)).lstrip()
