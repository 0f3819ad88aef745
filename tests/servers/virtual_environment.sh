#!/bin/sh
# A virtual environment in the folder that is named, with what tests/servers/NAME.lock pins: `make lock` refreshes it.
set -eu
name=$1 folder=$2
lock=$(cd "$(dirname "$0")" && pwd)/$name.lock

python=
for candidate in python3.11 python3 python3.13 python3.12; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "$name needs Python 3.11 or later with venv: install python3 and python3-venv" >&2; exit 1; }
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
