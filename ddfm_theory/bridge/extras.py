"""Packages that the bridge alone needs, imported where they are used, with a message where they are absent."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def need(module: str) -> Any:
    """Import a module of the bridge's extra packages.

    Raises:
        ImportError: it is not installed; the message says what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".", maxsplit=1)[0]
        if error.name is None or error.name.split(".", maxsplit=1)[0] != package:
            raise
        raise ImportError(f"{package} must be installed for checkpoints, was not: "
                          "pip install 'ddfm-theory[bridge]'") from error  # fmt: skip


def quiet() -> None:
    """Let Transformers draw its progress bars on a terminal only."""
    if not sys.stderr.isatty():
        need("transformers").utils.logging.disable_progress_bar()
