"""The command ``ddfm``: fill the ledger, prove, draw, part data into experts, check and run checkpoints, score answers.

Each command imports its room when it is called; a room that is not installed says so. Bad input is one line and exit 2.
"""

from __future__ import annotations

import importlib.util
import json as as_json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ddfm_theory.files import write_whole

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Check decentralized autoregressive generation.")

HOLDS, DOES_NOT, BAD_INPUT = 0, 1, 2
ROOMS = {
    "partition": ("ddfm_theory.partition", "ortools", "partition"),
    "check": ("ddfm_theory.bridge", "transformers", "bridge"),
    "generate": ("ddfm_theory.bridge", "transformers", "bridge"),
    "score": ("ddfm_theory.bridge", None, "bridge"),
    "train": ("toy_models", "transformers", "a checkout and the extra bridge"),
    "prove": ("proofs", None, "a checkout"),
    "figures": ("paper_figures", "tueplots", "a checkout and the extra figures"),
}

Experts = Annotated[list[Path], typer.Option(help="an ensemble's folder, or one checkpoint folder an expert")]
Router = Annotated[
    Path | None,
    typer.Option(help="a router's, partition's or the paper's folder, or filter, last-token, fixed; none: filter"),
]
Gate = Annotated[int | None, typer.Option(help="how many experts are kept at a step")]
Encoder = Annotated[Path | None, typer.Option(help="a CLIP checkpoint whose image embedding the router looks at")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or float64")]
Device = Annotated[str, typer.Option(help="cpu or cuda")]


@app.callback()
def root() -> None:
    """Check decentralized autoregressive generation."""


@contextmanager
def refusing(command: str) -> Iterator[None]:
    """Turn what bad input raises into one line and exit 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(f"ddfm {command}: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(BAD_INPUT) from None


def room(command: str) -> None:
    """Refuse a command whose room, or what it stands on, is not installed."""
    module, needs, extra = ROOMS[command]
    for name in (module, needs):
        if name is not None and importlib.util.find_spec(name) is None:
            typer.echo(f"ddfm {command}: {name} is not installed; this command needs {extra}", err=True)
            raise typer.Exit(BAD_INPUT)


def quietly() -> None:
    """Keep what is no terminal free of other libraries' progress bars."""
    from ddfm_theory.bridge.extras import quiet

    quiet()


def progress(words: str) -> None:
    """Show what goes on, on a terminal only."""
    if sys.stderr.isatty():
        typer.echo(f"\r\033[K{words}", err=True, nl=False)


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
    notes: Annotated[bool, typer.Option("--notes", help="name each row's derivations and theorems")] = False,
) -> None:
    """Fill the ledger of statements C01-C22 with evidence. Exit 0: it stands; 1: it does not; 2: bad input."""
    from rich.console import Console

    from ddfm_theory.ledger import report as reports
    from ddfm_theory.ledger import verify as run

    with refusing("verify"):
        for path in (json, latex, markdown):
            writable(path)  # before it runs: a slip in a name would cost the evidence
        _between_markers(markdown, "")
        result = run(profile=profile, claims=claim, data=data, seed=seed, progress=progress)
        write(json, result.to_json() if json else "")
        write(latex, reports.latex(result) if latex else "")
        write(markdown, _between_markers(markdown, reports.markdown(result)))
    progress("")
    console = Console(width=None if sys.stdout.isatty() else 132)
    console.print(reports.table(result))
    more = (reports.control_lines(result) if controls else []) + (reports.note_lines(result) if notes else [])
    for line in reports.summary(result) + more:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(HOLDS if result.ok else DOES_NOT)


@app.command()
def prove(
    claim: Annotated[list[str] | None, typer.Option(help="a row, such as C08; may be given several times")] = None,
    latex: Annotated[Path | None, typer.Option(help="write the derivations as an appendix here")] = None,
) -> None:
    """Print the derivations, each step checked. Exit 0: every step checks; 1: one does not; 2: bad input."""
    room("prove")
    from proofs.__main__ import main as run

    arguments = [part for name in claim or [] for part in ("--claim", name)]
    with refusing("prove"):
        writable(latex)
        raise typer.Exit(run([*arguments, *(["--latex", str(latex)] if latex else [])]))


@app.command()
def figures(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="figures and tables; none: all")
    ] = None,
    venue: Annotated[str, typer.Option(help="icml, neurips, ...: widths and type sizes")] = "icml",
    format: Annotated[str, typer.Option(help="pdf, svg, pgf or png")] = "pdf",  # noqa: A002
    out: Annotated[Path | None, typer.Option(help="the folder; by default that of paper_figures")] = None,
) -> None:
    """Build the paper's figures, captions and tables from their data, equal data giving equal bytes."""
    room("figures")
    from paper_figures.build import OUT, build

    with refusing("figures"):
        written = build(names or (), venue, format, out or OUT, say=progress)
    progress("")
    for path in written:
        typer.echo(str(path))


