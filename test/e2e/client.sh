#!/bin/bash
# A gRPC client in Python, generated from the proto: client.sh DIR ADDRESS CA TOKEN_FILE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1/python
mkdir -p "$out"
protoc -I "$here/../../proto" -I /usr/include --python_out="$out" --grpc_python_out="$out" \
  --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" mcp/v1/mcp.proto
PYTHONPATH=$out exec /usr/bin/python3 "$here/client.py" "$2" "$3" "$4"
