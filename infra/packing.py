"""What the functions of every cloud are packed with: the wheel, the locked requirements, a zip that does not vary."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def wheel(dist: Path) -> Path:
    """The one that `make wheel` left there."""
    found = sorted(dist.glob("pushpool-*.whl"))
    if len(found) != 1:
        raise SystemExit(f"{dist} has {len(found)} wheels; `make wheel` leaves one in dist")
    return found[0]


def requirements(clouds: Iterable[str]) -> str:
    """The locks of those clouds, hashes and all."""
    locks = [ROOT / "requirements" / f"{cloud}.lock" for cloud in clouds]
    if missing := [lock.name for lock in locks if not lock.exists()]:
        raise SystemExit(f"requirements/ has no {', '.join(missing)}; CLOUDS names some of those that are there")
    return "\n".join(lock.read_text() for lock in locks)


def zipped(folder: Path, target: Path) -> None:
    """The same files make the same bytes, whoever packs them and when."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as kept:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)), (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            kept.writestr(entry, file.read_bytes())
