"""Builds the zip that Lambda runs: Chalice packs app, dependencies and wheel; then what nobody calls is taken out.

    make package-aws                   dist/pushpool-aws-python3.11-x86_64.zip
    make package-aws CLOUDS='aws gcp'  with what pools on another cloud need; requirements/NAME.lock says what

The runtime and the machine are part of the name, so that Terraform can tell them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MOST_BYTES = 20 * 1024 * 1024
MACHINE = "x86_64"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"  # compiled parts are this Python's

# The services whose clients are made; botocore ships the models of some 400.
SERVICES = frozenset({"dynamodb", "ec2", "ecs", "iam", "logs", "secretsmanager", "sqs", "sts"})
_SERVICE = re.compile(r"botocore/data/([^/]+)/")
_UNUSED = re.compile(
    r"""
      (^|/)(tests?|__pycache__|examples?)/  # of libraries
    | (^|/)[^/]+\.dist-info/(?!METADATA$|entry_points\.txt$|licenses/)
    | \.(pyi|pyc|typed|c|h|pxd|pyx)$
    | ^boto3/(data|examples)/               # of its resources, which are not used
    | ^(bin|include|share)/
    | ^dispatcher/(cli|testing)/            # for people
    """,
    re.VERBOSE,
)


def main(clouds: list[str]) -> int:
    """Build it, and say what it came to."""
    wheel = _wheel()
    target = ROOT / "dist" / f"pushpool-aws-{RUNTIME}-{MACHINE}.zip"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        _lay_out(project, wheel, clouds)
        _pack(project, Path(folder) / "out")
        _prune(Path(folder) / "out" / "deployment.zip", target)
    size = target.stat().st_size
    print(f"{target.relative_to(ROOT)}: {size / 1024 / 1024:.1f} MiB")
    if size > MOST_BYTES:
        print(f"that is over {MOST_BYTES // 1024 // 1024} MiB; leave out a cloud", file=sys.stderr)
        return 1
    return 0


def _wheel() -> Path:
    found = sorted((ROOT / "dist").glob("pushpool-*.whl"))
    if len(found) != 1:
        raise SystemExit(f"dist/ has {len(found)} wheels; `make wheel` leaves one")
    return found[0]


def _lay_out(project: Path, wheel: Path, clouds: Iterable[str]) -> None:
    """A Chalice project: the app, what it needs, and the wheel, unpacked, in `vendor`."""
    shutil.copytree(HERE, project, ignore=shutil.ignore_patterns("package.py", "__pycache__", "deployments"))
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(project / "vendor")
    locks = [ROOT / "requirements" / f"{cloud}.lock" for cloud in clouds]
    if missing := [lock.name for lock in locks if not lock.exists()]:
        raise SystemExit(f"requirements/ has no {', '.join(missing)}; CLOUDS names some of those that are there")
    (project / "requirements.txt").write_text("\n".join(lock.read_text() for lock in locks))


def _pack(project: Path, out: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PUSHPOOL_"))}
    chalice = Path(sys.executable).with_name("chalice")
    command = [str(chalice), "package", "--stage", "package", str(out)]
    environment["AWS_DEFAULT_REGION"] = "us-east-1"  # it wants one, and calls nothing
    subprocess.run(command, cwd=project, env=environment, check=True)


def _prune(packed: Path, target: Path) -> None:
    """The same files in the same order with the same times give the same bytes."""
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as kept:
        for name in _kept(source.namelist()):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            kept.writestr(entry, source.read(name))


def _kept(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(names)):
        service = _SERVICE.match(name)
        is_unused = service is not None and service.group(1) not in SERVICES
        if not (name.endswith("/") or is_unused or _UNUSED.search(name)):
            yield name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["aws"]))
