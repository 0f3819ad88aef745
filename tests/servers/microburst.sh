#!/bin/sh
# microburst, a proxy that fails AWS requests in AWS's own words, into the folder that is named.
set -eu
"$(dirname "$0")/virtual_environment.sh" microburst "$1"
