import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import type { Used } from "../../src/cli/json.ts"
import { type Daemon, login, make, type Node, read, run } from "../support/agent.ts"
import { image } from "../support/podman.ts"

const component = (name: string, cmd: ReadonlyArray<string>) => `[[components]]
name = "${name}"
image = "${image}"
cmd = ${JSON.stringify(cmd)}
settle = "50ms"
stop_timeout = "0s"
`
const shop = `name = "shop"\n${component("web", ["sleep", "10000"])}memory = "64m"\n${component("worker", ["sh", "-c", "while :; do :; done"])}cpus = 0.3\n`
const lone = `name = "lone"\n${component("lone", ["sleep", "10000"])}`

interface Shop {
  readonly node: Node
  readonly agent: Daemon
  /** `mcp` with its config, to be run by something else. */
  readonly argv: ReadonlyArray<string>
}

class Running extends Context.Tag("test/Running")<Running, Shop>() {
  static readonly layer = Layer.scoped(
    Running,
    Effect.gen(function* () {
      const node = yield* make
      yield* node.startMcias
      const agent = yield* node.startAgent
      yield* login(node, "admin")
      node.define("shop", shop)
      node.define("lone", lone)
      assert.strictEqual((yield* node.mcp("deploy", "--all")).code, 0)
      const mcp = join(import.meta.dirname, "../../dist/mcp")
      return { node, agent, argv: [mcp, "--config", join(node.dir, "cli-0.toml")] }
    })
  )
}

/** Runs it with this input, and answers how it ended and what it wrote. */
const piped = ([program = "", ...args]: ReadonlyArray<string>, input: Buffer | string) =>
  Effect.promise(async () => {
    const child = spawn(program, args, { stdio: "pipe" })
    const out: Array<Buffer> = []
    let stderr = ""
    child.stdout.on("data", (chunk) => out.push(chunk))
    child.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    child.stdin.on("error", () => {})
    child.stdin.end(input)
    const [code] = await once(child, "close")
    return { code, out: Buffer.concat(out), stderr }
  })

interface OnTerminal {
  readonly code: number | null
  readonly text: string
  readonly changed: boolean
  readonly restored: boolean
}

const onTerminal = (argv: ReadonlyArray<string>, steps: ReadonlyArray<ReadonlyArray<string | number>>) =>
  Effect.map(
    run("/usr/bin/python3", [join(import.meta.dirname, "terminal.py"), "30", "100", JSON.stringify(steps), ...argv]),
    ({ stderr, stdout }): OnTerminal => {
      assert.strictEqual(stderr, "")
      return JSON.parse(stdout)
    }
  )

const runs = (word: string) =>
  readdirSync("/proc").some((pid) => {
    try {
      const argv = read(`/proc/${pid}/cmdline`).split("\0")
      return argv[0] === "sleep" && argv[1] === word
    } catch {
      return false
    }
  })
const until = (holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.repeat({ until: (now) => now, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout("15 seconds")
  )

const rss = (pid: number) => Number(/VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1]) * 1024

/** Starts it without reading what it writes. */
const unread = ([program = "", ...args]: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): ChildProcess => spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )

