#!/usr/bin/env bash
# The tests of test/cluster, in a namespace of their own on the cluster of cluster.sh. Arguments are jest's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/cluster.sh

namespace=
trap 'cluster_down $namespace' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

_need helm
cluster_up

version=$(node -p 'require("./package.json").version')
export TEST_NEXT_TAG=$version-next
cluster_image "$version"
cluster_image "$TEST_NEXT_TAG"

namespace=order-service-test-$$
_kubectl create namespace "$namespace" >&2
_kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >&2
TEST_NAMESPACE=$namespace node_modules/.bin/jest --config test/cluster/jest.config.js "$@"
