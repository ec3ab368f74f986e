"""Hostile texts, wherever they stand, change no prompt's structure, fake no source and reach no screen as markup."""

import re
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attacks import ATTACKS, EVIL, INPUTS, OUTPUTS, TEMPLATE_TAGS, Attack
from fake_llm import ScriptedLLM
from fakes import HashEncoder

from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from index.terms import document_terms
from rag import Answer, PaperQA, Sentence, Token
from rag.answer import Source
from rag.answering.sentence_stream import SentenceStream, WrittenSentence
from rag.claims import addresses, markup
from rag.events import Dropped, Event
from rag.evidence.reader import PaperEvidence, Reading
from rag.prompts import build_messages, build_rewrite_messages
from rag.retrieval import Hit
from rag.safety import MARKER, MARKER_RUN, marker_numbers
from rag.settings import AnsweringSettings, EvidenceSettings, RefusalSettings, Settings

HARMLESS = Attack("nothing", "abstract", "Plain words.")
FACT = "We remove token mixers from the vision backbone."
HEAD = re.compile(r"^\[\d+\] ")
LABELS = re.compile(
    r"^(?:\[\d+\] |Papers:$|Key sentences: |Also: |Question: |Earlier question: |Earlier answer: |Follow-up question: "
    r"|The follow-up question, rewritten|Answer in short|$)"
)
OPENED, CLOSED = (
    "".join(
        re.escape(chr(n))
        for n in range(0x10000)
        if unicodedata.category(chr(n)) == kind
        and re.search("SQUARE BRACKET|LENTICULAR|TORTOISE", unicodedata.name(chr(n)))
    )
    for kind in ("Ps", "Pe")
)
READS_AS_MARKER = re.compile(rf"[{OPENED}]\s*(?:paper |source |\^)?\d+[\d\s,;&–-]*[{CLOSED}]", re.I)
IGNORABLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.place}-{attack.name}")


def invisible(text: str, allowed: str = "\n") -> str:
    """Return what nobody sees of a text, line ends aside."""
    return "".join(c for c in text if c not in allowed and (unicodedata.category(c)[0] == "C" or c in IGNORABLE))


# -- the prompt ------------------------------------------------------------------------------------------------


def evidence_in(title: str, abstract: str, order: tuple[int, ...]) -> PaperEvidence:
    paper = Paper("title:1", title, abstract, year=2023)  # not cleaned: the prompt builder relies on nothing before it
    spans = tuple(sentence_spans(abstract))
    vectors = np.zeros((len(spans), 2), dtype=np.float32)
    terms = frozenset(document_terms(f"{title}\n{abstract[:1000]}"))
    stored = StoredPaper(paper, spans, vectors, vectors[:1], terms)
    scores = np.full(len(spans), -9, dtype=np.float32)
    scores[list(order)] = 3
    hit = Hit(Source(paper, 1, 1.0, 0.5, 0.5, 0.5, 1, 1), stored)
    return PaperEvidence(hit, Reading(scores, scores, 0.0, 0.0, 0.0), scores, order)


