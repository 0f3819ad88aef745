"""Builds the archive out of which Google's builder makes the functions: their source, and what they need by hash.

    make package-gcp                   dist/pushpool-gcp-python3.11.zip
    make package-gcp CLOUDS='gcp aws'  with what pools on another cloud need; requirements/NAME.lock says what
    python infra/gcp/archive.py --dist FOLDER  out of the wheel that is there, and into it

The builder installs requirements.txt with pip, which checks the hashes, finds functions-framework in it, and compiles
everything (GoogleCloudPlatform/buildpacks, cmd/python). The runtime is part of the name, so that Terraform can tell it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds only what lies beside it

from packing import requirements, wheel, zipped

HERE = Path(__file__).parent
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
_UNUSED = re.compile(
    r"""
      ^dispatcher/(cli|testing)/            # for people
    | ^[^/]+\.dist-info/(?!METADATA$|entry_points\.txt$|licenses/)
    """,
    re.VERBOSE,
)


def main(clouds: list[str], dist: Path) -> None:
    """Build it, and say what it came to."""
    source = wheel(dist)
    target = dist / f"pushpool-gcp-{RUNTIME}.zip"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _lay_out(folder, source)
        (folder / "requirements.txt").write_text(requirements(clouds))
        zipped(folder, target)
    print(f"{target}: {target.stat().st_size / 1024:.0f} KiB")


def _lay_out(folder: Path, source: Path) -> None:
    """The functions, and beside them what is ours."""
    shutil.copy(HERE / "main.py", folder)
    shutil.copytree(HERE / "gcpfunctions", folder / "gcpfunctions", ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(source) as packed:
        packed.extractall(folder, [name for name in packed.namelist() if not _UNUSED.search(name)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the archive of the functions on Google Cloud.")
    parser.add_argument("clouds", nargs="*", default=["gcp"], metavar="CLOUD")
    parser.add_argument("--dist", type=Path, default=Path("dist"), help="where the wheel is, and the archive will be")
    wanted = parser.parse_args()
    main(wanted.clouds, wanted.dist)
