#!/bin/sh
# checkov, which scans Terraform for what is unsafe, into the folder that is named.
set -eu
exec "$(dirname "$0")/virtual_environment.sh" checkov "$1"
