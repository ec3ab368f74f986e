"""The bundled collection: what it holds, and that it is what the reader makes of the listing."""

from pathlib import Path

import pytest

from index.bundled import BUNDLED_PATH, bundle, bundled_papers
from index.errors import CorpusError
from index.readers import read_papers

LISTING = Path(__file__).parents[3] / "shared" / "data" / "000_a6df42966278ca45.txt"


def test_what_it_holds() -> None:
    papers = list(bundled_papers())
    assert len(papers) == 254
    assert len({paper.title for paper in papers}) == 254
    assert len({paper.id for paper in papers}) == 254
    assert papers[0].title == "RIFormer: Keep Your Vision Backbone Effective While Removing Token Mixer"
    assert papers[0].abstract.startswith("This paper studies how to keep a vision backbone effective while removing")
    assert papers[0].abstract.endswith("https://techmonsterwang.github.io/RIFormer/.")
    assert not any(paper.title.startswith("Subscribe") for paper in papers)


def test_no_listing_residue_is_left() -> None:
    text = "\n".join(f"{paper.title}\n{paper.abstract}" for paper in bundled_papers())
    for residue in ("2times", "sim2-4", "geq", "ktimes", "\\%", "{\\", "``", "trending papers", "text{"):
        assert residue not in text
    assert "up to 2× inference speed-up" in text


@pytest.mark.skipif(not LISTING.exists(), reason="the listing is not beside the repository")
def test_it_is_what_the_reader_makes_of_the_listing() -> None:
    assert list(read_papers(LISTING)) == list(bundled_papers())
    assert "".join(bundle(LISTING)) == BUNDLED_PATH.read_text(encoding="utf-8")


def test_a_damaged_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "papers.jsonl"
    damaged.write_text(BUNDLED_PATH.read_text(encoding="utf-8")[:5000], encoding="utf-8")
    monkeypatch.setattr("index.bundled.BUNDLED_PATH", damaged)
    with pytest.raises(CorpusError, match="Install Citewell again"):
        list(bundled_papers())
