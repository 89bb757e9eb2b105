"""Losses, as layers and as functions."""

import numpy as np

from prelude_cases import Case

PAIR = {"x": (4, 5), "y": (4, 5)}
LABELS = {"x": (4, 5), "y": [0, 4, 2, 2]}
IMAGE = {"x": (2, 5, 3, 4), "y": {"int": (0, 5, (2, 3, 4))}}
TIED = {"x": [0.0, 1.0, -1.0, 0.5, 2.0, -3.0], "y": [0.0, 0.0, 0.0, 0.5, 0.0, 0.0]}
UNIT = {"x": {"unit": (4, 5)}, "y": {"unit": (4, 5)}}
EDGES = {"x": [0.0, 0.0, 1.0, 1.0, 0.5], "y": [1.0, 0.0, 1.0, 0.0, 0.25]}
SIGNS = {"x": (4,), "y": {"signs": (4,)}}
LOG = {"x": (4, 5), "y": {"unit": (4, 5)}}
COSINES = {"a": (4, 5), "b": (4, 5), "y": [1, -1, -1, 1]}
COUNTS = {"x": {"positive": (4,)}, "y": [0.5, 1.0, 2.0, 3.5]}
TRIPLE = {"a": (4, 5), "p": (4, 5), "n": (4, 5)}
WEIGHTS = "torch.tensor([0.2, 1.5, 0.7, 1.0, 2.0])"


def losses(text: str, options: str, inputs: dict[str, object], reductions: str) -> list[Case]:
    """One loss layer with every reduction named."""
    call = f"m({', '.join(inputs)})"
    return [
        Case(call, inputs, layer=f"nn.{text}({options}{', ' if options else ''}reduction='{how}')")
        for how in reductions.split()
    ]


ALL = "mean sum none"
CASES = [
    *losses("MSELoss", "", PAIR, ALL),
    *losses("L1Loss", "", PAIR, ALL),
    *losses("L1Loss", "", TIED, "sum"),
    *losses("SmoothL1Loss", "", PAIR, ALL),
    *losses("SmoothL1Loss", "", TIED, "sum"),
    *losses("SmoothL1Loss", "beta=0.3", PAIR, "mean"),
    *losses("SmoothL1Loss", "beta=0.0", TIED, "sum"),
    *losses("HuberLoss", "delta=0.7", PAIR, ALL),
    *losses("HuberLoss", "", TIED, "sum"),
    *losses("NLLLoss", "", LABELS, ALL),
    *losses("NLLLoss", f"weight={WEIGHTS}, ignore_index=2", LABELS, ALL),
    *losses("NLLLoss", "", {"x": (5,), "y": 3}, "mean"),
    *losses("CrossEntropyLoss", "", LABELS, ALL),
    *losses("CrossEntropyLoss", "ignore_index=2", LABELS, ALL),
    *losses("CrossEntropyLoss", f"weight={WEIGHTS}", IMAGE, ALL),
    *losses("CrossEntropyLoss", "label_smoothing=0.2", IMAGE, ALL),
    *losses(
        "CrossEntropyLoss", f"label_smoothing=0.2, weight={WEIGHTS}, ignore_index=2", LABELS, ALL
    ),
    *losses("CrossEntropyLoss", f"weight={WEIGHTS}, label_smoothing=0.1", UNIT, ALL),
    *losses("CrossEntropyLoss", "", {"x": (2, 5, 3), "y": {"unit": (2, 5, 3)}}, ALL),
    *losses("CrossEntropyLoss", "label_smoothing=0.1", {"x": (5,), "y": 3}, "mean none"),
    *losses("BCELoss", "", UNIT, ALL),
    *losses("BCELoss", f"weight={WEIGHTS}", UNIT, ALL),
    # torch keeps the 1e-12 of this gradient in single precision
    Case("m(x, y)", EDGES, layer="nn.BCELoss(reduction='sum')", rtol=1e-8),
    *losses("BCEWithLogitsLoss", "", LOG, ALL),
    *losses("BCEWithLogitsLoss", f"pos_weight={WEIGHTS}, weight={WEIGHTS}", LOG, ALL),
    *losses("BCEWithLogitsLoss", "", TIED, "sum"),
    *losses("KLDivLoss", "", LOG, "mean sum none batchmean"),
    *losses("KLDivLoss", "log_target=True", PAIR, "mean batchmean"),
    *losses("KLDivLoss", "", {"x": (2, 2), "y": [[0.0, 1.0], [0.3, 0.7]]}, "sum"),
    *losses("TripletMarginLoss", "", TRIPLE, ALL),
    *losses("TripletMarginLoss", "margin=0.5, p=1.0, swap=True", TRIPLE, "mean"),
    *losses("TripletMarginLoss", "p=3.0", TRIPLE, "mean"),
    *losses("TripletMarginWithDistanceLoss", "swap=True", TRIPLE, ALL),
    *losses("CosineEmbeddingLoss", "margin=0.1", COSINES, ALL),
    *losses("HingeEmbeddingLoss", "", {"x": (6,), "y": {"signs": (6,)}}, ALL),
    *losses("HingeEmbeddingLoss", "", {"x": [1.0, 0.0], "y": [-1, 1]}, "sum"),
    *losses("MarginRankingLoss", "margin=0.3", {"a": (4,), "b": (4,), "y": {"signs": (4,)}}, ALL),
    *losses("SoftMarginLoss", "", SIGNS, ALL),
    *losses("MultiLabelSoftMarginLoss", "", {"x": (4, 5), "y": np.eye(5)[:4]}, ALL),
    *losses("MultiMarginLoss", "", LABELS, ALL),
    *losses("MultiMarginLoss", f"p=2, margin=0.6, weight={WEIGHTS}", LABELS, "mean"),
    *losses("PoissonNLLLoss", "", {"x": (4,), "y": [0.0, 1.0, 2.0, 3.5]}, ALL),
    *losses("PoissonNLLLoss", "log_input=False, full=True", COUNTS, ALL),
    *losses("GaussianNLLLoss", "full=True", {**PAIR, "v": {"positive": (4, 5)}}, ALL),
    *losses("GaussianNLLLoss", "", {**PAIR, "v": {"positive": (4,)}}, "mean"),
    Case("m(x, y)", PAIR, layer="nn.MSELoss(False)"),
    Case("m(x, y)", PAIR, layer="nn.MSELoss(reduce=False)"),
    Case("m(x, y)", PAIR, layer="nn.CosineSimilarity()"),
    Case("m(x, y)", {"x": (2, 3, 4), "y": (3, 4)}, layer="nn.CosineSimilarity(dim=-1, eps=1e-3)"),
    Case("m(x, y)", PAIR, layer="nn.PairwiseDistance()"),
    Case("m(x, y)", PAIR, layer="nn.PairwiseDistance(1.0, keepdim=True)"),
    Case("F.mse_loss(x, y)", PAIR),
    Case("F.mse_loss(x, y, weight=w)", {**PAIR, "w": {"positive": (4, 5)}}),
    Case("F.cross_entropy(x, y, ignore_index=4, reduction='sum')", LABELS),
    Case("F.nll_loss(x, y)", LABELS),
    Case("F.smooth_l1_loss(x, y, beta=0.5)", PAIR),
    Case("F.binary_cross_entropy_with_logits(x, y)", LOG),
    Case("F.kl_div(x, y, reduction='batchmean')", LOG),
    Case("F.huber_loss(x, y, 'sum', 0.3)", PAIR),
]  # fmt: skip
