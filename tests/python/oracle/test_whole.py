"""capture under the whole recipe: sets, resize, optimizer, reaction, noise, in-place effects."""

from __future__ import annotations

import pytest
import torch
from oracle_harness import capture_whole, untimed
from torch import nn
from torch.nn import functional as F

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.25)
        self.unused = nn.Linear(2, 2)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        return self.fc(self.drop(x.mean((2, 3))))

def get_inputs():
    return [torch.randn(4, 3, 8, 8)]
"""


@pytest.fixture(scope="module")
def net():
    return capture_whole(NET)


def shapes(oracle, path: str = "0") -> list[tuple[int, ...]]:
    count = len(oracle.plan["inputs"])
    return [tuple(oracle.given[f"x{i}/{path}"].shape) for i in range(count)]


def test_the_stages_in_order(net):
    stages = [case["stage"] for case in net.plan["cases"]]
    assert stages == (
        ["forward_f64"] * 9
        + ["forward_f32"] * 9
        + ["resize"] * 2
        + ["gradients"] * 3
        + ["train_state"]
        + ["optimizer"] * 2
        + ["jit"]
    )
    assert net.plan["draws"] == 3 and len(net.plan["outputs"]) == len(net.plan["inputs"]) == 5


def test_batches_and_scales(net):
    assert [s[0] for s in shapes(net)[:3]] == [3, 5, 2]
    spreads = [float(net.given[f"x{i}/0"].std()) for i in range(3)]
    assert 0.8 < spreads[0] < 1.2 and 6 < spreads[1] < 10 and 0.007 < spreads[2] < 0.013
    for name, tensor in net.given.items():
        if tensor.is_floating_point():
            assert torch.equal(tensor.double(), tensor.float().double()), name


def test_sizes_that_the_source_accepts(net):
    assert shapes(net)[3:] == [(4, 3, 9, 9), (1, 3, 8, 7)]
    for case in net.cases("resize"):
        assert (case["mode"], case["dtype"], case["draw"]) == ("eval", "float64", 0)
        w = {name: value.double() for name, value in net.numbered("w0").items()}
        x = net.given[f"x{case['input']}/0"].double()
        x = F.conv2d(x, w["conv.weight"], w["conv.bias"], padding=1)
        bn = [w[f"bn.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
        hidden = F.relu(F.batch_norm(x, *bn)).mean((2, 3))
        wanted = F.linear(hidden, w["fc.weight"], w["fc.bias"])
        torch.testing.assert_close(net.results(case)["0"], wanted, rtol=1e-12, atol=1e-12)


def test_sizes_that_it_refuses_are_not_in_the_plan():
    oracle = capture_whole("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3 * 8 * 8, 4)

        def forward(self, x):
            assert x.shape[0] in (2, 3, 5, 7)
            return self.fc(x.flatten(1))

    def get_inputs():
        return [torch.randn(7, 3, 8, 8)]
    """)
    assert oracle.cases("resize") == []
    assert any("no resize" in note for note in oracle.result["notes"])
    assert [s[0] for s in shapes(oracle)] == [3, 5, 2]


