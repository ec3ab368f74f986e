"""The trained evidence reader: one pass over question, title and sentences. Its weights come with the package.

The trunk is the bundled encoder's network, trained further; the word table is the encoder's own and is not stored
twice. ONNX Runtime runs it, without torch. ``rag/evidence/data/MODEL_CARD.md`` says what it was trained on.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from index.digest import file_sha256
from index.embedding.encoder import Vectors
from index.embedding.minilm import SAFETENSORS_SHA256, bundled_folder
from index.embedding.onnx_graph import build_bert_graph, cached_graph, checked_weights, read_config
from index.embedding.onnx_model import OnnxModel
from index.errors import ModelLoadError
from index.rows import StoredPaper

from ..retrieval import Query
from .features import abstract_features, sentence_features
from .heads import Heads, Weights
from .inputs import InputLayout
from .reader import Reading

WEIGHTS = Path(__file__).parent / "data" / "reader.safetensors"
WORD_TABLE = "embeddings.word_embeddings.weight"
# Mean, and spread within a paper, of the cosines of questions and sentences: the bundled encoder on AbstractQA.
MEAN_COSINE, SPREAD_COSINE = 0.31, 0.06
_HEADS, _TRUNK = "heads.", "trunk."


class TrainedReader:
    """An :class:`~rag.evidence.reader.EvidenceReader` with the weights of the package.

    Args:
        cache_dir: Where the ONNX graph is kept; it is written there the first time (90 MB, about a second).
        threads: Cores to use; 0 takes all.
        weights: A file of weights.
        familiar: Whether the collection's vectors are the bundled encoder's, with whose similarities it was trained.
            Those of another model are brought to the mean and spread of these, paper by paper.

    Raises:
        ModelLoadError: If the weights or the bundled encoder are missing or damaged.
    """

    def __init__(self, cache_dir: Path, threads: int = 0, weights: Path = WEIGHTS, *, familiar: bool = True) -> None:
        from tokenizers import Tokenizer

        bundled = bundled_folder()
        stored = load_weights(weights)
        self._familiar = familiar
        self._heads = Heads(_with_prefix(stored, _HEADS))

        def build() -> bytes:
            from safetensors.numpy import load_file

            words = load_file(checked_weights(bundled, SAFETENSORS_SHA256))[WORD_TABLE]
            return build_bert_graph({**_with_prefix(stored, _TRUNK), WORD_TABLE: words}, read_config(bundled))

        self._model = OnnxModel(cached_graph(f"citewell-reader-{file_sha256(weights)[:12]}", build, cache_dir), threads)
        tokenizer = Tokenizer.from_file(str(bundled / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._layout = InputLayout(tokenizer)

    def judge(self, query: Query, papers: Sequence[StoredPaper]) -> list[Reading]:
        """Return what it makes of a question or claim and each paper, in the order given.

        An abstract that does not fit one pass (512 tokens) is read in several, and has the highest score of any.
        """
        texts = [[paper.paper.abstract[start:end] for start, end in paper.sentences] for paper in papers]
        windows = [
            (at, start, stop)
            for at, paper in enumerate(papers)
            for start, stop in self._layout.windows(query.text, paper.paper.title, texts[at])
        ]
        rows = [
            self._layout.row(query.text, papers[at].paper.title, texts[at][start:stop]) for at, start, stop in windows
        ]
        readings: list[list[Reading]] = [[] for _ in papers]
        for (at, start, stop), means in zip(windows, self._model.means(rows), strict=True):
            title, sentences = papers[at].paper.title, texts[at][start:stop]
            similarity = self._similarity(papers[at], query)[start:stop]
            features = sentence_features(query.text, query.weights, similarity, title, sentences)
            whole = abstract_features(query.weights, features, title, sentences)
            readings[at].append(self._heads.read(means, features, whole))
        return [_joined(parts) for parts in readings]

    def _similarity(self, paper: StoredPaper, query: Query) -> Vectors:
        similarity = paper.sentence_vectors @ query.vector
        if self._familiar:
            return similarity
        spread = np.maximum(similarity.std(), 1e-6)
        return np.asarray(MEAN_COSINE + SPREAD_COSINE * (similarity - similarity.mean()) / spread, dtype=np.float32)


def load_weights(path: Path) -> Weights:
    """Return the tensors of a file of weights, as float32.

    Raises:
        ModelLoadError: If the file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: tensor.astype(np.float32) for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as exc:
        raise ModelLoadError(
            f"The evidence reader's weights in {path} cannot be read: {exc}. Install Citewell again, or do without the "
            "reader: CITEWELL_EVIDENCE__READER=similarity"
        ) from exc


def _with_prefix(weights: Weights, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _joined(parts: Sequence[Reading]) -> Reading:
    if len(parts) == 1:
        return parts[0]
    return Reading(
        evidence=np.concatenate([part.evidence for part in parts]),
        support=np.concatenate([part.support for part in parts]),
        answerable=max(part.answerable for part in parts),
        supported=max(part.supported for part in parts),
        relevant=max(part.relevant for part in parts),
    )
