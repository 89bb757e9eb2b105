"""What the facts say of images in a source, and the edits that a layout makes of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from ferry.translate.facts import Fact
from ferry.translate.project import Project, Unit
from ferry.translate.table.layout import moved_axis


class NoPlan(Exception):
    """An expression that can't be followed."""


@dataclass(frozen=True)
class Edit:
    """Text in place of a node; ``{}`` is what other rules write for it, or for the node `of`."""

    text: str
    of: ast.AST | None = None


@dataclass
class Layout:
    """The rank of images and what changes for it, by node."""

    rank: int
    edits: dict[ast.AST, Edit] = field(default_factory=dict)
    moves: int = 0

    @property
    def spatial(self) -> int:
        """The number of spatial axes."""
        return self.rank - 2


class Images:
    """Questions about the expressions of one unit at a time, and changes of their text."""

    def __init__(self, project: Project, layout: Layout) -> None:
        self.layout = layout
        self._project = project
        self._unit: Unit = next(iter(project.units.values()))

    # --- facts ---

    def _fact(self, node: ast.AST) -> Fact:
        return self._unit.facts.of(node) or {}

    def _is_image(self, node: ast.AST) -> bool:
        return self._has_image(self._fact(node))

    def _has_image(self, fact: Fact) -> bool:
        ranks = {len(shape) for shape in fact.get("shapes") or ()}
        if self.layout.rank in ranks and (len(ranks) > 1 or fact.get("kind") == "mixed"):
            raise NoPlan
        return ranks == {self.layout.rank}

    def _holds_images(self, fact: Fact) -> bool:
        return any(self._has_image(i) or self._holds_images(i) for i in fact.get("items") or ())

    def _is_tensor(self, node: ast.AST) -> bool:
        return self._unit.facts.kinds(node) == {"tensor"}

    # --- edits ---

    def _move(self, node: ast.AST, text: str) -> None:
        known = self.layout.edits.get(node)
        self.layout.edits[node] = (
            Edit(text) if known is None else Edit(text.replace("{}", known.text), known.of)
        )
        self.layout.moves += 1

    def _to_first(self, node: ast.AST) -> None:
        self._move(node, "jnp.moveaxis({}, -1, 1)")

    def _to_last(self, node: ast.AST) -> None:
        self._move(node, "jnp.moveaxis({}, 1, -1)")

    def _around(self, node: ast.AST, images: Sequence[ast.AST]) -> None:
        """Give an operation its images with channels on axis 1, and move the image it makes."""
        if self._holds_images(self._fact(node)):
            raise NoPlan
        for image in images:
            self._to_first(image)
        if self._is_image(node):
            self._to_last(node)

    def _renumber(self, node: ast.AST | None) -> list[int]:
        """Move an axis, or a sequence of axes, that is written out."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return [axis for e in node.elts for axis in self._renumber(e)]
        axis = number(node)
        if axis is None or node is None:
            raise NoPlan
        self.layout.edits[node] = Edit(str(moved_axis(axis, self.layout.rank)))
        return [axis % self.layout.rank]


def number(node: ast.AST | None) -> int | None:
    """An integer that is written out."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number(node.operand)
        return None if inner is None else -inner
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
