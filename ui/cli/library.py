"""The commands about the collection itself: ``add``, ``papers``, ``search``, ``delete``. They answer no question."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import CorpusError

from .layout import lay_out_hits, reference
from .opening import collection, read_settings
from .options import IndexOption, JsonOption, WhereOption
from .output import emit, fail, note, progress_bar, say, text_width

if TYPE_CHECKING:
    from index.ingest import IngestReport
    from index.paper import Paper
    from rag import PaperQA

SHOWN_REJECTIONS = 10


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: citewell add papers.jsonl more-papers/")(add)
    app.command(epilog="Example: citewell papers --where 'year>=2023 tag:vision'")(papers)
    app.command(epilog="Example: citewell search 'token mixer' -k 5")(search)
    app.command(epilog="Example: citewell delete arxiv:2304.05659")(delete)


def add(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE...", help="Files or folders of papers.", exists=True, show_default=False),
    ] = None,
    index: IndexOption = None,
    example: Annotated[bool, typer.Option("--example", help="Add the 254 papers that come with Citewell.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add papers from files or folders to the collection, making it if need be.

    A paper that is already there is updated or left alone, never doubled. Formats: JSON lines with a title and
    an abstract each, and paper listings (title and abstract lines in turn); either may be gzipped.
    """
    if not sources and not example:
        raise typer.BadParameter("name at least one file or folder, or give --example", param_hint="SOURCE...")
    unreadable: list[CorpusError] = []
    with collection(read_settings(index), create=True) as qa:
        reports = []
        for source in sources or ():
            try:
                reports.append(add_with_progress(qa, source, f"Reading {source}"))
            except CorpusError as error:  # one bad file does not keep the others out
                unreadable.append(error)
        if example:
            reports.append(add_example(qa))
        if unreadable and not reports:
            raise unreadable[0]
        total = len(qa)
    counts = {name: sum(getattr(report, name) for report in reports) for name in _COUNTS}
    rejected = [rejection for report in reports for rejection in report.rejected]
    if as_json:
        emit({**counts, "rejected": [asdict(rejection) for rejection in rejected], "papers": total})
        _fail_for(unreadable)
        return
    said = [f"{count} {name}" for name, count in counts.items() if count] or ["nothing added"]
    said += [f"{len(rejected)} rejected"] if rejected else []
    say(f"{', '.join(said)}. The collection has {total} papers.")
    for rejection in rejected[:SHOWN_REJECTIONS]:
        note(f"Rejected {rejection.where}: {rejection.why}")
    if len(rejected) > SHOWN_REJECTIONS:
        note(f"… and {len(rejected) - SHOWN_REJECTIONS} more: --json lists all.")
    _fail_for(unreadable)


def _fail_for(unreadable: "Sequence[CorpusError]") -> None:
    """Name the files that could not be read, and end with the exit code of a failure."""
    for error in unreadable:
        fail(str(error))
    if unreadable:
        raise typer.Exit(1)


_COUNTS = ("added", "updated", "unchanged", "duplicates")


def add_with_progress(qa: "PaperQA", source: "Path | Iterable[Paper]", start: str) -> "IngestReport":
    """Add one source, with a bar on stderr."""
    with progress_bar(start) as progress:
        return qa.add(source, progress=progress)


def add_example(qa: "PaperQA") -> "IngestReport":
    """Add the papers that come with Citewell."""
    from index.bundled import bundled_papers

    return add_with_progress(qa, list(bundled_papers()), "Indexing the 254 example papers")


def papers(index: IndexOption = None, where: WhereOption = None, as_json: JsonOption = False) -> None:
    """List the papers of the collection."""
    with collection(read_settings(index)) as qa:
        found = qa.papers(where=where)
    if as_json:
        emit([asdict(paper) for paper in found])
        return
    for paper in found:
        say(reference(paper))
    note(f"{len(found)} papers")


def search(
    query: Annotated[list[str], typer.Argument(metavar="QUERY", help="What to look for.", show_default=False)],
    k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many papers to show.")] = 10,
    index: IndexOption = None,
    where: WhereOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find papers by meaning and by keyword, best first. Answers nothing."""
    with collection(read_settings(index)) as qa:
        hits = qa.search(" ".join(query), k=k, where=where)
    if as_json:
        emit([asdict(hit) for hit in hits])
    elif hits:
        say(lay_out_hits(hits, text_width()))
    else:
        note("No papers found.")


def delete(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids as `papers` shows them.", show_default=False)],
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete papers from the collection."""
    with collection(read_settings(index)) as qa:
        missing = _missing(qa, ids)
        deleted = qa.delete(ids)
        total = len(qa)
    if as_json:
        emit({"deleted": deleted, "missing": missing, "papers": total})
    else:
        say(f"{deleted} deleted. The collection has {total} papers.")
    if missing:
        raise typer.Exit(fail(f"Not in the collection: {', '.join(missing)}. `citewell papers` lists the ids."))


def _missing(qa: "PaperQA", ids: Sequence[str]) -> list[str]:
    missing = []
    for paper_id in ids:
        try:
            qa.paper(paper_id)
        except KeyError:
            missing.append(paper_id)
    return missing
