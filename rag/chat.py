"""A conversation: its answers, in order, with citation numbers that stay. Answers nothing itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .answer import Answer
from .events import CancelToken, Done, Event

if TYPE_CHECKING:
    from .qa import PaperQA, WhereLike

_SCHEMA_VERSION = 1


class ChatSession:
    """A conversation with a collection.

    A paper keeps its number through the whole conversation, so ``[2]`` means the same paper everywhere in it.

    Args:
        qa: The collection.
        answers: Answers of an earlier part of the conversation.
    """

    def __init__(self, qa: "PaperQA", answers: tuple[Answer, ...] = ()) -> None:
        self._qa = qa
        self.answers = answers

    def ask(self, question: str, where: "WhereLike" = None) -> Answer:
        """Ask the next question; see :meth:`rag.PaperQA.ask`."""
        for event in self.stream(question, where):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a stream ends with Done")

    def stream(self, question: str, where: "WhereLike" = None, cancel: CancelToken | None = None) -> Iterator[Event]:
        """Ask the next question as a stream of events; see :meth:`rag.PaperQA.stream`."""
        events = self._qa._stream(question, self.history, where, None, cancel, self.numbers)
        return self._keep(events)

    @property
    def history(self) -> list[dict[str, str]]:
        """The conversation as messages: of a refusal the question alone, of an answer the sentences with a source."""
        messages = []
        for answer in self.answers:
            messages.append({"role": "user", "content": answer.question})
            if cited := tuple(sentence for sentence in answer.sentences if sentence.citations):
                messages.append({"role": "assistant", "content": replace(answer, sentences=cited).text})
        return messages

    @property
    def numbers(self) -> dict[str, int]:
        """The citation number of each paper cited so far, by paper id."""
        return {source.paper.id: source.marker for a in self.answers for source in a.cited if source.marker}

    def save(self, path: str | Path) -> None:
        """Write the conversation as JSON; the file is replaced as a whole."""
        data = {"schema_version": _SCHEMA_VERSION, "answers": [answer.to_dict() for answer in self.answers]}
        target = Path(path)
        draft = target.with_name(f"{target.name}.new")
        draft.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
        draft.replace(target)

    @classmethod
    def load(cls, path: str | Path, qa: "PaperQA") -> "ChatSession":
        """Continue a saved conversation.

        Raises:
            ValueError: If the file is not a conversation that this version reads.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(data, dict) or not isinstance(data.get("answers", []), list):
                raise ValueError("it has another form")
            if data.get("schema_version") != _SCHEMA_VERSION:
                raise ValueError(
                    f"schema_version is {data.get('schema_version')!r}, this version reads {_SCHEMA_VERSION}"
                )
            if "answers" not in data:
                raise ValueError("answers is missing")
            return cls(qa, tuple(Answer.from_dict(answer) for answer in data["answers"]))
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"{path} is not a saved conversation: {exc}") from exc

    def _keep(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Done):
                self.answers = (*self.answers, event.answer)
            yield event
