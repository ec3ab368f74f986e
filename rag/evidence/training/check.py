"""Score a network on labelled abstracts between epochs. The figures for people come from ``citewell eval evidence``."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from ..abstractqa import Answerable, LabelledAbstract
from .batches import collate, read
from .examples import Example, claim_example, question_example
from .network import ReaderNetwork
from .prepare import Preparation

Logits = npt.NDArray[np.float32]
_BATCH = 24


def score(network: ReaderNetwork, preparation: Preparation, examples: Sequence[Example]) -> list[tuple[Logits, Logits]]:
    """Return the logits of each example: evidence and support, shape (sentences, 2), and those of the abstract, (3,).

    Args:
        network: In eval mode.
        preparation: Over the abstracts of the examples, whose texts are embedded.
        examples: Their labels are not looked at.
    """
    device = next(network.parameters()).device.type
    order = sorted(range(len(examples)), key=lambda at: preparation.length(examples[at]))
    found: dict[int, tuple[Logits, Logits]] = {}
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        with torch.inference_mode():
            scores = read(network, collate([preparation.inputs(examples[at]) for at in chosen]).to(device))
        sentences, wholes = scores.sentence.cpu().numpy(), scores.abstract.cpu().numpy()
        for row, at in enumerate(chosen):
            found[at] = sentences[row, : len(examples[at].kept)], wholes[row]
    return [found[at] for at in range(len(examples))]


def figures(
    network: ReaderNetwork, preparation: Preparation, abstracts: Sequence[LabelledAbstract]
) -> dict[str, float]:
    """Return hit@1 and recall@3 of the sentences, and areas under the ROC curve.

    ``twins``: questions with their abstract against the same without what answers them; ``written``: against written
    unanswerable ones; ``support twins``: claims likewise; ``edits``: the first true claim of each abstract against its
    edit, and ``edit pairs``: how often it beats its own.

    Args:
        network: In eval mode.
        preparation: Over the abstracts.
        abstracts: At least one must have questions, and at least one claim must have a sentence it is not about.
    """
    groups: list[list[Example]] = [[] for _ in range(6)]
    whole, twins, absent, claims, claim_twins, edits = groups
    asked: list[Answerable] = []
    firsts: list[int] = []  # where each abstract's first claim stands among the claims
    for at, abstract in enumerate(abstracts):
        every = range(len(abstract.sentences))
        asked += abstract.answerables
        for question in abstract.answerables:
            whole.append(_question(question.q, at, every))
            twins += _twin(_question(question.q, at, every), {*question.sents, *question.also})
        absent += [_question(question.q, at, every) for question in abstract.unanswerables]
        firsts.append(len(claims))
        for text, sents in abstract.true_claims:
            claims.append(claim_example(text, at, every, (), supported=1))
            claim_twins += _twin(claims[-1], set(sents))
        edits.append(claim_example(abstract.claim_edit, at, every, (), supported=0))
    examples = [example for group in groups for example in group]
    preparation.embed_texts([example.text for example in examples])
    scored = score(network, preparation, examples)
    ends = np.cumsum([0, *map(len, groups)])
    wholes = [np.array([abstract for _, abstract in scored[a:b]]).reshape(-1, 3) for a, b in pairwise(ends)]
    right, near, missing = (group[:, 0] for group in wholes[:3])
    true, unsupported, edited = (group[:, 1] for group in wholes[3:])
    found = [
        ([int(n) for n in np.argsort(-sentences[:, 0]) if n not in question.also], question.sents)
        for (sentences, _), question in zip(scored, asked, strict=False)
    ]
    return {
        "hit@1": float(np.mean([order[0] in sents for order, sents in found])),
        "recall@3": float(np.mean([len({*order[:3]} & {*sents}) / len(sents) for order, sents in found])),
        "twins": area(right, near),
        "written": area(right, missing),
        "support twins": area(true, unsupported),
        "edits": area(true[firsts], edited),
        "edit pairs": float(np.mean(true[firsts] > edited)),
    }


def area(positive: Logits, negative: Logits) -> float:
    """Return the area under the ROC curve: how often a positive beats a negative, ties counting half."""
    more, less = np.asarray(positive)[:, None], np.asarray(negative)[None]
    return float(((more > less) + 0.5 * (more == less)).mean())


def _question(text: str, at: int, kept: Sequence[int]) -> Example:
    return question_example(text, at, kept, [0] * len(kept), answerable=0)


def _twin(example: Example, gone: set[int]) -> list[Example]:
    """Return the example without some sentences; none if nothing is left."""
    kept = [n for n in example.kept if n not in gone]
    return [_question(example.text, example.abstract, kept)] if kept else []
