import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { bothViews, login, make, type Node, read } from "../support/agent.ts"
import { image } from "../support/podman.ts"

const definition = `name = "shop"
[[components]]
name = "web"
image = "${image}"
cmd = ["sleep", "1000"]
settle = "100ms"
stop_timeout = "0s"
`

/** The podman that the agent has started for itself. */
const ownPodman = (node: Node): number => JSON.parse(read(join(node.dir, "agent/podman/podman-service.json"))).pid
/** Whether a process runs; one that has ended and waits for whoever inherited it to look does not. */
const runs = (pid: number) => {
  if (!existsSync(`/proc/${pid}`)) return false
  const [state] = read(`/proc/${pid}/stat`).split(") ").slice(1)
  return state !== undefined && !/^[ZX]/.test(state)
}

it.scopedLive("after kill -9 of the agent its containers run on, and a new agent knows them", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    const agent = yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", definition)
    assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
    const before = yield* node.podman.run("ps", "--quiet", "--no-trunc")
    const orphan = ownPodman(node)
    yield* agent.signal("SIGKILL")
    yield* agent.ended
    assert.strictEqual(yield* node.podman.run("ps", "--quiet", "--no-trunc"), before)
    // It may have ended by itself, when it wrote to an agent that was no longer there to read.
    yield* node.startAgent
    assert.isFalse(runs(orphan))
    const { ours, theirs } = yield* bothViews(node)
    assert.deepStrictEqual(ours, ["shop-web running"])
    assert.deepStrictEqual(theirs, ours)
    const again = yield* node.mcp("deploy", "shop", "--json")
    assert.strictEqual(JSON.parse(again.stdout).services[0].components[0].action, "unchanged")
    assert.strictEqual(yield* node.podman.run("ps", "--quiet", "--no-trunc"), before)
  })
)

it.scopedLive("an agent that is asked to stop leaves its containers running and its podman ended", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    const agent = yield* node.startAgent
    yield* login(node, "admin")
    node.define("shop", definition)
    assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
    const podman = ownPodman(node)
    assert.isTrue(runs(podman))
    yield* agent.signal("SIGTERM")
    assert.strictEqual(yield* agent.ended, 0)
    assert.isFalse(runs(podman))
    assert.match(yield* node.podman.run("ps", "--format", "{{.Names}} {{.Status}}"), /^shop-web Up/)
  })
)

it.scopedLive("when MCIAS is gone, calls are refused with the cause, and served again when it is back", () =>
  Effect.gen(function* () {
    const node = yield* make
    const scope = yield* Scope.make()
    const mcias = yield* Scope.extend(node.startMcias, scope)
    yield* node.startAgent
    yield* login(node, "admin")
    yield* mcias.stop
    yield* Scope.close(scope, Exit.void)
    const ran = yield* node.mcp("status")
    assert.notStrictEqual(ran.code, 0)
    assert.match(ran.stdout + ran.stderr, /MCIAS at \S+ could not be asked/)
    const login2 = yield* node.mcp("login", "--username", "admin", "--password-file", join(node.dir, "password"))
    assert.strictEqual(login2.code, 1)
    assert.match(login2.stderr, /^ +next: /m)
    yield* node.startMcias
    assert.strictEqual((yield* node.mcp("status")).code, 0)
  })
)

it.scopedLive("when podman is gone, a deploy says so and the node counts as degraded", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    const config = join(node.dir, "agent/no-podman.toml")
    const socket = join(node.dir, "no.sock")
    yield* Effect.sync(() => writeFileSync(config, `[runtime]\nsocket = "unix://${socket}"\n${read(node.agentConfig)}`))
    const agent = yield* node.agentWith(config)
    yield* agent.line('"listening"')
    yield* login(node, "admin")
    node.define("shop", definition)
    const ran = yield* node.mcp("deploy", "shop")
    assert.strictEqual(ran.code, 1, ran.stderr)
    assert.match(ran.stderr, /podman|container runtime/)
    assert.match(ran.stderr, /^ +next: /m)
    assert.include((yield* node.mcp("node", "list")).stdout, "degraded")
  })
)
