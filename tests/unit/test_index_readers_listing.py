"""Reading paper listings: titles and abstracts told apart by their shape."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import LONG, abstract, listing, papers_and_rejects, write

from index.readers import Rejected, read_papers
from index.readers import listing as listing_format


class TestListing:
    def test_furniture_and_button_are_left_out(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p", listing("SubscribeFirst", abstract(1), "Subscribe to Second", abstract(2)))
        assert [(p.title, p.abstract) for p in read_papers(path)] == [
            ("First", abstract(1)),
            ("Subscribe to Second", abstract(2)),
        ]

    def test_without_furniture_the_shape_tells(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p", f"One\n{abstract(1)}\n\nTwo\n\n{abstract(2)}\n")
        assert [(p.title, p.abstract) for p in read_papers(path)] == [("One", abstract(1)), ("Two", abstract(2))]

    @pytest.mark.parametrize(
        ("lines", "titles", "rejects"),
        [
            (["A", abstract(1), "B"], ["A"], [(5, "abstract", "ends after")]),
            (["A", "", "B", abstract(2)], ["B"], [(3, "abstract", "line 5")]),
            (["A", "Quite a title of B", abstract(2), "C", abstract(3)], ["Quite a title of B", "C"],
             [(3, "abstract", "line 4")]),
            (["A", abstract(1), abstract(2), "C", abstract(3)], ["A", "C"], [(5, "title", "its title is missing")]),
            (["A", abstract(1), abstract(2) * 3, abstract(3) * 3, "D", abstract(4)], ["A", "D"],
             [(5, "title", "missing"), (6, "title", "missing")]),
            ([abstract(1), "B", abstract(2)], ["B"], [(3, "title", "missing")]),
            (["A", abstract(1), "A longer title of B", "C", abstract(3)], ["A", "C"], [(5, "abstract", "line 6")]),
            (["A", abstract(1), "B", "We prove B is finite.", "C", abstract(3)], ["A", "B", "C"], []),
            (["A", "\u200b", "B", abstract(2)], ["B"], [(3, "abstract", "")]),
        ],
    )  # fmt: skip
    def test_a_broken_turn_does_not_shift_what_follows(
        self, tmp_path: Path, lines: list[str], titles: list[str], rejects: list[tuple[int, str, str]]
    ) -> None:
        path = write(tmp_path / "p", listing(*lines))
        papers, found = papers_and_rejects(path)
        assert [p.title for p in papers] == titles
        assert [(r.where, r.field) for r in found] == [(f"{path}:{line}", field) for line, field, _ in rejects]
        assert all(why in reject.why for reject, (_, _, why) in zip(found, rejects, strict=True))
        assert all(paper.abstract == lines[lines.index(paper.title) + 1] for paper in papers)

    @given(st.integers(0, 19), st.integers(1, 20))
    def test_losing_any_one_line_loses_one_paper(self, tmp_path_factory: Any, lost: int, seed: int) -> None:
        lines = [line for i in range(10) for line in (f"Title {'x' * (i * seed % 37)}{i}", abstract(i))]
        whole = dict(zip(lines[::2], lines[1::2], strict=True))
        path = tmp_path_factory.mktemp("lost") / "p"
        write(path, listing(*lines[:lost], *lines[lost + 1 :]))
        papers, rejects = papers_and_rejects(path)
        assert {p.title: p.abstract for p in papers}.items() <= whole.items()
        assert len(papers) == 9
        assert len(rejects) == 1

    def test_a_line_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "p"
        lines = listing("A", abstract(1), "B", abstract(2)).replace("full", "füll", 1)
        path.write_bytes(lines.encode("latin-1"))
        papers, rejects = papers_and_rejects(path)
        assert [p.title for p in papers] == ["B"]
        assert rejects == [Rejected(f"{path}:4", "abstract", "the line is not UTF-8")]

    @pytest.mark.parametrize(
        "text",
        [
            "@article{key,\n  title = {A title},\n  abstract = {" + LONG * 4 + "},\n}\n" * 3,
            "TY  - JOUR\nTI  - A title\nAB  - " + LONG + "\nER  - \n" * 3,
            "id,title,abstract\n" + f'1,A title,"{LONG}"\n' * 4,
            "# Heading\n" + LONG + "\n# Other\n" + LONG,
            "<feed>\n<entry>" + LONG + "</entry>\n</feed>\n",
            "just a note\nand another\n",
            f"{LONG}\n{LONG}\n{LONG}\n",
        ],
    )
    def test_other_text_is_not_taken_for_a_listing(self, text: str) -> None:
        assert not listing_format.sniff(text)
