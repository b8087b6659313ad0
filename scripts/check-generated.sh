#!/bin/bash
# Fails when the generated code is not what the .proto files make.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
node_modules/.bin/buf generate -o "$fresh"
node_modules/.bin/buf generate test/grpc --template buf.gen.test.yaml -o "$fresh"
for generated in src/gen test/grpc/gen; do
  if ! diff -r "$fresh/$generated" "$generated" >&2; then
    echo "$generated is not what its .proto files make: run 'make proto'" >&2
    exit 1
  fi
done
