"""An answer on the terminal while it is made: sentence by sentence, in the form it has as a whole."""

import io
import sys

import pytest

from index.errors import GenerationError
from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace
from rag.events import Done, Dropped, Sentence, Sources, Status, Token
from ui.cli import printing
from ui.cli.layout import lay_out_answer
from ui.cli.printing import AnswerText, print_answer

PAPER = Paper(id="p1", title="On Mixers", abstract="Mixers are slow. Mixers are heavy.")
SOURCE = Source(PAPER, 1, 2.0, 0.5, 0.5, 0.5, 1, 1, marker=1)


def sentence(quote, label="", cited=True, unsupported=""):
    start = PAPER.abstract.find(quote)
    citations = (Citation(1, "p1", quote, start, start + len(quote), 0.9),) if cited else ()
    return AnswerSentence(quote, 0.9, citations, label, unsupported=unsupported)


def events_of(answer):
    yield Status("search", "Searching the papers")
    yield Sources(answer.sources)
    yield Status("wait", "Waiting for scripted: 1 answer goes first")
    yield Status("write", "scripted is writing")
    yield Token("unsettled")
    for dropped in answer.dropped:
        yield Dropped(dropped)
    for index, settled in enumerate(answer.sentences):
        yield Token("unsettled")
        yield Sentence(index, settled)
    yield Done(answer)


def printed(capsys, *sentences, width=0):
    """Return what was on the terminal after each sentence, and at the end."""
    text, shown = AnswerText(width), []
    for settled in sentences:
        text.add(settled)
        shown.append(capsys.readouterr().out)
    text.end()
    return [*shown, capsys.readouterr().out]


def test_labelled_sentences_are_a_list_as_ask_prints_it(capsys):
    said = [
        sentence("Mixers are slow.", "MixNet"),
        sentence("Mixers are heavy."),
        sentence("Mixers are heavy.", "HeavyNet"),
    ]
    shown = printed(capsys, *said)
    assert shown[:2] == ["", ""]  # until the second label comes, it could be a paragraph
    assert "".join(shown) == Answer("q", "answered", tuple(said)).text
    assert "".join(shown).startswith("- MixNet — Mixers are slow [1].")


def test_one_labelled_sentence_is_no_list(capsys):
    said = [sentence("Mixers are slow.", "MixNet"), sentence("Mixers are heavy.")]
    assert "".join(printed(capsys, *said)) == "MixNet — Mixers are slow [1]. Mixers are heavy [1]."


def test_sentences_without_labels_are_printed_at_once(capsys):
    said = [sentence("Mixers are slow."), sentence("Mixers are heavy.")]
    assert printed(capsys, *said) == ["Mixers are slow [1].", " Mixers are heavy [1].", ""]


ANSWERS = [
    Answer("q", "answered", (sentence("Mixers are slow."), sentence("Mixers are heavy.")), (SOURCE,)),
    Answer("q", "answered", (sentence("Mixers are slow.", "A"), sentence("Mixers are heavy.", "B")), (SOURCE,)),
    Answer(
        "q",
        "partial",
        (sentence("Mixers are slow."), sentence("Mixers are green.", cited=False, unsupported="no abstract says so")),
        (SOURCE,),
        dropped=(DroppedSentence("Mixers are blue.", "no abstract says so", 0.1),),
        reason="Stopped before the end.",
        trace=Trace(notes=("The model was given 1 of 5 papers.",)),
    ),
    Answer("q", "refused", nearest=(PAPER,), reason="No abstract is about what was asked for."),
    Answer("q", "partial", reason="Stopped before the end."),
]


@pytest.mark.parametrize("width", [0, 12, 20, 40])
@pytest.mark.parametrize("answer", ANSWERS)
def test_it_prints_what_the_whole_answer_looks_like(capsys, monkeypatch, answer, width):
    monkeypatch.setattr(printing, "text_width", lambda: width)
    print_answer(events_of(answer), quotes=True)
    assert capsys.readouterr().out == lay_out_answer(answer, width) + "\n"


def test_a_failure_ends_the_line(capsys):
    def failing():
        yield Sentence(0, sentence("Mixers are slow."))
        raise GenerationError("The model is tired.")

    with pytest.raises(GenerationError):
        print_answer(failing(), quotes=True)
    assert capsys.readouterr().out == "Mixers are slow [1].\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_stages_are_shown_until_the_first_sentence_and_then_go_away(monkeypatch):
    terminal = Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, terminal)
    print_answer(events_of(ANSWERS[0]), quotes=True)
    shown = terminal.getvalue()
    before, _, after = shown.partition("Mixers are slow")
    lines = [line.removeprefix("\x1b[K") for line in before.split("\r")[1:]]
    assert lines == [
        "Searching the papers …",
        "Waiting for scripted: 1 answer goes first …",
        "scripted is writing …",
        "",
    ]
    assert "\r" not in after
