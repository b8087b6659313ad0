#!/bin/bash
# npm ci, with what better-sqlite3 needs to be compiled.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/ensure-packages.sh g++ make python3
# Headers of this very Node, where it has them: node-gyp would download them.
prefix=$(dirname "$(dirname "$(node -p process.execPath)")")
if [[ -f $prefix/include/node/node.h ]]; then export npm_config_nodedir=$prefix; fi
echo "==> Installing npm packages (better-sqlite3 is compiled, which takes about a minute)"
npm ci --no-progress
node -e 'new (require("better-sqlite3"))(":memory:").close()'
touch node_modules/.installed
