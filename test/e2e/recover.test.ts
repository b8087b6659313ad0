import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Running } from "../../src/cli/json.ts"
import { freePort, login, make, type Node, type Ran, run } from "../support/agent.ts"
import { image } from "../support/podman.ts"
import { component, get, serving } from "../support/shop.ts"

const agentProgram = join(import.meta.dirname, "../../dist/mcp-agent")

/** `mcp-agent` as root types it on the node. */
const byHand = (node: Node, ...args: ReadonlyArray<string>) =>
  run(agentProgram, [...args, "--config", node.agentConfig], { PATH: `${node.podman.bin}:${process.env.PATH}` })

const shop = (port: number, page: string) => `name = "shop"
${component({ port, script: serving(page), keys: 'depends_on = ["db"]\n[[components.routes]]\nport = 443\ntarget = 8080\nhostname = "shop.example"' })}
${component({ name: "db", cmd: ["sleep", "1000"], keys: 'settle = "50ms"' })}
${component({ name: "job", cmd: ["true"], keys: 'restart = "no"' })}
`
const blog = (port: number) => `name = "blog"
${component({ port, script: serving("blog"), keys: 'settle = "50ms"' })}
`

const ps = (node: Node) =>
  Effect.map(node.mcp("ps", "--json"), (ran) =>
    (JSON.parse(ran.stdout).components as ReadonlyArray<Running>).map(
      ({ component, ports, service, state }) => `${service}/${component} ${state} ${ports.join(",")}`
    )
  )

/** Podman as it is after `podman rm --all` and the networks gone: images alone are left. */
const loseAll = (node: Node) =>
  Effect.gen(function* () {
    yield* node.podman.run("rm", "--all", "--force", "--time", "0")
    for (const name of (yield* node.podman.run("network", "ls", "--format", "{{.Name}}")).split("\n")) {
      if (name.startsWith("mcp-")) yield* node.podman.run("network", "rm", "--force", name)
    }
  })

/** The firewall's rules that lead host ports to these containers. */
const forgetPorts = (ids: ReadonlyArray<string>) => {
  const nat = (...args: ReadonlyArray<string>) =>
    execFileSync("iptables", ["-w", "-t", "nat", ...args], { encoding: "utf8", stdio: "pipe" })
  const jumps = nat("-S")
    .split("\n")
    .filter((line) => ids.some((id) => line.includes(`id: ${id}`)))
  for (const line of jumps.filter((each) => each.startsWith("-A NETAVARK-HOSTPORT-DNAT"))) {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "")
    nat("-F", words.at(-1) ?? "")
    nat("-D", ...words.slice(1))
  }
}

/** The machine is switched off: every process of a container is gone, and so is all that podman keeps in memory. */
const powerCut = (node: Node) =>
  Effect.gen(function* () {
    const { dir } = node.podman
    const ids = yield* node.podman.run("ps", "--all", "--quiet", "--no-trunc")
    const pids = yield* node.podman.run("ps", "--format", "{{.Pid}}")
    const conmons = readdirSync("/proc").filter((pid) => {
      const file = `/proc/${pid}/cmdline`
      if (!/^\d+$/.test(pid) || !existsSync(file)) return false
      const argv = readFileSync(file, "utf8").split("\0")
      return argv[0]?.endsWith("/conmon") && argv.some((word) => word.startsWith(`${dir}/`))
    })
    for (const pid of [...conmons, ...pids.split("\n").filter(Boolean)]) process.kill(Number(pid), "SIGKILL")
    const inside = (...argv: ReadonlyArray<string>) =>
      execFileSync("nsenter", [`--mount=${dir}/ns/mnt`, ...argv], { encoding: "utf8" })
    const mounts = inside("cat", "/proc/self/mounts")
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "")
    const own = mounts.filter((at) => at.startsWith(`${dir}/r`) || at.startsWith("/run/netns/"))
    for (const at of own.reverse()) inside("umount", "-l", at)
    forgetPorts(ids.split("\n"))
    const memory = ["runroot", "tmp"].map((name) => join(dir, name))
    for (const gone of [...memory, ...ids.split("\n").map((id) => `/run/runc/${id}`)]) {
      rmSync(gone, { recursive: true, force: true })
    }
  })

/** What the audit line of an act says. */
const audited = (ran: Ran, method: string): Record<string, unknown> => {
  const line = ran.stderr.split("\n").find((each) => each.includes('"by hand"')) ?? "{}"
  const { annotations, logLevel } = JSON.parse(line)
  assert.deepInclude(annotations, { method, caller: "local:root", code: "OK" }, ran.stderr)
  assert.strictEqual(logLevel, "INFO")
  return annotations
}

