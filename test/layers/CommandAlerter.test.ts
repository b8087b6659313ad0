import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, HashMap, Logger } from "effect"
import * as CommandAlerter from "../../src/layers/CommandAlerter.ts"
import { type Alert, Alerter } from "../../src/services/Alerter.ts"

const alert: Alert = {
  node: "rift",
  service: "shop",
  component: "web",
  kind: "stopped",
  from: "running",
  to: "exited",
  message: "it said $(reboot); `reboot` \"and\" 'so'\non",
  at: Date.UTC(2026, 10, 26, 12)
}

interface Sent {
  /** What the command left in `$OUT`, by file. */
  readonly file: (name: string) => string
  readonly lines: ReadonlyArray<Record<string, unknown>>
  readonly ms: number
}

/** Sends the alert to a script; each run appends a line to `runs`. */
const sent = (body: string, change: { timeout?: number; args?: ReadonlyArray<string>; missing?: boolean } = {}) =>
  Effect.gen(function* () {
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-alert-"))),
      (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
    )
    const script = join(dir, "notify me")
    if (!change.missing) {
      writeFileSync(script, `#!/bin/sh\ncd '${dir}'\necho run >> runs\n${body}\n`)
      chmodSync(script, 0o755)
    }
    const lines: Array<Record<string, unknown>> = []
    const logger = Logger.make(({ annotations, message }) => {
      lines.push({ message: String(message), ...Object.fromEntries(HashMap.toEntries(annotations)) })
    })
    const began = Date.now()
    yield* Effect.flatMap(Alerter, ({ send }) => send(alert)).pipe(
      Effect.provide(
        CommandAlerter.layer({ command: [script, ...(change.args ?? [])], timeout: change.timeout ?? 10_000 })
      ),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    const file = (name: string) => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), "utf8") : "")
    return { file, lines, ms: Date.now() - began } satisfies Sent
  })

const runs = ({ file }: Sent) => file("runs").split("\n").length - 1

describe("the alert command", () => {
  it.scopedLive(
    "gets its arguments as they are written, the alert as JSON and in its environment, and no shell sees any",
    () =>
      Effect.gen(function* () {
        process.env.MCP_AGENT_SECRET = "hunter2"
        const ran = yield* sent('cat > input; env > env; printf "%s\\n" "$@" > args; echo said', {
          args: ["--node", "a b; $(reboot)"]
        })
        delete process.env.MCP_AGENT_SECRET
        assert.deepStrictEqual(JSON.parse(ran.file("input")), { ...alert, at: "2026-11-26T12:00:00.000Z" })
        assert.strictEqual(ran.file("args"), "--node\na b; $(reboot)\n")
        assert.include(ran.file("env"), `MCP_ALERT_MESSAGE=${alert.message}\n`)
        for (const line of [
          "NODE=rift",
          "SERVICE=shop",
          "COMPONENT=web",
          "KIND=stopped",
          "FROM=running",
          "TO=exited"
        ]) {
          assert.include(ran.file("env"), `MCP_ALERT_${line}\n`)
        }
        assert.notInclude(ran.file("env"), "hunter2")
        assert.deepInclude(ran.lines.at(-1), { message: "the alert command has run", output: "said", service: "shop" })
        assert.strictEqual(runs(ran), 1)
      })
  )

  it.scopedLive("that fails is logged with what it printed, and run once more", () =>
    Effect.gen(function* () {
      const ran = yield* sent("echo no network >&2; exit 7")
      assert.strictEqual(runs(ran), 2)
      assert.deepInclude(ran.lines[0], { why: "it ended with exit code 7", output: "no network", component: "web" })
      assert.lengthOf(ran.lines, 2)
      const second = yield* sent('[ "$(wc -l < runs)" = 2 ] || exit 1')
      assert.strictEqual(second.lines.at(-1)?.message, "the alert command has run")
    })
  )

  it.scopedLive("that is not there is logged, and so is one that may not be run", () =>
    Effect.gen(function* () {
      const ran = yield* sent("", { missing: true })
      assert.match(String(ran.lines[0]?.why), /ENOENT/)
      assert.lengthOf(ran.lines, 2)
    })
  )

  it.scopedLive("that hangs is killed with all that it began", () =>
    Effect.gen(function* () {
      const ran = yield* sent("sleep 600 & echo $! > child; sleep 600", { timeout: 300 })
      assert.match(String(ran.lines[0]?.why), /had not ended after 300 ms/)
      assert.strictEqual(runs(ran), 2)
      const child = Number(ran.file("child"))
      // The kernel takes a moment to end it, and whoever is its parent now to bury it.
      const state = Effect.sync(() =>
        existsSync(`/proc/${child}/stat`) ? readFileSync(`/proc/${child}/stat`, "utf8").split(" ")[2] : "gone"
      )
      yield* Effect.timeout(Effect.repeat(state, { until: (now) => now === "gone" || now === "Z" }), "10 seconds")
    })
  )

  it.scopedLive("may print megabytes and leave its input unread: the log has the beginning", () =>
    Effect.gen(function* () {
      const ran = yield* sent("head -c 20000000 /dev/zero | tr '\\0' x")
      assert.strictEqual(ran.lines.at(-1)?.message, "the alert command has run")
      assert.isAtMost(String(ran.lines.at(-1)?.output).length, 4_096)
    })
  )

  it.scopedLive("that leaves a child behind, which holds its output open, is not waited for", () =>
    Effect.gen(function* () {
      const ran = yield* sent("sleep 600 & echo done")
      assert.strictEqual(ran.lines.at(-1)?.output, "done")
      assert.isBelow(ran.ms, 60_000)
    })
  )
})
