"""A package of models, installed for the tests in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "translate"))

PACKAGE = {
    "__init__.py": """
from .lazily import lazy

__version__ = "1.0"


def __getattr__(name):
    return lazy(name)
""",
    "lazily.py": """
import importlib


def lazy(name):
    if name == "Model":
        return importlib.import_module("shelf.models").Model
    raise AttributeError(name)
""",
    "around.py": '''
"""What the code runs on."""

import logging

import torch

logger = logging.getLogger(__name__)


def has_gpu(index=0):
    return torch.cuda.is_available() and torch.cuda.device_count() > index


def is_proxy(x):
    return isinstance(x, torch.fx.Proxy) or hasattr(x, "jax")


def is_long(x):
    return torch.is_tensor(x) and x.shape[1] > 3


def documented(thing):
    """Changes nothing that is called."""
    thing.__doc__ = "Of the shelf."
    return thing


def doubled(function):
    def wrapper(*args):
        return 2 * function(*args)

    return wrapper
''',
    "parts.py": """
import torch
from torch import nn
from torch.nn import functional as F

from .around import doubled, has_gpu, is_long, is_proxy, logger
from .heavy import Heavy, quantised


class Gelu(nn.Module):
    def forward(self, x):
        return F.gelu(x)


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


TABLE = {"gelu": Gelu, "swish": Swish, "heavy": Heavy}
TABLE["relu"] = nn.ReLU

if torch.__version__ > "0":
    SCALE = 3.0
else:
    SCALE = unknown


# doubles what the layer gives
class Layer(nn.Module):
    def __init__(self, size, act):
        super().__init__()
        self.proj = nn.Linear(size, size)
        self.act = TABLE[act]()

    @doubled
    def mixed(self, x):
        return self.act(x)

    def forward(self, x: "torch.Tensor", mask: Heavy = None):
        if has_gpu() or is_proxy(x) or not is_long(x):
            x = quantised(x)
        if mask is not None:
            logger.info("masked")
            x = mask(x)
        logger.debug("called")
        return self.mixed(self.proj(x)) * SCALE

    def never(self):
        return Heavy()
""",
    "heavy.py": """
class Heavy:
    def __call__(self, x):
        return x.cpu().numpy()


def quantised(x):
    return Heavy()(x)
""",
    "models.py": """
import torch
from torch import nn

from .around import documented
from .parts import *


class Saving:
    def save(self, path):
        torch.save(self.state_dict(), path)


class Base(nn.Module, Saving):
    plan = {"proj": "row"}
    factor = 0.5

    def post_init(self):
        self.apply(self._init_weights)
        for name, target in self.ties.items():
            self.get_submodule(name).weight = self.get_submodule(target).weight
        self.ready = True

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)


@documented
class Model(Base):
    ties = {"head": "layers.1.proj"}

    def __init__(self, size, act="gelu"):
        super().__init__()
        self.layers = nn.ModuleList(Layer(size, act) for _ in range(2))
        self.head = nn.Linear(size, size, bias=False)
        self.post_init()

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x) * (self.factor if self.ready else 1.0)
""",
}


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package ``shelf``, where Python finds it."""
    root = tmp_path_factory.mktemp("installed")
    (root / "shelf").mkdir()
    for name, text in PACKAGE.items():
        (root / "shelf" / name).write_text(text.lstrip("\n"), encoding="utf-8")
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))
