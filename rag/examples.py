"""Questions a collection can be asked, for a first page. Asks none of them."""

from collections.abc import Sequence

from index.paper import Paper

# Questions on the bundled papers, each with the beginning of the title it needs.
_BUNDLED = (
    ("RIFormer", "Which paper removes token mixers from a vision backbone, and how does it avoid the accuracy drop?"),
    ("Efficient Image Super-Resolution Using Pixel Attention", "papers on image super-resolution"),
    ("AVESFormer", "AVESFormer vs PMCANet for audio-visual segmentation: what does each do to reduce compute?"),
    ("WavTokenizer", "How many tokens does WavTokenizer need for one second of 24 kHz audio?"),
)


def example_questions(papers: Sequence[Paper], n: int = 4) -> list[str]:
    """Return up to ``n`` questions that ``papers`` answer; the same papers give the same questions."""
    titles = [paper.title for paper in papers]
    questions = [q for start, q in _BUNDLED if any(title.startswith(start) for title in titles)]
    named = [paper for paper in papers if paper.short_title != paper.title and len(paper.short_title.split()) <= 2]
    questions += [f"What does {paper.short_title} propose?" for paper in named]
    questions += [
        f"What is known about {paper.title.rstrip('.?!').lower()}?" for paper in papers if len(paper.title) < 80
    ]
    return questions[:n]
