"""An answer while it is being written, by whomever. Writes nothing itself."""

from dataclasses import dataclass, field

from ..answer import AnswerSentence, DroppedSentence
from ..events import Dropped, Sentence, Verdict

EVIDENCE_ANSWERS = "the evidence reader answered."


@dataclass(slots=True)
class Draft:
    """What has come of a question so far.

    Attributes:
        sentences: Settled sentences.
        dropped: Sentences that nothing supports.
        notes: What a reader should know, for people.
        prompt: What the model was given.
        without_model: Whether the language model is not to write this answer; the notes say why.
        stopped: Whether it was stopped before its end.
        incomplete: Why it ends before its end although nobody stopped it, for people; "" if it does not.
    """

    sentences: list[AnswerSentence] = field(default_factory=list)
    dropped: list[DroppedSentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    prompt: str = ""
    without_model: bool = False
    stopped: bool = False
    incomplete: str = ""

    def settle(self, sentence: AnswerSentence, verdict: Verdict = "kept") -> Sentence:
        """Keep a sentence and return its event."""
        self.sentences.append(sentence)
        return Sentence(len(self.sentences) - 1, sentence, verdict)

    def drop(self, sentence: DroppedSentence) -> Dropped:
        """Leave a sentence out and return its event."""
        self.dropped.append(sentence)
        return Dropped(sentence)

    def give_up(self, reason: str) -> None:
        """Let the evidence reader answer; ``reason`` is a clause, or a sentence of its own."""
        said = EVIDENCE_ANSWERS.capitalize() if reason.endswith((".", "!", "?")) else EVIDENCE_ANSWERS
        self.notes.append(f"{reason} {said}" if said[0].isupper() else f"{reason}; {said}")
        self.without_model = True