it.scopedLive("what ran runs again after a kill with podman emptied, after a power cut, and from a snapshot", () =>
  Effect.gen(function* () {
    const node = yield* make
    const mcias = yield* node.startMcias
    const agent = yield* node.startAgent
    yield* login(node, "admin")
    const [port, other] = [yield* freePort, yield* freePort]
    node.define("shop", shop(port, "old"))
    node.define("blog", blog(other))
    assert.strictEqual((yield* node.mcp("deploy", "--all")).code, 0)
    const before = yield* ps(node)
    assert.include(before.join(), "shop/job exited")

    // Beside a running agent a snapshot is taken, and all else is refused.
    const taken = yield* byHand(node, "snapshot", "--keep", "2")
    assert.strictEqual(taken.code, 0, taken.stderr)
    const snapshot = /^wrote (.*)$/m.exec(taken.stdout)?.[1] ?? ""
    assert.strictEqual(statSync(snapshot).mode & 0o777, 0o600)
    assert.match(taken.stdout, /2 services, 2 deployments/)
    const file = node.define("shop", shop(port, "old"))
    for (const words of [["recover"], ["deploy", file], ["restore", snapshot]]) {
      const ran = yield* byHand(node, ...words)
      assert.strictEqual(ran.code, 1)
      assert.match(ran.stderr, new RegExp(`an agent \\(pid ${agent.pid}\\) runs.*\\n  next: `), ran.stderr)
    }

    // Killed, with containers and networks gone; and with stages, of which the second names what is not there.
    yield* agent.signal("SIGKILL")
    yield* agent.ended
    yield* loseAll(node)
    const stages = (name: string, service: string, health: string) =>
      `[[boot.sequence]]\nname = "${name}"\nservices = ["${service}"]\nhealth = "${health}"\ntimeout = "20s"\n`
    writeFileSync(
      node.agentConfig,
      `${readFileSync(node.agentConfig, "utf8")}\n${stages("first", "blog", "http")}${stages("second", "mcns", "tcp")}`
    )
    const second = yield* node.startAgent
    assert.deepStrictEqual(yield* ps(node), before)
    assert.strictEqual(yield* get(port), "old\n")
    const log = second.log()
    assert.match(log, /"booting".*break_glass":"[^"]*mcp-agent deploy FILE/)
    assert.match(log, /a boot stage names services that are not deployed here.*mcns/)
    assert.isBelow(log.indexOf('"service":"blog"'), log.indexOf('"service":"shop"'))

    // The power is cut, and the identity server is away; root brings all of it back by hand.
    yield* second.signal("SIGKILL")
    yield* second.ended
    yield* powerCut(node)
    yield* mcias.stop
    const recovered = yield* byHand(node, "recover")
    assert.strictEqual(recovered.code, 0, recovered.stdout + recovered.stderr)
    assert.deepStrictEqual(
      recovered.stdout
        .split("\n")
        .map((line) => line.replace(/;.*/, ""))
        .filter(Boolean)
        .sort(),
      ["blog/web: started again", "shop/db: started again", "shop/job: rests", "shop/web: started again"]
    )
    audited(recovered, "recover")
    assert.strictEqual(yield* get(port), "old\n")

    // Break-glass: a bad file is refused, a version that fails goes back, a good one comes up.
    const bad = yield* byHand(node, "deploy", node.define("bad", 'name = "bad"\n[[components]]\nname = "web"\n'))
    assert.strictEqual(bad.code, 2, bad.stderr)
    const failing = yield* byHand(node, "deploy", node.define("shop", shop(port, "x; exit 3")))
    assert.strictEqual(failing.code, 1, failing.stdout)
    assert.match(failing.stderr, /shop is as it was: .*exit code 3[\s\S]*\n {2}next: /)
    const deployed = yield* byHand(node, "deploy", node.define("shop", shop(port, "new")))
    assert.strictEqual(deployed.code, 0, deployed.stderr)
    assert.match(deployed.stdout, /web: start done in \d+ ms[\s\S]*deployed shop in/)
    assert.strictEqual(audited(deployed, "deploy").service, "shop")
    assert.strictEqual(yield* get(port), "new\n")

    // From the snapshot: the newer container is not the restored registry's, and is left alone.
    const damaged = join(node.dir, "damaged.db")
    writeFileSync(damaged, readFileSync(snapshot).fill(7, 5_000, 30_000))
    const refused = yield* byHand(node, "restore", damaged)
    assert.strictEqual(refused.code, 1)
    assert.match(refused.stderr, /it is damaged.*\n {2}next: /)
    const newer = yield* node.podman.run("inspect", "shop-web", "--format", "{{.Id}}")
    const same = yield* node.podman.run("inspect", "blog-web", "--format", "{{.Id}}")
    const restored = yield* byHand(node, "restore", snapshot)
    assert.strictEqual(restored.code, 0, restored.stderr)
    const old = /the one before is kept as (.*)$/m.exec(restored.stdout)?.[1] ?? ""
    assert.isTrue(existsSync(old))
    // The agent starts without the identity server, which may be one of its services.
    const third = yield* node.startAgent
    yield* node.startMcias
    yield* third.line("did not make")
    assert.deepStrictEqual(yield* node.podman.run("inspect", "blog-web", "--format", "{{.Id}}"), same)
    assert.strictEqual(yield* node.podman.run("inspect", "shop-web", "--format", "{{.Id}}"), newer)
    assert.strictEqual(yield* get(port), "new\n")
    const history = yield* node.mcp("history", "shop")
    assert.notInclude(history.stdout, "local:root")
    yield* third.stop
    // And back to the one before.
    assert.strictEqual((yield* byHand(node, "restore", old)).code, 0)
    yield* node.startAgent
    assert.include((yield* node.mcp("history", "shop")).stdout, "local:root")
    assert.strictEqual((yield* node.mcp("status", "--exit-code")).code, 0)
    assert.include(yield* node.podman.run("images", "--format", "{{.Repository}}:{{.Tag}}"), image)
  })
)
