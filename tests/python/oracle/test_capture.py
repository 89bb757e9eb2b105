"""capture: weights, inputs, outputs, gradients, buffers and draws, against torch itself."""

from __future__ import annotations

import pytest
import torch
from oracle_harness import capture_source, refusal, untimed
from torch import nn
from torch.nn import functional as F

CNN = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.bn = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        return self.fc(self.drop(x.mean((2, 3))))

def get_inputs():
    return [torch.randn(4, 3, 8, 8)]
"""


@pytest.fixture(scope="module")
def cnn():
    return capture_source(CNN)


def reference(weights: dict[str, torch.Tensor], dtype: torch.dtype) -> nn.Module:
    """The network of CNN, written apart from it."""
    net = nn.Module()
    net.conv, net.bn, net.fc = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 5)
    net.load_state_dict(weights)
    return net.to(dtype)


def apply(net: nn.Module, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    x = F.relu(net.bn(net.conv(x))).mean((2, 3))
    return net.fc(x if mask is None else x * mask / 0.75)


def weights_of(oracle, draw: int) -> dict[str, torch.Tensor]:
    prefix = f"w{draw}/"
    return {k.removeprefix(prefix): v for k, v in oracle.given.items() if k.startswith(prefix)}


def test_the_plan_has_every_stage(cnn):
    stages = [case["stage"] for case in cnn.plan["cases"]]
    assert stages == (
        ["forward_f64"] * 4 + ["forward_f32"] * 4 + ["gradients"] * 2 + ["train_state", "jit"]
    )
    assert [case["id"] for case in cnn.plan["cases"]] == [f"c{n}" for n in range(12)]
    assert cnn.plan["outputs"][1] == {"t": "tensor", "dtype": "float64", "shape": [3, 5]}


@pytest.mark.parametrize("stage", ["forward_f64", "forward_f32", "jit"])
def test_outputs_are_what_torch_computes(cnn, stage):
    for case in cnn.cases(stage):
        dtype = getattr(torch, case["dtype"])
        net = reference(weights_of(cnn, case["draw"]), dtype).eval()
        with torch.no_grad():
            wanted = apply(net, cnn.given[f"x{case['input']}/0"].to(dtype))
        found = cnn.expected[f"{case['id']}/out/0"]
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def test_float32_cases_name_their_truth(cnn):
    for case in cnn.cases("forward_f32") + cnn.cases("jit"):
        truth = next(c for c in cnn.plan["cases"] if c["id"] == case["truth"])
        assert (truth["draw"], truth["input"]) == (case["draw"], case["input"])
        assert truth["stage"] == "forward_f64"


def test_gradients_are_of_the_sum_of_outputs_times_cotangents(cnn):
    for case in cnn.cases("gradients"):
        net = reference(weights_of(cnn, case["draw"]), torch.float64).eval()
        x = cnn.given[f"x{case['input']}/0"].double().requires_grad_()
        (apply(net, x) * cnn.given[f"ct{case['input']}/0"]).sum().backward()
        for name, parameter in net.named_parameters():
            found = cnn.expected[f"{case['id']}/grad/param/{name}"]
            torch.testing.assert_close(found, parameter.grad, rtol=1e-10, atol=1e-10)
        found = cnn.expected[f"{case['id']}/grad/input/0"]
        torch.testing.assert_close(found, x.grad, rtol=1e-10, atol=1e-10)


def test_train_state_replays_from_the_recorded_masks(cnn):
    (case,) = cnn.cases("train_state")
    assert case["mode"] == "train" and case["inputs"] == [0, 1]
    assert [d["op"] for d in case["rng"]] == ["bernoulli"] * 2
    assert case["rng"][0]["params"]["p"] == 0.75
    net = reference(weights_of(cnn, 0), torch.float64).train()
    for step, draw in enumerate(case["rng"]):
        mask = cnn.given[draw["tensor"]]
        assert mask.dtype == torch.bool
        with torch.no_grad():
            wanted = apply(net, cnn.given[f"x{step}/0"].double(), mask)
        found = cnn.expected[f"{case['id']}/out/{step}/0"]
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    for name, buffer in net.named_buffers():
        found = cnn.expected[f"{case['id']}/state/{name}"]
        torch.testing.assert_close(found, buffer, rtol=1e-12, atol=1e-12)


def test_submodules_in_execution_order(cnn):
    assert cnn.plan["submodules"] == ["conv#0", "bn#0", "drop#0", "fc#0", ".#0"]
    assert torch.equal(cnn.expected["c0/sub/.#0/0"], cnn.expected["c0/out/0"])
    assert cnn.expected["c0/sub/conv#0/0"].shape == (4, 6, 6, 6)


def test_weights_keep_their_scale_and_norms_are_random(cnn):
    for draw in (0, 1):
        w = weights_of(cnn, draw)
        built = nn.Conv2d(3, 6, 3).weight.std()
        assert 0.5 < w["conv.weight"].std() / built < 2
        assert w["bn.weight"].min() >= 0.5 and w["bn.weight"].max() <= 1.5
        assert w["bn.bias"].abs().min() > 0
        assert w["bn.running_var"].std() > 0.05
        assert w["bn.num_batches_tracked"] == 0
    assert not torch.equal(cnn.given["w0/fc.weight"], cnn.given["w1/fc.weight"])


def test_the_second_inputs_have_another_batch_size(cnn):
    assert cnn.given["x0/0"].shape == (4, 3, 8, 8)
    assert cnn.given["x1/0"].shape == (3, 3, 8, 8)


def test_everything_given_is_held_by_float32(cnn):
    for name, tensor in cnn.given.items():
        if tensor.is_floating_point():
            assert torch.equal(tensor.double(), tensor.float().double()), name


def test_two_runs_give_the_same_bytes(cnn):
    again = capture_source(CNN)
    assert again.raw == cnn.raw and untimed(again.result) == untimed(cnn.result)


def test_a_fixed_batch_size_is_noted():
    oracle = capture_source("""
    class Net(nn.Module):
        def forward(self, x):
            return x.view(2, 8) * 2

    def get_inputs():
        return [torch.randn(2, 2, 4)]
    """)
    assert oracle.given["x1/0"].shape == (2, 2, 4)
    assert not torch.equal(oracle.given["x1/0"], oracle.given["x0/0"])
    assert any("batch size" in note for note in oracle.result["notes"])


def test_tied_weights_have_one_storage_and_one_value():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tok = nn.Embedding(9, 4)
            self.head = nn.Linear(4, 9, bias=False)
            self.head.weight = self.tok.weight

        def forward(self, idx):
            return self.head(self.tok(idx))
    """,
        inputs=[{"shape": [2, 5], "dtype": "int64"}],
    )
    tok, head = oracle.tensor("tok.weight"), oracle.tensor("head.weight")
    assert tok["storage"] == head["storage"]
    assert torch.equal(oracle.given["w0/tok.weight"], oracle.given["w0/head.weight"])
    x = oracle.given["x0/0"]
    assert int(x.min()) >= 0 and int(x.max()) < 9
    w = oracle.given["w0/tok.weight"].double()
    torch.testing.assert_close(oracle.expected["c0/out/0"], w[x] @ w.T)
    grads = [oracle.expected[f"c8/grad/param/{n}.weight"] for n in ("tok", "head")]
    assert torch.equal(*grads) and bool(grads[0].any())


