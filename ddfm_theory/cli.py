"""The command ``ddfm``: fill the ledger, and whatever other rooms are installed."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Check decentralized autoregressive generation.")

HOLDS, DOES_NOT, BAD_INPUT = 0, 1, 2


@app.callback()
def root() -> None:
    """Check decentralized autoregressive generation."""


@app.command()
def verify(
    profile: Annotated[str, typer.Option(help="quick, default or exhaustive")] = "default",
    claim: Annotated[list[str] | None, typer.Option(help="a row, such as C08; may be given several times")] = None,
    data: Annotated[str | None, typer.Option(help="digits, or a .npy or .npz file of integer tokens")] = None,
    seed: Annotated[int, typer.Option(help="the seed of every draw")] = 0,
    json: Annotated[Path | None, typer.Option(help="write the evidence here")] = None,
    latex: Annotated[Path | None, typer.Option(help="write the table for a paper's appendix here")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write the table into this file, between its markers")] = None,
    controls: Annotated[bool, typer.Option("--controls", help="print each control's witness")] = False,
) -> None:
    """Fill the ledger of statements C01-C22 with evidence. Exit 0: it stands; 1: it does not; 2: bad input."""
    from rich.console import Console

    from ddfm_theory.ledger import report as reports
    from ddfm_theory.ledger import verify as run

    console, stderr = Console(width=None if sys.stdout.isatty() else 132), Console(stderr=True)
    try:
        with stderr.status("starting") as status:
            say = status.update if stderr.is_terminal else (lambda words: None)
            result = run(profile=profile, claims=claim, data=data, seed=seed, progress=say)
        _write(json, result.to_json() if json else "")
        _write(latex, reports.latex(result) if latex else "")
        _write(markdown, _between_markers(markdown, reports.markdown(result)) if markdown else "")
    except (ValueError, OSError) as error:
        typer.echo(f"ddfm verify: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    console.print(reports.table(result))
    for line in reports.summary(result) + (reports.control_lines(result) if controls else []):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(HOLDS if result.ok else DOES_NOT)


def _between_markers(path: Path, table: str) -> str:
    """Return the file's text with the table between its ledger markers."""
    start, end = "<!-- ledger -->", "<!-- /ledger -->"
    text = path.read_text()
    if start not in text or end not in text:
        raise ValueError(f"markdown must hold the markers {start} and {end}, {path} does not")
    return text[: text.index(start) + len(start)] + "\n" + table + text[text.index(end) :]


def _write(path: Path | None, text: str) -> None:
    """Write atomically: a whole file or none."""
    if path is None:
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.chmod(name, 0o644)
    os.replace(name, path)


def main() -> None:
    """Run the command; a room that is not installed says so."""
    for name, room in {"partition": "ddfm_theory.partition", "check": "ddfm_theory.bridge", "prove": "proofs"}.items():
        if sys.argv[1:2] == [name] and importlib.util.find_spec(room) is None:
            typer.echo(f"ddfm {name}: the room {room} is not installed", err=True)
            raise SystemExit(BAD_INPUT)
    app()


if __name__ == "__main__":
    main()