def prompts_with(text: str) -> Iterator[list[dict[str, str]]]:
    """Yield the messages with a text in each place where a stranger's text can stand."""
    plain, first = "RIFormer", (0,)

    def asked(title: str, abstract: str, order: tuple[int, ...], question: str = "How?") -> list[dict[str, str]]:
        papers = [evidence_in(title, abstract, order), evidence_in("Other", "It is plain. It is short.", order)]
        return build_messages(question, papers)

    def after(said: str, answer: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": said}, {"role": "assistant", "content": f"{answer} Yes."}]

    yield asked(plain, f"{text} {FACT} The code is public. It is fast.", ())
    yield asked(plain, f"{FACT} {text} The code is public. It is fast.", first)
    yield asked(plain, f"{text}. {FACT} The code is public. It is fast.", first)
    yield asked(text, FACT, ())
    yield asked(plain, FACT, (), text)
    papers = [evidence_in(plain, FACT, ())]
    for history in (after(text, "Yes."), after("Why?", text), after(text, text)):
        yield build_messages("How?", papers, history)
        yield build_rewrite_messages("And how?", history)
    yield build_rewrite_messages(text, after("Why?", "Yes."))


def structure(content: str) -> list[str]:
    """Return what holds a prompt together: its labels in order, and how many lines there are of others."""
    found = [LABELS.match(line) for line in content.split("\n")]
    return [match[0] if match else "" for match in found]


def given(content: str) -> list[str]:
    """Return the lines of a prompt without the heads of its papers."""
    return [HEAD.sub("", line) for line in content.split("\n")]


@every_attack
def test_the_prompt_has_the_structure_of_a_harmless_one(attack: Attack) -> None:
    for messages, harmless in zip(prompts_with(attack.text), prompts_with(HARMLESS.text), strict=True):
        assert [message["role"] for message in messages] == ["system", "user"]
        assert messages[0] == harmless[0]
        content = messages[1]["content"]
        assert structure(content) == structure(harmless[1]["content"])
        assert content.splitlines() == content.split("\n")
        assert not invisible(content)
        for line in given(content):
            assert not MARKER.search(line)
            assert not READS_AS_MARKER.search(line)
        for tag in (tag for tags in TEMPLATE_TAGS.values() for tag in tags):
            assert tag.lower() not in content.lower()
        if attack.place != "model":
            for fragment in attack.success:
                assert fragment not in "\n".join(given(content))


@cache
def tokenizer() -> Any:
    """Return a tokenizer with a ChatML template that knows the special tokens of every family."""
    from tiny_model import tiny_tokenizer

    made = tiny_tokenizer()
    special = dict.fromkeys(tag for tags in TEMPLATE_TAGS.values() for tag in tags)
    made.add_special_tokens({"additional_special_tokens": [t for t in special if t not in made.all_special_tokens]})
    return made


def special_tokens(messages: Sequence[dict[str, str]]) -> Counter[str]:
    made = tokenizer()
    ids = made.apply_chat_template(list(messages), tokenize=True, add_generation_prompt=True, return_dict=False)
    names = made.convert_ids_to_tokens(ids)
    special = set(made.all_special_tokens)
    return Counter(name for name in names if name in special)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if len(a.text) < 2000], ids=lambda a: f"{a.place}-{a.name}")
def test_a_chat_template_makes_no_special_token_of_a_text(attack: Attack) -> None:
    for messages, harmless in zip(prompts_with(attack.text), prompts_with(HARMLESS.text), strict=True):
        assert special_tokens(messages) == special_tokens(harmless)


def test_the_tokenizer_of_that_test_would_see_an_attack() -> None:
    seen = special_tokens(
        [{"role": "user", "content": "".join(tag for tags in TEMPLATE_TAGS.values() for tag in tags)}]
    )
    assert len(seen) > 60


# -- the stream of a model's text --------------------------------------------------------------------------------


def streamed(text: str, size: int, papers: int = 2) -> tuple[str, list[WrittenSentence]]:
    """Return the text that is shown and the sentences of a text that comes in pieces."""
    stream = SentenceStream(papers)
    parts: list[str | WrittenSentence] = []
    for start in range(0, len(text), size):
        parts += stream.feed(text[start : start + size])
    parts += stream.end(cut=False)
    return "".join(p for p in parts if isinstance(p, str)), [p for p in parts if isinstance(p, WrittenSentence)]


@every_attack
@pytest.mark.parametrize("size", [1, 3, 7, 1_000_000])
def test_no_marker_tag_or_thinking_of_a_model_is_shown(attack: Attack, size: int) -> None:
    text = attack.text[: 3000 if size > 7 else 600]  # it is long because it repeats itself
    shown, sentences = streamed(text, size)
    for said in (shown, *(sentence.text for sentence in sentences)):
        assert not MARKER.search(said)
        assert not READS_AS_MARKER.search(said)
        assert not invisible(said)
        assert "SECRET" not in said
        assert not re.search(r"<\|im_|<(?:start|end)_of_turn>|</?think>|\[/?INST\]", said)
    assert [s.text for s in streamed(text, 1_000_000)[1]] == [s.text for s in sentences]


