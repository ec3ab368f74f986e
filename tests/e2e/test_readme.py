"""The README does what it says."""

import re
import subprocess
import sys
from pathlib import Path

from rag.settings import Settings, describe

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", README, flags=re.S).group(1)
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == re.findall(r"^print\(.*#\s(.*)$", code, flags=re.M)


def test_every_setting_is_listed_and_no_other() -> None:
    listed = re.findall(r"`((?:index|retrieval|evidence|answering|refusal|ui)\.\w+)`", README)
    assert sorted(listed) == sorted(row.name for row in describe(Settings()))