def test_a_sequence_length_changes_in_all_inputs_at_once():
    oracle = capture_whole("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tok = nn.Embedding(11, 4)
            self.pos = nn.Embedding(12, 4)
            self.att = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, idx, mask):
            x = self.tok(idx) + self.pos(torch.arange(idx.shape[1]))
            return self.att(x, x, x, attn_mask=mask)[0]

    def get_inputs():
        mask = torch.ones(9, 9, dtype=torch.bool).triu(1)
        return [torch.randint(0, 11, (2, 9)), mask]
    """)
    assert shapes(oracle)[3:] == [(4, 10), (1, 8)]
    assert shapes(oracle, "1")[3:] == [(10, 10), (8, 8)]
    for i, side in enumerate([9, 9, 9, 10, 8]):
        causal = torch.ones(side, side, dtype=torch.bool).triu(1)
        assert torch.equal(oracle.given[f"x{i}/1"], causal)
    assert not any("finite" in note for note in oracle.result["notes"])


def optimizer_of(case, parameters) -> torch.optim.Optimizer:
    options = dict(case["optimizer"])
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[options.pop("name")]
    return kind(parameters, **options)


@pytest.mark.parametrize("position", [0, 1])
def test_optimizer_steps_are_those_of_torch_optim(net, position):
    case = net.cases("optimizer")[position]
    assert case["mode"] == "train" and case["inputs"] == [0, 1, 0]
    assert len(case["rng"]) == 3 and len(case["outputs"]) == 3
    twin = nn.Module()
    twin.conv, twin.bn = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
    twin.unused, twin.fc = nn.Linear(2, 2), nn.Linear(6, 5)
    twin.load_state_dict(net.numbered("w0"))
    twin.double().train()
    optimizer = optimizer_of(case, twin.parameters())
    for step, index in enumerate(case["inputs"]):
        mask = net.given[case["rng"][step]["tensor"]]
        x = F.relu(twin.bn(twin.conv(net.given[f"x{index}/0"].double()))).mean((2, 3))
        output = twin.fc(x * mask / 0.75)
        found = net.results(case, f"out/{step}")["0"]
        torch.testing.assert_close(found, output.detach(), rtol=1e-10, atol=1e-10)
        optimizer.zero_grad()
        (output * net.given[f"ct{index}/0"]).sum().backward()
        optimizer.step()
    found = net.results(case, "param")
    assert set(found) == {name for name, _ in twin.named_parameters()}
    for name, parameter in twin.named_parameters():
        torch.testing.assert_close(found[name], parameter.detach(), rtol=1e-9, atol=1e-9)


def test_parameters_move_visibly(net):
    for case in net.cases("optimizer"):
        start = net.numbered("w0")
        for name, value in net.results(case, "param").items():
            if name.startswith("unused"):  # no gradient, no step
                assert torch.equal(value, start[name].double())
                continue
            moved = float((value - start[name]).norm() / start[name].norm())
            assert 1e-5 < moved < 10, (case["optimizer"]["name"], name, moved)


def test_a_frozen_parameter_takes_no_step():
    oracle = capture_whole(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.free = nn.Parameter(torch.randn(3))
            self.frozen = nn.Parameter(torch.randn(3), requires_grad=False)
            self.tied = self.free

        def forward(self, x):
            return x * self.free + self.frozen * self.tied
    """,
        inputs=[{"shape": [2, 3]}],
    )
    for case in oracle.cases("optimizer"):
        found = oracle.results(case, "param")
        assert set(found) == {"free", "frozen", "tied"}
        assert torch.equal(found["free"], found["tied"])
        assert torch.equal(found["frozen"], oracle.given["w0/frozen"].double())


