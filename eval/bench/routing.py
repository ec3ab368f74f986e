"""Measure which questions ``answering.routing`` keeps from the language model, and how well the reader answers them.

    python -m eval.bench.routing

A model that only notes that it was called takes the place of a real one: of the example questions, those that do not
reach it are the easy ones. Their answers are the evidence reader's, so its key facts on them and on the others say what
the router's choice is worth; what a real model would make of the others is not measured.
"""

import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from statistics import mean

from index.bundled import bundled_papers
from rag import CancelToken, PaperQA, Settings
from rag.llm.model import Messages, PlainModel

from ..cli import EXAMPLE_QUESTIONS
from ..dataset import Question, load_questions
from ..gold import Gold, locate_gold
from ..metrics import score_answer
from .tables import table


class NotingModel(PlainModel):
    """A language model that writes nothing, so that the evidence reader answers.

    Attributes:
        called: Whether it was, since this was last set to False.
    """

    name = "noting"

    def __init__(self) -> None:
        self.called = False

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Note the call."""
        self.called = True
        yield from ()
        return False


def main() -> None:
    """Measure and print the table."""
    model = NotingModel()
    questions = [question for question in load_questions(EXAMPLE_QUESTIONS) if question.answerable]
    scores: dict[bool, list[tuple[str, float, float]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory(prefix="citewell-bench-") as folder:
        qa = PaperQA.open(Path(folder) / "papers.idx", llm=model, settings=Settings(answering={"routing": True}))
        print("Indexing the bundled papers", file=sys.stderr, flush=True)
        qa.add(bundled_papers())
        for question, gold in zip(questions, locate_gold(questions, qa.papers()), strict=True):
            model.called = False
            facts, first = _scores(qa, question, gold)
            scores[not model.called].append((question.kind, facts, first))
    rows = [("questions", "n", "of them factoids", "key facts without a model", "gold paper first")]
    for easy, name in ((True, "kept from the model"), (False, "sent to it")):
        found = scores[easy]
        factoids = sum(kind == "factoid" for kind, _, _ in found)
        facts = mean(row[1] for row in found) if found else 0.0
        first = mean(row[2] for row in found) if found else 0.0
        rows.append((name, str(len(found)), str(factoids), f"{facts:.2f}", f"{first:.2f}"))
    print(table(rows))


def _scores(qa: PaperQA, question: Question, gold: Gold) -> tuple[float, float]:
    history = [{"role": turn.role, "content": turn.content} for turn in question.history]
    scores = score_answer(qa.ask(question.question, history or None), question, gold)
    return scores.key_facts or 0.0, scores.gold_first or 0.0


if __name__ == "__main__":
    main()
