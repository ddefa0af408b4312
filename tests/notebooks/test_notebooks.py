"""Notebooks are prose and calls, are in step with their texts, hold no outputs, and run."""

import ast
import re

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from notebooks.__main__ import HERE, main, pairs

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def code_of(text):
    return [cell.source for cell in jupytext.read(text, fmt="md:myst").cells if cell.cell_type == "code"]


def definitions(source):
    """Name what a cell defines of its own: functions, classes, lambdas."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    return [type(node).__name__ for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


@pytest.mark.parametrize("text", pairs(), ids=lambda text: text.stem)
def test_prose_and_calls(text):
    assert [found for source in code_of(text) for found in definitions(source)] == []


@pytest.mark.parametrize("source", ["def f(): pass", "f = lambda x: x", "class A: pass", "list(map(lambda x: x, []))"])
def test_a_definition_is_seen(source):
    assert len(definitions(source)) == 1


def test_pairs_are_in_step():
    assert main(["--check"]) == 0


def test_a_pair_out_of_step_is_seen(tmp_path, monkeypatch, capsys):
    (tmp_path / "01_a.md").write_text((HERE / "01_paths_and_velocities.md").read_text())
    monkeypatch.setattr("notebooks.__main__.HERE", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert "out of date" in capsys.readouterr().err


@pytest.mark.parametrize("text", pairs(), ids=lambda text: text.stem)
def test_no_outputs_are_kept(text):
    book = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code
    assert [cell for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize("page", [*pairs(), HERE / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    targets = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert targets
    assert [link for link in targets if not (page.parent / link).exists()] == []


@pytest.mark.xdist_group("notebooks")  # one after the other, so that no two kernels take the same port
@pytest.mark.parametrize("text", pairs(), ids=lambda text: text.stem)
def test_runs(text, monkeypatch):
    monkeypatch.setenv("DDFM_FAST", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    book = nbformat.reads(text.with_suffix(".ipynb").read_text(), as_version=4)
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(HERE)}}).execute()
    shown = [output.get("data", {}) for cell in book.cells for output in cell.get("outputs", [])]
    assert any("text/html" in data for data in shown)  # tables show themselves
    assert [data for data in shown if list(data) == ["text/plain"] and " object at 0x" in data["text/plain"]] == []
