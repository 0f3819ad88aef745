"""The command line: `pushpool`. Invariant: what goes wrong is one line on stderr; traces only with --debug."""

from __future__ import annotations

import sys

_EXTRAS = frozenset({"rich", "ruamel", "typer", "waitress"})


def main() -> None:
    """Exits 0, 1 (it failed), 2 (misused) or 130 (interrupted)."""
    try:
        from dispatcher.cli.app import app

        app(prog_name="pushpool")
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _EXTRAS:
            raise
        sys.exit(f"error: {exc.name} is not installed; run: pip install 'pushpool[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
