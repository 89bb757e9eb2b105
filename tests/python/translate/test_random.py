"""What the built-in engine writes for random draws replays the source's own, in train mode too."""

from __future__ import annotations

from typing import Any

import pytest
from oracle_and_port import HEAD, Port, port, run_ports

SOURCE = (
    HEAD
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {setup}

    def forward(self, x):
        {body}


def get_inputs():
    return [torch.randn({shape})]
"""
)


def module(body: str, setup: str = "pass", shape: str = "4, 6") -> str:
    return SOURCE.format(
        body=body.replace("\n", "\n        "), setup=setup.replace("\n", "\n        "), shape=shape
    )


SOURCES = {
    "dropout": module("return F.dropout(x, 0.25, self.training)"),
    "dropout1d": module("return self.drop(x)", "self.drop = nn.Dropout1d(0.25)", "4, 3, 5"),
    "dropout2d": module("return self.drop(x)", "self.drop = nn.Dropout2d(0.25)", "4, 3, 5, 5"),
    "dropout3d": module("return self.drop(x)", "self.drop = nn.Dropout3d(0.25)", "4, 3, 2, 5, 5"),
    "alpha": module("return self.drop(x)", "self.drop = nn.AlphaDropout(0.25)"),
    "feature_alpha": module(
        "return self.drop(x)", "self.drop = nn.FeatureAlphaDropout(0.25)", "4, 3, 5"
    ),
    "rrelu": module("return self.act(x)", "self.act = nn.RReLU(0.1, 0.3)"),
    "gumbel_softmax": module("return F.gumbel_softmax(x, tau=0.5)"),
    "multinomial_once": module("return torch.multinomial(torch.softmax(x, -1), 1) + 0 * x"),
    "multinomial_replaced": module(
        "i = torch.multinomial(torch.softmax(x, -1), 5, replacement=True)\nreturn x.gather(1, i)"
    ),
    "multinomial": module("i = torch.multinomial(torch.softmax(x, -1), 3)\nreturn x.gather(1, i)"),
    "multinomial_of_a_vector": module("return x[:, torch.multinomial(x[0].exp(), 3)]"),
    "rand": module("return x * torch.rand(6) + torch.randn_like(x)"),
    "recurrent": module(
        "return self.rnn(x)[0]", "self.rnn = nn.LSTM(6, 4, num_layers=2, dropout=0.25)", "5, 3, 6"
    ),
    "attention": module(
        "return self.att(x, x, x)[0]",
        "self.att = nn.MultiheadAttention(6, 2, dropout=0.25, batch_first=True)",
        "2, 5, 6",
    ),
    "sdpa": module(
        "p = 0.25 if self.training else 0.0\n"
        "return F.scaled_dot_product_attention(x, x, x, dropout_p=p)",
        shape="2, 3, 5, 4",
    ),
    "stochastic_depth": module(
        "if not self.training:\n    return x\n"
        "k = x.new_empty(x.shape[0], 1).bernoulli_(0.75)\nreturn x + x * k / 0.75"
    ),
    "permuted": module("return x[:, torch.randperm(6)]"),
    "integers": module("return x * torch.randint(1, 9, (6,))"),
    "bernoulli": module("return x * torch.bernoulli(torch.sigmoid(x))"),
}


@pytest.fixture(scope="module")
def ports() -> dict[str, Port]:
    return {name: port(source, "Net") for name, source in SOURCES.items()}


@pytest.fixture(scope="module")
def results(ports: dict[str, Port], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    drafted = {name: one for name, one in ports.items() if not one.draft["refusals"]}
    return run_ports(drafted, tmp_path_factory.mktemp("ports"))


@pytest.mark.parametrize("name", SOURCES)
def test_replayed(ports: dict[str, Port], results: dict[str, Any], name: str) -> None:
    assert ports[name].draft["refusals"] == []
    assert results[name]["failed"] == {}
    errors = results[name]["errors"]
    assert errors["train_state"] < 1e-11
    assert errors["forward_f64"] < 1e-11