def test_kinds_of_variables():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3))
            self.frozen = nn.Parameter(torch.randn(3), requires_grad=False)
            self.register_buffer("kept", torch.arange(3.0))
            self.register_buffer("passing", torch.ones(3), persistent=False)
            self.plain = torch.full((3,), 2.0)
            self.listed = [torch.zeros(3), "text"]

        def forward(self, x):
            return x * self.w + self.frozen + self.kept * self.passing + self.plain + self.listed[0]
    """,
        inputs=[{"shape": [2, 3]}],
    )
    kinds = {t["name"]: t["kind"] for t in oracle.result["tensors"]}
    assert kinds == {
        "w": "parameter",
        "frozen": "parameter",
        "kept": "buffer",
        "passing": "buffer_nonpersistent",
        "plain": "attribute",
        "listed.0": "attribute",
    }
    assert torch.equal(oracle.given["w1/kept"], torch.arange(3.0))
    assert not oracle.tensor("frozen")["trainable"]
    assert not bool(oracle.expected["c8/grad/param/frozen"].any())
    assert bool(oracle.expected["c8/grad/param/w"].all())


def test_float32_fixed_by_hand_is_float64_in_float64_runs():
    oracle = capture_source(
        """
    FIXED = torch.float32

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3))

        def forward(self, x):
            y = x.float().to(torch.float32).to(FIXED).type(torch.FloatTensor)
            z = torch.arange(3, dtype=torch.float) / 3 + torch.tensor(1 / 3, dtype=FIXED)
            return y.pow(3) / 7 * self.w + z + torch.ones(3) / 3
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert torch.float32 is not torch.float64 and torch.get_default_dtype() == torch.float32
    x, w = oracle.given["x0/0"].double(), oracle.given["w0/w"].double()
    wanted = x**3 / 7 * w + torch.arange(3).double() / 3 + 2 / 3
    torch.testing.assert_close(oracle.expected["c0/out/0"], wanted, rtol=1e-14, atol=1e-14)
    assert oracle.expected["c4/out/0"].dtype == torch.float32


