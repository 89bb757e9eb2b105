"""Which rules apply to which kind of node, in order; the first answer counts."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ferry.translate import (
    attributes,
    blocks,
    calls,
    classes,
    import_lines,
    inplace,
    statements,
)
from ferry.translate.translator import FileTranslator, Rule


def _conditional(tr: FileTranslator, node: ast.IfExp) -> str | None:
    attributes.conditional(tr, node)
    return None


RULES: Mapping[type[ast.AST], tuple[Rule, ...]] = {
    ast.Import: (import_lines.import_,),
    ast.ImportFrom: (import_lines.import_from,),
    ast.Assign: (statements.initialises, statements.assign),
    ast.AnnAssign: (statements.annotated,),
    ast.AugAssign: (inplace.augmented,),
    ast.Expr: (statements.initialises, statements.expression),
    ast.If: (statements.initialises, blocks.branch),
    ast.For: (statements.frozen_loop, statements.initialises),
    ast.While: (blocks.loop,),
    ast.With: (statements.initialises, blocks.with_),
    ast.Assert: (blocks.assertion,),
    ast.ClassDef: (classes.class_,),
    ast.FunctionDef: (classes.function,),
    ast.AsyncFunctionDef: (classes.function,),
    ast.Lambda: (classes.lambda_,),
    ast.Call: (calls.call,),
    ast.Name: (attributes.name,),
    ast.Attribute: (attributes.attribute,),
    ast.Subscript: (attributes.subscript,),
    ast.Compare: (attributes.compare,),
    ast.IfExp: (_conditional,),
}