@app.command()
def partition(
    features: Annotated[Path, typer.Argument(help="a .npy file of shape (n, D); it may be larger than memory")],
    clusters: Annotated[int, typer.Option(help="the number of experts K")],
    out: Annotated[Path | None, typer.Option(help="write the partition to this folder")] = None,
    method: Annotated[str, typer.Option(help="balanced, spherical, two-stage, euclidean, ...")] = "balanced",
    seed: Annotated[int, typer.Option(help="the seed")] = 0,
    weights: Annotated[Path | None, typer.Option(help="a .npy file of weights, such as tokens a row")] = None,
    targets: Annotated[Path | None, typer.Option(help="a .npy file of labels, for the method label")] = None,
) -> None:
    """Part the rows of a feature file into experts, and say how far each routing rule departs from the labels."""
    room("partition")
    from ddfm_theory.partition import load_npy, partition_file

    with refusing("partition"):
        if out and out.exists() and not out.is_dir():
            raise ValueError(f"out must be a folder, {out} was a file")
        options = {name: load_npy(path, name) for name, path in (("weights", weights), ("targets", targets)) if path}
        say = lambda stage, done, rows: progress(f"{stage}: {done:,} of {rows:,} rows")  # noqa: E731
        found = partition_file(features, clusters, seed, method=method, progress=say, **options)
        progress("")
        rows = load_npy(features, mapped=True)
        mismatches = [found.mismatch(rows, rule=rule) for rule in found.rules]
        if out:
            found.save(out)
    typer.echo(f"{method}: sizes {found.sizes.tolist()}, objective {found.objective:.6g}")
    for mismatch in mismatches:
        typer.echo(str(mismatch))


@app.command()
def train(
    partition: Annotated[Path, typer.Option(help="a folder of shards shard_0, shard_1, ...")],
    start: Annotated[Path, typer.Option(help="the checkpoint to start from, all that experts share")],
    out: Annotated[Path, typer.Option(help="the folder to write; if the same training wrote it, nothing is done")],
    shard: Annotated[int | None, typer.Option(help="the expert's shard; none: the dense model, on all of them")] = None,
    steps: Annotated[int, typer.Option(help="optimizer steps; an expert of K takes a K-th of the dense ones")] = 100,
    batch: Annotated[int, typer.Option(help="rows a step")] = 32,
    rate: Annotated[float, typer.Option(help="the highest learning rate")] = 1e-3,
    seed: Annotated[int, typer.Option(help="of the rows' order")] = 0,
    save_every: Annotated[int, typer.Option(help="steps between states that a killed run goes on from")] = 100,
    freeze_tower: Annotated[bool, typer.Option("--freeze-tower", help="train projector and language model")] = False,
    device: Device = "cpu",
) -> None:
    """Train one expert on its shard, or the dense model; called again after a kill, it goes on to the same bytes."""
    room("train")
    quietly()
    from toy_models.multimodal.training import Settings, train_shard

    with refusing("train"):
        settings = Settings(steps, batch, rate, seed=seed, save_every=save_every, frozen=freeze_tower)
        done = train_shard(partition, shard, start, out, settings, device=device, say=progress)
    progress("")
    typer.echo(str(done))


@app.command()
def check(
    experts: Experts,
    data: Annotated[Path, typer.Option(help="JSON lines with id, prompt, answer and perhaps image")],
    dense: Annotated[Path | None, typer.Option(help="the dense checkpoint to compare with")] = None,
    router: Router = None,
    gate: Gate = None,
    encoder: Encoder = None,
    out: Annotated[Path | None, typer.Option(help="JSON lines; an interrupted run goes on from them")] = None,
    dtype: Dtype = "float32",
    device: Device = "cpu",
) -> None:
    """Check an ensemble of checkpoints, and measure its distance to a dense one. Exit 1: a check fails."""
    room("check")
    quietly()
    from ddfm_theory.bridge.commands import check_checkpoints

    with refusing("check"):
        found = check_checkpoints(
            experts, data, dense=dense, router=router, gate=gate, encoder=encoder, out=out, say=progress,
            dtype=dtype, device=device,
        )  # fmt: skip
    progress("")
    for record in found.records:
        numbers = f"residual {record.residual:.3e} bound {record.bound:.3e}"
        typer.echo(f"{record.claim} {record.name}: {record.outcome}, {numbers}, {record.where}")
    for group, measures in found.distance.items():
        for name, value in measures.items():
            typer.echo(f"{group} {name}: {value['mean']:.6g} [{value['low']:.6g}, {value['high']:.6g}] n={value['n']}")
    for router_name, numbers_of in found.calibration.items():
        typer.echo(f"{router_name}: " + ", ".join(f"{name} {value:.6g}" for name, value in numbers_of.items()))
    raise typer.Exit(HOLDS if found.ok else DOES_NOT)


