"""Sphinx extension: the generated pages, ``{claim}`` for a row of the ledger, ``{datum}`` for a number from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from pages import ROOT, card, write_all
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from ddfm_theory.ledger import CLAIMS


def datum(reference: str) -> str:
    """Return a number of a JSON file, formatted: ``path/to/file.json:key/key/0:.3f``, the path from the root.

    Raises:
        ValueError: the reference is not of that form, or leads to no number.
    """
    parts = reference.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"reference must be file:path or file:path:format, was {reference!r}")
    file = ROOT / parts[0]
    if not file.is_file():
        raise ValueError(f"reference must name a file of the repository, {parts[0]!r} is none")
    value: Any = json.loads(file.read_text(encoding="utf-8"))
    for key in parts[1].split("/"):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(f"reference must lead to a number, {parts[0]} has no {key!r} on {parts[1]!r}") from None
    if isinstance(value, (dict, list)):
        raise ValueError(f"reference must lead to a number, {parts[1]!r} of {parts[0]} is a {type(value).__name__}")
    return format(value, parts[2] if len(parts) == 3 else "")


class Datum(SphinxRole):
    """A number from a file of the repository."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number as text; a reference that leads nowhere is a warning, and so an error."""
        try:
            return [nodes.inline(self.text, datum(self.text), classes=["datum"])], []
        except ValueError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]


class Row(SphinxDirective):
    """A row of the ledger: statement, functions, derivations, theorems, controls."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Return the row as an admonition."""
        name = self.arguments[0]
        if name not in CLAIMS:
            raise self.error(f"claim must be a row of the ledger, was {name!r}")
        box = nodes.admonition("", classes=["claim"])
        title = f"[{name}](#row-{name.lower()}), {CLAIMS[name].title}"
        self.state.nested_parse(StringList(f"**{title}**\n\n{card(name)}".splitlines(), self.env.docname), 0, box)
        return [box]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role and the directive, and write the generated pages before anything is read."""
    app.connect("config-inited", lambda app, config: write_all(Path(app.srcdir) / "generated"))
    app.add_role("datum", Datum())
    app.add_directive("claim", Row)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
