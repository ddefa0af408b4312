"""The command line: several experts in one option, rooms that are not installed, one line for bad input."""

import importlib.util

import numpy as np
import pytest
from typer.testing import CliRunner

from ddfm_theory.cli import ROOMS, app, main, spread, write

RUNNER = CliRunner()


def test_experts_may_follow_one_option():
    assert spread(["check", "--experts", "a", "b", "--dense", "c"]) == [
        "check", "--experts", "a", "--experts", "b", "--dense", "c"]  # fmt: skip
    assert spread(["score", "--benchmark", "vqa", "one", "two"]) == ["score", "--benchmark", "vqa", "one", "two"]
    assert spread(["check", "--experts", "a", "--experts", "b"]) == ["check", "--experts", "a", "--experts", "b"]


ARGUMENTS = {
    "partition": ["partition", "x.npy", "--clusters", "2"],
    "check": ["check", "--experts", "a", "--data", "d"],
    "generate": ["generate", "--experts", "a", "--prompt", "p"],
    "score": ["score", "--benchmark", "vqa", "r.json"],
    "prove": ["prove"],
    "figures": ["figures"],
    "train": ["train", "--partition", "p", "--start", "s", "--out", "o"],
}


@pytest.mark.parametrize("command", ROOMS)
def test_a_room_that_is_not_installed_says_so(command, monkeypatch):
    module = ROOMS[command][0]
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == module else find(name))
    done = RUNNER.invoke(app, ARGUMENTS[command])
    assert done.exit_code == 2
    assert f"{module} is not installed" in done.stderr


def test_partition(tmp_path):
    path = tmp_path / "features.npy"
    np.save(path, np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32))
    done = RUNNER.invoke(app, ["partition", str(path), "--clusters", "3", "--out", str(tmp_path / "found")])
    assert done.exit_code == 0
    assert "sizes [30, 30, 30]" in done.stdout
    assert "rows differ" in done.stdout
    assert (tmp_path / "found").is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clusters", "0"], "n_clusters must be"),
        (["--clusters", "91"], "n_clusters must be"),
        (["--clusters", "2", "--method", "guess"], "method must be one of"),
        (["--clusters", "2", "--targets", "features.npy"], "targets must not be given for method balanced"),
        (["--clusters", "2", "--out", "features.npy"], "out must be a folder, features.npy was a file"),
    ],
)
def test_partition_refuses(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("features.npy", np.ones((90, 6), dtype=np.float32))
    done = RUNNER.invoke(app, ["partition", "features.npy", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "--seed", "a"], "ddfm verify: Invalid value for '--seed'"),
        (["verify", "--nope"], "No such option"),
        (["verify", "--claim"], "requires an argument"),
        (["verify", "x"], "unexpected extra argument"),
        (["verify", "--data", "3"], "data must be"),
        (["verif"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_parser_refuses_is_one_line_and_exit_2(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ddfm", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert words in said.err
    assert len((said.out + said.err).strip().splitlines()) == 1


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2)])
def test_help_is_whole(arguments, code, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ddfm", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == code
    assert "verify" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [["verify", "--json"], ["verify", "--latex"], ["verify", "--markdown"], ["prove", "--latex"]],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(arguments, tmp_path, monkeypatch):
    for work in ("ddfm_theory.ledger.verify", "proofs.__main__.main"):
        monkeypatch.setattr(work, lambda *given, **more: pytest.fail("it ran"))
    done = RUNNER.invoke(app, [*arguments, str(tmp_path / "no" / "out")])
    assert (done.exit_code, "in a folder that exists" in done.stderr) == (2, True)


@pytest.mark.parametrize("text", [None, "no markers"])
def test_a_ledger_is_written_between_markers_that_are_there(text, tmp_path, monkeypatch):
    monkeypatch.setattr("ddfm_theory.ledger.verify", lambda **given: pytest.fail("it ran"))
    path = tmp_path / "page.md"
    if text is not None:
        path.write_text(text)
    done = RUNNER.invoke(app, ["verify", "--markdown", str(path)])
    assert (done.exit_code, "markdown must" in done.stderr) == (2, True)


def test_writing_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.json"
    write(path, "one")
    write(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]
    with pytest.raises(ValueError, match="in a folder that exists"):
        write(tmp_path / "no" / "out.json", "three")
