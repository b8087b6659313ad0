#!/bin/bash
# Makes release/: a folder and a tarball for each program, with its native parts and what installs it.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(node -p 'require("./package.json").version')
target=$(node -p 'process.platform + "-" + process.arch')
out=release
mkdir -p "$out"
for program in mcp mcp-agent mcp-mcias; do
  name=$program-$version-$target
  draft=$out/.$name.$$
  rm -rf "$draft" && mkdir -p "$draft"
  parts=("$program" package.json)
  case $program in
    mcp) parts+=(lib/mcp.js lib/x509.js lib/mcp-help.json lib/mcp.cache) ;;
    mcp-agent) parts+=(native/better_sqlite3.node lib/sqlite.js) ;;
    mcp-mcias) parts+=(native/better_sqlite3.node native/argon2.node) ;;
  esac
  for part in "${parts[@]}"; do
    if [[ -f dist/$part ]]; then install -D -m "$(stat -c %a "dist/$part")" "dist/$part" "$draft/$part"; fi
  done
  install -m 755 deploy/install.sh "$draft/"
  units=("$program.service")
  if [[ $program == mcp-agent ]]; then units+=(mcp-agent-snapshot.service mcp-agent-snapshot.timer); fi
  for unit in "${units[@]}"; do
    if [[ -f deploy/$unit ]]; then install -m 644 "deploy/$unit" "$draft/"; fi
  done
  install -m 644 README.md "$draft/"
  rm -rf "${out:?}/$name" && mv "$draft" "$out/$name"
  # The same content makes the same archive.
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$out" -c "$name" | gzip -n >"$out/$name.tar.gz.new"
  mv -f "$out/$name.tar.gz.new" "$out/$name.tar.gz"
  echo "$out/$name.tar.gz  $(du -h "$out/$name.tar.gz" | cut -f 1)"
done
