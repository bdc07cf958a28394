# Initiates the replica set from its first member, once; later, and on the other members, it does nothing.
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
