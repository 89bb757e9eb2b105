"""Names of torch that a file of the source imports for the others."""

from __future__ import annotations

import pytest
from oracle_and_port import Port, port, run_ports

FILES = {
    "pkg/__init__.py": "",
    "pkg/compat.py": """\
try:
    from torch import _assert
except ImportError:
    def _assert(condition, message):
        assert condition, message
from torch import Tensor
from torch.nn import functional as F
from torch.nn import Linear as Dense


def double(x):
    return 2 * x
""",
    "pkg/again.py": "from .compat import F as functional, double\n",
    "model.py": """\
import torch
from torch import nn
from pkg.compat import Dense, Tensor
from pkg.again import functional, double


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = Dense(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.softmax(double(self.fc(x)), dim=-1)


def get_inputs():
    return [torch.randn(2, 4)]
""",
}


@pytest.fixture(scope="module")
def ported() -> Port:
    return port(FILES, "model:Net")


def test_lines(ported: Port) -> None:
    assert ported.codes == []
    files = {f["path"]: f["content"] for f in ported.draft["files"]}
    assert files["pkg/again.py"] == "from .compat import double\n"
    assert "from pkg.again import double\n" in files["model.py"]
    assert "pkg.compat" not in files["model.py"]


def test_equal(ported: Port, tmp_path_factory: pytest.TempPathFactory) -> None:
    (outcome,) = run_ports({"files": ported}, tmp_path_factory.mktemp("files")).values()
    assert outcome["failed"] == {}
    assert max(outcome["errors"][s] for s in ("forward_f64", "gradients")) < 1e-12
