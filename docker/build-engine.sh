#!/bin/sh
# Installs torch and the build tools in a Python environment, and this package with its engine built against them.
#
#   TORCH_INDEX_URL  pip index of the torch wheels to build against: those of the CPU build or of a CUDA build
#   PYTHON           the environment's interpreter; default python3
set -eu
: "${TORCH_INDEX_URL:?is not set: the pip index of the CPU (or CUDA) build of torch, see docker/Dockerfile}"
cd "$(dirname "$0")/.."

install() { "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check -c constraints.txt "$@"; }

# Alone from that index, so that it decides about torch and about nothing else.
install --index-url "$TORCH_INDEX_URL" --no-deps torch
install torch scikit-build-core cmake ninja
install --no-build-isolation .
