#!/bin/sh
# Copies the engine and the libraries it needs out of a Python environment, which a server then does without.
#
#   lay-out.sh FOLDER
#   PYTHON  the environment's interpreter; default python3
#
# The folder is laid out as site-packages are, since the engine looks for torch in ../torch/lib as seen from itself,
# and a CUDA build of torch for NVIDIA's libraries in ../../nvidia as seen from there.
set -eu
folder=${1:?usage: lay-out.sh FOLDER}
python=${PYTHON:-python3}

# -I: what is installed, and not the sources where they are the current folder.
engine=$("$python" -I -c 'from modules_store import resources; print(resources.engine())')
torch=$("$python" -I -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')

mkdir -p "$folder/modules_store" "$folder/torch/lib"
install -m 755 "$engine" "$folder/modules_store/redisai.so"
find "$torch/lib" -maxdepth 1 -name '*.so*' ! -name 'libtorch_python*' ! -name '*_test.so' \
  -exec cp -t "$folder/torch/lib" {} +
if [ -d "$torch/../nvidia" ]; then
  (cd "$torch/.." && cp -a --parents nvidia/*/lib "$folder")
fi

if ldd "$folder/modules_store/redisai.so" | grep 'not found'; then
  echo "lay-out.sh: the engine lacks the libraries above" >&2
  exit 1
fi
