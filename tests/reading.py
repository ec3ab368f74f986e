"""What tests of the readers share: files to read, and their records sorted out."""

import json
from pathlib import Path
from typing import Any

from index.paper import Paper
from index.readers import Rejected, read_papers

LONG = "This abstract is a full sentence with more than a dozen words, as abstracts of papers are. It has two of them."
FURNITURE = "Get trending papers in your email inbox once a day!\nGet trending papers in your email inbox!\n"


def papers_and_rejects(path: Path) -> tuple[list[Paper], list[Rejected]]:
    records = list(read_papers(path))
    return [r for r in records if isinstance(r, Paper)], [r for r in records if isinstance(r, Rejected)]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def jsonl(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def abstract(i: int) -> str:
    return f"{LONG} Its number is {i}."


def listing(*lines: str) -> str:
    return FURNITURE + "\n".join(lines) + "\n"
