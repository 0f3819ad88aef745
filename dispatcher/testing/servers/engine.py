"""A Docker Engine of the test's own, with one image: a small Debian with Python and the runner as `pushpool-run`.

It has no network of its own: its containers use the host's, so that 127.0.0.1 in them is this machine's. That is how
they reach an emulator or an API under test, how two engines live side by side, and why nothing is left in the
machine's bridges, firewall and routes.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dispatcher.testing.servers.processes import Broken, Missing, installed, serving

IMAGE = "pushpool-test/python:1"
_RUNNER = Path(__file__).parents[2] / "runner.py"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Engine:
    """`docker_host` is what Docker's own tools take as DOCKER_HOST. `programs`: the folder of its files."""

    docker_host: str
    programs: Path

    def docker(self, *arguments: str, given: Path | None = None) -> str:
        """What Docker's command line prints. :raises Broken: it exits with another code than 0."""
        command = [str(self.programs / "usr/bin/docker"), "--host", self.docker_host, *arguments]
        with (given or Path(os.devnull)).open("rb") as stdin:
            done = subprocess.run(
                command, stdin=stdin, capture_output=True, text=True, check=False, env={"PATH": _PATH}
            )
        if done.returncode:
            raise Broken(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def is_up(self) -> bool:
        try:
            return bool(self.docker("version", "--format", "{{.Server.Version}}"))
        except Broken:
            return False


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine while the block lasts, with IMAGE; all that it keeps is in `folder`, and its containers end with it.

    :raises Missing: :raises Broken:
    """
    where = installed("engine", file="root.tar")
    if os.geteuid() != 0:
        raise Missing("an engine needs root: run the tests that start containers as root")
    socket = folder / "docker.sock"
    if len(str(socket)) > 100:
        raise Broken(f"{socket}: a socket's path has at most 107 characters; name a shorter folder")
    it = Engine(f"unix://{socket}", where / "engine")
    environment = {"PATH": _path(it), "LD_LIBRARY_PATH": _libraries(it), "HOME": str(folder)}
    try:
        with serving(_command(folder, it), log=folder / "dockerd.log", is_up=it.is_up, environment=environment):
            it.docker("import", "--change", f"ENV PATH={_PATH}", "-", IMAGE, given=_with_runner(where, folder))
            try:
                yield it
            finally:
                _end_containers(it)
    finally:
        _unmount(folder)
        shutil.rmtree(folder / "data", ignore_errors=True)
        shutil.rmtree(folder / "exec", ignore_errors=True)


def _command(folder: Path, it: Engine) -> list[str]:
    (folder / "daemon.json").write_text("{}")
    return [
        str(it.programs / "usr/sbin/dockerd"),
        *("--host", it.docker_host),
        *("--data-root", str(folder / "data")),
        *("--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "dockerd.pid")),
        # Else it reads the machine's own.
        *("--config-file", str(folder / "daemon.json")),
        # Where the kernel lets nobody lower it, the default of -500 is an error.
        *("--oom-score-adjust", "0"),
        *("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
        *("--shutdown-timeout", "1"),
    ]


def _path(it: Engine) -> str:
    return os.pathsep.join([str(it.programs / "usr/sbin"), str(it.programs / "usr/bin"), _PATH])


def _libraries(it: Engine) -> str:
    return os.pathsep.join(str(folder) for folder in [*it.programs.glob("usr/lib/*/"), *it.programs.glob("lib/*/")])


def _with_runner(where: Path, folder: Path) -> Path:
    """The image's files, as one archive."""
    archive = folder / "image.tar"
    shutil.copy(where / "root.tar", archive)
    program = b"#!/usr/bin/python3\n" + _RUNNER.read_bytes()
    with tarfile.open(archive, "a") as image:
        entry = tarfile.TarInfo("./usr/local/bin/pushpool-run")
        entry.size, entry.mode = len(program), 0o755
        image.addfile(entry, io.BytesIO(program))
    return archive


def _end_containers(it: Engine) -> None:
    if left := it.docker("ps", "--all", "--quiet").split():
        it.docker("rm", "--force", "--volumes", *left)


def _unmount(folder: Path) -> None:
    """What a killed engine has left mounted under `folder`, the deepest first."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in mounted if Path(point).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)
