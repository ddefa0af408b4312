"""Sphinx extension: formulas as MathML, which browsers set by themselves; so pages need no script and no network."""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)
# What docutils does not read, in words that it does; brackets grow by themselves in MathML.
PLAIN = (
    (r"\\([bB]igg?[lr]?|textstyle)(?![a-zA-Z])", ""),
    (r"\\iff(?![a-zA-Z])", r"\\;\\Longleftrightarrow\\;"),
    (r"\\dots(?![a-zA-Z])", r"\\ldots"),
    (r"\\(t?frac)(\d)(\d)", r"\\\1{\2}{\3}"),
    (r"\\\|", r"\\parallel "),  # a bar that would grow
)


def rendered(formula: str, display: bool) -> str:
    """Return a formula as MathML.

    Raises:
        MathError: LaTeX that docutils cannot read.
    """
    formula = without_nesting(formula)
    for pattern, plain in PLAIN:
        formula = re.sub(pattern, plain, formula)
    tree = ElementTree.fromstring(_read(formula, display))  # noqa: S314 (the text is our own)
    for element in tree.iter("munderover"):
        _accent_first(element)
    text = ElementTree.tostring(tree, encoding="unicode")
    return f'<div class="formula">{text}</div>' if display else text


def _read(formula: str, display: bool) -> str:
    """Return what docutils makes of it, as XML without entities and names without a namespace."""
    text = str(latex2mathml.tex2mathml(formula, as_block=display))
    return text.replace("&ApplyFunction;", "").replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")


def _accent_first(element: ElementTree.Element) -> None:
    """Make a letter with an accent and an index of what docutils takes for an operator with limits."""
    base, index, over = element
    if base.tag == "mi" and over.tag == "mo":
        accented = ElementTree.Element("mover", accent="true")
        accented.extend([base, over])
        element.tag, element[:] = "msub", [accented, index]


def without_nesting(formula: str) -> str:
    r"""Return a formula whose words hold no formulas: ``\text{if $x$ is}`` becomes ``\text{if }x\text{ is}``."""
    parts = formula.split(r"\text{")
    out = parts[0]
    for part in parts[1:]:
        depth, end = 1, 0
        while depth:
            depth += {"{": 1, "}": -1}.get(part[end], 0)
            end += 1
        words = part[: end - 1].split("$")
        out += "".join(rf"\text{{{w}}}" if n % 2 == 0 else w for n, w in enumerate(words) if w) + part[end:]
    return out


def _put(writer: Any, node: nodes.Element, display: bool) -> None:
    try:
        writer.body.append(rendered(node.astext(), display))
    except (MathError, SyntaxError) as error:
        log.warning("formula cannot be set: %s: %s", error, node.astext(), location=node)
        writer.body.append(f"<code>{html.escape(node.astext())}</code>")
    raise nodes.SkipNode


def inline(writer: Any, node: nodes.Element) -> None:
    """Set a formula in a line."""
    _put(writer, node, display=False)


def displayed(writer: Any, node: nodes.Element) -> None:
    """Set a formula on a line of its own."""
    _put(writer, node, display=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
