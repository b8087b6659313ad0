#!/bin/bash
# Ends the demo and leaves nothing of it behind, in whatever state it is.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

if [[ ! -e $demo ]]; then
  echo "No demo is here."
  exit 0
fi
fail() {
  echo "make demo-stop: $*" >&2
  exit 1
}

# Processes that name the demo's podman store in their arguments: podman itself, and the monitors of containers.
users() {
  { grep -lzxF -- "$store/root" /proc/[0-9]*/cmdline 2>/dev/null || true; } | cut -d / -f 3
}
mounts() { cut -d ' ' -f 5 /proc/self/mountinfo | grep -F "$demo/" | sort -r || true; }
bridges() { sed -n 's/.*"network_interface": "\(.*\)".*/\1/p' "$store"/networks/*.json 2>/dev/null | grep -vx podman0 || true; }

echo "Stopping the demo in $demo"
end_server mcp-agent
end_server mcp-mcias
# A `podman system service` whose agent was killed: the store is to have one user while it is emptied.
for pid in $(users); do
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ' system service '; then end_process "$pid"; fi
done

made=$(bridges)
# Those of them that are there without a container on them; one in use is another podman's, of the same name.
unused() {
  local bridge
  for bridge in $made; do
    if [[ -d /sys/class/net/$bridge/brif && -z $(ls "/sys/class/net/$bridge/brif") ]]; then echo "$bridge"; fi
  done
}
if [[ -x $demo/bin/podman ]] && "$demo/bin/podman" --version >/dev/null 2>&1; then
  "$demo/bin/podman" rm --all --force --time 3 >"$demo/stop.log" 2>&1 || cat "$demo/stop.log" >&2
  "$demo/bin/podman" network prune --force >>"$demo/stop.log" 2>&1 || cat "$demo/stop.log" >&2
fi
for pid in $(users); do end_process "$pid"; done
# netavark leaves a bridge when it cannot tell its name server that a container is gone.
for bridge in $(unused); do ip link delete "$bridge" 2>/dev/null || true; done
for mount in $(mounts); do umount "$mount" 2>/dev/null || umount -l "$mount"; done

# Values of secrets are gone with their containers. Where there still are some they are another agent's.
if [[ -e $demo/mounted-secrets && -z $(find /run/mcp/secrets -type f 2>/dev/null) ]]; then
  umount /run/mcp/secrets 2>/dev/null || true
  rmdir /run/mcp/secrets /run/mcp 2>/dev/null || true
fi

# What netavark makes once for a whole machine and keeps: gone as well when the demo was the first to need it.
if [[ -e $demo/first-on-this-host ]] && ! iptables -w -S NETAVARK_FORWARD 2>/dev/null | grep -q '^-A'; then
  nat() { iptables -w -t nat "$@" 2>/dev/null || true; }
  nat -D PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
  nat -D OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
  nat -D POSTROUTING -j NETAVARK-HOSTPORT-MASQ
  chains() { iptables -w -t nat -S | sed -n 's/^-N \(NETAVARK.*\)/\1/p'; }
  for chain in $(chains); do nat -F "$chain"; done
  for chain in $(chains); do nat -X "$chain"; done
  filter() { iptables -w "$@" 2>/dev/null || true; }
  filter -D FORWARD -m comment --comment "netavark firewall plugin rules" -j NETAVARK_FORWARD
  filter -F NETAVARK_FORWARD
  filter -X NETAVARK_FORWARD
fi

left=$(
  for pid in $(users); do echo "process $pid"; done
  for bridge in $(unused); do echo "network interface $bridge"; done
  mounts
)
[[ -z $left ]] || fail "these are still there, and $demo is kept: $left"
if [[ -f $demo/link ]]; then rm -f "$(<"$demo/link")"; fi
rm -rf "$demo"
echo "Stopped: nothing of it is left."
