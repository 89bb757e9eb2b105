"""The step `draft`: a source and its facts in, a port and its weight map out."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ferry.step import Context, StepError
from ferry.translate import idiom, library, tidy
from ferry.translate.changes import counts, unified_diff
from ferry.translate.holes import Holes
from ferry.translate.idiom import Idioms
from ferry.translate.import_lines import IMPORTS_MARK
from ferry.translate.initial import Initial
from ferry.translate.output import Rendered, Writer
from ferry.translate.project import Project
from ferry.translate.rules import RULES
from ferry.translate.source import SourceFile
from ferry.translate.translator import REMOVED, FileTranslator, Refusal, Renames
from ferry.translate.weights import weight_map

Json = dict[str, Any]
FAITHFUL = "faithful"


def prepare() -> None:
    """Parse the prelude, which every translation looks definitions up in."""
    library.load()


def run(ctx: Context) -> Json:
    """The step (docs/steps.md, section 6)."""
    request = ctx.request
    facts = request.get("facts") or {}
    packages = facts.get("packages") or {"files": [], "notes": []}
    result = translate(
        [*request["files"], *packages["files"]],
        facts,
        request.get("tensors") or [],
        (request.get("plan") or {}).get("entry") or {},
        request.get("style") or FAITHFUL,
        request.get("kept_faithful") or (),
        request.get("scan") or False,
    )
    result["notes"] = [*packages["notes"], *result["notes"]]
    return result


def translate(
    files: Sequence[Mapping[str, str]],
    facts: Mapping[str, Any],
    tensors: Sequence[Mapping[str, Any]],
    entry: Mapping[str, Any],
    style: str = FAITHFUL,
    kept_faithful: Sequence[str] = (),
    scan: bool = False,
) -> Json:
    """Port all files of a source. Never raises for what a source contains, but for its syntax.

    `kept_faithful` names switches of the idiomatic style that are not to be made, and `scan` asks that
    style to write loops over identical blocks as scans. That style refuses
    nothing that the faithful one does not: where it would, the port is the faithful one.
    """
    result = _port(files, facts, tensors, entry, style, kept_faithful, scan)
    if style == FAITHFUL or not result["refusals"]:
        return result
    plain = _port(files, facts, tensors, entry, FAITHFUL, (), False)
    return plain if len(plain["refusals"]) < len(result["refusals"]) else result


def _port(
    files: Sequence[Mapping[str, str]],
    facts: Mapping[str, Any],
    tensors: Sequence[Mapping[str, Any]],
    entry: Mapping[str, Any],
    style: str,
    kept_faithful: Sequence[str],
    scan: bool,
) -> Json:
    old = {f["path"]: f["content"] for f in files}
    sources = [_parse(path, text) for path, text in old.items() if path.endswith(".py")]
    project = Project(sources, facts, tensors)
    renames, initial = Renames(project), Initial(project)
    idioms = (
        Idioms()
        if style == FAITHFUL
        else idiom.find(project, initial, facts, entry, kept_faithful, scan)
    )
    holes = Holes(project)

    def translators_now() -> list[FileTranslator]:
        units = project.units.values()
        return [
            FileTranslator(project, u, renames, initial, RULES, idioms, holes.texts) for u in units
        ]

    translators, rendered, refusals = _rendered(translators_now, holes)
    lib = library.load()
    writer = Writer(lib, {name: renames.spelling(name) for name in lib.definitions})
    new = {path: text for path, text in old.items() if not path.endswith(".py")}
    new |= _write(writer, rendered, _folder(entry), refusals)
    diff = unified_diff(old, new, writer.inserted)
    return {
        "ok": True,
        "files": [{"path": p, "content": c} for p, c in sorted(new.items())],
        "weights": weight_map(tensors, facts.get("modules") or [], idioms),
        "switches": idioms.to_json(),
        "diff": diff,
        "changed": counts(diff, old, sum(end - start for start, end in writer.inserted.values())),
        "assumptions": [a for t in translators for a in t.assumptions],
        "refusals": [r.to_json() for r in refusals],
        "holes": holes.to_json(),
        "notes": [n for t in translators for n in t.notes],
    }


def _parse(path: str, text: str) -> SourceFile:
    try:
        return SourceFile(path, text)
    except SyntaxError as error:
        line = error.lineno or 1
        raise StepError(
            "source_syntax", str(error), file=path, line=line, text=(error.text or "").strip()
        ) from error


def _folder(entry: Mapping[str, Any]) -> str:
    """The folder of the entry's file, with its slash."""
    path = str(entry.get("file") or "")
    return path[: path.rfind("/") + 1]


def _rendered(
    translators_now: Callable[[], list[FileTranslator]], holes: Holes
) -> tuple[list[FileTranslator], list[Rendered], list[Refusal]]:
    """All files, again for as long as something is refused that can be given up for a hole."""
    refusals: list[Refusal] = []
    while True:
        translators = translators_now()
        rendered = [_render(t) for t in translators]
        found = [r for t in translators for r in t.refusals]
        refusals += [r for r in found if r not in refusals]
        if not holes.dig(found):
            return translators, rendered, refusals


def _render(tr: FileTranslator) -> Rendered:
    """A file's new text; what goes wrong inside is a refusal at the place where it did."""
    text = tr.source.text
    try:
        body: list[ast.AST] = list(tr.source.tree.body)
        text = tidy.closed_gaps(tr.splice(0, len(tr.source.text), body, {}))
        text = tidy.without_idle_imports(text, tr.source.tree, IMPORTS_MARK)
        text = text.rstrip("\n") + ("\n" if text.endswith("\n") else "")
    except SyntaxError:
        pass  # reported where the files are written
    except Exception as error:  # the engine's own fault must not end the job
        _engine_error(tr, error)
    return Rendered(tr.unit.path, text, frozenset(tr.prelude))


def _engine_error(tr: FileTranslator, error: Exception) -> None:
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = f"the engine failed here: {type(error).__name__}: {error} ({where.name})"
    tr.add_refusal(tr.current, "engine_error", why, tr.current)


def _write(
    writer: Writer, rendered: Sequence[Rendered], folder: str, refusals: list[Refusal]
) -> dict[str, str]:
    """The output files; where the text is not Python, that is a refusal too."""
    try:
        return writer.write(rendered, folder)
    except SyntaxError as error:
        text = (error.text or "").strip()
        refusals.append(
            Refusal(
                "engine_error",
                rendered[0].path,
                error.lineno or 1,
                text,
                f"the port is not Python: {error.msg}",
            )
        )
        return {r.path: r.text.replace(REMOVED, "") for r in rendered}