def test_draws_in_eval_mode_are_the_same_for_a_float32_run_and_its_truth():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def forward(self, x):
            noise = torch.randn_like(x) + torch.empty(3).uniform_(-2, 2)
            order = torch.randperm(x.shape[0])
            return (x + noise)[order] * torch.bernoulli(torch.full((3,), 0.5))
    """,
        inputs=[{"shape": [4, 3]}],
    )
    truth, single = oracle.plan["cases"][0], oracle.plan["cases"][4]
    assert [d["op"] for d in truth["rng"]] == ["normal", "uniform", "permutation", "bernoulli"]
    assert truth["rng"][1]["params"] == {"low": -2, "high": 2}
    for a, b in zip(truth["rng"], single["rng"], strict=True):
        assert torch.equal(oracle.given[a["tensor"]].double(), oracle.given[b["tensor"]].double())
    normal, uniform, order, mask = (oracle.given[d["tensor"]] for d in truth["rng"])
    wanted = (oracle.given["x0/0"].double() + normal + uniform)[order] * mask
    assert torch.equal(oracle.expected["c0/out/0"], wanted)


def test_trees_of_arguments_and_outputs():
    oracle = capture_source(
        """
    from collections import namedtuple
    from dataclasses import dataclass

    Pair = namedtuple("Pair", "first second")

    @dataclass
    class Output:
        logits: torch.Tensor
        extra: tuple

    class Net(nn.Module):
        def forward(self, x, *, state, flag, scale=1.0):
            out = Output(x * scale, (x.argmax(-1), None, x > 0))
            return {"out": out, "pair": Pair(state[0], 3), "flag": flag}
    """,
        inputs_expr="{'x': torch.randn(2, 3), 'state': (torch.zeros(2), [1]), 'flag': True}",
    )
    spec = oracle.plan["inputs"][0]
    assert spec["args"] == [] and set(spec["kwargs"]) == {"x", "state", "flag"}
    assert spec["kwargs"]["flag"] == {"t": "bool", "value": True}
    assert "x0/state/0" in oracle.given
    out = oracle.plan["outputs"][0]
    assert out["keys"] == ["out", "pair", "flag"]
    assert out["items"][0]["keys"] == ["logits", "extra"]
    assert out["items"][1]["items"][1] == {"t": "int", "value": 3}
    assert oracle.expected["c0/out/out/extra/0"].dtype == torch.int64
    assert oracle.expected["c0/out/out/extra/2"].dtype == torch.bool
    assert set(oracle.given) >= {"ct0/out/logits", "ct0/pair/0"}


def test_an_output_that_is_no_tree():
    source = "class Net(nn.Module):\n    def forward(self, x):\n        return object()\n"
    assert refusal(source, inputs=[{"shape": [2]}]).code == "unsupported_output"


def test_a_function_has_gradients_of_its_inputs_and_no_weights():
    oracle = capture_source(
        "def loss(pred, target):\n    return F.cross_entropy(pred, target)\n",
        entry="loss",
        inputs=[{"shape": [4, 7]}, {"shape": [4], "dtype": "int64"}],
    )
    assert oracle.plan["kind"] == "function" and oracle.result["tensors"] == []
    stages = {case["stage"] for case in oracle.plan["cases"]}
    assert stages == {"forward_f64", "forward_f32", "gradients", "jit"}
    case = oracle.cases("gradients")[0]
    x = oracle.given["x0/0"].double().requires_grad_()
    y = oracle.given["x0/1"]
    assert int(y.max()) < 7
    (F.cross_entropy(x, y) * oracle.given["ct0/0"]).backward()
    torch.testing.assert_close(oracle.expected[f"{case['id']}/grad/input/0"], x.grad)


def test_nothing_to_derive_is_no_case():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def forward(self, x):
            return x.argmax(-1)
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.cases("gradients") == []
    assert any("no gradients" in note for note in oracle.result["notes"])


def test_a_source_that_writes_into_its_argument_does_not_change_the_record():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            x.mul_(2)
            return x + self.calls
    """,
        inputs=[{"shape": [2, 3]}],
    )
    x = oracle.given["x0/0"].double()
    assert torch.equal(oracle.expected["c0/out/0"], x * 2 + 1)
    assert torch.equal(oracle.expected["c2/out/0"], x * 2 + 1)
    assert bool((oracle.expected["c8/grad/input/0"] == 2 * oracle.given["ct0/0"]).all())


