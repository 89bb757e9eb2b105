"""The step `draft`: a source and its facts in, a port and its weight map out."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from ferry.step import Context, StepError
from ferry.translate import library, tidy
from ferry.translate.changes import counts, unified_diff
from ferry.translate.import_lines import IMPORTS_MARK
from ferry.translate.initial import Initial
from ferry.translate.output import Rendered, Writer
from ferry.translate.project import Project
from ferry.translate.rules import RULES
from ferry.translate.source import SourceFile
from ferry.translate.translator import REMOVED, FileTranslator, Refusal, Renames
from ferry.translate.weights import weight_map

Json = dict[str, Any]


def run(ctx: Context) -> Json:
    """The step (docs/steps.md, section 6)."""
    request = ctx.request
    return translate(
        request["files"],
        request.get("facts") or {},
        request.get("tensors") or [],
        (request.get("plan") or {}).get("entry") or {},
    )


def translate(
    files: Sequence[Mapping[str, str]],
    facts: Mapping[str, Any],
    tensors: Sequence[Mapping[str, Any]],
    entry: Mapping[str, Any],
) -> Json:
    """Port all files of a source. Never raises for what a source contains, but for its syntax."""
    old = {f["path"]: f["content"] for f in files}
    sources = [_parse(path, text) for path, text in old.items() if path.endswith(".py")]
    project = Project(sources, facts, tensors)
    renames, initial = Renames(project), Initial(project)
    translators = [
        FileTranslator(project, u, renames, initial, RULES) for u in project.units.values()
    ]
    rendered = [_render(t) for t in translators]
    lib = library.load()
    writer = Writer(lib, {name: renames.spelling(name) for name in lib.definitions})
    refusals = [r for t in translators for r in t.refusals]
    new = {path: text for path, text in old.items() if not path.endswith(".py")}
    new |= _write(writer, rendered, _folder(entry), refusals)
    diff = unified_diff(old, new, writer.inserted)
    return {
        "ok": True,
        "files": [{"path": p, "content": c} for p, c in sorted(new.items())],
        "weights": weight_map(tensors, facts.get("modules") or []),
        "diff": diff,
        "changed": counts(diff, old, sum(end - start for start, end in writer.inserted.values())),
        "assumptions": [a for t in translators for a in t.assumptions],
        "refusals": [r.to_json() for r in refusals],
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
    tr.add_refusal(tr.current, "engine_error", why)


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
