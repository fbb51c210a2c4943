#!/bin/sh
# Builds the engine with sanitizers and runs Python with servers that have them preloaded; fails on any report.
#
#   engine/tests/sanitize.sh address|thread PYTHON -m pytest tests/engine
#   engine/tests/sanitize.sh leak PYTHON -m tests.endurance.soak
#
# Only our code is instrumented, neither libtorch nor the server: the address sanitizer sees what we do with any
# memory, the thread sanitizer what we share between threads. `leak` is the address sanitizer's build, looking for what
# is left at the end: only for programs that empty their servers, since the sanitizer cannot see what keys in the
# server's own allocator still point to.
set -eu
kind=$1 python=$2
shift 2
case $kind in
  address | leak) flags=address,undefined libraries="libasan.so libubsan.so" ;;
  thread) flags=thread libraries=libtsan.so ;;
  *) echo "the first argument is address, thread or leak, not $kind" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/${flags%%,*}-sanitizer
reports=$build/reports
bin=$(dirname "$python")

"$bin/cmake" -S "$root/engine" -B "$build" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" -DPython_EXECUTABLE="$python" \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DREDISAI_SANITIZE="$flags" >/dev/null
"$bin/ninja" -C "$build"

leaks=0
[ "$kind" != leak ] || leaks=1
preload=
for library in $libraries; do preload="$preload $(g++ -print-file-name=$library)"; done
server=$("$python" -c "from modules_store import resources; print(resources.redis_server(None))")
rm -rf "$reports" && mkdir -p "$reports"
# The thread sanitizer wants the memory where it expects it, without randomised addresses. Its search for deadlocks
# is off: before each fork the server's allocator takes more locks at once than that can count, and it ends the server.
cat >"$build/redis-server" <<EOF
#!/bin/sh
export LD_PRELOAD="$preload"
export ASAN_OPTIONS=detect_leaks=$leaks:detect_odr_violation=0:allocator_may_return_null=1:log_path=$reports/address
export LSAN_OPTIONS=suppressions=$root/engine/tests/leaks.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/undefined
export TSAN_OPTIONS=ignore_noninstrumented_modules=1:detect_deadlocks=0:exitcode=0:log_path=$reports/thread
exec setarch -R "$server" "\$@"
EOF
chmod +x "$build/redis-server"

cd "$root"
MODULES_STORE_TEST_ENGINE=$build/redisai.so MODULES_STORE_TEST_REDIS_SERVER=$build/redis-server \
  "$python" "$@" || failed=$?
# That a number in a damaged archive asks for more memory than there is, and gets none, is no fault.
sed -i '/WARNING: AddressSanitizer failed to allocate/d' "$reports"/* 2>/dev/null || true
find "$reports" -empty -type f -delete
if [ -n "$(ls -A "$reports")" ]; then
  cat "$reports"/*
  exit 1
fi
echo "no report of the $kind sanitizer"
exit "${failed:-0}"
