#!/bin/sh
# ministack, an emulator of AWS in one process, into the folder that is named.
set -eu
"$(dirname "$0")/virtual_environment.sh" ministack "$1"
# What its functions run with: nothing but the standard library.
"$1/bin/python" -c 'import sys, venv; venv.create(sys.argv[1], symlinks=True)' "$1/functions"
