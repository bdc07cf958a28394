# A member of the replica set. Only the first one creates users and database: the others must be empty when they join,
# and get everything by replication.
set -eu
if [ "${HOSTNAME##*-}" = 0 ]; then exec docker-entrypoint.sh mongod "$@"; fi
exec mongod "$@"
