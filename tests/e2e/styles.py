"""Ports of small models in many styles, as callers send them: `styles/MODEL/`.

    source.py        torch: the class `Model`, or the function that `entry` names; `get_inputs`
    PORT.py          a right port in some style; its first line says which
    PORT.adapter.py  where the port needs one
    ports.toml       a table per port: what is expected, and one edit that makes it wrong

A table has `bug` (what is wrong then), `find` (there once) and `put`, and where they are not the
usual ones `entry` (default `Model`), the `assumptions` under which it is equal, and the contract's
`stages`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(__file__).resolve().parent / "styles"


@dataclass(frozen=True)
class Port:
    """One port of one model, right or with its bug."""

    model: str
    name: str
    source: str
    text: str
    adapter: str | None
    table: Json

    @property
    def id(self) -> str:
        return f"{self.model}-{self.name}"

    @property
    def is_function(self) -> bool:
        """Whether the source's entry is a function, which has no weights."""
        return "class Model" not in self.source

    @property
    def verdict(self) -> str:
        """What the right port ends with."""
        return "equal_under_assumptions" if self.assumptions else "equal"

    @property
    def assumptions(self) -> set[str]:
        """The codes of what has to be assumed for it."""
        return set(self.table.get("assumptions", []))

    def wrong(self) -> str:
        """The text with the bug in it."""
        find = self.table["find"]
        assert self.text.count(find) == 1, (
            f"{self.id}: {find!r} is there {self.text.count(find)} times"
        )
        return self.text.replace(find, self.table["put"])

    def request(self, text: str, weights: Json | None = None) -> Json:
        """The fields of a verify job on `text`, the port's own or a changed one."""
        entry = self.table.get("entry", "Model")
        files = [{"path": f"{self.name}.py", "content": text}]
        candidate: Json = {"files": files, "entry": f"{self.name}:{entry}", "weights": weights}
        if self.adapter is not None:
            candidate["adapter"] = {"content": self.adapter}
        fields: Json = {"kind": "verify", "candidate": candidate}
        if not self.is_function:
            fields["entry"] = "model:Model"
        if "stages" in self.table:
            fields["contract"] = {"stages": self.table["stages"]}
        return fields


def load(models: list[str] | None = None) -> list[Port]:
    """All ports, by model and name."""
    found = []
    for folder in sorted(FOLDER.iterdir()):
        if models and folder.name not in models:
            continue
        source = (folder / "source.py").read_text()
        for name, table in tomllib.loads((folder / "ports.toml").read_text()).items():
            adapter = folder / f"{name}.adapter.py"
            text = adapter.read_text() if adapter.exists() else None
            found.append(
                Port(folder.name, name, source, (folder / f"{name}.py").read_text(), text, table)
            )
    return found
