"""Every kind of random draw is recorded, in order, so that it can be replayed by position."""

from __future__ import annotations

import math

import pytest
import torch
from oracle_harness import capture_whole
from torch.nn import functional as F


def draws_of(body: str, setup: str = "pass", shape: tuple[int, ...] = (4, 6)):
    """The train-mode oracle of a module with `setup` and `body`, and its recorded draws."""
    oracle = capture_whole(
        f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            {setup}

        def forward(self, x):
            {body}
    """,
        inputs=[{"shape": list(shape)}],
    )
    (case,) = oracle.cases("train_state")
    return oracle, case


# body, the operations of one train-mode call with their shapes for the batch of three
KINDS = [
    ("return F.dropout(x, 0.5, self.training)", [("bernoulli", [3, 6])]),
    ("return F.dropout2d(x[..., None, None], 0.5, self.training)", [("bernoulli", [3, 6, 1, 1])]),
    ("return F.alpha_dropout(x, 0.5, self.training)", [("bernoulli", [3, 6])]),
    ("return F.feature_alpha_dropout(x, 0.5, self.training)", [("bernoulli", [3, 6])]),
    ("return x + torch.rand(6) + torch.randn(2, 1)[0]", [("uniform", [6]), ("normal", [2, 1])]),
    (
        "return x + torch.rand_like(x) * torch.randn_like(x)",
        [("uniform", [3, 6]), ("normal", [3, 6])],
    ),
    ("return x * torch.randint(1, 9, (6,))", [("randint", [6])]),
    ("return x[torch.randperm(len(x))]", [("permutation", [3])]),
    ("return x[:, torch.multinomial(torch.ones(6), 4)]", [("multinomial", [4])]),
    ("return x + torch.empty(6).normal_(2, 3)", [("normal", [6])]),
    ("return x + torch.normal(torch.zeros(6), 2.0)", [("normal", [6])]),
    ("return x * torch.bernoulli(torch.full((6,), 0.3))", [("bernoulli", [6])]),
    ("return x * x.new_empty(len(x), 1).bernoulli_(0.8).div_(0.8)", [("bernoulli", [3, 1])]),
    ("return F.gumbel_softmax(x)", [("exponential", [3, 6])]),
    ("return F.rrelu(x, training=self.training)", [("uniform", [3, 6])]),
]


@pytest.mark.parametrize("body, wanted", KINDS, ids=[body for body, _ in KINDS])
def test_kinds_of_draws(body, wanted):
    _, case = draws_of(body)
    first = case["rng"][: len(wanted)]
    assert [(d["op"], d["shape"]) for d in first] == wanted
    assert [d["op"] for d in case["rng"]] == [op for op, _ in wanted] * 2


def test_dropout_inside_of_attention():
    oracle, case = draws_of(
        "return F.scaled_dot_product_attention(x, x, x, dropout_p=0.25)", shape=(2, 3, 5, 4)
    )
    draw = case["rng"][0]
    assert (draw["op"], draw["shape"], draw["params"]["p"]) == ("bernoulli", [3, 3, 5, 5], 0.75)
    x, mask = oracle.given["x0/0"].double(), oracle.given[draw["tensor"]]
    weights = (x @ x.mT / math.sqrt(4)).softmax(-1) * mask / 0.75
    torch.testing.assert_close(
        oracle.results(case, "out/0")["0"], weights @ x, rtol=1e-12, atol=1e-12
    )


def test_dropout_of_multihead_attention():
    oracle, case = draws_of(
        "return self.att(x, x, x, need_weights=False)[0]",
        "self.att = nn.MultiheadAttention(6, 2, dropout=0.5, batch_first=True)",
        shape=(2, 5, 6),
    )
    assert [(d["op"], d["shape"]) for d in case["rng"]][:1] == [("bernoulli", [3, 2, 5, 5])]
    assert len(case["rng"]) == 2
    w = {name: value.double() for name, value in oracle.numbered("w0").items()}
    x, mask = oracle.given["x0/0"].double(), oracle.given[case["rng"][0]["tensor"]]
    q, k, v = (
        part.unflatten(-1, (2, 3)).transpose(1, 2)
        for part in F.linear(x, w["att.in_proj_weight"], w["att.in_proj_bias"]).chunk(3, -1)
    )
    heads = ((q @ k.mT / math.sqrt(3)).softmax(-1) * mask / 0.5) @ v
    wanted = F.linear(
        heads.transpose(1, 2).flatten(2), w["att.out_proj.weight"], w["att.out_proj.bias"]
    )
    torch.testing.assert_close(oracle.results(case, "out/0")["0"], wanted, rtol=1e-11, atol=1e-11)


def test_dropout_between_the_layers_of_a_recurrent_net():
    _, case = draws_of(
        "return self.rnn(x)[0]", "self.rnn = nn.GRU(6, 4, num_layers=3, dropout=0.5)", (7, 2, 6)
    )
    # two gaps between three layers, in each of two steps
    assert [d["op"] for d in case["rng"]] == ["bernoulli"] * 4
    assert [d["shape"] for d in case["rng"]][:2] == [[3, 2, 4]] * 2


def test_draws_keep_their_order_over_the_steps_of_an_optimizer():
    oracle, _ = draws_of(
        "return self.fc(F.dropout(x + torch.randn(6), 0.5, self.training))",
        "self.fc = nn.Linear(6, 2)",
    )
    for case in oracle.cases("optimizer"):
        assert [d["op"] for d in case["rng"]] == ["normal", "bernoulli"] * 3
        assert [d["shape"][0] for d in case["rng"][1::2]] == [3, 5, 3]


def test_a_rate_of_zero_draws_nothing():
    _, case = draws_of("return self.drop(x)", "self.drop = nn.Dropout(0.0)")
    assert case["rng"] == []


def test_rrelu_draws_in_train_mode_only_and_uses_what_was_kept():
    oracle, case = draws_of("return self.act(x)", "self.act = nn.RReLU(0.1, 0.3)")
    (first, _) = case["rng"]
    assert (first["op"], first["params"]["low"], first["params"]["high"]) == ("uniform", 0.1, 0.3)
    x, slope = oracle.given["x0/0"].double(), oracle.given[first["tensor"]]
    wanted = torch.where(x <= 0, x * slope, x)
    torch.testing.assert_close(oracle.results(case, "out/0")["0"], wanted, rtol=0, atol=0)
    assert all(c["rng"] == [] for c in oracle.cases("forward_f64"))


# body, what its first draw asks for
ASKED = [
    ("return F.dropout(x, 0.25, self.training)", {"p": 0.75}),
    ("return x * torch.bernoulli(torch.full((6,), 0.3, dtype=x.dtype))", {"p": 0.3}),
    ("return x * x.new_empty(len(x), 1).bernoulli_(0.8)", {"p": 0.8}),
    ("return x * torch.randint(1, 9, (6,))", {"low": 1, "high": 9}),
    ("return x * torch.randint(9, (6,))", {"low": 0, "high": 9}),
    ("return x * torch.empty(6).geometric_(0.25)", {"p": 0.25}),
    ("return x * torch.poisson(torch.full((6,), 4.0))", {"rate": 4.0}),
]


@pytest.mark.parametrize("body, wanted", ASKED, ids=[body for body, _ in ASKED])
def test_what_was_asked_for(body, wanted):
    oracle, case = draws_of(body)
    assert case["rng"][0]["asked"] == {name: [] for name in wanted}
    asked = {name: float(value) for name, value in oracle.results(case, "draw/0").items()}
    assert asked == pytest.approx(wanted, rel=1e-12)


def test_weights_of_a_choice_and_the_noise_that_makes_it():
    oracle, case = draws_of("return x.gather(1, torch.multinomial(2 * torch.softmax(x, -1), 3))")
    draw = case["rng"][0]
    weights = oracle.results(case, "draw/0")["weights"]
    x, chosen = oracle.given["x0/0"].double(), oracle.given[draw["tensor"]]
    torch.testing.assert_close(weights, x.softmax(-1), rtol=1e-12, atol=0)
    noise = oracle.given[draw["gumbel"]]
    assert torch.equal((weights.log() + noise).topk(3).indices, chosen)
    # beyond a common factor other weights choose differently
    assert not torch.equal((1.1 * weights.log() + noise).topk(3).indices, chosen)


def test_a_draw_around_a_tensor_is_recorded_as_its_noise():
    oracle, case = draws_of("return torch.normal(x, x.abs())")
    x, noise = oracle.given["x0/0"].double(), oracle.given[case["rng"][0]["tensor"]]
    out = oracle.results(case, "out/0")["0"]
    torch.testing.assert_close(out, x + x.abs() * noise, rtol=1e-14, atol=0)
