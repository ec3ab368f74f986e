"""Vectors for a collection of any size in seconds: mixes of real ones. Measures nothing.

Embedding 100,000 abstracts takes hours on two cores, and the speed of the encoder is measured apart. So the large
tables are filled with unit vectors that are mixes of the vectors of two real titles (for a passage) or sentences and a
little noise, drawn from a hash of the text: the same text always has the same vector. Some hundred thousand titles are
embedded for that, in a few minutes. Mixes of a few thousand vectors would be clumps, which no graph finds its way in.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from index.computing import PassageSettings, compute, cut
from index.embedding.encoder import CPU_BULK_SIZE, Encoder, PassageText, PassageVectors, Vectors, unit
from index.paper import Paper

_MOST_OF_THE_SECOND = 0.5  # weight of the second vector, at most
_NOISE = 0.01  # standard deviation of each of its numbers
_NOISES = 4_096
_TITLES_PER_PART = 4_000
_SPREADING = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplier spreads the bits of a seed


class MixEncoder:
    """An :class:`index.embedding.encoder.Encoder` that cuts texts and embeds questions as a real one does.

    Args:
        real: The encoder whose vectors are mixed; it counts tokens and embeds questions.
        titles: Vectors of real titles, float32, shape (the more the better, dimension).
        sentences: Vectors of real sentences, float32, shape (some thousand, dimension).
        passages_per_paper: Of the papers that the sentences are from.
    """

    def __init__(self, real: Encoder, titles: Vectors, sentences: Vectors, passages_per_paper: float) -> None:
        self.passages_per_paper = passages_per_paper
        self._real, self._titles, self._sentences = real, titles, sentences
        noise = np.random.default_rng(0).standard_normal((_NOISES, real.dimension), dtype=np.float32)
        self._noise = _NOISE * noise

    @property
    def identity(self) -> dict[str, str | int]:
        """That of the real encoder, under another name."""
        return {**self._real.identity, "model_name": f"mixes of {self._real.identity['model_name']}"}

    @property
    def dimension(self) -> int:
        """As of the real encoder."""
        return self._real.dimension

    @property
    def max_tokens(self) -> int:
        """As of the real encoder."""
        return self._real.max_tokens

    @property
    def bulk_size(self) -> int:
        """As of an encoder on a CPU."""
        return CPU_BULK_SIZE

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return what the real encoder counts."""
        return self._real.count_tokens(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the real encoder's vectors."""
        return self._real.embed_queries(texts)

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return a mix for each passage and each of its sentences."""
        seeds = [_seed(passage.text) for passage in passages]
        whole = self._mixed(self._titles, seeds)
        counts = [len(passage.sentences) for passage in passages]
        of_sentences = [seed + at + 1 for seed, n in zip(seeds, counts, strict=True) for at in range(n)]
        parts = self._mixed(self._sentences, of_sentences)
        ends = np.cumsum([0, *counts])
        return [PassageVectors(whole[i], parts[ends[i] : ends[i + 1]]) for i in range(len(passages))]

    def _mixed(self, vectors: Vectors, seeds: Sequence[int]) -> Vectors:
        """Return one mix for each seed, float32, shape (len(seeds), dimension)."""
        random = np.array(seeds, dtype=np.uint64) * _SPREADING
        first, second = ((random >> np.uint64(shift)) % np.uint64(len(vectors)) for shift in (8, 36))
        share = (random >> np.uint64(48)).astype(np.float32)[:, None] / 2**16 * _MOST_OF_THE_SECOND
        noise = self._noise[(random >> np.uint64(20)) % np.uint64(_NOISES)]
        return unit((1 - share) * vectors[first] + share * vectors[second] + noise)


def title_vectors(papers: Iterable[Paper], encoder: Encoder, folder: Path) -> Vectors:
    """Embed the titles of papers, some thousand at a time; what an earlier call has kept in ``folder`` is read."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, titles = folder / "titles.npy", (paper.title for paper in papers)
    if not whole.exists():
        parts: list[Vectors] = []
        while some := list(islice(titles, _TITLES_PER_PART)):
            part = folder / f"titles-{len(parts):04}.npy"
            if not part.exists():
                _save(part, encoder.embed_queries(some))
            parts.append(np.load(part))
        _save(whole, np.concatenate(parts))
    vectors: Vectors = np.load(whole).astype(np.float32)
    return vectors


def sentence_vectors(papers: Sequence[Paper], encoder: Encoder, path: Path) -> tuple[Vectors, float]:
    """Embed papers, or read what was kept at ``path``; return their sentences' vectors and their passages per paper."""
    if not path.exists():
        settings = PassageSettings(encoder.max_tokens)
        computed = compute([(paper, cut(paper, encoder, settings)) for paper in papers], encoder)
        draft = path.with_suffix(".new.npz")
        sentences = np.concatenate([made.sentence_vectors for made in computed])
        np.savez(draft, sentences=sentences, passages=sum(len(made.passages) for made in computed) / len(computed))
        draft.replace(path)
    with np.load(path) as saved:
        return saved["sentences"].astype(np.float32), float(saved["passages"])


def _save(path: Path, vectors: Vectors) -> None:
    draft = path.with_suffix(".new.npy")
    np.save(draft, vectors.astype(np.float16))
    draft.replace(path)


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "little")
