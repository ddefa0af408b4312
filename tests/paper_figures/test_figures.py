"""Figures as printed: equal bytes, TrueType, nothing cut off or overprinted, told without colour; LaTeX compiles."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from figure_help import ENTRIES, FIGURES, TABLES, figure_of
from matplotlib.backends.backend_agg import FigureCanvasAgg

from paper_figures.build import OUT
from paper_figures.records import ROOT
from paper_figures.style import LOOKS, RULES
from paper_figures.venues import VENUES, venue_named

pytestmark = pytest.mark.xdist_group("figures")  # built once
BUILD = """
import sys
from pathlib import Path
from paper_figures.build import build
for kind in ("pdf", "svg"):
    build(kind=kind, out=Path(sys.argv[1]))
"""
SMALLEST_TYPE = 5.5  # points; less than that is no venue's
SETTABLE = r"[\x0a\x20-\x7e\N{MINUS SIGN}\N{EN DASH}]*"  # by LaTeX, as PGF asks it to
LARGEST_FILE = 200_000  # bytes


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Build everything in two processes that hash differently, at once."""
    folders = [tmp_path_factory.mktemp(f"run{seed}") for seed in (1, 2)]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": str(seed)}
        )
        for seed, folder in enumerate(folders)
    ]
    assert [run.wait() for run in runs] == [0, 0]
    return folders


def test_two_processes_write_equal_bytes(twice):
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in twice)
    drawings = {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "svg", "tex")}
    assert set(one) == set(two) == drawings | {f"{name}.tex" for name in TABLES}
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.parametrize("name", FIGURES)
def test_type_is_embedded_truetype_and_nothing_is_dated(twice, name):
    pdf, svg = ((twice[0] / f"{name}.{kind}").read_bytes() for kind in ("pdf", "svg"))
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"STIX" in pdf
    assert b"CreationDate" not in pdf
    assert b"dc:date" not in svg
    assert len(pdf) < LARGEST_FILE
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)[1])
    assert width == pytest.approx(72 * getattr(venue_named("icml"), ENTRIES[name].width))


def test_captions_and_tables_in_the_repository_are_those_of_the_data(twice):
    fresh = {path.name: path.read_bytes() for path in twice[0].glob("*.tex")}
    kept = {path.name: path.read_bytes() for path in OUT.glob("*.tex")}
    assert sorted(name for name in fresh if fresh[name] != kept.get(name)) == [], "run make figures"
    assert sorted(set(kept) - set(fresh)) == [], "captions of no figure"


def test_one_document_holds_them_all(twice, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    for path in twice[0].glob("*.*"):
        shutil.copy(path, tmp_path)
    packages = r"\usepackage[textwidth=6.75in,textheight=9in]{geometry}"
    packages += r"\usepackage{amsmath,array,booktabs,graphicx,longtable}"
    drawing = r"\begin{{figure}}\centering\includegraphics{{{0}.pdf}}\input{{{0}.tex}}\end{{figure}}\clearpage"
    body = [drawing.format(name) for name in FIGURES] + [rf"\input{{{name}.tex}}" for name in TABLES]
    lines = [r"\documentclass{article}", packages, r"\begin{document}", *body, r"\end{document}"]
    (tmp_path / "all.tex").write_text("\n".join(lines))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:]
    assert re.findall("Overfull.*", run.stdout) == []
    assert (tmp_path / "all.pdf").stat().st_size > 0


