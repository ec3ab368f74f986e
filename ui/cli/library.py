"""The commands about the collection itself: ``add``, ``papers``, ``search``, ``delete``. They answer no question."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import CorpusError
from index.readers import Rejected, read_stream
from index.readers.records import checked_field_map

from .layout import lay_out_hits, reference
from .opening import collection, read_settings
from .options import IndexOption, JsonOption, WhereOption
from .output import emit, fail, note, progress_bar, say, text_width

if TYPE_CHECKING:
    from index.ingest import IngestReport
    from index.paper import Paper
    from rag import PaperQA

SHOWN_REJECTIONS = 10
STANDARD_INPUT = "-"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: citewell add papers.jsonl more-papers/")(add)
    app.command(epilog="Example: citewell papers --where 'year>=2023 tag:vision'")(papers)
    app.command(epilog="Example: citewell search 'token mixer' -k 5")(search)
    app.command(epilog="Example: citewell delete arxiv:2304.05659")(delete)


def _existing(sources: list[Path] | None) -> list[Path] | None:
    """Refuse a source that is not there before anything is added."""
    for source in sources or ():
        if str(source) != STANDARD_INPUT and not source.expanduser().exists():
            raise typer.BadParameter(f"there is no file or folder {source}", param_hint="SOURCE...")
    return sources


def add(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Files or folders of papers; - for standard input.",
            callback=_existing,
            show_default=False,
        ),
    ] = None,
    index: IndexOption = None,
    example: Annotated[bool, typer.Option("--example", help="Add the 254 papers that come with Citewell.")] = False,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Take a field of a table or JSON file from this column or key; repeatable: --map abstract=Notes.",
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every rejected record here, as JSON lines of where, field and why."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add papers from files, folders or standard input to the collection, making it if need be.

    A paper that is already there is updated or left alone, never doubled. Formats: JSON, JSON lines, CSV and TSV
    (also as Zotero, Scopus, Web of Science and Dimensions export them), BibTeX, RIS, PubMed nbib and XML, arXiv's Atom
    feed and metadata snapshot, OpenAlex works, CSL-JSON, and paper listings (title and abstract lines in turn); each of
    them may be gzipped. The format is told by the content.
    """
    if not sources and not example:
        raise typer.BadParameter("name at least one file or folder, or give --example", param_hint="SOURCE...")
    field_map = _field_map(mapping or [])
    unreadable: dict[Path, CorpusError] = {}
    with collection(read_settings(index), create=True) as qa:
        reports = []
        for source in sources or ():
            try:
                reports.append(_add_source(qa, source, field_map))
            except CorpusError as error:  # one bad file does not keep the others out
                unreadable[source] = error
        if example:
            reports.append(add_example(qa))
        if unreadable and not reports and rejects is None:
            raise next(iter(unreadable.values()))
        total = len(qa)
    counts = {name: sum(getattr(report, name) for report in reports) for name in _COUNTS}
    rejected = [rejection for report in reports for rejection in report.rejected]
    if rejects is not None:
        _write_rejects(rejects, rejected, unreadable)
    if as_json:
        emit({**counts, "rejected": [asdict(rejection) for rejection in rejected], "papers": total})
        _fail_for(list(unreadable.values()))
        return
    said = [f"{count:,} {_SAID.get(name, name)}" for name, count in counts.items() if count] or ["nothing added"]
    said += [f"{len(rejected)} rejected"] if rejected else []
    say(f"{', '.join(said)}. The collection has {total} papers.")
    for rejection in rejected[:SHOWN_REJECTIONS]:
        note(f"Rejected {rejection.where}: {rejection.why}")
    if len(rejected) > SHOWN_REJECTIONS:
        note(f"… and {len(rejected) - SHOWN_REJECTIONS} more: --rejects FILE or --json lists all.")
    _fail_for(list(unreadable.values()))


def _add_source(qa: "PaperQA", source: Path, field_map: Mapping[str, str]) -> "IngestReport":
    if str(source) != STANDARD_INPUT:
        return add_with_progress(qa, source, f"Reading {source}", field_map)
    records = read_stream(typer.get_binary_stream("stdin"), field_map)
    return add_with_progress(qa, records, "Reading standard input")


def _field_map(mapping: Iterable[str]) -> dict[str, str]:
    """Return what ``--map`` says, each as FIELD=COLUMN."""
    pairs = {}
    for pair in mapping:
        field, equals, column = pair.partition("=")
        if not equals or not column.strip():
            raise typer.BadParameter(f"{pair!r} is not FIELD=COLUMN, such as abstract=Notes", param_hint="--map")
        pairs[field.strip()] = column.strip()
    try:
        return checked_field_map(pairs)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--map") from exc


def _write_rejects(path: Path, rejected: Iterable[Rejected], unreadable: Mapping[Path, CorpusError]) -> None:
    """Write the rejected records, and the sources that could not be read at all."""
    whole = [Rejected(str(source), "file", str(error)) for source, error in unreadable.items()]
    with path.expanduser().open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.writelines(json.dumps(asdict(rejection), ensure_ascii=False) + "\n" for rejection in (*rejected, *whole))


def _fail_for(unreadable: "Sequence[CorpusError]") -> None:
    """Name the files that could not be read, and end with the exit code of a failure."""
    for error in unreadable:
        fail(str(error))
    if unreadable:
        raise typer.Exit(1)


_SAID = {"merged": "merged with what other files say"}
_COUNTS = ("added", "updated", "unchanged", "duplicates", "merged")


def add_with_progress(
    qa: "PaperQA",
    source: "Path | Iterable[Paper | Rejected]",
    start: str,
    field_map: Mapping[str, str] | None = None,
) -> "IngestReport":
    """Add one source, with a bar on stderr."""
    with progress_bar(start) as progress:
        return qa.add(source, progress=progress, field_map=field_map)


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
