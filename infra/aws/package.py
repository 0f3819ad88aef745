"""Builds the zip that Lambda runs: Chalice packs app, dependencies and wheel; then what nobody calls is taken out.

    make package-aws                   dist/pushpool-aws-python3.11-x86_64.zip
    make package-aws CLOUDS='aws gcp'  with what pools on another cloud need; requirements/NAME.lock says what
    python infra/aws/package.py --dist FOLDER  out of the wheel that is there, and into it

The runtime and the machine are part of the name, so that Terraform can tell them.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
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


def main(clouds: list[str], dist: Path) -> int:
    """Build it, and say what it came to."""
    wheel = _wheel(dist)
    target = dist / f"pushpool-aws-{RUNTIME}-{MACHINE}.zip"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        _lay_out(project, wheel, clouds)
        _pack(project, Path(folder) / "out")
        _prune(Path(folder) / "out" / "deployment.zip", target)
    size = target.stat().st_size
    print(f"{target}: {size / 1024 / 1024:.1f} MiB")
    if size > MOST_BYTES:
        print(f"that is over {MOST_BYTES // 1024 // 1024} MiB; leave out a cloud", file=sys.stderr)
        return 1
    return 0


def _wheel(dist: Path) -> Path:
    found = sorted(dist.glob("pushpool-*.whl"))
    if len(found) != 1:
        raise SystemExit(f"{dist} has {len(found)} wheels; `make wheel` leaves one in dist")
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
    """What is called, compiled: Lambda's disk is read-only, so that each cold start would compile it anew."""
    folder = packed.with_suffix("")
    with zipfile.ZipFile(packed) as source:
        source.extractall(folder, _kept(source.namelist()))
    # By hash and unchecked: times do not survive the zip.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, stripdir=folder, quiet=1, invalidation_mode=unchecked):
        raise SystemExit(f"{packed.name} holds Python that does not compile")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as kept:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)), (2020, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            kept.writestr(entry, file.read_bytes())


def _kept(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(set(names)):
        service = _SERVICE.match(name)
        is_unused = service is not None and service.group(1) not in SERVICES
        if not (name.endswith("/") or is_unused or _UNUSED.search(name)):
            yield name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the zip that Lambda runs.")
    parser.add_argument("clouds", nargs="*", default=["aws"], metavar="CLOUD")
    parser.add_argument("--dist", type=Path, default=Path("dist"), help="where the wheel is, and the zip will be")
    wanted = parser.parse_args()
    sys.exit(main(wanted.clouds, wanted.dist))
