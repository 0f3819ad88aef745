"""How a command is started: by a shell that outlives the dispatcher and writes down how the command ended.

It has a session of its own, and no signal but SIGKILL ends it. In the attempt's folder, which is `$0` to it:

    process   "pid birth", written first
    begun     made exclusively, by the shell before it runs the command, or by whoever gives the attempt up:
              so it is settled once and for all whether the command runs
    exit      "code", written once. A line is believed only when its newline is there: a full disk or a kill
              leaves it out. (A rename would need a child, which a signal to the group could kill.)
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import IO

from adapters.infrastructure.process.rendering import Launch

SHELL = "/bin/sh"
NOT_BEGUN = 99

# Where the order matters:
# * `cancel` is made before SIGTERM is sent. The command's process is at the default for SIGTERM before it looks for
#   `cancel`: so it either sees the one or dies of the other, however early they come.
# * A handled signal is back at its default in the command; an ignored one would stay ignored there.
# * Descriptor 3 keeps the log for the command, while the shell's own words ("Terminated") go nowhere.
# The names are unlikely ones: a variable that the environment already had would reach the command changed.
SHIM = f"""\
trap : HUP INT QUIT TERM
exec 3>&2 2>/dev/null
pushpool_shim_boot= pushpool_shim_birth=
if read -r pushpool_shim_stat < /proc/$$/stat; then
    pushpool_shim_take() {{ shift 19; pushpool_shim_birth=$1; }}
    pushpool_shim_take ${{pushpool_shim_stat##*)}}
    read -r pushpool_shim_boot < /proc/sys/kernel/random/boot_id
else
    pushpool_shim_birth=$(LC_ALL=C TZ=UTC0 /bin/ps -o lstart= -p $$)
fi
echo $$ $pushpool_shim_boot $pushpool_shim_birth > "$0/process" || exit {NOT_BEGUN}
set -C
echo > "$0/begun" || exit {NOT_BEGUN}
(
    exec 2>&3 3>&-
    trap - HUP INT QUIT TERM
    [ ! -e "$0/cancel" ] || exit 143
    exec "$@"
)
echo $? > "$0/exit"
[ ! -e "$0/cancel" ] || kill -KILL 0
"""

_children: set[int] = set()
_lock = threading.Lock()


def start(folder: Path, launch: Launch, output: IO[bytes]) -> int:
    """The pid of the shell, which runs the command as soon as it has claimed it.

    :raises OSError: nothing was started.
    :raises ValueError: as above; a word or a value holds a NUL.
    """
    reap()
    child = subprocess.Popen(
        [SHELL, "-c", SHIM, str(folder), *launch.argv],
        cwd=launch.cwd,
        env=launch.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    child.returncode = 0  # it is `reap` that waits for it: of a living one Popen would complain when it is let go
    with _lock:
        _children.add(child.pid)
    return child.pid


def reap() -> None:
    """Takes every shell of ours that has ended, so that none stays a zombie."""
    with _lock:
        _children.difference_update([pid for pid in _children if _is_reaped(pid)])


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