@app.command()
def generate(
    experts: Experts,
    prompt: Annotated[list[str], typer.Option(help="a text; may be given several times")],
    router: Router = None,
    gate: Gate = None,
    image: Annotated[list[Path] | None, typer.Option(help="one a prompt")] = None,
    encoder: Encoder = None,
    chat: Annotated[bool, typer.Option("--chat", help="use the tokenizer's chat template")] = False,
    max_new_tokens: Annotated[int, typer.Option(help="the most tokens")] = 32,
    greedy: Annotated[bool, typer.Option("--greedy", help="the most likely token at each step")] = False,
    temperature: Annotated[float, typer.Option(help="of the mixture, after mixing")] = 1.0,
    top_p: Annotated[float, typer.Option(help="nucleus of the mixture, after mixing")] = 1.0,
    route: Annotated[str, typer.Option(help="mix at each step, or once")] = "mix",
    skip_below: Annotated[float, typer.Option(help="the expert mass that may be left unread at a step")] = 0.0,
    seed: Annotated[int, typer.Option(help="the seed of every draw")] = 0,
    dtype: Dtype = "float32",
    device: Device = "cpu",
) -> None:
    """Generate from an ensemble of checkpoints: one line of JSON a prompt."""
    room("generate")
    quietly()
    from ddfm_theory.bridge.commands import generate_text

    with refusing("generate"):
        rows = generate_text(
            experts, prompt, router=router, gate=gate, images=image, encoder=encoder, chat=chat,
            load={"dtype": dtype, "device": device}, max_new_tokens=max_new_tokens, greedy=greedy,
            temperature=temperature, top_p=top_p, route=route, skip_below=skip_below, seed=seed,
        )  # fmt: skip
    for row in rows:
        typer.echo(as_json.dumps(row))


@app.command()
def score(
    benchmark: Annotated[str, typer.Option(help="vqa, mme, refcoco, anls or exact")],
    results: Annotated[list[Path], typer.Argument(help="result files (for MME, folders), read as one run")],
    annotations: Annotated[Path | None, typer.Option(help="the references of vqa, anls and exact")] = None,
    variant: Annotated[
        str | None, typer.Option(help="of VQA accuracy, required there: official, normalized, m4c or min3")
    ] = None,
    convention: Annotated[
        str | None, typer.Option(help="of boxes, required for refcoco: thousandths, unit, unit-square or pixels")
    ] = None,
    seed: Annotated[int, typer.Option(help="the seed of the bootstrap")] = 0,
) -> None:
    """Score result files, with bootstrap intervals; missing or duplicate ids are refused."""
    room("score")
    from ddfm_theory.bridge.result_files import score_files

    with refusing("score"):
        rows = score_files(benchmark, results, annotations, variant=variant, convention=convention, seed=seed)
    for row in rows:
        typer.echo(f"{row['name']}: {row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}] n={row['n']}, "
                   f"{row['unread']} unread")  # fmt: skip


def _between_markers(path: Path | None, table: str) -> str:
    """Return the file's text with the table between its ledger markers, nothing where there is no file."""
    if path is None:
        return ""
    if not path.is_file():
        raise ValueError(f"markdown must be a file that exists, was {path}")
    start, end = "<!-- ledger -->", "<!-- /ledger -->"
    text = path.read_text()
    if start not in text or end not in text:
        raise ValueError(f"markdown must hold the markers {start} and {end}, {path} does not")
    return text[: text.index(start) + len(start)] + "\n" + table + text[text.index(end) :]


def write(path: Path | None, text: str) -> None:
    """Write a file that was asked for."""
    if path is not None:
        writable(path)
        write_whole(path, text)


def writable(path: Path | None) -> None:
    """Refuse a file to write that is a folder, or in none."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError(f"a file to write must be in a folder that exists, was {path}")


def spread(arguments: list[str]) -> list[str]:
    """Let ``--experts A B`` stand for ``--experts A --experts B``."""
    out: list[Any] = []
    several = False
    for word in arguments:
        if word.startswith("--"):
            several = word == "--experts"
        elif several and out and out[-1] != "--experts":
            out.append("--experts")
        out.append(word)
    return out


def main() -> None:
    """Run the command; what the option parser refuses is one line and exit 2, as every bad input is."""
    usage: type[Exception] = typer.BadParameter.__bases__[0]  # UsageError, wherever typer keeps it
    try:
        sys.exit(app(spread(sys.argv[1:]), standalone_mode=False))
    except usage as error:
        found: Any = error
        if len(sys.argv) > 1:
            where = found.ctx.command_path if found.ctx is not None else "ddfm"
            typer.echo(f"{where}: {' '.join(found.format_message().split())}", err=True)
        else:
            found.show()
        sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
