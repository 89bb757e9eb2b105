"""The idiomatic style: which switches are made, that their ports are equal, and the bytes of some.

The golden texts are written anew where FERRY_WRITE_GOLDEN is set; read the difference before it is kept.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle_and_port import HEAD, ROOT, Json, Port, draft, port, run_ports
from sources_styles import SOURCES

HERE = Path(__file__).resolve().parent
GOLDEN = ("cnn", "encoder", "gpt", "resnet")
RUFF = ROOT / "build/envs/tools/bin/ruff"


@pytest.fixture(scope="module")
def ports() -> dict[str, Port]:
    return {name: port(one.text, "Net", "idiomatic") for name, one in SOURCES.items()}


@pytest.fixture(scope="module")
def outcomes(ports: dict[str, Port], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    return run_ports(ports, tmp_path_factory.mktemp("styles"))


def assert_equal(outcome: Json) -> None:
    """Float64 stages to rounding, float32 to its own."""
    assert outcome["failed"] == {}
    assert set(outcome["errors"]) == {"forward_f64", "gradients", "train_state", "jit"}
    for stage, error in outcome["errors"].items():
        assert error < (5e-6 if stage == "jit" else 1e-12), stage


@pytest.mark.parametrize("name", list(SOURCES))
def test_switches(ports: dict[str, Port], name: str) -> None:
    one, source = ports[name], SOURCES[name]
    assert one.codes == []
    assert dict(Counter(s["to"] for s in one.draft["switches"])) == source.wanted
    for text in source.present:
        assert text in one.text
    for text in source.absent:
        assert text not in one.text


@pytest.mark.parametrize("name", list(SOURCES))
def test_equal(outcomes: dict[str, Json], name: str) -> None:
    assert_equal(outcomes[name])


def again(one: Port, name: str, *kept: str) -> Port:
    """The same capture, drafted without some switches."""
    result = draft.translate(
        [{"path": "model.py", "content": SOURCES[name].text}],
        one.captured["facts"],
        one.captured["tensors"],
        one.captured["plan"]["entry"],
        "idiomatic",
        kept,
    )
    return Port(one.captured, result, one.given, one.expected)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(ports: dict[str, Port], name: str) -> None:
    path = HERE / "golden" / f"{name}.txt"
    if os.environ.get("FERRY_WRITE_GOLDEN"):
        path.write_text(ports[name].text, encoding="utf-8")
    assert ports[name].text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["resnet", "encoder"])
def test_same_input_same_bytes(ports: dict[str, Port], name: str) -> None:
    second = again(ports[name], name).draft
    assert second["files"] == ports[name].draft["files"]
    assert second["weights"] == ports[name].draft["weights"]
    assert second["switches"] == ports[name].draft["switches"]


@pytest.mark.parametrize("name", list(SOURCES))
def test_ruff_has_nothing_to_say(ports: dict[str, Port], name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(ports[name].text, encoding="utf-8")
    rules = "--select=E,F,W,I --ignore=E501"
    command = [str(RUFF), "check", "--isolated", *rules.split(), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["cnn", "encoder"])
def test_each_switch_can_be_taken_back_alone(
    ports: dict[str, Port], name: str, tmp_path: Path
) -> None:
    """Whatever one is kept faithful, the port is equal and the others stay where nothing hangs on it."""
    idents = [switch["id"] for switch in ports[name].draft["switches"]]
    variants = {str(i): again(ports[name], name, ident) for i, ident in enumerate(idents)}
    for number, one in variants.items():
        assert idents[int(number)] not in [s["id"] for s in one.draft["switches"]]
        assert one.codes == []
    for outcome in run_ports(variants, tmp_path).values():
        assert_equal(outcome)


def test_a_layout_taken_back_leaves_the_layers(ports: dict[str, Port]) -> None:
    one = again(ports["resnet"], "resnet", "channels_last")
    assert "ChannelsFirstConv(inputs, outputs" in one.text.replace("\n            ", " ").replace(
        "( ", "("
    )
    assert "BatchNorm(outputs, axis=1, rngs=rngs)" in one.text
    assert "jnp.moveaxis(x, 1, -1)" not in one.text.split("class Block")[1]


# constructions of which each has something that no layer of Flax holds
KEPT = {
    "padding_idx": ("nn.Embedding(5, 5, padding_idx=0)", "self.layer(x.long().clamp(0, 4))[:, 0]"),
    "cumulative": ("nn.BatchNorm1d(5, momentum=None)", "self.layer(x)"),
    "untracked": ("nn.BatchNorm1d(5, track_running_stats=False)", "self.layer(x)"),
    "two axes": ("nn.LayerNorm((2, 5))", "self.layer(torch.stack([x, x], 1)).sum(1)"),
    "rms eps": ("nn.RMSNorm(5)", "self.layer(x)"),
    "reflected": (
        "nn.Conv1d(5, 5, 3, padding=1, padding_mode='reflect')",
        "self.layer(x.T[None])[0].T",
    ),
    "prelu": ("nn.PReLU()", "self.layer(x)"),
    "sequence first": (
        "nn.MultiheadAttention(5, 1)",
        "self.layer(x[None], x[None], x[None])[0][0]",
    ),
    "weights read": (
        "nn.MultiheadAttention(5, 1, batch_first=True)",
        "self.layer(x[None], x[None], x[None])[1][0] @ x",
    ),
    "normed": ("nn.utils.parametrizations.weight_norm(nn.Linear(5, 5))", "self.layer(x)"),
    "asked for": ("nn.Linear(5, 5)", "self.layer(x) if isinstance(self.layer, nn.Linear) else x"),
    "changed": ("nn.Dropout(0.5)", "self.half(x)"),
}


@pytest.mark.parametrize("name", list(KEPT))
def test_what_flax_does_not_hold_stays_faithful(name: str) -> None:
    construction, result = KEPT[name]
    body = f"""\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = {construction}

    def half(self, x):
        self.layer.p = 0.25
        return self.layer(x)

    def forward(self, x):
        return {result}


