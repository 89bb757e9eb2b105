"""Model files as people write them: their ports are equal, and their own lines stay as they are.

`models/NAME.txt` is a source (several files where lines ``# file: PATH`` part it, the entry in
``# entry: NAME``), `models/NAME.port` its port without the prelude. The ports are written anew
where FERRY_WRITE_GOLDEN is set; read the difference before it is kept.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
from ferry.translate import library
from oracle_and_port import STAGES, Json, Port, port, run_ports

MODELS = Path(__file__).resolve().parent / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.txt"))


ASSUMED = {
    "act_by_name": {"name_fixed"},
    "fixed_number": {"value_fixed"},
    "nan_guard": {"branch_specialised"},
    "properties": {"name_fixed"},
    "seq2seq": {"assertion_left_out"},
    "txl": {"branch_specialised"},
}


def files_of(name: str) -> tuple[dict[str, str], str]:
    """The files of a source, and its entry."""
    text = (MODELS / f"{name}.txt").read_text(encoding="utf-8")
    entry = re.search(r"^# entry: (\S+)\n", text, re.M)
    assert entry is not None
    parts = re.split(r"^# file: (\S+)\n", text.replace(entry.group(0), ""), flags=re.M)
    files = dict(zip(parts[1::2], parts[2::2], strict=True)) if parts[1:] else {"model.py": text}
    return files, entry.group(1)


def own_text(text: str, source: str) -> str:
    """A ported file without the definitions of the prelude."""
    known = set(library.load().definitions) - {
        name for node in ast.parse(source).body for name in _names(node)
    }
    lines: list[str | None] = [*text.splitlines(keepends=True)]
    for node in ast.parse(text).body:
        if known & {*_names(node)}:
            start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            lines[start - 1 : node.end_lineno] = [None] * ((node.end_lineno or start) - start + 1)
    return re.sub(r"\n{4,}", "\n\n\n", "".join(line for line in lines if line is not None))


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [t.id for t in targets if isinstance(t, ast.Name)]


@pytest.fixture(scope="module")
def ports() -> dict[str, Port]:
    return {name: port(*files_of(name)) for name in NAMES}


@pytest.fixture(scope="module")
def outcomes(ports: dict[str, Port], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    drafted = {name: one for name, one in ports.items() if not one.draft["refusals"]}
    return run_ports(drafted, tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("name", NAMES)
def test_bytes(ports: dict[str, Port], name: str) -> None:
    files, _ = files_of(name)
    ported = {f["path"]: f["content"] for f in ports[name].draft["files"]}
    assert ports[name].draft["refusals"] == []
    text = "".join(f"# file: {p}\n{own_text(ported[p], files[p])}" for p in sorted(files))
    golden = MODELS / f"{name}.port"
    if os.environ.get("FERRY_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_assumptions(ports: dict[str, Port], name: str) -> None:
    found = {a["code"] for a in ports[name].draft["assumptions"]}
    assert found == ASSUMED.get(name, set())


@pytest.mark.parametrize("name", NAMES)
def test_equal(outcomes: dict[str, Json], name: str) -> None:
    outcome = outcomes[name]
    assert outcome["failed"] == {}
    assert {"forward_f64"} <= set(outcome["errors"]) <= set(STAGES)
    for stage, error in outcome["errors"].items():
        assert error < (1e-4 if stage == "jit" else 1e-9), stage