def test_nonfinite_results_are_kept_and_noted():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def forward(self, x):
            return torch.log(x - 100)
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert bool(oracle.expected["c0/out/0"].isnan().all())
    assert any("finite" in note for note in oracle.result["notes"])


@pytest.mark.parametrize("wrap", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("home", ["nn.utils", "nn.utils.parametrizations"])
def test_derived_weights_are_not_state(wrap, home):
    oracle = capture_source(
        f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = {home}.{wrap}(nn.Linear(3, 4))

        def forward(self, x):
            return self.fc(x)
    """,
        inputs=[{"shape": [2, 3]}],
    )
    names = {t["name"] for t in oracle.result["tensors"]}
    assert "fc.weight" not in names
    (case,) = oracle.cases("train_state")
    assert oracle.results(case, "state").keys() <= names
    assert len(oracle.cases("gradients")) == 2
    weighty = [k for k in oracle.expected if k.startswith("c8/grad/param/fc.") and "bias" not in k]
    assert weighty and all(bool(oracle.expected[k].any()) for k in weighty)


def test_lstm_weights_take_effect():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True)

        def forward(self, x):
            return self.rnn(x)
    """,
        inputs=[{"shape": [2, 6, 3]}],
    )
    net = nn.LSTM(3, 4, num_layers=2, batch_first=True).double()
    net.load_state_dict({k.removeprefix("rnn."): v for k, v in weights_of(oracle, 1).items()})
    with torch.no_grad():
        out, (h, c) = net(oracle.given["x1/0"].double())
    case = oracle.plan["cases"][3]
    for path, wanted in (("0", out), ("1/0", h), ("1/1", c)):
        torch.testing.assert_close(oracle.expected[f"{case['id']}/out/{path}"], wanted)
    assert [d["op"] for d in oracle.cases("train_state")[0]["rng"]] == ["bernoulli"] * 2


def test_a_deaf_net_is_calibrated():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(24)])

        def forward(self, x):
            for layer in self.layers:
                x = F.relu(layer(x))
            return x
    """,
        inputs=[{"shape": [4, 16]}],
    )
    assert oracle.result["reaction"]["input"] > 0.05
    assert any("calibrated" in note for note in oracle.result["notes"])


def test_a_constant_output_is_told():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def forward(self, x):
            return (x - x) * 2
    """,
        inputs=[{"shape": [4, 16]}],
    )
    assert oracle.result["reaction"] == {"input": 0.0, "weights": None}


