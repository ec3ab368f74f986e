"""The shipped reader: ONNX Runtime and numpy against the torch network with the same weights."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from index.embedding.encoder import unit
from index.embedding.minilm import MiniLMEncoder
from index.errors import ModelLoadError
from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from index.terms import document_terms, question_terms
from rag.evidence.features import abstract_features, sentence_features
from rag.evidence.trained import WEIGHTS, TrainedReader, load_weights
from rag.evidence.training.batches import collate, read
from rag.evidence.training.network import ReaderNetwork
from rag.evidence.training.prepare import Inputs
from rag.evidence.training.weights import load_trunk
from rag.retrieval import Query

pytestmark = pytest.mark.skipif(not WEIGHTS.exists(), reason="there are no weights of the reader")

SHORT = (
    "Dropout is a common regulariser of neural networks. We study it on graphs, where nodes depend on each other. "
    "Dropping edges improves accuracy by 2.5 points on Cora, but not on ImageNet. The code is available."
)
LONG = " ".join(
    f"In experiment {n} we train a graph network with {n} layers on benchmark {n}, and see that dropout of {n} percent "
    "of the edges neither helps nor hurts the accuracy of the nodes that it is measured on."
    for n in range(2, 26)
)
QUESTION = "By how much does dropping edges improve accuracy?"


def stored(title: str, abstract: str, seed: int) -> StoredPaper:
    spans = tuple(sentence_spans(abstract))
    draw = np.random.default_rng(seed)
    vectors = unit(draw.standard_normal((len(spans), 384)).astype(np.float32))
    paper = Paper(f"test:{seed}", title, abstract)
    return StoredPaper(paper, spans, vectors, vectors[:1], frozenset(document_terms(f"{title}\n{abstract}")))


def asked(text: str) -> Query:
    vector = unit(np.random.default_rng(7).standard_normal(384).astype(np.float32))
    terms = tuple(question_terms(text))
    return Query(text, vector, terms, {term: 1.0 + at for at, term in enumerate(terms)})


@pytest.fixture(scope="module")
def reader(cache_dir):
    return TrainedReader(cache_dir, threads=1)


@pytest.fixture(scope="module")
def network():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    loaded = ReaderNetwork(load_trunk("cpu"))
    stored_weights = {name: torch.from_numpy(array).float() for name, array in load_file(WEIGHTS).items()}
    lacking, unknown = loaded.load_state_dict(stored_weights, strict=False)
    assert lacking == ["trunk.embeddings.word_embeddings.weight"]
    assert not unknown
    yield loaded.eval()
    torch.set_num_threads(before)


def by_torch(network, reader, query, paper, start, stop):
    title = paper.paper.title
    sentences = [paper.paper.abstract[a:b] for a, b in paper.sentences[start:stop]]
    rows = sentence_features(
        query.text, query.weights, paper.sentence_vectors[start:stop] @ query.vector, title, sentences
    )
    whole = abstract_features(query.weights, rows, title, sentences)
    batch = collate([Inputs(reader._layout.row(query.text, title, sentences), rows, whole)])
    with torch.no_grad():
        return read(network, batch, bfloat16=False)


def test_short_abstracts_equal_torch_alone_and_together(reader, network):
    papers = [stored("Dropout on graphs", SHORT, 1), stored("", "One sentence only, about 12 stars.", 2)]
    readings = reader.judge(asked(QUESTION), papers)
    for paper, reading in zip(papers, readings, strict=True):
        (alone,) = reader.judge(asked(QUESTION), [paper])
        expected = by_torch(network, reader, asked(QUESTION), paper, 0, len(paper.sentences))
        for found in (reading, alone):
            assert found.evidence == pytest.approx(expected.sentence[0, :, 0].numpy(), abs=1e-3)
            assert found.support == pytest.approx(expected.sentence[0, :, 1].numpy(), abs=1e-3)
            wholes = [found.answerable, found.supported, found.relevant]
            assert wholes == pytest.approx(expected.abstract[0].tolist(), abs=1e-3)


def test_a_long_abstract_is_read_in_windows(reader, network):
    paper, query = stored("Dropout on graphs", LONG, 3), asked(QUESTION)
    sentences = [LONG[start:end] for start, end in paper.sentences]
    windows = reader._layout.windows(QUESTION, paper.paper.title, sentences)
    assert len(windows) > 1
    (reading,) = reader.judge(query, [paper])
    parts = [by_torch(network, reader, query, paper, start, stop) for start, stop in windows]
    evidence = torch.cat([part.sentence[0, :, 0] for part in parts]).numpy()
    assert len(evidence) == len(sentences)
    assert reading.evidence == pytest.approx(evidence, abs=1e-3)
    best = torch.stack([part.abstract[0] for part in parts]).amax(dim=0)
    assert [reading.answerable, reading.supported, reading.relevant] == pytest.approx(best.tolist(), abs=1e-3)


def test_the_sentence_that_answers_comes_first(reader, cache_dir):
    encoder = MiniLMEncoder(cache_dir, threads=1)
    paper = stored("Dropout on graphs", SHORT, 1)
    vectors = encoder.embed_queries([SHORT[start:end] for start, end in paper.sentences])
    paper = StoredPaper(paper.paper, paper.sentences, vectors, vectors[:1], paper.terms)
    terms = tuple(question_terms(QUESTION))
    query = Query(QUESTION, encoder.embed_queries([QUESTION])[0], terms, dict.fromkeys(terms, 3.0))
    (reading,) = reader.judge(query, [paper])
    assert int(np.argmax(reading.evidence)) == 2


def test_nothing_asked_of_nothing(reader):
    assert reader.judge(asked(QUESTION), []) == []


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_missing_or_damaged_weights_are_told(tmp_path, content):
    path = tmp_path / "reader.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelLoadError, match="CITEWELL_EVIDENCE__READER=similarity"):
        load_weights(path)
    with pytest.raises(ModelLoadError, match=r"reader\.safetensors"):
        TrainedReader(tmp_path, weights=path)