@pytest.mark.parametrize("venue", ["icml", "neurips"])
@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_titled_cut_off_overprinted_or_too_small(name, venue):
    fig = figure_of(name, venue)
    assert fig.get_suptitle() == ""
    assert all(ax.get_title(loc=side) == "" for ax in fig.axes for side in ("left", "center", "right"))
    renderer = FigureCanvasAgg(fig).get_renderer()
    texts = [text for text in printed(fig) if text.get_visible() and text.get_text().strip()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert [text.get_text() for text in texts if text.get_fontsize() < SMALLEST_TYPE] == []
    assert [text.get_text() for text in texts if not re.fullmatch(SETTABLE, text.get_text())] == []
    assert [text.get_text() for text, box in zip(texts, boxes, strict=True) if not inside(box, fig.bbox)] == []
    pairs = [(i, j) for i in range(len(texts)) for j in range(i) if overprinted(boxes[i], boxes[j])]
    assert [(texts[i].get_text(), texts[j].get_text()) for i, j in pairs] == []


def printed(fig):
    """Yield the texts that are drawn: of axes that are on, tick labels in view, legends and notes."""
    legends = [found for found in (*fig.legends, *(ax.get_legend() for ax in fig.axes)) if found is not None]
    yield from (text for legend in legends for text in (*legend.get_texts(), legend.get_title()))
    for ax in fig.axes:
        yield from ax.texts
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            yield axis.label
            yield from (label for tick in axis._update_ticks() for label in (tick.label1, tick.label2))


def inside(box, page):
    """Tell whether a text lies on the page, to a pixel."""
    return box.x0 >= page.x0 - 1 and box.y0 >= page.y0 - 1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1


def overprinted(one, two):
    """Tell whether two texts share more than a pixel in both directions."""
    width = min(one.x1, two.x1) - max(one.x0, two.x0)
    height = min(one.y1, two.y1) - max(one.y0, two.y0)
    return width > 1 and height > 1


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_says_what_it_is(name):
    fig = figure_of(name)
    for ax in fig.axes:
        for which in ("xaxis", "yaxis"):
            axis = getattr(ax, which)
            ticks = [label.get_text() for label in axis.get_ticklabels() if label.get_visible()] if ax.axison else []
            named = any(re.search("[a-z]{2}", text) for text in ticks)  # the ticks are words
            shared = any(getattr(other, which).label.get_text() for other in fig.axes if other is not ax)
            if any(ticks) and not named and ax.get_label() != "<colorbar>":
                assert axis.label.get_text() or (shared and which == "yaxis"), (name, which)


@pytest.mark.parametrize("name", FIGURES)
def test_a_logarithmic_axis_has_two_numbers_to_read_it_by(name):
    renderer = FigureCanvasAgg(figure_of(name)).get_renderer()
    for ax in figure_of(name).axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis._update_ticks() if low <= tick.get_loc() <= high]
            told = [tick for tick in ticks if tick.label1.get_visible() and tick.label1.get_text()]
            sizes = [tick.label1.get_window_extent(renderer).width for tick in told]
            if axis.get_scale() == "log" and any(sizes):
                assert len(told) > 1, (name, axis.label.get_text())


def test_the_checks_of_print_see_a_planted_fault():
    fig = figure_of.__wrapped__("wrong_routers")
    ax, renderer = fig.axes[0], FigureCanvasAgg(fig).get_renderer()
    for x, y, words in ((0.5, 0.5, "one"), (0.5, 0.5, "on another"), (-0.6, 0.5, "cut off")):
        ax.text(x, y, words, transform=ax.transAxes)
    one, other, cut = (text.get_window_extent(renderer) for text in ax.texts[-3:])
    assert overprinted(one, other)
    assert not overprinted(one, cut)
    assert inside(one, fig.bbox)
    assert not inside(cut, fig.bbox)


def test_a_look_is_told_without_its_colour():
    for looks in (LOOKS, list(RULES.values())):
        for mark in ("color", "line", "marker", "hatch"):
            values = [str(getattr(look, mark)) for look in looks]
            assert len(set(values)) == len(values), mark


@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_is_as_wide_as_its_text(venue):
    layout = venue_named(venue)
    assert 3 <= layout.column <= layout.page <= 7
    assert layout.fonts["font.size"] >= layout.fonts["xtick.labelsize"] >= SMALLEST_TYPE