def test_buffers_and_attributes_written_in_training():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("ema", torch.zeros(3))
            self.last = torch.zeros(3)
            self.still = torch.zeros(3)

        def forward(self, x):
            if self.training:
                self.ema.mul_(0.5).add_(x.mean(0))
                self.last = x.mean(0)
            return x + self.ema + self.still
    """,
        inputs=[{"shape": [2, 3]}],
    )
    (case,) = oracle.cases("train_state")
    state = {k.split("/")[-1] for k in oracle.expected if k.startswith(f"{case['id']}/state/")}
    assert state == {"ema", "last", "still"}
    assert case["unwritten"] == ["state/still"]
    first, second = (oracle.given[f"x{i}/0"].double().mean(0) for i in (0, 1))
    torch.testing.assert_close(oracle.expected[f"{case['id']}/state/ema"], first / 2 + second)


def test_tensors_of_the_module_and_of_numpy_are_float64_too():
    oracle = capture_source(
        """
    import numpy as np

    KERNEL = torch.full((1, 1, 2, 2), 0.3)

    class Net(nn.Module):
        def forward(self, x):
            scale = torch.from_numpy(np.full(2, 0.5, dtype=np.float32))
            return F.conv2d(x, KERNEL) @ torch.diag(scale)
    """,
        inputs=[{"shape": [2, 1, 4, 3]}],
    )
    kernel = torch.full((1, 1, 2, 2), 0.3).double()
    wanted = F.conv2d(oracle.given["x0/0"].double(), kernel) / 2
    torch.testing.assert_close(oracle.expected["c0/out/0"], wanted, rtol=1e-14, atol=1e-14)


def test_a_source_without_a_float64_truth_says_so():
    error = refusal(
        """
    class Net(nn.Module):
        def forward(self, x):
            if x.element_size() == 8:
                raise TypeError("half the size, please")
            return x * 2
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert (error.code, error.line) == ("source_error", 8)
    assert error.why is not None and "float64" in error.why


def test_compiled_functions_run_as_they_are():
    oracle = capture_source(
        """
    @torch.compile
    def double(x):
        return x * 2

    class Net(nn.Module):
        @torch.compile(dynamic=True)
        def forward(self, x):
            return double(x)
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert torch.equal(oracle.expected["c0/out/0"], oracle.given["x0/0"].double() * 2)


def test_halves_and_lazy_layers_have_a_float64_truth():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.low = nn.Linear(3, 4).bfloat16()
            self.lazy = nn.LazyLinear(2)

        def forward(self, x):
            return self.lazy(self.low(x.to(torch.bfloat16)).float())
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.tensor("low.weight")["dtype"] == "bfloat16"
    w = {name: value.double() for name, value in weights_of(oracle, 0).items()}
    hidden = F.linear(oracle.given["x0/0"].double(), w["low.weight"], w["low.bias"])
    wanted = F.linear(hidden, w["lazy.weight"], w["lazy.bias"])
    torch.testing.assert_close(oracle.expected["c0/out/0"], wanted, rtol=1e-13, atol=1e-13)


def test_one_module_under_two_names_is_tied():
    oracle = capture_source(
        """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first

        def forward(self, x):
            return self.second(self.first(x))
    """,
        inputs=[{"shape": [2, 3]}],
    )
    assert oracle.tensor("first.weight")["storage"] == oracle.tensor("second.weight")["storage"]
    assert oracle.plan["submodules"] == ["first#0", "first#1", ".#0"]


def test_the_steps_leave_torch_as_it_was():
    before = (torch.float32, torch.compile, torch.from_numpy, torch.get_default_dtype())
    refusal(
        "class Net(nn.Module):\n    def forward(self, x):\n        1 / 0\n", inputs=[{"shape": [1]}]
    )
    assert before == (torch.float32, torch.compile, torch.from_numpy, torch.get_default_dtype())
    assert not torch.are_deterministic_algorithms_enabled()
