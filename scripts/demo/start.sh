#!/bin/bash
# MCP on this machine, from nothing to a service that was deployed, upgraded and saved from a broken version.
set -Eeuo pipefail
source "$(dirname "$0")/lib.sh"

title() { printf '\n== %s\n' "$*"; }
fail() {
  printf '\nmake demo: %s\nmake demo-stop removes what is there.\n' "$*" >&2
  exit 1
}
trap 'fail "line $LINENO failed"' ERR

# Shows a command as it is typed, and runs it.
run() {
  local word shown=""
  for word in "$@"; do [[ $word =~ ^[a-zA-Z0-9_./:=,@%+-]+$ ]] && shown+=" $word" || shown+=" '$word'"; done
  printf '\n$%s\n' "$shown"
  "$@"
}
# expect CODE COMMAND...: it has to end with this exit code.
expect() {
  local wanted=$1 got=0
  shift
  run "$@" || got=$?
  [[ $got == "$wanted" ]] || fail "'$*' ended with $got, and not with $wanted"
}
# Like `expect 0`, with the output in $shown as well.
output() {
  local got=0
  shown=$(run "$@") || got=$?
  printf '%s\n' "$shown"
  [[ $got == 0 ]] || fail "'$*' ended with $got"
}
# answers TEXT: the web component serves it.
answers() {
  if command -v curl >/dev/null; then output curl -s "$url"; else output busybox wget -q -O - "$url"; fi
  [[ $shown == *"$1"* ]] || fail "$url does not answer with '$1'"
}
# The value of a JavaScript expression over the JSON document on standard input.
json() { node -e 'const doc = JSON.parse(require("fs").readFileSync(0, "utf8")); console.log(eval(process.argv[1]))' "$1"; }
version() { sed -i "s#shop-web:[0-9.]*#shop-web:$1#" "$definition"; }

if [[ -e $demo ]]; then "$repo/scripts/demo/stop.sh"; fi

title "A demo of MCP. All it makes lies in $demo, and 'make demo-stop' removes it."
mkdir -p "$demo/bin" "$demo/config/services" "$demo/srv" "$demo/agent" "$store"/{root,run,tmp,networks}
iptables -w -S NETAVARK_FORWARD >/dev/null 2>&1 || touch "$demo/first-on-this-host"

title "1. podman, with a store of the demo's own"
"$repo/scripts/podman-conf.sh" "$store" >/dev/null
if [[ -e $store/containers.conf ]]; then
  echo "podman's own defaults cannot run a container on this host. With these settings it can:"
  sed 's/^/  /' "$store/containers.conf"
fi
# Containers of other stores on this host use the locks in shared memory.
if grep -qs '^\[engine\]' "$store/containers.conf"; then
  sed -i 's/^\[engine\]/&\nlock_type = "file"/' "$store/containers.conf"
else
  printf '[engine]\nlock_type = "file"\n' >>"$store/containers.conf"
