#!/usr/bin/env bash
# Creates the kind cluster for development, if it is missing. `--check` only checks that the kube context is this
# cluster on this machine, and then exits with 0. How to use it: docs/development.md.
set -euo pipefail

cluster=order-service
context=kind-$cluster

main() {
  case ${1:-} in
    --check) need kubectl && require_local_context ;;
    '')
      need docker kind kubectl helm skaffold
      if ! docker buildx version >/dev/null 2>&1; then
        fail 'Docker has no buildx, which builds the image: https://docs.docker.com/build/'
      fi
      if has_cluster; then
        echo "The kind cluster $cluster is there."
      else
        kind create cluster --name "$cluster" --wait 3m
      fi
      require_local_context
      echo
      echo 'Next:  skaffold dev --keep-running-on-failure'
      echo "End:   kind delete cluster --name $cluster"
      ;;
    *)
      echo 'usage: scripts/dev-cluster.sh [--check]' >&2
      exit 2
      ;;
  esac
}

need() {
  local program missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  if [ ${#missing[@]} -gt 0 ]; then fail "Not on PATH: ${missing[*]}"; fi
}

has_cluster() {
  local name
  while read -r name; do
    if [ "$name" = "$cluster" ]; then return 0; fi
  done < <(kind get clusters 2>/dev/null)
  return 1
}

# The name alone proves nothing: a context can have any name.
require_local_context() {
  local current server
  current=$(kubectl config current-context 2>/dev/null) || current=
  if [ "$current" != "$context" ]; then
    fail "The kube context is ${current:-not set}, not $context. To change that:  kind export kubeconfig --name $cluster"
  fi
  server=$(kubectl config view --minify --context "$context" -o 'jsonpath={.clusters[0].cluster.server}')
  if ! [[ $server =~ ^https?://(127\.0\.0\.1|localhost|\[::1\]|0\.0\.0\.0)(:[0-9]+)?/?$ ]]; then
    fail "The kube context $context leads to ${server:-nowhere}, which is not this machine."
  fi
  echo "The kube context is $context at $server."
}

fail() {
  echo "$1" >&2
  exit 1
}

main "$@"
