import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert } from "@effect/vitest"
import { type Console, Effect } from "effect"
import { build } from "esbuild"
import { run as runCli } from "../../src/mcias/cli.ts"
import { exitCodeOf, reported } from "../../src/programs/main.ts"

/** The bundled program; below node_modules, so that its native dependencies are found. */
export const bundle = async (): Promise<{ readonly file: string; readonly remove: () => void }> => {
  const cache = join(import.meta.dirname, "../../node_modules/.cache")
  mkdirSync(cache, { recursive: true })
  const dir = mkdtempSync(join(cache, "mcp-mcias-"))
  const file = join(dir, "mcp-mcias.mjs")
  await build({
    entryPoints: [join(import.meta.dirname, "../../src/programs/mcp-mcias.ts")],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    define: { MCP_VERSION: '"1.2.3"' },
    external: ["better-sqlite3", "@node-rs/argon2"],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
    },
    logLevel: "error"
  })
  return { file, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command in this process, which spares a start; standard input is the test runner's, so not for passwords. */
export const runHere = (args: ReadonlyArray<string>): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    const outer = yield* Effect.consoleWith(Effect.succeed)
    let stdout = ""
    let stderr = ""
    const captured: Console.Console = {
      ...outer,
      log: (text: unknown) =>
        Effect.sync(() => {
          stdout += `${String(text)}\n`
        }),
      error: (text: unknown) =>
        Effect.sync(() => {
          stderr += `${String(text)}\n`
        })
    }
    const argv = ["node", "mcp-mcias", ...args]
    const program = reported("mcp-mcias", runCli(argv, "test"))
    const exit = yield* Effect.exit(program.pipe(Effect.withConsole(captured), Effect.provide(NodeContext.layer)))
    return { code: exitCodeOf(exit, 130), stdout, stderr }
  })

/** Runs the built program to its end. */
export const run = (file: string, args: ReadonlyArray<string>, input = ""): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: "pipe" })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => {
      stdout += chunk
    })
    child.stderr.on("data", (chunk) => {
      stderr += chunk
    })
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, stdout, stderr }))
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })

/** One line on standard error, without a stack, that says what failed. */
export const failsWith = (ran: Ran, code: number, message: RegExp) => {
  assert.strictEqual(ran.code, code, ran.stderr)
  assert.match(ran.stderr, message)
  assert.match(ran.stderr, /^mcp-mcias: .+\n$/)
  assert.strictEqual(ran.stdout, "")
}

export interface Running {
  readonly url: string
  readonly child: ChildProcess
  /** All it has logged so far. */
  readonly log: () => string
  readonly ended: Promise<number | null>
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>
}

/** Starts `serve` and waits for its line "listening on". */
export const start = (file: string, args: ReadonlyArray<string>): Promise<Running> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, "serve", ...args], { stdio: ["ignore", "pipe", "pipe"] })
    const ended = new Promise<number | null>((done) => child.on("close", done))
    let log = ""
    const read = (chunk: Buffer) => {
      log += chunk
      const address = /listening on ([^"\s]+)/.exec(log)?.[1]
      if (address === undefined) return
      resolve({
        url: `https://${address}`,
        child,
        log: () => log,
        ended,
        end: (signal) => {
          child.kill(signal)
          return ended
        }
      })
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.on("error", reject)
    child.on("close", (code) => reject(new Error(`serve ended with ${code}: ${log}`)))
  })
