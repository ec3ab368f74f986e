"""Texts to be read against one abstract each, with what is known of them. Reads no files and measures nothing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rag.evidence.abstractqa import LabelledAbstract

OTHER_KIND = "other"


class Sort(StrEnum):
    """What is known of a text and its abstract."""

    ANSWERABLE = "answerable question"
    UNANSWERABLE = "unanswerable question"
    TRUE = "true claim"
    FALSE = "false claim"
    EDIT = "edited claim"
    """A true claim with the smallest change that makes it wrong; the claim itself is a text of its own."""


@dataclass(frozen=True, slots=True)
class Abstract:
    """An abstract in sentences that are taken as they are."""

    id: str
    title: str
    sentences: tuple[str, ...]

    def without(self, numbers: Collection[int]) -> "Abstract":
        """Return the abstract without some of its sentences, counted from 0, as an abstract of its own.

        Raises:
            ValueError: If nothing is left.
        """
        left = tuple(sentence for at, sentence in enumerate(self.sentences) if at not in numbers)
        if not left:
            raise ValueError(f"{self.id} has no other sentences")
        return replace(self, id=f"{self.id} without {', '.join(map(str, sorted(numbers)))}", sentences=left)


@dataclass(frozen=True, slots=True)
class Case:
    """One question or claim and the abstract it is read against.

    Attributes:
        id: Its name, unique in its set.
        abstract: Number of the abstract in the set.
        sort: What is known of it.
        group: What it is reported under.
        text: The question or claim.
        sents: Numbers of the sentences that answer it, support it, or speak against it; () where there are none.
        also: Numbers of sentences that count neither way.
        cluster: Cases of one cluster resemble each other, as those on one abstract do.
        twin: Whether it is read against the abstract without ``sents`` and ``also``, too.
        unedited: For an edited claim, the id of the true one; else "".
    """

    id: str
    abstract: int
    sort: Sort
    group: str
    text: str
    sents: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    cluster: str = ""
    twin: bool = False
    unedited: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceSet:
    """Abstracts and the texts to be read against them.

    Attributes:
        abstracts: All there are; they say how rare a word is.
        cases: In order of their abstracts.
    """

    abstracts: tuple[Abstract, ...]
    cases: tuple[Case, ...]

    def of_abstracts(self, numbers: Iterable[int]) -> "EvidenceSet":
        """Return the cases of some abstracts; all abstracts stay."""
        wanted = set(numbers)
        return replace(self, cases=tuple(case for case in self.cases if case.abstract in wanted))


def labelled_set(abstracts: Sequence[LabelledAbstract]) -> EvidenceSet:
    """Return every question and claim of labelled abstracts.

    Answerable questions and true claims have a twin, unless nothing of the abstract would be left. Questions are
    grouped by kind, claims by what is known of them.
    """
    return EvidenceSet(
        abstracts=tuple(Abstract(labelled.id, labelled.title, labelled.sentences) for labelled in abstracts),
        cases=tuple(case for number, labelled in enumerate(abstracts) for case in _cases(number, labelled)),
    )


def _cases(number: int, labelled: LabelledAbstract) -> list[Case]:
    def case(name: str, sort: Sort, group: str, text: str, sents: Sequence[int] = (), also: Sequence[int] = ()) -> Case:
        return Case(
            id=f"{labelled.id} {name}",
            abstract=number,
            sort=sort,
            group=group,
            text=text,
            sents=tuple(sents),
            also=tuple(also),
            cluster=labelled.id,
            twin=sort in (Sort.ANSWERABLE, Sort.TRUE) and len({*sents, *also}) < len(labelled.sentences),
            unedited=f"{labelled.id} true 1" if sort is Sort.EDIT else "",
        )

    return [
        *(
            case(
                f"answerable {at}",
                Sort.ANSWERABLE,
                question.kind or OTHER_KIND,
                question.q,
                question.sents,
                question.also,
            )
            for at, question in enumerate(labelled.answerables, start=1)
        ),
        *(
            case(f"unanswerable {at}", Sort.UNANSWERABLE, Sort.UNANSWERABLE, question.q)
            for at, question in enumerate(labelled.unanswerables, start=1)
        ),
        *(
            case(f"true {at}", Sort.TRUE, Sort.TRUE, text, sents)
            for at, (text, sents) in enumerate(labelled.true_claims, start=1)
        ),
        case("edit", Sort.EDIT, Sort.EDIT, labelled.claim_edit),
        case("false", Sort.FALSE, Sort.FALSE, labelled.claim_false),
    ]
