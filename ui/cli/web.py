"""The command ``ui``: serve the web page of the collection. The page itself is ``ui.web``."""

from typing import TYPE_CHECKING, Annotated

import typer

from .library import add_example
from .opening import collection, read_settings
from .options import IndexOption, LlmOption
from .output import note

if TYPE_CHECKING:
    from rag import PaperQA


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: citewell ui --example")(ui)


def ui(
    index: IndexOption = None,
    llm: LlmOption = None,
    example: Annotated[
        bool,
        typer.Option("--example", help="Start with the 254 papers that come with Citewell, if there are none."),
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.  [default: 7860]")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in your browser.")] = False,
) -> None:
    """Serve the chat page and print its address. Ctrl-C stops it."""
    settings = read_settings(index, llm, host, port)
    with collection(settings, create=example) as qa:
        if example and _may_take_example(qa):
            add_example(qa)
        if not len(qa):
            note("The collection is empty. Fill it: citewell add FILE, or start with --example.")
        note("Starting the web page …")
        from ui.web.app import answers_at_once, serve

        at_once = answers_at_once(settings.answering)
        serve(qa, settings.ui.host, settings.ui.port, open_browser, at_once)


def _may_take_example(qa: "PaperQA") -> bool:
    """Whether the collection is empty or an example that was not finished: nobody's own papers are mixed with it."""
    from index.bundled import bundled_papers

    bundled = {paper.id for paper in bundled_papers()}
    return len(qa) < len(bundled) and (not len(qa) or {paper.id for paper in qa.papers()} < bundled)
