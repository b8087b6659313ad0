#!/bin/bash
# Installs what the benchmarks compare with and start themselves: docker.io, and openssh-server with rsync. A daemon that
# was not there before stays off, also after the next boot. Without them the rows that need them say `not measured`.
set -euo pipefail

as_root=()
[[ $EUID == 0 ]] || as_root=(sudo)

installed() { [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null || true) == "install ok installed" ]]; }

# add PACKAGE SERVICE UNIT...
add() {
  local package=$1 service=$2 unit
  shift 2
  if installed "$package"; then return 0; fi
  if ! "$(dirname "$0")/../ensure-packages.sh" "$package"; then
    echo "$package cannot be had: what is measured against it is left out." >&2
    return 0
  fi
  # Links in /etc are all that turns a unit on; systemctl may be missing where these are.
  for unit in "$@"; do
    "${as_root[@]}" find /etc/systemd/system -name "$unit" -type l -lname '*/lib/systemd/system/*' -delete
  done
  "${as_root[@]}" update-rc.d "$service" disable >/dev/null 2>&1 || true
}

add docker.io docker docker.service docker.socket containerd.service
add openssh-server ssh ssh.service ssh.socket sshd.service
"$(dirname "$0")/../ensure-packages.sh" openssh-client rsync || echo "rsync or scp cannot be had: rows against them are left out." >&2