def get_inputs():
    return [torch.randn(4, 5)]
"""
    one = port(HEAD + "\n" + body, "Net", "idiomatic")
    assert one.draft["switches"] == []
    assert one.codes == []


UNFOLLOWED = {
    "a stored image": ("self.seen = x", "x.mean((2, 3))"),
    "a permuted one": ("x = x.permute(0, 2, 3, 1)", "x.permute(0, 3, 1, 2).mean((2, 3))"),
    "a transposed one": ("x = x.transpose(2, 3) @ x", "x.transpose(2, 3).sum((2, 3))"),
}


@pytest.fixture(scope="module")
def unfollowed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Port, Json]]]:
    made: dict[str, Port] = {}
    for name, (statement, result) in UNFOLLOWED.items():
        body = f"""\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        x = self.conv(x)
        {statement}
        return {result}


def get_inputs():
    return [torch.randn(2, 2, 6, 6)]
"""
        made[name] = port(HEAD + "\n" + body, "Net", "idiomatic")
    found = run_ports(
        {n.replace(" ", "_"): p for n, p in made.items() if not p.codes},
        tmp_path_factory.mktemp("unfollowed"),
    )
    yield {n: (p, found.get(n.replace(" ", "_"), {})) for n, p in made.items()}


@pytest.mark.parametrize("name", list(UNFOLLOWED))
def test_where_images_are_not_followed_channels_stay(
    unfollowed: dict[str, tuple[Port, Json]], name: str
) -> None:
    one, outcome = unfollowed[name]
    assert "channels_last" not in [s["id"] for s in one.draft["switches"]]
    if one.codes:
        assert one.codes[0][0] == "unsupported_construct"  # in both styles
        return
    assert "class ChannelsFirstConv(nn" in one.text
    assert_equal(outcome)
