import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../support/agent.ts"
import { temporaryFolder } from "../support/folder.ts"
import * as TestPodman from "../support/podman.ts"

const root = join(import.meta.dirname, "../..")
/** Of loopback, so that ports which others use are free. */
const ADDR = "127.77.0.1"

/** The shell blocks of a section of the README, in order. */
const commandsOf = (title: string) => {
  const readme = readFileSync(join(root, "README.md"), "utf8")
  const [, section = ""] = readme.split(`\n## ${title}\n`)
  const [own = ""] = section.split("\n## ")
  return [...own.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block).join("\n")
}

/** What a host without systemd needs of it: carries out the units that install.sh wrote. */
const systemctl = (dir: string) => `#!/bin/bash
set -eu
start() {
  unit=/etc/systemd/system/$1.service
  env=$(sed -n 's/^EnvironmentFile=//p' "$unit")
  set -a; [[ -z $env ]] || source "$env"; set +a
  before=$(sed -n 's/^ExecStartPre=//p' "$unit")
  [[ -z $before ]] || eval "$before" >/dev/null
  eval "exec setsid $(sed -n 's/^ExecStart=//p' "$unit")" >"${dir}/$1.log" 2>&1 &
  echo $! >>"${dir}/pids"
  for _ in {1..200}; do
    if grep -qs listening "${dir}/$1.log"; then return; fi
    sleep 0.1
  done
  cat "${dir}/$1.log" >&2
  exit 1
}
# What a timer starts each day is done once.
once() {
  unit=/etc/systemd/system/$1.service
  eval "$(sed -n 's/^ExecStart=//p' "$unit")" >"${dir}/$1.log" 2>&1 || { cat "${dir}/$1.log" >&2; exit 1; }
}
case "$1 \${2:-} \${3:-}" in
  "enable --now "*.timer) once "\${3%.timer}"; exit ;;
esac
case "$1 \${2:-}" in
  "restart mcp-agent" | "enable --now") start "\${3:-mcp-agent}" ;;
  "daemon-reload " | "enable mcp-agent" | "try-restart mcp-mcias") ;;
  *) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac
`

/** Runs a script as root of a machine on which nothing of MCP was ever installed, and removes all that it made. */
const onAFreshMachine = (podman: TestPodman.Podman, script: string) =>
  Effect.gen(function* () {
    const dir = temporaryFolder()
    const bin = join(dir, "bin")
    for (const folder of ["bin", "home", "upper"]) mkdirSync(join(dir, folder))
    writeFileSync(join(bin, "systemctl"), systemctl(dir))
    // In podman's own namespace, which is to be this machine, there is no way into it.
    const wrapper = readFileSync(podman.command, "utf8").replace(/nsenter --mount='[^']*' /, "")
    writeFileSync(join(bin, "podman"), wrapper)
    for (const name of ["systemctl", "podman"]) chmodSync(join(bin, name), 0o755)
    writeFileSync(join(dir, "script"), `set -euo pipefail\nPS4='$ '\nset -x\ncd '${root}'\n${script}`)
    const inside = `set -eu
mount -t tmpfs none '${dir}/upper'
for path in usr/local etc srv; do
  mkdir -p '${dir}/upper'/$path/{upper,work}
  mount -t overlay none -o lowerdir=/$path,upperdir='${dir}/upper'/$path/upper,workdir='${dir}/upper'/$path/work /$path
done
mkdir -p /run/systemd
mount -t tmpfs none /run/systemd
mkdir -p /run/systemd/system
status=0
bash '${dir}/script' || status=$?
while read -r pid; do
  kill "$pid" || continue
  timeout 20 tail -s 0.1 -f --pid="$pid" /dev/null || kill -9 "$pid"
done <'${dir}/pids'
umount /run/systemd /usr/local /etc /srv
umount '${dir}/upper'
exit $status`
    const env = {
      HOME: join(dir, "home"),
      PATH: `${bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
      // The programs are built, and other tests are using them.
      BUILD: "true",
      MCP_CONFIG: ""
    }
    const ran = yield* run("nsenter", [`--mount=${podman.dir}/ns/mnt`, "bash", "-c", inside], env)
    const log = (name: string) => readFileSync(join(dir, `${name}.log`), "utf8")
    return { ...ran, log }
  })

it.scopedLive("the README's five minutes on one node work as they stand", () =>
  Effect.gen(function* () {
    const podman = yield* TestPodman.make
    // No image registry can be reached: the image is there, under the name that the README has.
    yield* podman.run("tag", podman.image, "localhost/mcp-test/base:1")
    const containerfile = join(temporaryFolder(), "Containerfile")
    writeFileSync(
      containerfile,
      'FROM localhost/mcp-test/base:1\nCMD ["httpd", "-f", "-p", "80", "-h", "/www"]\nRUN ["touch", "/www/hello"]\n'
    )
    yield* podman.run("build", "--quiet", "--file", containerfile, "--tag", "docker.io/library/nginx:1.27")
    const commands = commandsOf("Five minutes on one node")
    assert.include(commands, "export ADDR=100.64.0.1\n")
    const ran = yield* onAFreshMachine(
      podman,
      `${commands.replace("export ADDR=100.64.0.1", `export ADDR=${ADDR}`)}\ncurl -sS --fail http://${ADDR}:8080/hello\nmcp undeploy hello --yes\n`
    )
    assert.strictEqual(ran.code, 0, `${ran.stderr}\n${ran.stdout}`)
    assert.match(ran.stdout, /hello on rift: running as desired/)
    assert.notMatch(ran.stdout, /fail/i)
    assert.match(ran.log("mcp-agent"), /"method":"\/mcp\.v1\.McpAgentService\/Deploy"|Deploy/)
  })
)
