"""What removals leave behind: the source's own spacing, and no import that nothing uses."""

from __future__ import annotations

import ast

import pytest
from ferry.translate.tidy import GAP, closed_gaps, without_idle_imports
from oracle_and_port import HEAD, port
from sources import module

GAPS = {
    "between two methods": ("a\n\n    {}\n\n    def f():", "a\n\n    def f():"),
    "several in a row": ("a\n\n\n{}\n\n\n{}\n\n\ndef f():", "a\n\n\ndef f():"),
    "the last of a class": ("    a\n\n    {}\n\n\nclass B:", "    a\n\n\nclass B:"),
    "the first of a block": ("def f():\n    {}\n\n    a", "def f():\n    a"),
    "among statements": ("a\n{}\nb", "a\nb"),
    "the last of a file": ("a\n\n\n{}\n", "a\n"),
    "elsewhere nothing changes": ("a\n\n\n\n\nb\n{}\nc", "a\n\n\n\n\nb\nc"),
}


@pytest.mark.parametrize("name", GAPS)
def test_gaps(name: str) -> None:
    text, expected = GAPS[name]
    assert closed_gaps(text.replace("{}", GAP)) == expected


def test_imports_that_only_removed_code_used() -> None:
    source = "import math\nimport os, sys\nfrom a import b, c as d\nmath, os, b, sys\n"
    text = "import math\nimport os, sys\nfrom a import b, c as d\nMARK\nos, b\n"
    expected = "import os\nfrom a import b, c as d\nMARK\nos, b\n"
    assert without_idle_imports(text, ast.parse(source), "MARK") == expected


def test_a_port_without_its_initialisation() -> None:
    source = module(
        "return self.fc(x)",
        "self.fc = nn.Linear(4, 4)\nself.reset()",
        before="import math\n\n",
    ).replace(
        "    def forward",
        "    def reset(self):\n        nn.init.uniform_(self.fc.weight, -math.pi, 1)\n\n    def forward",
    )
    text = port(source, "Net").text
    assert source.startswith(HEAD) and "math.pi" not in text
    assert "rngs=rngs)\n\n    def __call__(self, x):\n" in text
