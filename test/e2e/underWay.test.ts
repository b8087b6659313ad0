import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Running } from "../../src/cli/json.ts"
import { type Daemon, type Node, read } from "../support/agent.ts"
import { component, containers, get, OldShop, serving, shop, told, until } from "../support/shop.ts"

/** The podman that the agent has started for itself. */
const ownPodman = (node: Node): number => JSON.parse(read(join(node.dir, "agent/podman/podman-service.json"))).pid

const over = (command: Daemon) => Effect.map(command.ended, (code) => ({ code, stdout: "", stderr: command.log() }))

interface Deployment {
  readonly state: string
  readonly finished_at: string | null
  readonly error: string | null
}

/** How the newest deployment ended. */
const outcome = (node: Node) =>
  until(
    Effect.map(
      node.mcp("status", "shop", "--json"),
      ({ stdout }) => JSON.parse(stdout).services[0].deployments[0] as Deployment
    ),
    ({ finished_at }) => finished_at !== null
  )

const webOf = (node: Node) =>
  Effect.map(node.mcp("ps", "--json"), ({ stdout }) =>
    (JSON.parse(stdout).components as ReadonlyArray<Running>).find(({ component }) => component === "web")
  )

/** Waits until a deployment has set the old version aside. */
const begun = (node: Node) =>
  until(node.podman.run("ps", "--all", "--format", "{{.Names}}"), (names) => names.includes("shop-web.prev"))

const waitOrTry = /wait until that is over, then try again; with --wait, deploy, rollback and snapshot do both/

layer(OldShop.layer, { excludeTestServices: true, timeout: "120 seconds" })("while an act is under way", (it) => {
  it.scoped("podman is killed while a container is started: it is started again, and the deployment goes back", () =>
    Effect.gen(function* () {
      const { node, serves } = yield* OldShop
      // Without a network: podman that dies in netavark leaves an address and a forwarded port that nobody takes away again.
      node.define("shop", `name = "shop"\n${component({ keys: 'network = "none"\nsettle = "20s"' })}`)
      const deploy = yield* node.startMcp("deploy", "shop")
      yield* deploy.line("web  create")
      const killed = ownPodman(node)
      process.kill(killed, "SIGKILL")
      const ran = yield* over(deploy)
      const away = /^mcp: deploy shop failed on here: the container runtime did not answer \(\w+\): .*podman/
      told(ran, away, /see on the node whether podman answers \(podman info\), then try again/)
      assert.match(ran.stderr, /^ +now: the old version is running again \(web 1\)$/m)
      assert.notStrictEqual(ownPodman(node), killed)
      yield* serves
    })
  )

  it.scoped("the operator kills the command: the deployment goes back by itself", () =>
    Effect.gen(function* () {
      const { node, port, serves } = yield* OldShop
      node.define("shop", shop({ port, script: "sleep 1; exit 6", keys: 'settle = "20s"' }))
      const deploy = yield* node.startMcp("deploy", "shop")
      yield* deploy.line("web  create")
      yield* deploy.signal("SIGKILL")
      assert.isNull(yield* deploy.ended)
      const { error, state } = yield* outcome(node)
      assert.strictEqual(state, "rolled_back")
      assert.strictEqual(error, "web did not become ready: it ended with exit code 6")
      yield* serves
    })
  )

  it.scoped("the operator interrupts the command: it says that the deployment goes on, and that does", () =>
    Effect.gen(function* () {
      const { node, port } = yield* OldShop
      node.define("shop", shop({ port, script: serving("new"), keys: 'settle = "2s"' }))
      const deploy = yield* node.startMcp("deploy", "shop")
      yield* deploy.line("web  create")
      yield* deploy.signal("SIGINT")
      const left = /^mcp: deploy shop is no longer followed: what has begun on here goes on by itself$/
      told(yield* over(deploy), left, /mcp status shop/, 130)
      assert.strictEqual((yield* outcome(node)).state, "succeeded")
      assert.strictEqual(yield* get(port), "new\n")
      assert.match((yield* containers(node)).join(), /^\S+ shop-web running$/)
    })
  )

  it.effect("a deploy while another is under way is told so and since when, or waits for its turn", () =>
    Effect.gen(function* () {
      const { node, port } = yield* OldShop
      const startedAt = Date.now()
      node.define("shop", shop({ port, script: serving("first"), keys: 'settle = "4s"' }))
      const first = yield* Effect.fork(node.mcp("deploy", "shop"))
      yield* begun(node)
      node.define("shop", shop({ port, script: serving("second") }))
      const busy = /^mcp: \w+ shop failed on here: a deploy of shop has been under way since (\S+Z)$/m
      const refused = yield* node.mcp("deploy", "shop")
      told(refused, busy, waitOrTry)
      const since = Date.parse(busy.exec(refused.stderr)?.[1] ?? "")
      assert.isTrue(startedAt <= since && since <= Date.now())
      const waited = yield* node.mcp("deploy", "shop", "--wait")
      assert.strictEqual(waited.code, 0, waited.stderr)
      assert.match(waited.stderr, /^shop {2}wait {2}running {2}a deploy has been under way since \S+Z$/m)
      const done = yield* first
      assert.strictEqual(done.code, 0, done.stderr)
      assert.strictEqual(yield* get(port), "second\n")
      assert.match((yield* containers(node)).join(), /^\S+ shop-web running$/)
    })
  )

  it.effect("a deploy while a restart is pending does not wait for it, and the restart never comes", () =>
    Effect.gen(function* () {
      const { node, port } = yield* OldShop
      node.define("shop", shop({ port, script: "sleep 1; exit 9", keys: 'settle = "0s"' }))
      assert.strictEqual((yield* node.mcp("deploy", "shop")).code, 0)
      const pending = yield* until(webOf(node), (web) => web?.restarts === 1 && web.restart_at !== null)
      node.define("shop", shop({ port, script: serving("new") }))
      const deployed = yield* node.mcp("deploy", "shop")
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      const after = yield* containers(node)
      assert.match(after.join(), /^\S+ shop-web running$/)
      yield* Effect.sleep(Math.max(0, Date.parse(String(pending?.restart_at)) + 500 - Date.now()))
      assert.deepStrictEqual(yield* containers(node), after)
      assert.strictEqual((yield* webOf(node))?.restarts, 0)
      assert.strictEqual(yield* get(port), "new\n")
    })
  )

  it.effect("a deploy during a stop is told so, or waits and starts what was stopped", () =>
    Effect.gen(function* () {
      const { node, port } = yield* OldShop
      const script = `trap "echo asked to stop" TERM; ${serving("slow").replace("exec httpd -f", "httpd")}; while true; do sleep 1; done`
      node.define("shop", shop({ port, script }).replace('stop_timeout = "0s"', 'stop_timeout = "4s"'))
      const deployed = yield* node.mcp("deploy", "shop")
      assert.strictEqual(deployed.code, 0, deployed.stderr)
      const before = yield* containers(node)
      const stop = yield* Effect.fork(node.mcp("stop", "shop"))
      yield* until(node.podman.run("logs", "shop-web"), (log) => log.includes("asked to stop"))
      const busy = /^mcp: deploy shop failed on here: a stop of shop has been under way since \S+Z$/
      told(yield* node.mcp("deploy", "shop"), busy, waitOrTry)
      const waited = yield* node.mcp("deploy", "shop", "--wait")
      assert.strictEqual(waited.code, 0, waited.stderr)
      assert.strictEqual((yield* stop).code, 0)
      assert.strictEqual(yield* get(port), "slow\n")
      assert.deepStrictEqual(yield* containers(node), before)
    })
  )
})