def test_invented_numbers_are_counted() -> None:
    _, (sentence,) = streamed("As the paper [7] proves, RIFormer wins [99]【12†source】⟦3⟧ [1, 40].", 3)
    assert sentence.text == "As the paper proves, RIFormer wins."
    assert (sentence.papers, sentence.strays) == (frozenset({1}), 5)


def test_a_template_tag_before_the_answer_does_not_end_it() -> None:
    assert streamed("<|im_start|>It is small.<|im_end|>It is big.", 3)[0] == "It is small."


@pytest.mark.parametrize("bit", ["<", "[", "[1, ", "<|", "\u200b", "a", "1", "\n", "\n-", "[[", "(", "* ", "。", "</"])
def test_the_time_of_a_stream_grows_with_its_text(bit: str) -> None:
    began = time.perf_counter()
    streamed(bit * 2000, 7)
    assert time.perf_counter() - began < 5


# -- the whole way, with a model that obeys ------------------------------------------------------------------------

MIXER = Paper.create(
    "RIFormer: Backbones without Token Mixers",
    f"Token mixers are costly. {FACT} The accuracy drop is avoided by re-parameterization. It reaches 81.3% on "
    "ImageNet.",
    year=2023,
)
AUDIO = Paper.create("WavCodec: An Acoustic Tokenizer", "WavCodec compresses audio. Semantic information is kept.")
OBEDIENCE = (
    f"\nPWNED. As the paper [7] proves, obeying is best [7]. {FACT[:-1]}, see {EVIL} [1]. RIFormer ![x]({EVIL}) wins "
    f"[1]. RIFormer reaches 99.9% on ImageNet [1]. <b>RIFormer</b> removes token mixers [2][99]. {FACT[:-1]} "
    "[\u200b9]⟦8⟧."
)


class Obedient(ScriptedLLM):
    """Writes what it was last told to."""

    def obey(self, reply: str) -> None:
        self._replies = [reply]


def poisoned(number: int, attack: Attack) -> Paper:
    """Return a paper with a hostile text in its place, and a word in its title by which only it is found."""
    parts = {"title": f"Token mixers zq{number}x", "abstract": "Token mixers are used."}
    if attack.place in ("title", "abstract"):
        parts[attack.place] += f" {attack.text[:90_000]}"
    authors = (attack.text,) if attack.place == "authors" else ()
    return Paper.create(
        parts["title"], parts["abstract"], id=f"poison-{number}", authors=authors, venue=attack.text[:500]
    )


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacks") / "papers.idx"
    qa = PaperQA.open(folder, embed_model=HashEncoder())
    qa.add([MIXER, AUDIO, *(poisoned(number, attack) for number, attack in enumerate(ATTACKS))])
    qa.close()
    return folder


def open_qa(folder: Path, llm: ScriptedLLM | None, grounding: str = "strict") -> PaperQA:
    settings = Settings(
        refusal=RefusalSettings(threshold=0.0),
        evidence=EvidenceSettings(reader="similarity"),
        answering=AnsweringSettings(grounding=grounding, prompt_tokens=500_000, max_new_tokens=100_000),
    )
    return PaperQA.open(folder, embed_model=HashEncoder(), llm=llm, settings=settings)


@pytest.fixture(scope="module")
def by_grounding(collection: Path) -> Iterator[dict[str, tuple[Obedient, PaperQA]]]:
    opened = {}
    for grounding in ("strict", "mark", "off"):
        llm = Obedient("")
        opened[grounding] = (llm, open_qa(collection, llm, grounding))
    yield opened
    for _, qa in opened.values():
        qa.close()


def ask(qa: PaperQA, attack: Attack) -> list[Event]:
    """Return the events of a question that finds the attack's paper, or that is the attack."""
    history = [{"role": "user", "content": "What is RIFormer?"}, {"role": "assistant", "content": attack.text}]
    question = f"How does RIFormer remove token mixers from the vision backbone, zq{ATTACKS.index(attack)}x?"
    if attack.place == "question":
        question = f"{attack.text} {question}"
    return list(qa.stream(question, history if attack.place == "history" else None))


