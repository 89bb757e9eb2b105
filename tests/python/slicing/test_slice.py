"""A class of an installed package is cut out with what it ran of it, and ported with proof."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ferry.oracle import capture, inspect_step
from ferry.step import MemoryContext
from ferry.translate import draft
from oracle_and_port import Port, run_ports
from safetensors.numpy import load

SOURCE = "import torch\nfrom shelf import Model\nfrom shelf.heavy import Heavy, quantised\n"
RECIPE = {"draws": 2, "inputs": 2, "seed": 0, "train_steps": 2}


@pytest.fixture(scope="module")
def port(shelf: Path) -> Port:
    files = [{"path": "model.py", "content": SOURCE}]
    request: dict[str, Any] = {"files": files, "entry": "model:Model", "init": None, "seed": 0}
    request |= {"init_expr": "Model(6)", "inputs": None, "inputs_expr": "(torch.randn(2, 5, 6),)"}
    inspected = inspect_step.run(MemoryContext(request))
    context = MemoryContext({**request, "inspected": inspected, "recipe": RECIPE})
    captured = capture.run(context)
    kept = {name: captured[name] for name in ("plan", "facts", "tensors")}
    drafted = draft.run(
        MemoryContext({"files": files, **kept, "style": "faithful", "engine": "builtin"})
    )
    given, expected = bytes(context.outputs["given"]), load(context.outputs["expected"])
    return Port(captured, drafted, given, expected)


def slices(port: Port) -> dict[str, str]:
    return {f["path"]: f["content"] for f in port.captured["facts"]["packages"]["files"]}


def test_the_slice_stands_for_the_package(port: Port) -> None:
    assert port.captured["notes"] == []
    assert set(slices(port)) == {
        f"shelf/{name}.py" for name in ("__init__", "around", "parts", "models")
    }


def test_a_lazy_name_is_imported_from_its_home(port: Port) -> None:
    text = slices(port)["shelf/__init__.py"]
    assert text == "from shelf.models import Model\n"


def test_what_never_ran_is_left_out(port: Port) -> None:
    text = slices(port)["shelf/parts.py"]
    assert "class Swish" not in text and "def never" not in text and "import Heavy" not in text
    assert '"gelu": Gelu, "swish": None, "heavy": None' in text
    assert 'TABLE["relu"] = nn.ReLU' in text
    notes = port.captured["facts"]["packages"]["notes"]
    assert any("shelf/parts.py: left out" in n and "Swish" in n for n in notes)


def test_a_branch_that_never_ran_ends_in_an_error(port: Port) -> None:
    text = slices(port)["shelf/parts.py"]
    first, second = text.index("if has_gpu()"), text.index("if mask is not None:")
    assert "raise NotImplementedError" in text[first:second]
    assert "x = mask(x)" in text[second:]  # it names nothing that is not there


def test_logs_and_foreign_annotations_go(port: Port) -> None:
    text = slices(port)["shelf/parts.py"]
    assert "logger" not in text and "mask=None" in text


def test_a_branch_of_a_module_is_settled(port: Port) -> None:
    text = slices(port)["shelf/parts.py"]
    assert "\nSCALE = 3.0\n" in text and "__version__" not in text


def test_comments_stay(port: Port) -> None:
    assert (
        "# doubles what the layer gives\nclass Layer(nn.Module):" in slices(port)["shelf/parts.py"]
    )


def test_decorators_stay_where_they_work(port: Port) -> None:
    assert "    @doubled\n    def mixed" in slices(port)["shelf/parts.py"]
    assert "documented" not in "".join(slices(port).values())


def test_a_question_about_the_machine_is_answered(port: Port) -> None:
    text = slices(port)["shelf/around.py"]
    assert "def has_gpu(index=0):\n    return False\n" in text
    assert "def is_proxy(x):\n    return False\n" in text  # it looked at a type only
    notes = port.captured["facts"]["packages"]["notes"]
    asked = "has_gpu() is False, is_proxy() is False"
    assert f"shelf/around.py: as where the oracle ran: {asked}" in notes


def test_a_question_about_a_tensor_is_code(port: Port) -> None:
    assert "return torch.is_tensor(x) and x.shape[1] > 3" in slices(port)["shelf/around.py"]


def test_a_base_that_gave_nothing_goes(port: Port) -> None:
    text = slices(port)["shelf/models.py"]
    assert "class Base(nn.Module):\n    factor = 0.5\n" in text and "Saving" not in text


def test_ties_and_flags_are_spelled_out(port: Port) -> None:
    text = slices(port)["shelf/models.py"]
    assert "self.head.weight = self.layers[1].proj.weight\n        self.ready = True\n" in text
    assert "post_init" not in text and "ties" not in text


def test_a_star_names_what_is_used(port: Port) -> None:
    assert "from .parts import Layer\n" in slices(port)["shelf/models.py"]


def test_imports_of_the_caller_that_nothing_used_go(port: Port) -> None:
    assert port.text == "from shelf import Model\n"


def test_the_port_is_torch_free_and_equal(port: Port, tmp_path: Path) -> None:
    assert port.draft["refusals"] == []
    assert "torch" not in "".join(
        line for f in port.draft["files"] for line in f["content"].splitlines() if "import" in line
    )
    result = run_ports({"shelf": port}, tmp_path)["shelf"]
    assert result["failed"] == {}
    errors = result["errors"]
    assert all(e < (1e-4 if stage == "jit" else 1e-11) for stage, e in errors.items()), errors


def test_the_packages_own_modules_come_back(port: Port) -> None:
    assert "shelf.heavy" in sys.modules
    assert str(sys.modules["shelf"].__file__).endswith("shelf/__init__.py")
    assert Path(str(sys.modules["shelf"].__file__)).is_absolute()
