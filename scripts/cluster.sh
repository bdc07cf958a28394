# To be sourced: a Kubernetes cluster for tests. If SHARED_DIR names a folder of tools, it is the one-node cluster from
# there (CONTRIBUTING), otherwise a new kind cluster. The user's kubeconfig is ignored on purpose: its clusters may be
# real.
#
#   cluster_up             sets TEST_KUBECONFIG and TEST_CLUSTER (one-node or kind)
#   cluster_image TAG      builds order-service:TAG and loads it into the cluster
#   cluster_down [NAME]    ends the cluster, if this shell started it; otherwise deletes that namespace from it

_kind=order-service-test
_kubeconfig=
_brought_up=

if [ -n "${SHARED_DIR:-}" ]; then
  . "$SHARED_DIR/env.sh"

  cluster_up() {
    export TEST_CLUSTER=one-node TEST_KUBECONFIG=/var/lib/onenode/kubeconfig
    if _kubectl get --raw /readyz >/dev/null 2>&1; then
      _free_volumes
    else
      _brought_up=yes
      "$SHARED_DIR/k8s/up" >&2 || return
    fi
    _keep_services_inside
  }

  # npm opens a thousand files at once where its cache is empty: the build gets the shell's limit, not the builder's.
  cluster_image() {
    local files
    files=$(ulimit -n)
    "$SHARED_DIR/k8s/image" "order-service:$1" . --target production --layers --build-arg "VERSION=$1" \
      --ulimit "nofile=$files:$files" >&2
  }

  cluster_down() {
    if [ -n "$_brought_up" ]; then "$SHARED_DIR/k8s/down" >&2; else _delete_namespace "$@"; fi
  }
else
  cluster_up() {
    _need docker && _need kind && _need kubectl || return
    if ! docker info >/dev/null 2>&1; then
      echo 'A cluster for tests needs a Docker daemon that runs.' >&2
      return 1
    fi
    _kubeconfig=$(mktemp) || return
    export TEST_CLUSTER=kind TEST_KUBECONFIG=$_kubeconfig
    if kind get clusters 2>/dev/null | grep -qx "$_kind"; then
      kind export kubeconfig --quiet --name "$_kind" --kubeconfig "$_kubeconfig"
    else
      _brought_up=yes
      kind create cluster --name "$_kind" --kubeconfig "$_kubeconfig" --wait 3m >&2
    fi
  }

  cluster_image() {
    docker build --quiet --tag "order-service:$1" --target production --build-arg "VERSION=$1" . >&2 &&
      kind load docker-image "order-service:$1" --name "$_kind" >&2
  }

  cluster_down() {
    if [ -n "$_brought_up" ]; then
      kind delete cluster --quiet --name "$_kind" --kubeconfig "$_kubeconfig"
    else
      _delete_namespace "$@"
    fi
    rm -f "$_kubeconfig"
  }
fi

_need() {
  if command -v "$1" >/dev/null; then return; fi
  echo "A cluster for tests needs $1, which is not on PATH." >&2
  return 1
}

_kubectl() {
  KUBECONFIG=$TEST_KUBECONFIG kubectl "$@"
}

# Does not wait for its pods to end.
_delete_namespace() {
  if [ -n "${1:-}" ]; then _kubectl delete namespace "$1" --ignore-not-found --wait=false >/dev/null; fi
}

# While a service has no pod, a connection to it could leave the machine, and an outside server that answers would be
# taken for the service as long as the connection is kept.
_keep_services_inside() {
  local rule='FORWARD --destination 10.96.0.0/16 --protocol tcp --jump REJECT --reject-with tcp-reset'
  iptables --check $rule 2>/dev/null || iptables --insert $rule
}

# The one-node cluster has few volumes, and does not offer one again after its claim is deleted.
_free_volumes() {
  local fields='{.status.phase} {.metadata.name} {.spec.local.path}' phase volume path
  _kubectl get pv -o jsonpath="{range .items[*]}$fields{'\n'}{end}" | while read -r phase volume path; do
    if [ "$phase" != Released ]; then continue; fi
    find "${path:?}" -mindepth 1 -delete
    _kubectl patch pv "$volume" --type json -p '[{"op": "remove", "path": "/spec/claimRef"}]' >/dev/null
  done
}
