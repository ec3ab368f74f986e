"""The command ``ask``: one question, one answer. It remembers nothing; that is ``chat``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .interrupt import interrupt_cancels
from .layout import lay_out_answer
from .opening import collection, read_settings
from .options import IndexOption, JsonOption, LlmOption, WhereOption
from .output import StatusLine, emit, say
from .printing import print_answer

if TYPE_CHECKING:
    from rag import PaperQA
    from rag.answer import Answer


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: citewell ask 'Which paper removes token mixers from a vision backbone?'")(ask)


def ask(
    question: Annotated[
        list[str], typer.Argument(metavar="QUESTION", help="The question; - reads it from stdin.", show_default=False)
    ],
    index: IndexOption = None,
    llm: LlmOption = None,
    where: WhereOption = None,
    k: Annotated[
        int | None, typer.Option("-k", "--top-k", min=1, help="How many papers to read for the answer.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question from the collection, or say that the papers do not answer it."""
    text = sys.stdin.read() if question == ["-"] else " ".join(question)
    with collection(read_settings(index, llm)) as qa:
        if as_json:
            emit(_answer(qa, text.strip(), where, k).to_dict())
        elif sys.stdout.isatty():
            from rag.events import CancelToken

            token = CancelToken()
            with interrupt_cancels(token):
                print_answer(qa.stream(text.strip(), where=where, k=k, cancel=token), quotes=True)
        else:
            say(lay_out_answer(_answer(qa, text.strip(), where, k)))


def _answer(qa: "PaperQA", question: str, where: str | None, k: int | None) -> "Answer":
    """Ask, with the stages shown on stderr while they last."""
    from rag.events import Done, Status

    line = StatusLine()
    try:
        for event in qa.stream(question, where=where, k=k):
            if isinstance(event, Status):
                line.show(event.message)
            elif isinstance(event, Done):
                return event.answer
    finally:
        line.clear()
    raise RuntimeError("the answer ended before it was done")
