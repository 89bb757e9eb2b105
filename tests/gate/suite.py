"""The suite of the verdict gate: small PyTorch models, ports that are right and ports that are not.

One folder of `models/` is one model:

    source.py        the PyTorch source; its entry is `Model`, or the function named in edits.toml
    port.py          a correct, idiomatic Flax NNX port
    weights.map      the port's weight map, one entry a line (`parse_map`); none for a function
    edits.toml       what is changed to make further candidates, in the tables below
    rewrite_*.py     correct ports in another style, each with a `.map` of its own where it differs

In edits.toml each of the tables `port` and `map` (seeded bugs), `precision` (bugs that only narrow
types show) and `rewrite` (legitimate changes) has one line per candidate: its name, what is wrong
(or different) in words, and a text with its replacement. A text must occur exactly once. `also`
holds further edits of the port, `also_map` of the map.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

MODELS = Path(__file__).resolve().parent / "models"
KINDS = ("port", "rewrite", "bug", "precision")


@dataclass(frozen=True)
class Candidate:
    """One port of one model; `kind` says what is claimed about it."""

    model: str
    name: str
    kind: str
    rule: str
    text: str
    weights: Json | None

    @property
    def right(self) -> bool:
        """Whether the candidate must be accepted."""
        return self.kind in ("port", "rewrite")


@dataclass(frozen=True)
class Model:
    """One model with all its candidates, the correct port first."""

    name: str
    entry: str
    source: str
    candidates: list[Candidate]


def load() -> list[Model]:
    """The whole suite, by name."""
    return [load_model(folder) for folder in sorted(MODELS.iterdir()) if folder.is_dir()]


def load_model(folder: Path) -> Model:
    """The model of one folder."""
    edits = tomllib.loads((folder / "edits.toml").read_text())
    name, entry = folder.name, edits.pop("entry", "Model")
    port, text = (folder / "port.py").read_text(), _map_text(folder / "weights.map", "")
    candidates = [Candidate(name, "port", "port", "as it should be", port, parse_map(text))]
    for file in sorted(folder.glob("rewrite_*.py")):
        own = parse_map(_map_text(file.with_suffix(".map"), text))
        rule = file.read_text().partition('"""')[2].partition('"""')[0].strip().rstrip(".")
        style = file.stem.removeprefix("rewrite_")
        candidates.append(Candidate(name, style, "rewrite", rule, file.read_text(), own))
    for table, rows in edits.items():
        candidates += [_edited(name, table, n, row, port, text) for n, row in rows.items()]
    names = [candidate.name for candidate in candidates]
    assert len(set(names)) == len(names), f"{name}: two candidates have one name"
    return Model(name, entry, (folder / "source.py").read_text(), candidates)


def _map_text(file: Path, otherwise: str) -> str:
    return file.read_text() if file.exists() else otherwise


def _edited(model: str, table: str, name: str, row: Json, port: str, weights: str) -> Candidate:
    where = f"{model}/{name}"
    kind = {"port": "bug", "map": "bug", "precision": "precision", "rewrite": "rewrite"}[table]
    edit = [row["find"], row["put"]]
    on_map = [edit] if table == "map" else []
    on_port = [] if table == "map" else [edit]
    port = replaced(port, [*on_port, *row.get("also", [])], where)
    weights = replaced(weights, [*on_map, *row.get("also_map", [])], where)
    return Candidate(model, name, kind, row["rule"], port, parse_map(weights))


def replaced(text: str, edits: Sequence[Sequence[str]], where: str) -> str:
    """`text` after `edits`; each text that is looked for must be there exactly once."""
    for find, put in edits:
        count = text.count(find)
        assert count == 1, f"{where}: {find!r} is there {count} times"
        text = text.replace(find, put)
    return text


def parse_map(text: str) -> Json | None:
    """The ferry.weights/1 map that `text` says, None for an empty text.

    A line is ``to <- from, from | op arguments | op arguments`` or ``ignore name``.
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return None
    ignored = [line.split()[1] for line in lines if line.startswith("ignore ")]
    params = [_entry(line) for line in lines if not line.startswith("ignore ")]
    return {"format": "ferry.weights/1", "params": params, "ignored": ignored}


def _entry(line: str) -> Json:
    head, *ops = (part.strip() for part in line.split("|"))
    to, _, sources = head.partition("<-")
    names = [name.strip() for name in sources.split(",") if name.strip()]
    return {"to": to.strip(), "from": names, "ops": [_op(op) for op in ops]}


def _op(text: str) -> Json:
    name, *words = text.split()
    numbers = [int(word) for word in words if word.lstrip("-").isdigit()]
    fields: Mapping[str, Json] = {
        "permute": {"axes": numbers},
        "flip": {"axes": numbers},
        "reshape": {"shape": numbers},
        "slice": dict(zip(("axis", "start", "stop"), numbers, strict=False)),
        "concat": {"axis": numbers[0] if numbers else None},
        "add": {},
        "scale": {"by": float(words[0]) if words else None},
    }
    return {"op": name, **fields[name]}


def candidates(models: Sequence[Model]) -> Iterator[tuple[Model, Candidate]]:
    """Every candidate with its model."""
    for model in models:
        for candidate in model.candidates:
            yield model, candidate