def test_what_is_not_trained_is_recorded_after_the_steps():
    """Frozen parameters, buffers and constants too: a port must not train them either."""
    oracle = capture_whole("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.fc.bias.requires_grad_(False)
            self.register_buffer("shift", torch.arange(2.0))
            self.register_buffer("seen", torch.zeros(()))
            self.scale = torch.tensor([2.0, 3.0])

        def forward(self, x):
            if self.training:
                self.seen += 1
            return self.fc(x) * self.scale + self.shift

    def get_inputs():
        return [torch.randn(4, 3)]
    """)
    given = oracle.numbered("w0")
    for case in oracle.cases("optimizer"):
        after, state = oracle.results(case, "param"), oracle.results(case, "state")
        assert torch.equal(after["fc.bias"], given["fc.bias"].double())
        assert not torch.equal(after["fc.weight"], given["fc.weight"].double())
        assert float(state["seen"]) == 3
        for name in ("shift", "scale"):
            assert torch.equal(state[name], given[name].double())
        assert case["unwritten"] == ["state/scale"]


def test_the_reaction_names_what_is_deaf():
    oracle = capture_whole("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 3, 3)
            self.norm = nn.InstanceNorm1d(3)
            self.bn = nn.BatchNorm1d(3)
            self.spare = nn.Linear(2, 2)

        def forward(self, x, y, z):
            return self.bn(self.norm(self.conv(x))) + y + 0 * z

    def get_inputs():
        return [torch.randn(2, 2, 8), torch.randn(2, 3, 6), torch.randn(2, 3, 6)]
    """)
    reaction = oracle.result["reaction"]
    assert reaction["by_input"]["0"] > 1e-3 and reaction["by_input"]["1"] > 1e-3
    assert reaction["by_weight"]["bn.running_mean"] > 1e-3
    assert reaction["by_weight"]["conv.weight"] > 1e-3
    # a bias before a normalisation is taken away again
    assert reaction["deaf"] == ["input 2", "conv.bias", "spare.weight", "spare.bias"]
    assert not oracle.plan["vacuous"]


@pytest.mark.parametrize(
    "body",
    [
        "(x - x) * self.w.sum()",
        "torch.zeros(3)",
        "(x + self.w).softmax(-1).sum(-1, keepdim=True) - 1",
    ],
)
def test_an_output_that_reacts_to_nothing_is_vacuous(body):
    oracle = capture_whole(
        f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(16))

        def forward(self, x):
            return {body}
    """,
        inputs=[{"shape": [4, 16]}],
    )
    assert oracle.plan["vacuous"] is True


def test_an_exact_source_has_no_noise(net):
    assert not any("noise" in case for case in net.plan["cases"])


HARD = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 16)
        self.b = nn.Linear(16, 4)

    def forward(self, x):
        return self.b({body})

def get_inputs():
    return [torch.randn(4, 8)]
"""


def test_the_gradient_of_hardsigmoid_is_inexact_in_float64():
    oracle = capture_whole(HARD.format(body="F.hardsigmoid(self.a(x))"))
    noise = {case["stage"]: case.get("noise") for case in oracle.plan["cases"]}
    # its kernel has 1/6 in float32, which is off by 2**-25
    assert 1e-8 < noise["gradients"] == noise["optimizer"] < 6e-8
    assert noise["forward_f64"] is None and noise["resize"] is None
    assert any("gradients of the source are inexact" in note for note in oracle.result["notes"])


def test_float32_inside_of_a_float64_run_is_noise():
    import_numpy = "import numpy as np\n"
    body = "torch.from_numpy(np.sin(self.a(x).numpy(force=True).astype(np.float32)))"
    oracle = capture_whole(import_numpy + HARD.format(body=body))
    noise = {case["stage"]: case.get("noise") for case in oracle.plan["cases"]}
    assert 1e-9 < noise["forward_f64"] < 1e-6


@pytest.mark.parametrize("body", ["self.a(x).round()", "self.a(x).detach() + self.a(x)"])
def test_jumps_and_detached_parts_are_no_noise(body):
    oracle = capture_whole(HARD.format(body=body))
    assert not any("noise" in case for case in oracle.plan["cases"])


def test_nothing_flows_back_through_a_detached_output():
    oracle = capture_whole(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return {"kept": x * self.w, "cut": (x.exp() * self.w).detach()}
    """,
        inputs=[{"shape": [2, 3]}],
    )
    case = oracle.cases("gradients")[0]
    assert "ct0/cut" in oracle.given
    x, ct = oracle.given["x0/0"].double(), oracle.given["ct0/kept"]
    torch.testing.assert_close(oracle.results(case, "grad")["param/w"], (x * ct).sum(0))


def test_a_source_that_detaches_everything_has_gradients_of_zero():
    oracle = capture_whole(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3))

        @torch.no_grad()
        def forward(self, x):
            return x * self.w
    """,
        inputs=[{"shape": [2, 3]}],
    )
    grads = oracle.results(oracle.cases("gradients")[0], "grad")
    assert set(grads) == {"param/w", "input/0"}
    assert not any(bool(g.any()) for g in grads.values())


