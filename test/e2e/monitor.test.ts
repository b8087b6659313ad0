import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { Event, StatusService } from "../../src/cli/json.ts"
import { login, make, type Node } from "../support/agent.ts"
import { image } from "../support/podman.ts"

const sleeper = (name: string, more = "") => `name = "${name}"
[[components]]
name = "web"
image = "${image}"
cmd = ["sleep", "1000"]
settle = "0s"
stop_timeout = "0s"
${more}`

/** A scan a second, no hold, and a command that keeps what it is told. */
const watchful = (node: Node) => {
  const notify = join(node.dir, "notify")
  const told = join(node.dir, "told")
  writeFileSync(notify, `#!/bin/sh\ncat >> '${told}'\necho "$1" >> '${told}.args'\n`)
  chmodSync(notify, 0o755)
  appendFileSync(
    node.agentConfig,
    `[monitor]
interval = "2s"
alert_command = ["${notify}", "$(touch ${node.dir}/shell)"]
hold_for = "1s"
`
  )
  return () =>
    existsSync(told)
      ? readFileSync(told, "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { service: string; kind: string; message: string })
      : []
}

const eventually = <A>(read: Effect.Effect<A>, holds: (value: A) => boolean, what: string) =>
  read.pipe(
    Effect.filterOrFail(holds, () => "not yet" as const),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.timeout("30 seconds"),
    Effect.orDieWith(() => new Error(`not within 30 s: ${what}`))
  )

const events = (node: Node, ...target: ReadonlyArray<string>) =>
  Effect.map(node.mcp("events", ...target, "--json"), ({ stdout }) => JSON.parse(stdout).events as ReadonlyArray<Event>)

const statusOf = (node: Node, service: string) =>
  Effect.map(node.mcp("status", service, "--json"), ({ stdout }) => {
    const [first] = JSON.parse(stdout).services as ReadonlyArray<StatusService>
    const [only] = first?.components ?? []
    return `${only?.observed} ${only?.drift.join(",")}`
  })

it.scopedLive("the agent knows what is done to containers by hand, tells it, and follows podman through a hang", () =>
  Effect.gen(function* () {
    const node = yield* make
    const told = watchful(node)
    const kinds = (service: string) => told().flatMap((alert) => (alert.service === service ? [alert.kind] : []))
    yield* node.startMcias
    const agent = yield* node.startAgent
    yield* login(node, "admin")
    for (const name of ["killed", "removed", "renamed", "quiet", "stays"]) {
      node.define(name, sleeper(name, name === "killed" ? 'restart = "on-failure:1"\n' : ""))
    }
    assert.strictEqual((yield* node.mcp("deploy", "--all")).code, 0)

    // Followed from before anything happens: the stream tells each as it comes.
    const following = yield* node.startMcp("events", "--follow", "--json")
    const watching = yield* node.startMcp("status", "killed", "--watch")
    assert.match((yield* node.mcp("silence", "quiet", "--for", "1h")).stdout, /^no alerts of quiet until /)

    yield* node.podman.run("kill", "killed-web")
    yield* node.podman.run("rm", "--force", "--time", "0", "removed-web", "quiet-web")
    yield* node.podman.run("rename", "renamed-web", "mine")
    yield* eventually(statusOf(node, "removed"), (seen) => seen === "removed missing", "removed missing")
    yield* eventually(statusOf(node, "renamed"), (seen) => seen === "running spec", "running spec")
    const exited = yield* eventually(
      events(node, "killed"),
      (all) => all.some(({ kind }) => kind === "restarted"),
      "killed and started again"
    )
    assert.deepInclude(
      exited.find(({ to }) => to === "exited"),
      { service: "killed", component: "web", kind: "observed", from: "running", message: "exit code 137", actor: null }
    )
    yield* eventually(
      Effect.sync(() => kinds("removed")),
      (seen) => seen.includes("missing"),
      "an alert of removed"
    )
    yield* eventually(
      Effect.sync(() => kinds("renamed")),
      (seen) => seen.includes("spec"),
      "an alert of renamed"
    )
    assert.deepStrictEqual(kinds("quiet"), [])
    assert.deepStrictEqual(kinds("stays"), [])
    assert.isFalse(existsSync(join(node.dir, "shell")))
    assert.include(readFileSync(join(node.dir, "told.args"), "utf8"), "$(touch ")

    // Somebody else's container under MCP's name is not taken for its own, and never touched.
    const stranger = (yield* node.podman.run("run", "-d", "--name", "removed-web", image, "sleep", "1000")).trim()
    yield* eventually(statusOf(node, "removed"), (seen) => seen === "removed missing", "still missing")
    yield* node.podman.run("rm", "--force", "--time", "0", stranger)
    yield* node.podman.run("rename", "mine", "renamed-web")
    assert.strictEqual((yield* node.mcp("start", "removed")).code, 0)
    yield* eventually(
      Effect.sync(() => [kinds("renamed"), kinds("removed")]),
      ([renamed, removed]) => renamed?.at(-1) === "recovered" && removed?.at(-1) === "recovered",
      "both recovered"
    )

    // podman hangs: nothing is known of any, one alert says so, and no call waits for long.
    const before = told().length
    const { pid } = JSON.parse(readFileSync(join(node.dir, "agent/podman/podman-service.json"), "utf8"))
    process.kill(pid, "SIGSTOP")
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        try {
          process.kill(pid, "SIGCONT")
        } catch {
          // It has ended.
        }
      })
    )
    yield* eventually(
      Effect.sync(() => kinds("")),
      (seen) => seen.includes("runtime"),
      "an alert of podman"
    )
    assert.strictEqual(yield* statusOf(node, "stays"), "unknown ")
    process.kill(pid, "SIGCONT")
    yield* eventually(statusOf(node, "stays"), (seen) => seen === "running ", "running again")
    yield* eventually(
      Effect.sync(() => kinds("")),
      (seen) => seen.at(-1) === "recovered",
      "podman recovered"
    )
    assert.deepStrictEqual(
      told()
        .slice(before)
        .map(({ kind }) => kind),
      ["runtime", "recovered"]
    )

    yield* following.signal("SIGINT")
    yield* watching.signal("SIGINT")
    assert.strictEqual(yield* following.ended, 130)
    assert.strictEqual(yield* watching.ended, 130)
    assert.notInclude(agent.log(), '"logLevel":"ERROR"')
  })
)
