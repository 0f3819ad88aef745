"""Builds the zip that Lambda runs: Chalice packs app, dependencies and wheel; then what nobody calls is taken out.

    make package-aws                   dist/pushpool-aws-python3.11-x86_64.zip
    make package-aws CLOUDS='aws modal'  with what pools on another cloud need; requirements/NAME.lock says what
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

sys.path.append(str(Path(__file__).parents[1]))  # run as a script, it finds only what lies beside it

from packing import requirements, wheel, zipped

HERE = Path(__file__).parent
# For ECS alone; and what Lambda takes ("Lambda quotas", deployment package, uploaded directly).
MOST_BYTES, MOST_OF_ALL = 20 * 1024 * 1024, 50_000_000
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
    | ^(dispatcher/(cli|testing)|modal_docs|pygments)/  # for people
    """,
    re.VERBOSE,
)


def main(clouds: list[str], dist: Path) -> int:
    """Build it, and say what it came to."""
    source = wheel(dist)
    target = dist / f"pushpool-aws-{RUNTIME}-{MACHINE}.zip"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        _lay_out(project, source, clouds)
        _pack(project, Path(folder) / "out")
        _prune(Path(folder) / "out" / "deployment.zip", target)
    size = target.stat().st_size
    print(f"{target}: {size / 1024 / 1024:.1f} MiB")
    most = MOST_BYTES if clouds == ["aws"] else MOST_OF_ALL
    if size > most:
        print(f"that is over {most / 1024 / 1024:.0f} MiB; leave out a cloud", file=sys.stderr)
        return 1
    return 0


def _lay_out(project: Path, source: Path, clouds: Iterable[str]) -> None:
    """A Chalice project: the app, what it needs, and the wheel, unpacked, in `vendor`."""
    shutil.copytree(HERE, project, ignore=shutil.ignore_patterns("package.py", "__pycache__", "deployments"))
    with zipfile.ZipFile(source) as packed:
        packed.extractall(project / "vendor")
    (project / "requirements.txt").write_text(requirements(clouds))


def _pack(project: Path, out: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PUSHPOOL_"))}
    chalice = Path(sys.executable).with_name("chalice")
    command = [str(chalice), "package", "--stage", "package", str(out)]
    environment["AWS_DEFAULT_REGION"] = "us-east-1"  # it wants one, and calls nothing
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or "Could not install dependencies" in said:  # it goes on without them, and exits 0
        raise SystemExit(f"chalice did not pack all that is needed:\n{said}")


def _prune(packed: Path, target: Path) -> None:
    """What is called, compiled: Lambda's disk is read-only, so that each cold start would compile it anew."""
    folder = packed.with_suffix("")
    with zipfile.ZipFile(packed) as source:
        source.extractall(folder, _kept(source.namelist()))
    # By hash and unchecked: times do not survive the zip.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(folder, stripdir=folder, quiet=1, invalidation_mode=unchecked):
        raise SystemExit(f"{packed.name} holds Python that does not compile")
    zipped(folder, target)


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