def test_what_a_function_writes_into_its_arguments():
    oracle = capture_whole(
        "def clip_(grads, norms, limit):\n"
        "    norms['last'].copy_(grads[0].norm())\n"
        "    grads[0].mul_(limit)\n"
        "    return grads[1] * 2\n",
        entry="clip_",
        inputs_expr="([torch.randn(3), torch.randn(3)], {'last': torch.zeros(())}, 0.5)",
    )
    for case in oracle.cases("forward_f64") + oracle.cases("forward_f32"):
        assert case["arguments"]["keys"] == ["0", "1"]
        x = oracle.given[f"x{case['input']}/0/0"].to(getattr(torch, case["dtype"]))
        assert torch.equal(oracle.results(case, "arg")["0/0"], x * 0.5)
        assert torch.equal(oracle.results(case, "arg")["1/last"], x.norm())


def test_what_a_call_returns_is_no_effect():
    """It is compared as the output; so is a mapping that the call hands back."""
    oracle = capture_whole(
        "def step(x, y, cache):\n"
        "    cache['x'] = x.add_(1) * 2\n"
        "    y.mul_(3)\n"
        "    return x, [cache]\n",
        entry="step",
        inputs_expr="(torch.randn(3), torch.randn(3), {'x': None})",
    )
    for stage in ("forward_f64", "forward_f32", "resize", "jit"):
        for case in oracle.cases(stage):
            assert case["arguments"]["keys"] == ["1"]
            assert oracle.results(case, "arg").keys() == {"1"}


def test_families_keep_their_values():
    oracle = capture_whole("""
    class Net(nn.Module):
        def forward(self, p, q, mask, flag, ids, low):
            hot = F.one_hot(ids, 7).to(p.dtype)
            loss = F.binary_cross_entropy(p, (q > 0.5).to(p.dtype))
            return hot.sum() + loss + (p * mask).sum() + flag + low

    def get_inputs():
        ids = torch.randint(0, 7, (4,))
        mask = torch.ones(4, 6, dtype=torch.bool)
        return [torch.rand(4, 6), torch.rand(4, 6).softmax(-1), mask, torch.tensor(False), ids,
                torch.rand(4, 1) * 5 - 7]
    """)
    for i in range(3):
        x = oracle.numbered(f"x{i}")
        assert float(x["0"].min()) >= 0 and float(x["0"].max()) <= 1
        torch.testing.assert_close(x["1"].sum(-1), torch.ones(x["1"].shape[0]))
        assert int(x["4"].min()) >= 0 and int(x["4"].max()) < 7
        assert float(x["5"].max()) < 0
    masks = [oracle.given[f"x{i}/2"] for i in (1, 2)]
    assert all(bool(m.any(-1).all()) and not bool(m.all(-1).any()) for m in masks)
    assert {bool(oracle.given[f"x{i}/3"]) for i in range(3)} == {True, False}


def test_whole_numbers_are_bounded_by_what_they_index():
    oracle = capture_whole(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tok = nn.Embedding(6, 4)
            self.register_buffer("table", torch.randn(5, 4))

        def forward(self, a, b, c):
            return self.tok(a) + self.table[b] + F.one_hot(c, 4)
    """,
        inputs=[{"shape": [64], "dtype": "int64"} for _ in range(3)],
    )
    highest = [max(int(oracle.given[f"x{i}/{p}"].max()) for i in range(3)) for p in "012"]
    assert highest == [5, 4, 3]


def test_the_whole_recipe_gives_the_same_bytes_again(net):
    again = capture_whole(NET)
    assert again.raw == net.raw and untimed(again.result) == untimed(net.result)
