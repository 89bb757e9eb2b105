"""The suite is as large as promised, its reader is strict, and a wrong label does not pass."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from label import check
from label_values import Masks, distance, leaves
from suite import MODELS, candidates, load, load_model, parse_map, replaced


def test_the_suite_is_large_enough() -> None:
    models = load()
    kinds = Counter(candidate.kind for _, candidate in candidates(models))
    assert len(models) >= 25
    assert kinds["port"] == len(models)
    assert kinds["bug"] >= 150
    assert kinds["rewrite"] >= 15
    assert kinds["precision"] >= 1


def test_no_two_candidates_of_a_model_are_the_same() -> None:
    for model in load():
        bodies = [(candidate.text, str(candidate.weights)) for candidate in model.candidates]
        assert len(set(bodies)) == len(bodies), model.name


def test_every_candidate_parses() -> None:
    for _, candidate in candidates(load()):
        compile(candidate.text, f"{candidate.model}/{candidate.name}", "exec")


def test_an_edit_must_match_once() -> None:
    assert replaced("a + b", [["b", "c"], ["c", "d"]], "here") == "a + d"
    for text in ("a + a", "b"):
        with pytest.raises(AssertionError, match="here"):
            replaced(text, [["a", "c"]], "here")


def test_a_map_is_read_line_by_line() -> None:
    text = """
        # the comment
        both <- a, b | permute 1 0 | concat 0
        part <- c | slice 0 2 4 | scale 0.5
        ignore d
    """
    assert parse_map(text) == {
        "format": "ferry.weights/1",
        "params": [
            {
                "to": "both",
                "from": ["a", "b"],
                "ops": [{"op": "permute", "axes": [1, 0]}, {"op": "concat", "axis": 0}],
            },
            {
                "to": "part",
                "from": ["c"],
                "ops": [
                    {"op": "slice", "axis": 0, "start": 2, "stop": 4},
                    {"op": "scale", "by": 0.5},
                ],
            },
        ],
        "ignored": ["d"],
    }
    assert parse_map("") is None


def test_distances_are_relative_to_the_range() -> None:
    assert distance([np.array([4.0, 1.0])], [np.array([4.0, 2.0])]) == 0.25
    assert distance(np.array([2.0]), np.array([2.0])) == 0.0
    # a tensor far below its neighbour counts as a thousandth of it
    assert distance([np.array([1.0]), np.array([0.0])], [np.array([1.0]), np.array([1e-3])]) == 1.0
    for other in (np.array([1.0]), np.array([1.0, np.nan]), np.array([1, 2])):
        assert distance(np.array([1.0, 2.0]), other) == np.inf
    assert distance([np.array([1.0])] * 2, [np.array([1.0])]) == np.inf
    assert distance(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])) == 0.0


def test_leaves_are_named_by_their_place() -> None:
    assert leaves({"a": [1, (2,)], "b": 3}) == {"/a/0of2": 1, "/a/1of2/0of1": 2, "/b": 3}


def test_masks_depend_on_order_and_shape() -> None:
    first, second = Masks(), Masks()
    assert np.array_equal(first.next(0.5, (4, 4)), second.next(0.5, (4, 4)))
    assert not np.array_equal(first.next(0.5, (4, 4)), Masks().next(0.5, (4, 4)))


def test_a_label_is_proven_or_fails() -> None:
    model = load_model(MODELS / "mlp")
    by_name = {candidate.name: candidate for candidate in model.candidates}
    claims = [
        ("port", "port"),
        ("bug", "tanh_gelu"),
        ("rewrite", "tanh_gelu"),
        ("port", "stop_gradient"),
        ("rewrite", "not_trained"),
        ("rewrite", "einsum"),
        ("bug", "einsum"),
        ("precision", "relu_pair"),
    ]
    claimed = [dataclasses.replace(by_name[name], kind=kind) for kind, name in claims]
    assert check([dataclasses.replace(model, candidates=claimed)], verbose=False) == [
        "rewrite mlp/tanh_gelu",
        "port mlp/stop_gradient",
        "rewrite mlp/not_trained",
        "bug mlp/einsum",
        "precision mlp/relu_pair",
    ]


def test_every_folder_is_complete() -> None:
    for folder in Path(MODELS).iterdir():
        names = {file.name for file in folder.iterdir()}
        assert names >= {"source.py", "port.py", "edits.toml"}, folder.name
