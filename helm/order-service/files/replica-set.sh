# Initiates the replica set from its first member, once; then, and on the other members, it has nothing to do.
set -u
trap 'exit 0' TERM
if [ "${HOSTNAME##*-}" = 0 ]; then
  until mongosh --nodb --quiet /scripts/replica-set.js; do
    sleep 5 &
    wait $!
  done
fi
sleep infinity &
wait $!
