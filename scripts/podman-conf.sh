#!/bin/bash
# podman-conf.sh DIR: finds out whether podman can run a container here as it is set up. Where it cannot, writes
# DIR/containers.conf with what this machine needs and prints CONTAINERS_CONF=DIR/containers.conf; else prints nothing.
set -euo pipefail

dir=$(mkdir -p "${1:?usage: podman-conf.sh DIR}" && cd "$1" && pwd)
busybox=$(command -v busybox) || { echo "podman-conf.sh: needs busybox (static)" >&2; exit 1; }
# Short, because a socket's path may have 107 bytes.
probe=$(mktemp -d /tmp/mcp-probe.XXXXXX)
service=

end_service() {
  if [ -n "$service" ]; then kill "$service" 2>/dev/null || true; wait "$service" 2>/dev/null || true; fi
  service=
}

clean() {
  end_service
  # A container that did not start is tidied up after podman has said so; that would mount its folder again.
  for pid in $(grep -lzxF "$probe/root" /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3); do
    timeout 10 tail -s 0.05 -f --pid="$pid" /dev/null || true
  done
  # The storage driver leaves its folder mounted.
  awk -v at="$probe/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r point; do
    umount -l "$point" 2>/dev/null || true
  done
  rm -rf "$probe" 2>/dev/null || podman unshare rm -rf "$probe" 2>/dev/null || true
}
trap clean EXIT
trap 'exit 130' INT TERM

# Not a function: in the background that would be a shell, and killing it would leave podman behind.
isolated=(podman --root "$probe/root" --runroot "$probe/run" --tmpdir "$probe/tmp" --network-config-dir "$probe/net")

# Over the REST API, as the agent does it: there podman 4.3 passes on the limits of the host wrongly.
can_run() {
  mkdir -p "$probe/net"
  tar -C "$probe/rootfs" -c . | "${isolated[@]}" import -q - localhost/mcp/probe:1 >/dev/null 2>"$probe/why" || return 1
  "${isolated[@]}" system service --time=0 "unix://$probe/s" >/dev/null 2>"$probe/why" &
  service=$!
  for _ in $(seq 200); do
    if [ -S "$probe/s" ] || ! kill -0 "$service" 2>/dev/null; then break; fi
    sleep 0.05
  done
  local code=0
  timeout 60 podman --remote --url "unix://$probe/s" run --rm --network none localhost/mcp/probe:1 /bin/true \
    >/dev/null 2>"$probe/why" </dev/null || code=1
  end_service
  rm -f "$probe/s"
  return "$code"
}

mkdir -p "$probe/rootfs/bin"
cp -L "$busybox" "$probe/rootfs/bin/busybox"
ln -s busybox "$probe/rootfs/bin/true"

can_run && exit 0

hard() { # the hard limit of a kind, at most $2
  local limit
  limit=$(ulimit -H "$1")
  if [ "$limit" = unlimited ] || [ "$limit" -gt "$2" ]; then echo "$2"; else echo "$limit"; fi
}

{
  echo "[engine]"
  command -v crun >/dev/null || echo 'runtime = "runc"'
  # Both defaults talk to systemd.
  [ -d /run/systemd/system ] || echo 'cgroup_manager = "cgroupfs"'
  [ -S /run/systemd/journal/socket ] || echo 'events_logger = "file"'
  # A conmon stays that long after each exec; the default is five minutes.
  echo 'exit_command_delay = 10'
  nofile=$(hard -n 1048576)
  # podman lowers its own to pid_max, and what it starts cannot go above that.
  nproc=$(hard -u "$(cat /proc/sys/kernel/pid_max)")
  # podman asks for these two numbers by default, and not every root may raise its limits. Where podman 4.3 takes the
  # limits from the host it exchanges soft and hard on the REST API, so they have to be the same.
  if [ "$(ulimit -Sn) $(ulimit -Su)" != "$nofile $nproc" ] || [ "$nofile $nproc" != "1048576 4194304" ]; then
    printf '\n[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=%s:%s"]\n' "$nofile" "$nofile" "$nproc" "$nproc"
  fi
} >"$dir/containers.conf"

export CONTAINERS_CONF="$dir/containers.conf"
if ! can_run; then
  echo "podman-conf.sh: podman cannot run a container here: $(tail -n 1 "$probe/why")" >&2
  exit 1
fi
echo "CONTAINERS_CONF=$CONTAINERS_CONF"
