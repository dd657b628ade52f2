#!/bin/sh
# Generates the Python stubs into the folder `gen` beside this file, or into the folder that is given.
#
# buf compiles the contracts, grpc_tools generates from what it compiled: so any grpc_tools serves, also Debian 12's,
# whose protoc is older than `optional` in proto3 files. PYTHON chooses the interpreter. Default: python3.
set -eu
folder=${1:-$(dirname "$0")/gen}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/../../.."
npx --no buf build --as-file-descriptor-set -o "$folder/atoll.binpb"
# The services of grpc/ come with their own Python packages, and a client does not need them.
npx --no buf ls-files --format import | grep -v '^grpc/' | xargs "${PYTHON:-python3}" -c \
  'import sys; from grpc_tools import protoc; sys.exit(protoc.main(sys.argv))' \
  "--descriptor_set_in=$folder/atoll.binpb" "--python_out=$folder" "--grpc_python_out=$folder"