layer(Running.layer, { excludeTestServices: true, timeout: "120 seconds" })("mcp exec", (it) => {
  it.scoped("in a pipe passes input, output, errors and the exit code on, whole", () =>
    Effect.gen(function* () {
      const { agent, argv } = yield* Running
      const big = Buffer.from(Array.from({ length: 4 * 2 ** 20 }, (_, i) => (i * 7) % 253))
      const through = yield* piped([...argv, "exec", "lone", "--", "cat"], big)
      assert.deepInclude(through, { code: 0, stderr: "" })
      assert.isTrue(through.out.equals(big))
      const script = "echo out; echo $SECRET >&2; exit 7"
      const failing = yield* piped([...argv, "exec", "-e", "SECRET=s3cret", "shop/web", "--", "sh", "-c", script], "")
      assert.deepInclude(failing, { code: 7, stderr: "s3cret\n" })
      assert.strictEqual(failing.out.toString(), "out\n")
      // What follows -- is the command's alone.
      const echoed = yield* piped([...argv, "exec", "lone", "--", "echo", "--version", "--json", "--", "-h"], "")
      assert.strictEqual(echoed.out.toString(), "--version --json -- -h\n")
      const audited = () =>
        agent
          .log()
          .split("\n")
          .filter((line) => line.includes("McpAgentService/Exec"))
      yield* until(() => audited().length === 3)
      assert.strictEqual(
        audited().filter((line) => /"component":"web"/.test(line) && /"caller":"admin"/.test(line)).length,
        1
      )
      for (const secret of ["s3cret", "SECRET", "echo out"]) assert.notInclude(agent.log(), secret)
    })
  )

  it.scoped("says clearly what it cannot run, and what to do", () =>
    Effect.gen(function* () {
      const { node } = yield* Running
      const fails = (code: number, message: RegExp, ...args: ReadonlyArray<string>) =>
        Effect.map(node.mcp("exec", ...args), (ran) => {
          assert.strictEqual(ran.code, code, ran.stderr)
          assert.match(ran.stderr, message)
        })
      yield* Effect.all(
        [
          fails(
            127,
            /lone failed on here: there is no command nope in the container\n {2}next: /,
            "lone",
            "--",
            "nope"
          ),
          fails(2, /shop has several components: web, worker\n {2}next: say which: shop\/web\n/, "shop", "--", "ls")
        ],
        { concurrency: 2 }
      )
      yield* node.mcp("stop", "lone")
      yield* fails(
        1,
        /lone failed on here: its container does not run: it is stopped\n {2}next: mcp start lone/,
        "lone",
        "--",
        "ls"
      )
      const { components } = JSON.parse((yield* node.mcp("stats", "lone", "--json")).stdout)
      assert.deepInclude(components[0], { state: "stopped", container_id: null, cpu_percent: null, pids: null })
    })
  )

  it.scoped(
    "on a terminal is a terminal: its size, each change of it, Ctrl-C, and the exit code; and gives it back",
    () =>
      Effect.gen(function* () {
        const { argv } = yield* Running
        const ran = yield* onTerminal(
          [
            ...argv,
            "exec",
            "shop/web",
            "--",
            "sh",
            "-c",
            'stty size; trap "echo caught" INT; read a; stty size; exit 9'
          ],
          [
            ["expect", "30 100\r\n"],
            ["type", "\u0003"],
            ["expect", "caught\r\n"],
            ["resize", 44, 133],
            ["type", "go\r"]
          ]
        )
        assert.deepInclude(ran, { code: 9, changed: true, restored: true })
        assert.notInclude(ran.text, "\r\r\n")
        const resized = yield* onTerminal(
          [
            ...argv,
            "exec",
            "shop/web",
            "--",
            "sh",
            "-c",
            'echo ready; trap "stty size; exit" WINCH; while :; do sleep 0.1; done'
          ],
          [
            ["expect", "ready\r\n"],
            ["resize", 44, 133],
            ["expect", "44 133\r\n"]
          ]
        )
        assert.deepInclude(resized, { code: 0, restored: true })
        assert.include(resized.text, "44 133\r\n")
        const ended = yield* onTerminal(
          [...argv, "exec", "shop/web", "--", "sh", "-c", "echo ready; sleep 92001"],
          [
            ["expect", "ready\r\n"],
            ["signal", "HUP"]
          ]
        )
        assert.deepInclude(ended, { code: 130, changed: true, restored: true })
        yield* until(() => !runs("92001"))
      })
  )

  it.scoped("ends the command when mcp ends, and lets it wait while nobody reads", () =>
    Effect.gen(function* () {
      const { agent, argv } = yield* Running
      for (const name of ["SIGINT", "SIGKILL"] as const) {
        const child = yield* unread([...argv, "exec", "shop/web", "--", "sleep", "92002"])
        yield* until(() => runs("92002"))
        const ended = once(child, "exit")
        child.kill(name)
        const [code] = yield* Effect.promise(() => ended)
        assert.strictEqual(code, name === "SIGINT" ? 130 : null)
        yield* until(() => !runs("92002"))
      }
      const before = rss(agent.pid)
      yield* unread([...argv, "exec", "shop/web", "--", "yes"])
      // Long enough for some hundred MiB, if somebody took them.
      yield* Effect.sleep("3 seconds")
      assert.isBelow(rss(agent.pid) - before, 64 * 2 ** 20)
    })
  )

  it.scoped("mcp stats shows what components use, and goes on with --watch", () =>
    Effect.gen(function* () {
      const { argv, node } = yield* Running
      const ran = yield* node.mcp("stats", "shop", "--json")
      assert.strictEqual(ran.code, 0, ran.stderr)
      const used: ReadonlyArray<Used> = JSON.parse(ran.stdout).components
      const [web, worker] = used
      assert.deepStrictEqual([web?.component, worker?.component], ["web", "worker"])
      assert.strictEqual(web?.memory_limit_bytes, 64 * 2 ** 20)
      assert.isAbove(web?.memory_bytes ?? 0, 0)
      assert.isAbove(web?.pids ?? 0, 0)
      // One turns in a circle, the other sleeps; on a busy machine that is not much either.
      assert.isAbove(worker?.cpu_percent ?? 0, (web?.cpu_percent ?? 100) + 0.5)
      const child = spawn(argv[0] ?? "", [...argv.slice(1), "stats", "--watch", "--json"], {
        stdio: ["ignore", "pipe", "ignore"]
      })
      let lines = ""
      child.stdout.on("data", (chunk) => {
        lines += chunk
      })
      yield* until(() => lines.split("\n").length > 2)
      child.kill("SIGINT")
      for (const line of lines.trim().split("\n")) assert.lengthOf(JSON.parse(line).components, 3)
    })
  )
})
