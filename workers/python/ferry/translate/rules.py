"""Which rules apply to which kind of node, in order; the first answer counts."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ferry.translate import (
    attributes,
    blocks,
    calls,
    classes,
    idiom_write,
    import_lines,
    inplace,
    statements,
)
from ferry.translate.translator import Rule

RULES: Mapping[type[ast.AST], tuple[Rule, ...]] = {
    ast.Import: (import_lines.import_,),
    ast.ImportFrom: (import_lines.import_from,),
    ast.Assign: (
        statements.initialises,
        idiom_write.stacked,
        idiom_write.assign,
        statements.assign,
    ),
    ast.AnnAssign: (statements.annotated,),
    ast.AugAssign: (inplace.augmented,),
    ast.Expr: (statements.initialises, blocks.asserting_call, statements.expression),
    ast.If: (statements.initialises, blocks.branch),
    ast.For: (idiom_write.scanned, statements.frozen_loop, statements.initialises),
    ast.While: (blocks.loop,),
    ast.Try: (blocks.guarded_import,),
    ast.With: (statements.initialises, blocks.with_),
    ast.Assert: (blocks.assertion,),
    ast.ClassDef: (classes.class_,),
    ast.FunctionDef: (classes.function,),
    ast.AsyncFunctionDef: (classes.function,),
    ast.Lambda: (classes.lambda_,),
    ast.Call: (idiom_write.call, calls.call),
    ast.Name: (idiom_write.name, attributes.name),
    ast.Attribute: (idiom_write.attribute, attributes.attribute),
    ast.Subscript: (idiom_write.subscript, attributes.subscript),
    ast.Compare: (calls.has_name, attributes.compare),
    ast.IfExp: (attributes.conditional,),
}
