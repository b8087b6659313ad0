#!/bin/bash
# Installs the programs of MCP, and sets up a node. See: install.sh --help
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
action=install
programs_only=""
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}
dir=/srv/mcp
from=$here
init=()

usage() {
  cat <<END
Usage: install.sh [install|uninstall] [options] [-- OPTIONS OF mcp-agent init]

install puts the programs that lie beside it under PREFIX, writes the systemd units, makes the agent's config when
there is none and mcp-agent init's options are given, and starts or restarts the agent. Run again it upgrades; what is
the operator's own is never overwritten. uninstall removes all of it but configs, keys, databases and data.

  --prefix DIR     where programs go (PREFIX, $prefix)
  --destdir DIR    a root to install into instead of / (DESTDIR); nothing is started then
  --dir DIR        the agent's folder on the node ($dir)
  --from DIR       where the programs lie
  --programs-only  programs alone: no unit, no config, nothing started

Example: install.sh install -- --node rift --address 100.64.0.1:9444 --mcias https://mcias.example:8443 \\
           --cert rift.pem --key rift.key --ca ca.pem
END
}
say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n  next: %s\n' "$1" "$2" >&2
  exit 1
}
value() { (($# > 1)) || fail "$1 needs a value" "install.sh --help"; }

while (($#)); do
  case $1 in
    install | uninstall) action=$1 ;;
    --prefix) value "$@" && prefix=$2 && shift ;;
    --destdir) value "$@" && root=$2 && shift ;;
    --dir) value "$@" && dir=$2 && shift ;;
    --from) value "$@" && from=$2 && shift ;;
    --programs-only) programs_only=yes ;;
    --) shift && init=("$@") && break ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown argument $1" "install.sh --help" ;;
  esac
  shift
done
for path in "$prefix" "$dir" ${root:+"$root"}; do
  [[ $path =~ ^/[A-Za-z0-9._/+-]*$ ]] || fail "$path is no plain absolute path" "name one without blanks and quotes"
done
root=${root%/}
prefix=${prefix%/}

lib=$root$prefix/lib/mcp
bin=$root$prefix/bin
units=$root/etc/systemd/system
all=(mcp mcp-agent mcp-mcias)
units_of_all=(mcp-agent.service mcp-agent-snapshot.service mcp-agent-snapshot.timer mcp-mcias.service)
program_of() { case $1 in mcp-agent*) echo mcp-agent ;; *) echo mcp-mcias ;; esac; }

# Only for the machine itself, and where systemd runs it.
has_systemd() { [[ -z $root && -d /run/systemd/system ]] && command -v systemctl >/dev/null; }

# put FILE TO MODE: a program that runs keeps its file, and the new one takes the name.
put() {
  install -D -m "$3" "$1" "$2.new"
  mv -f "$2.new" "$2"
}
# fill FILE: a unit with this installation's paths.
fill() { sed -e "s#@PREFIX@#$prefix#g" -e "s#@DIR@#$dir#g" "$1"; }

install_programs() {
  local name file found=""
  for name in "${all[@]}"; do
    [[ -f $from/$name ]] || continue
    found=yes
    put "$from/$name" "$lib/$name" 755
    mkdir -p "$bin"
    ln -sfn "../lib/mcp/$name" "$bin/$name"
    say "installed $prefix/bin/$name"
  done
  [[ -n $found ]] || fail "there is no program of MCP in $from" "build them (make build), or name their folder with --from"
  for file in package.json native/{better_sqlite3,argon2}.node lib/sqlite.js lib/mcp.js lib/x509.js lib/mcp-help.json lib/mcp.cache; do
    if [[ -f $from/$file ]]; then put "$from/$file" "$lib/$file" 644; fi
  done
}

install_units() {
  local name
  for name in "${units_of_all[@]}"; do
    [[ -f $lib/$(program_of "$name") && -f $here/$name ]] || continue
    mkdir -p "$units"
    fill "$here/$name" >"$units/$name.new"
    chmod 644 "$units/$name.new"
    mv -f "$units/$name.new" "$units/$name"
    say "installed ${units#"$root"}/$name"
  done
}

make_config() {
  local config=$dir/mcp-agent.toml
  [[ -f $lib/mcp-agent ]] || return 0
  if [[ -e $root$config ]]; then
    say "kept $config"
  elif ((${#init[@]} == 0)); then
    say "no config yet; next: mcp-agent init --dir $dir --node NAME --address HOST:PORT --mcias URL"
  elif [[ -n $root ]]; then
    fail "a config is made on the node itself" "leave --destdir or the options after -- out"
  else
    "$lib/mcp-agent" init --dir "$dir" "${init[@]}"
  fi
}

start() {
  if ! has_systemd; then
    if [[ -n $root ]]; then say "installed into $root: nothing is started"; else
      say "systemd does not run here: start the agent with $prefix/bin/mcp-agent --config $dir/mcp-agent.toml"
    fi
    return
  fi
  systemctl daemon-reload
  if [[ -f $lib/mcp-agent && -f $dir/mcp-agent.toml ]]; then
    systemctl enable mcp-agent
    systemctl restart mcp-agent
    say "started mcp-agent; its log: journalctl -u mcp-agent"
    if [[ -f $units/mcp-agent-snapshot.timer ]]; then
      systemctl enable --now mcp-agent-snapshot.timer
      say "a snapshot of the registry is taken each day, the last 7 are kept: $dir/snapshots"
    fi
  fi
  if [[ -f $lib/mcp-mcias ]]; then systemctl try-restart mcp-mcias; fi
}

uninstall() {
  local name
  if [[ -z $programs_only ]]; then
    for name in "${units_of_all[@]}"; do
      [[ -e $units/$name ]] || continue
      if has_systemd; then systemctl disable --now "$name"; fi
      rm -f "$units/$name"
      say "removed ${units#"$root"}/$name"
    done
    if has_systemd; then systemctl daemon-reload; fi
  fi
  for name in "${all[@]}"; do
    [[ $(readlink "$bin/$name" || true) == "../lib/mcp/$name" ]] || continue
    rm -f "$bin/$name"
    say "removed $prefix/bin/$name"
  done
  rm -f "$lib"/{mcp,mcp-agent,mcp-mcias,package.json} "$lib"/native/{better_sqlite3,argon2}.node "$lib"/lib/sqlite.js "$lib"/lib/mcp.js "$lib"/lib/x509.js "$lib"/lib/mcp-help.json "$lib"/lib/mcp.cache
  for name in "$lib/native" "$lib/lib" "$lib"; do rmdir "$name" 2>/dev/null || true; done
  # The system's own folders stay; below DESTDIR, and where the prefix is MCP's own, empty ones go.
  if [[ -n $root ]]; then
    (cd "$root" && rmdir -p --ignore-fail-on-non-empty ".$prefix/lib" ".$prefix/bin" ./etc/systemd/system 2>/dev/null) || true
  elif [[ $prefix != /usr && $prefix != /usr/local ]]; then
    rmdir "$prefix/lib" "$bin" "$prefix" 2>/dev/null || true
  fi
  if [[ -e $root$dir ]]; then say "kept $dir: config, keys and registry; containers run on"; fi
}

if [[ -z $root && $EUID != 0 && -z $programs_only ]]; then fail "setting up a node needs root" "sudo $0 $action"; fi
if [[ $action == uninstall ]]; then
  uninstall
  exit
fi
command -v node >/dev/null || fail "there is no node on the PATH" "install Node.js 20.19 or later"
install_programs
if [[ -z $programs_only ]]; then
  install_units
  make_config
  start
fi
