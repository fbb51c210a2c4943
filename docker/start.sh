#!/bin/sh
# Starts redis-server with the engine, RedisJSON and RediSearch, RDB and AOF on. Further arguments are passed on to it.
#
#   PORT            TCP port; default 6379
#   BIND            addresses to listen on; default all
#   PROTECTED_MODE  "no" lets other machines in without a password; default yes
#   REDIS_PASSWORD  password of the default user; default none
#   MAXMEMORY       as in redis.conf; default 0, no limit
#   DATA_DIR        folder of the data; default /data
#   ENGINE_ARGS     arguments of the engine, such as "THREADS_PER_QUEUE 4"; default none
#   ENGINE          redisai.so; default beside this script
#   MODULES_DIR     folder of rejson.so and redisearch.so; default where the image of Redis 8 has them
#   REDIS_SERVER    program; default redis-server
set -eu
here=$(cd "$(dirname "$0")" && pwd)
modules=${MODULES_DIR:-/usr/local/lib/redis/modules}

data=${DATA_DIR:-/data}
case " $* " in
  *" --appendonly no "*) ;;
  *)
    if [ -e "$data/dump.rdb" ] && [ ! -e "$data/appendonlydir" ]; then
      echo "start.sh: $data has an RDB file alone, which Redis would not load with AOF on, but overwrite at the end." >&2
      echo "Start once with the argument --appendonly no, then: redis-cli CONFIG SET appendonly yes" >&2
      exit 1
    fi
    ;;
esac

# Read from stdin, so that the password is not seen in the list of processes.
config=
if [ -n "${REDIS_PASSWORD:-}" ]; then
  config="requirepass \"$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')\""
fi

set -f # the addresses may be *
# shellcheck disable=SC2086 # addresses and arguments are lists
exec "${REDIS_SERVER:-redis-server}" - \
  --port "${PORT:-6379}" \
  --bind ${BIND:-* -::*} \
  --protected-mode "${PROTECTED_MODE:-yes}" \
  --maxmemory "${MAXMEMORY:-0}" \
  --dir "$data" \
  --appendonly yes \
  --save 3600 1 300 100 60 10000 \
  --loadmodule "${ENGINE:-$here/modules_store/redisai.so}" ${ENGINE_ARGS:-} \
  --loadmodule "$modules/rejson.so" \
  --loadmodule "$modules/redisearch.so" \
  "$@" <<CONFIG
$config
CONFIG
