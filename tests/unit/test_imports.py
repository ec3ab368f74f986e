"""Imports point one way (ui, eval -> rag -> index), stay light, and the public names are deliberate."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ALLOWED = {
    "index": {"index"},
    "rag": {"rag", "index"},
    "ui": {"ui", "rag", "index"},
    "eval": {"eval", "rag", "index"},
}
HEAVY = ("faiss", "gradio", "onnxruntime", "torch", "transformers")
MODULES = sorted(path.relative_to(REPOSITORY) for package in ALLOWED for path in (REPOSITORY / package).rglob("*.py"))


def imported_packages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the top-level name of each absolute import, wherever it stands in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "import_module"):
            if isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value).partition(".")[0]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_imports_upward_or_sideways(module):
    allowed = ALLOWED[module.parts[0]]
    tree = ast.parse((REPOSITORY / module).read_text(encoding="utf-8"))
    wrong = [f"line {n}: {name}" for n, name in imported_packages(tree) if name in ALLOWED and name not in allowed]
    assert not wrong


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import ui.cli", "ui"),
        ("from eval.metrics import recall", "eval"),
        ("def f():\n    from ui import cli", "ui"),
        ("importlib.import_module('ui.web')", "ui"),
    ],
)
def test_the_walk_sees_every_kind_of_import(source, name):
    assert name in {found for _, found in imported_packages(ast.parse(source))}


def test_every_folder_of_modules_is_a_package():
    folders = {(REPOSITORY / module).parent for module in MODULES}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", ["index", "rag", "rag.settings", "ui", "ui.cli", "eval", "eval.cli"])
def test_importing_a_package_loads_nothing_heavy(package):
    code = f"import sys, {package}; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_importing_rag_does_not_load_the_settings():
    code = "import sys, rag; print('pydantic_settings' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# Packages whose names are taken from the package itself; the others are namespaces, and their modules are imported.
WITH_PUBLIC_NAMES = (
    "eval",
    "index.llama_index_store",
    "index.readers",
    "index.writers",
    "rag",
    "rag.settings",
    "ui.cli",
)


@pytest.mark.parametrize("module", WITH_PUBLIC_NAMES)
def test_public_names_are_listed_sorted_and_exist(module):
    names = importlib.import_module(module).__all__
    assert names
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), name.islower(), name))
    assert [name for name in names if not hasattr(importlib.import_module(module), name)] == []


def test_a_package_that_gives_names_lists_them():
    """A package without a list must be a docstring and nothing else."""
    unlisted = []
    for path in (REPOSITORY / module for module in MODULES if module.name == "__init__.py"):
        _, *code = ast.parse(path.read_text(encoding="utf-8")).body
        package = ".".join(path.parent.relative_to(REPOSITORY).parts)
        if bool(code) != (package in WITH_PUBLIC_NAMES):
            unlisted.append(package)
    assert unlisted == []
