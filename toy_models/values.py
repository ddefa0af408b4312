"""Numbers in prose: ``<!--small:sizes/few-->3<!--/-->`` shows what a kept result holds at a path.

The path leads through keys and indices of ``results/small.json``; a ``#`` at its end counts what is there. A format may
follow: ``<!--small:seconds:.0f-->``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SHOWN = re.compile(r"<!--(\w+):([^:>]+?)(?::([^:>]+))?-->[^<]*<!--/-->")


def with_values(text: str, kept: Mapping[str, Any]) -> str:
    """Return a text with every number as the results have it.

    Args:
        text: Markdown.
        kept: results by name.

    Raises:
        ValueError: a path that leads to no number or word.
    """

    def shown(match: re.Match[str]) -> str:
        name, path, form = match.groups()
        head = match[0][: match[0].index("-->") + 3]
        return f"{head}{format(value(kept, name, path), form or '')}<!--/-->"

    return SHOWN.sub(shown, text)


def value(kept: Mapping[str, Any], name: str, path: str) -> Any:
    """Return what a result holds at a path.

    Raises:
        ValueError: no such result, or a path that leads to no number or word.
    """
    found: Any = kept.get(name)
    for key in path.removesuffix("/#").split("/"):
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(f"path must lead to a value of results/{name}.json, {path!r} has no {key!r}") from None
    found = len(found) if path.endswith("/#") else found
    if isinstance(found, (dict, list)) or found is None:
        raise ValueError(f"path must lead to a number or a word, {path!r} of results/{name}.json does not")
    return found
