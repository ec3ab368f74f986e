"""The names in a question, and whether a paper mentions them: neither missed nor found by accident."""

import pytest

from index.paper import Paper
from rag.names import Name, find_names, mentions, missing_names, names_in_title


def names(question: str, known: frozenset[str] = frozenset()) -> dict[str, float]:
    rare = {"librispeech", "photosynthesis"}
    found = find_names(question, known.__contains__, lambda words: [4 if word in rare else 1 for word in words])
    return {name.text: name.weight for name in found}


def test_digits_and_capitals_make_names() -> None:
    assert names("What AO does LightTrack get on GOT-10k?") == {"AO": 0.3, "LightTrack": 1.0, "GOT-10k": 1.0}


def test_the_first_word_is_not_a_name_for_its_capital() -> None:
    assert names("Does it work? Which model wins?") == {}


def test_capitals_mean_nothing_where_all_words_have_them() -> None:
    assert names("Which Paper Removes Token Mixers From A Vision Backbone?") == {}
    assert names("WHICH PAPER REMOVES TOKEN MIXERS ON MNIST-1D?") == {"MNIST-1D": 1.0}


def test_a_rare_lower_case_word_is_a_weak_name_unless_the_collection_knows_it() -> None:
    assert names("whisper on librispeech") == {"librispeech": 0.4}
    assert names("whisper on librispeech", frozenset({"librispeech"})) == {}
    assert names("a photosynthesis-like chain") == {}


PAPER = Paper(
    id="x",
    title="FALCON: Honest-Majority Framework",
    abstract=(
        "Secure multi-party computation on the WavTokenizer at 24kHz with 1024 units, up to 2.5x faster GNNs. "
        "Text to speech grows quadratically, and an exploration of image networks by Schrödinger needs 13.2fps. "
        "It beats EfficientNetV2 in number to inner features."
    ),
    authors=("Wei Chen",),
    year=2021,
    venue="CVPR",
)


@pytest.mark.parametrize(
    "name",
    "falcon WavTokenizer wav-tokenizer MPC 1024px 24 kHz GNN GNNs 2.5x FPS".split()
    + "EfficientNet Schrodinger Chen CVPR 2021".split(),
)
def test_a_paper_mentions(name: str) -> None:
    assert mentions(PAPER, name)


@pytest.mark.parametrize(
    "name", "GOT-10k PSNR 1024k9 512 102 RNN Falconer LoRA BERT NeRF ImageNet SQuAD TTS STS SAT ATE 2.6x".split()
)
def test_a_paper_does_not_mention(name: str) -> None:
    assert not mentions(PAPER, name)


def test_missing_names_are_those_no_paper_mentions() -> None:
    other = Paper(id="y", title="A", abstract="We report PSNR.")
    wanted = [Name("PSNR", 1.0), Name("GoPro", 1.0), Name("FALCON", 1.0)]
    assert missing_names(wanted, [PAPER, other]) == [Name("GoPro", 1.0)]


@pytest.mark.parametrize(
    ("title", "question", "called"),
    [
        ("LINE: Large-scale Information Network Embedding", "What is LINE?", True),
        ("LINE: Large-scale Information Network Embedding", "How is a line found?", False),
        ("YOLOv9: Learning What You Want", "what does yolov9 propose?", True),
        ("YOLOv9: Learning What You Want", "Is YOLOv9-Tiny small?", True),
        ("Yuan 2.0-M32: Mixture of Experts", "how many experts in Yuan 2.0-M32?", True),
        ("DAGs with NO TEARS: Continuous Optimization", "What is the trick in DAGs with NO TEARS?", True),
        ("Token mixers", "What are token mixers?", False),
        ("A very long name before the colon: and more", "A very long name before the colon", False),
    ],
)
def test_a_paper_is_called_by_the_name_its_title_begins_with(title: str, question: str, called: bool) -> None:
    assert names_in_title(Paper(id="t", title=title, abstract="x"), question) is called