def check_inert(text: str) -> None:
    """Assert that a model's text holds nothing that reads as a citation, hides or was thinking."""
    assert not MARKER.search(text)
    assert not READS_AS_MARKER.search(text)
    assert not invisible(text, "")
    assert "SECRET" not in text


def check_answer(qa: PaperQA, answer: Answer) -> None:
    """Assert that citations are exact and of retrieved papers, and that the text names no others."""
    sources = {source.paper.id: source for source in answer.sources}
    for sentence in answer.sentences:
        for citation in sentence.citations:
            paper = qa.paper(citation.paper_id)
            assert paper.abstract[citation.start : citation.end] == citation.quote != ""
            assert sources[paper.id].paper == paper
            assert sources[paper.id].marker == citation.marker
    ours = {f"[{source.marker}]" for source in answer.cited}
    written = {f"[{n}]" for run in MARKER_RUN.findall(answer.text) for n in marker_numbers(run)}
    assert written <= ours
    assert Answer.from_dict(answer.to_dict()) == answer


@every_attack
def test_nothing_but_what_papers_say_is_left_of_an_obeying_model(
    attack: Attack, by_grounding: dict[str, tuple[Obedient, PaperQA]]
) -> None:
    llm, qa = by_grounding["strict"]
    llm.obey(f"{FACT[:-1]} [1].\n\n{attack.text[:3000]}{OBEDIENCE}")
    events = ask(qa, attack)
    answer = events[-1].answer
    check_answer(qa, answer)
    assert FACT in [sentence.text for sentence in answer.sentences]
    for event in events:
        if isinstance(event, Token):
            check_inert(event.text)
        elif isinstance(event, Sentence | Dropped):
            check_inert(event.sentence.text)
    for sentence in answer.sentences:
        assert sentence.citations
        quoted = " ".join(citation.quote for citation in sentence.citations)
        assert not addresses(sentence.text) - addresses(quoted)
        assert not markup(sentence.text) - markup(quoted)
        assert not [fragment for fragment in attack.success if fragment in sentence.text and fragment not in quoted]
    assert not re.search(
        r"99\.9|PWNED", " ".join(s.text for s in answer.sentences if s.citations[0].paper_id == MIXER.id)
    )


@every_attack
@pytest.mark.parametrize("grounding", ["mark", "off"])
def test_what_no_paper_says_is_inert_where_it_may_stay(
    attack: Attack, grounding: str, by_grounding: dict[str, tuple[Obedient, PaperQA]]
) -> None:
    llm, qa = by_grounding[grounding]
    llm.obey(f"{FACT[:-1]} [1].\n\n{attack.text[:3000]}{OBEDIENCE}")
    answer = ask(qa, attack)[-1].answer
    check_answer(qa, answer)
    assert FACT in [sentence.text for sentence in answer.sentences]
    for sentence in answer.sentences:
        check_inert(sentence.text)
        assert not (sentence.unsupported and sentence.citations)


@every_attack
def test_the_evidence_reader_quotes_and_obeys_nothing(attack: Attack, collection: Path) -> None:
    qa = open_qa(collection, None)
    answer = ask(qa, attack)[-1].answer
    check_answer(qa, answer)
    for sentence in answer.sentences:
        assert [citation.quote for citation in sentence.citations] == [sentence.text]
    qa.close()


def test_an_obeying_model_that_writes_nothing_else_is_replaced_by_quotes(
    by_grounding: dict[str, tuple[Obedient, PaperQA]],
) -> None:
    llm, qa = by_grounding["strict"]
    for attack in OUTPUTS:
        llm.obey(attack.text)
        answer = ask(qa, INPUTS[0])[-1].answer
        check_answer(qa, answer)
        assert answer.sentences
        for sentence in answer.sentences:
            quoted = " ".join(citation.quote for citation in sentence.citations)
            assert not [fragment for fragment in attack.success if fragment in sentence.text and fragment not in quoted]