fi
# podman takes a --runroot of 50 characters, and a socket's path may have 107: where this folder's is long, by a link.
short=$demo
if ((${#demo} > 39)); then
  short=$(mktemp -u /run/mcp-demo.XXXXXX)
  echo "$short" >"$demo/link"
  ln -s "$demo" "$short"
fi
# For root podman keeps what addresses and names the containers of a network have in /run/containers, by the network's
# name, and for all stores of a host together. So the demo's podman sees a folder of its own there.
enter=""
if [[ $EUID == 0 ]]; then
  mkdir -p "$store"/{ns,run-containers}
  touch "$store/ns/mnt"
  # The agent would mount it itself where /run lies on a disk, but too late for the demo's podman to see it.
  mkdir -p /run/mcp/secrets
  if [[ $(stat -f -c %T /run/mcp/secrets) != tmpfs ]]; then
    mount -t tmpfs -o mode=0700 mcp-secrets /run/mcp/secrets
    touch "$demo/mounted-secrets"
  fi
  mount --bind "$store/ns" "$store/ns"
  mount --make-private "$store/ns"
  # shellcheck disable=SC2016
  unshare --mount="$store/ns/mnt" sh -ec 'mkdir -p /run/containers /run/netns
    mount --bind "$0" /run/containers
    mount -t tmpfs none /run/netns' "$store/run-containers"
  enter="nsenter --mount='$store/ns/mnt' --wd=\"\$PWD\" "
fi
cat >"$demo/bin/podman" <<END
#!/bin/bash
export CONTAINERS_CONF='$store/containers.conf'
exec $enter'$(command -v podman)' --root '$store/root' --runroot '$short/podman/run' --tmpdir '$store/tmp' --network-config-dir '$store/networks' "\$@"
END
chmod 755 "$demo/bin/podman"
ln -s "$repo"/dist/{mcp,mcp-agent,mcp-mcias} "$demo/bin/"
export PATH=$demo/bin:$PATH MCP_CONFIG=$demo/config/mcp.toml
run podman --version

title "2. Two small images, made of busybox"
for image in web worker; do
  mkdir -p "$demo/images/$image/rootfs/"{bin,tmp,data}
  cp -r "$repo/examples/demo/$image/." "$demo/images/$image"
  cp /bin/busybox "$demo/images/$image/rootfs/bin/"
  for applet in sh cat echo httpd kill ls ps sleep wget; do ln -s busybox "$demo/images/$image/rootfs/bin/$applet"; done
done
cd "$demo/images"
for version in 1.0 1.1 2.0; do
  run podman build --quiet --build-arg "VERSION=$version" --tag "localhost/shop-web:$version" web
done
run podman build --quiet --tag localhost/shop-worker:1.0 worker
cd "$demo"

title "3. An identity server and an agent, on loopback, with a private CA"
"$repo/node_modules/.bin/esbuild" "$repo/scripts/demo/certs.ts" --bundle --platform=node --format=esm --log-level=warning \
  --outfile="$demo/certs.mjs"
node "$demo/certs.mjs" "$demo/tls"
port() { node "$repo/scripts/demo/port.mjs" "$1"; }
identity=127.0.0.1:$(port 8443)
agent=127.0.0.1:$(port 9444)
web=127.0.0.1:$(port 8080)
url=http://$web/
(umask 077 && node -p 'require("crypto").randomBytes(18).toString("base64url")' >"$demo/password")
cat >"$demo/agent/mcp-agent.toml" <<END
[server]
grpc_addr = "$agent"
tls_cert = "$demo/tls/server.pem"
tls_key = "$demo/tls/server.key"
[database]
path = "$short/agent/mcp.db"
[mcias]
server_url = "https://$identity"
ca_cert = "$demo/tls/ca.pem"
service_name = "mcp"
[agent]
node_name = "here"
files_root = "$demo/srv"
END
cat >"$MCP_CONFIG" <<END
[services]
dir = "$demo/config/services"
[mcias]
server_url = "https://$identity"
ca_cert = "$demo/tls/ca.pem"
service_name = "mcp"
[auth]
token_path = "$demo/config/token"
[[nodes]]
name = "here"
address = "$agent"
ca_cert = "$demo/tls/ca.pem"
END
expect 0 mcp-mcias init --dir mcias
expect 0 mcp-mcias account add operator --role admin --password-file password --dir mcias
printf '\n$ mcp-mcias serve --dir mcias --addr %s --tls-cert tls/server.pem --tls-key tls/server.key &\n' "$identity"
start_server mcp-mcias 'listening on' \
  mcp-mcias serve --dir "$demo/mcias" --addr "$identity" --tls-cert "$demo/tls/server.pem" --tls-key "$demo/tls/server.key"
printf '\n$ mcp-agent --config agent/mcp-agent.toml &\n'
start_server mcp-agent '"serving"' mcp-agent --config "$demo/agent/mcp-agent.toml"
expect 0 mcp login --username operator --password-file password
expect 0 mcp whoami
expect 0 mcp node list

title "4. The first deploy: one file says what runs"
definition=$demo/config/services/shop.toml
sed -e "s#/srv/#$demo/srv/#" -e "s#127.0.0.1:8080:#$web:#" "$repo/examples/demo/shop.toml" >"$definition"
run cat config/services/shop.toml
expect 0 mcp deploy shop
answers "shop 1.0"
expect 0 mcp ps
expect 0 mcp status shop

title "5. A new version: one line of the file changes"
version 1.1
run grep shop-web config/services/shop.toml
expect 0 mcp plan shop
expect 0 mcp deploy shop
answers "shop 1.1"

title "6. A broken version: its health check fails, and the one before comes back"
version 2.0
run grep shop-web config/services/shop.toml
expect 1 mcp deploy shop
answers "shop 1.1"
version 1.1
run grep shop-web config/services/shop.toml
expect 0 mcp plan --exit-code shop

title "7. What runs now"
expect 0 mcp ps
expect 0 podman ps --format 'table {{.Names}}  {{.Image}}  {{.Status}}'
ours=$(mcp ps --json | json 'doc.components.filter((c) => c.state === "running").map((c) => c.container).sort().join()')
theirs=$(podman ps --format '{{.Names}}' | sort | paste -s -d ,)
[[ $ours == "$theirs" && $ours == shop-web,shop-worker ]] || fail "mcp ps says $ours, podman ps says $theirs"
output mcp logs shop --tail 4
[[ $shown == *"visit "* && $shown == *"response:200"* ]] || fail "the logs lack a visit of the worker"

trap - ERR
cat <<END

== All of it works, and goes on running. To go on, in any folder:

export MCP_CONFIG=$MCP_CONFIG PATH=$demo/bin:\$PATH

'mcp --help' says what there is; the definition is $definition
(that PATH has a podman for the demo's own store, so that 'podman ps' shows what 'mcp ps' does).
To stop it and leave nothing behind: make -C $repo demo-stop
END
