"""The table of all rules, most specific first.

Order decides where several rules explain the same difference: an area of few operations
(one layer) comes before an area of many (reshapes, products), and within an area a rule about
one argument before one that replaces the computation.
"""

from __future__ import annotations

from ferry.bugs.rule import Rule
from ferry.bugs.rules import (
    activations,
    attention,
    convolutions,
    losses,
    norms,
    pools,
    projections,
    recurrent,
    reductions,
    resizing,
    shapes,
    training,
)

AREAS: dict[str, tuple[Rule, ...]] = {
    "Activations": activations.RULES,
    "Normalisation": norms.RULES,
    "Convolution": convolutions.RULES,
    "Pooling": pools.RULES,
    "Resizing": resizing.RULES,
    "Recurrence": recurrent.RULES,
    "Attention": attention.RULES,
    "Linear maps and embeddings": projections.RULES,
    "Losses": losses.RULES,
    "Reductions and arithmetic": reductions.RULES,
    "Layout": shapes.RULES,
    "Training": training.RULES,
}

RULES: tuple[Rule, ...] = tuple(rule for area in AREAS.values() for rule in area)
