#!/bin/sh
# Generates the stubs of the checker into the folder `gen` beside this file, or into the folder that is given.
# PYTHON chooses the interpreter whose grpc_tools generate. Default: python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../python/generate.sh" "${1:-$here/gen}"
