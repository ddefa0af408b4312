"""Places: where a system is asked, and how a place is named in a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddfm_theory.testing.systems import PREFIX


@dataclass(frozen=True)
class Place:
    """A time and rows of states that have positive probability there."""

    t: Any
    rows: np.ndarray
    kind: str = PREFIX

    def row(self, b: int) -> str:
        """Name one row."""
        shown = tuple(int(token) for token in self.rows[b])
        return f"prefix {shown}" if self.kind == PREFIX else f"t = {self.t}, state {shown}"

    def name(self, *axes: str) -> Any:
        """Return index -> text for arrays whose axes are so named; the axis ``row`` names a row of this place."""

        def place(index: tuple[int, ...]) -> str:
            parts = [
                self.row(i) if axis == "row" else f"{axis} {i}" for axis, i in zip(axes, index, strict=True) if axis
            ]
            return ", ".join(parts)

        return place
