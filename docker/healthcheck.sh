#!/bin/sh
# Exits with 0 where the server answers, has loaded its data, and knows the engine's and RedisJSON's commands.
#
#   PORT, REDIS_PASSWORD  as for start.sh
set -eu
# Seen by redis-cli alone, not in the list of processes.
if [ -n "${REDIS_PASSWORD:-}" ]; then
  export REDISCLI_AUTH="$REDIS_PASSWORD"
fi

ask() { redis-cli -e -p "${PORT:-6379}" "$@"; }

ask PING >/dev/null
for command in AI.MODELEXECUTE JSON.SET; do
  if ! ask COMMAND INFO "$command" | grep -qix "$command"; then
    echo "healthcheck.sh: the server does not know $command" >&2
    exit 1
  fi
done
