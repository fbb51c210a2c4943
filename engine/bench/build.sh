#!/bin/sh
# Builds the programs that `make bench-engine` measures with, in build/bench.
#
#   engine/bench/build.sh PYTHON
set -eu
python=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/bench
bin=$(dirname "$python")

"$bin/cmake" -S "$root/engine" -B "$build" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" -DPython_EXECUTABLE="$python" \
  -DCMAKE_BUILD_TYPE=Release >/dev/null
"$bin/ninja" -C "$build" --quiet load bare_model
