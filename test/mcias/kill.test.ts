import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll, describe } from "vitest"
import { codeOf, stepAt } from "../../src/mcias/totp.ts"
import { sequence } from "../support/killing.ts"
import { bundle, run as runFile, start as startFile } from "./program.ts"
import { certificatesIn, client, PASSWORD, tempDir } from "./server.ts"

const ROUNDS = Number(process.env.MCP_FAULT_ROUNDS ?? 4)
const SEED = 4711

let program: Awaited<ReturnType<typeof bundle>>
beforeAll(async () => {
  program = await bundle()
})
afterAll(() => program.remove())

/** A command that may be killed in its midst: what it printed, and whether it ended well. */
const begin = (args: ReadonlyArray<string>) => {
  const child: ChildProcess = spawn(process.execPath, [program.file, ...args], { stdio: ["ignore", "pipe", "pipe"] })
  let stdout = ""
  child.stdout?.on("data", (chunk) => {
    stdout += chunk
  })
  const ended = new Promise<{ readonly done: boolean; readonly stdout: string }>((resolve) => {
    child.on("close", (code) => resolve({ done: code === 0, stdout }))
  })
  return { child, ended }
}

const someEnded = (commands: ReadonlyArray<ReturnType<typeof begin>>, some: number) =>
  new Promise<void>((resolve) => {
    let ended = 0
    const count = () => {
      if (ended++ >= some) resolve()
    }
    count()
    for (const one of commands) one.ended.then(count)
  })
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe("kill -9", () => {
  it.scopedLive(
    `in the midst of logins, adds, rotations and new passwords, ${ROUNDS} times: what was answered is there`,
    () =>
      Effect.gen(function* () {
        const random = sequence(SEED)
        const dir = join(yield* tempDir, "mcias")
        const run = (...args: ReadonlyArray<string>) =>
          Effect.promise(() => runFile(program.file, [...args, "--dir", dir]))
        const ok = (...args: ReadonlyArray<string>) =>
          Effect.map(run(...args), (ran) => {
            assert.strictEqual(ran.code, 0, ran.stderr)
            return ran.stdout
          })
        yield* ok("init")
        const { caCert, tlsCert, tlsKey } = yield* certificatesIn(dir)
        const ca = readFileSync(caCert, "utf8")
        const passwords = ["first password", "second password"].map((text, index) => {
          const file = join(dir, `password-${index}`)
          writeFileSync(file, text)
          return { text, file }
        })
        const passwordFile = join(dir, "password")
        writeFileSync(passwordFile, PASSWORD)
        yield* ok("account", "add", "alice", "--password-file", passwordFile)
        yield* ok("account", "add", "tina", "--password-file", passwordFile)
        yield* ok("account", "add", "paul", "--password-file", passwords[0]?.file ?? "")
        const uri = new URL((yield* ok("totp", "enrol", "tina")).trim())
        const secret = Redacted.make(uri.searchParams.get("secret") ?? "")

        const serve = Effect.gen(function* () {
          const args = ["--dir", dir, "--addr", "127.0.0.1:0", "--tls-cert", tlsCert, "--tls-key", tlsKey]
          const running = yield* Effect.promise(() => startFile(program.file, args))
          yield* Effect.addFinalizer(() => Effect.promise(() => running.end("SIGKILL")))
          return running
        })
        // From ever new addresses, or the rate limit would answer. Each connects when it is first used.
        let addresses = 0
        const spread = (url: string) =>
          Effect.map(
            Effect.replicateEffect(
              Effect.suspend(() => client(url, ca, `127.1.${++addresses >> 8}.${addresses & 255}`)),
              60
            ),
            (clients) => {
              let sent = 0
              const send: (typeof clients)[number] = (...request) =>
                (clients[Math.floor(sent++ / 9) % clients.length] ?? assert.fail())(...request)
              return send
            }
          )
        type Send = Effect.Effect.Success<ReturnType<typeof spread>>
        const login = (send: Send, username: string, password: string, totp_code?: string) =>
          send("POST", "/v1/auth/login", JSON.stringify({ username, password, totp_code }))

        const tokens: Array<string> = []
        const added: Array<string> = []
        const keys: Array<string> = []
        let answers = 0
        let cutOff = 0
        // Which of the two passwords paul may have.
        let possible = [0]

        for (let round = 0; round < ROUNDS; round++) {
          const usedCodes: Array<string> = []
          yield* Effect.scoped(
            Effect.gen(function* () {
              const server = yield* serve
              const send = yield* spread(server.url)
              let killed = false
              const record = (answer: Awaited<ReturnType<Send>>) => {
                assert.strictEqual(answer.status, 200, JSON.stringify(answer.body))
                answers += 1
                tokens.push((answer.body as { token: string }).token)
              }
              const steady = async () => {
                while (!killed) record(await login(send, "alice", PASSWORD))
              }
              const withCode = async () => {
                const code = codeOf(secret, stepAt(Date.now()) + (round % 2))
                const answer = await login(send, "tina", PASSWORD, code)
                if (answer.status !== 200) return
                usedCodes.push(code)
                record(answer)
              }
              const next = 1 - (possible[0] ?? 0)
              const name = `new-${round}`
              const add = begin(["account", "add", name, "--password-file", passwordFile, "--dir", dir])
              const rotate = begin(["key", "rotate", "--dir", dir])
              const password = begin([
                "account",
                "password",
                "paul",
                "--password-file",
                passwords[next]?.file ?? "",
                "--dir",
                dir
              ])
              const commands = [add, rotate, password]
              const clientsDone = Promise.allSettled([steady(), steady(), steady(), withCode()])
              // They take about the same time: when the first has ended, or the second, the others are near their writes.
              yield* Effect.promise(() => someEnded(commands, round % 4))
              yield* Effect.promise(() => pause(random() * (round % 4 === 0 ? 1000 : 60)))
              killed = true
              for (const { child } of commands) child.kill("SIGKILL")
              yield* Effect.promise(() => server.end("SIGKILL"))
              const settled = yield* Effect.promise(() => clientsDone)
              for (const one of settled) {
                if (one.status === "fulfilled") continue
                if (one.reason instanceof Error && one.reason.name === "AssertionError") throw one.reason
                cutOff += 1
              }
              const [adding, rotating, changing] = yield* Effect.promise(() =>
                Promise.all(commands.map((one) => one.ended))
              )
              if (adding?.done) added.push(name)
              if (rotating?.done) keys.push(rotating.stdout.split(" ")[1] ?? "")
              possible = changing?.done ? [next] : [1 - next, next]
            })
          )

          const db = new Database(join(dir, "mcias.db"), { readonly: true })
          assert.deepStrictEqual(db.pragma("integrity_check"), [{ integrity_check: "ok" }])
          db.close()
          yield* Effect.scoped(
            Effect.gen(function* () {
              const server = yield* serve
              const send = yield* spread(server.url)
              for (const code of usedCodes) {
                const again = yield* Effect.promise(() => login(send, "tina", PASSWORD, code))
                assert.strictEqual(again.status, 401, "a code worked twice")
              }
              for (const token of tokens) {
                const { body } = yield* Effect.promise(() =>
                  send("POST", "/v1/token/validate", JSON.stringify({ token }))
                )
                assert.deepInclude(body as object, { valid: true }, `round ${round}`)
              }
              for (const name of [...added, "alice"]) {
                assert.strictEqual((yield* Effect.promise(() => login(send, name, PASSWORD))).status, 200, name)
              }
              const works: Array<number> = []
              for (const [index, { text }] of passwords.entries()) {
                if ((yield* Effect.promise(() => login(send, "paul", text))).status === 200) works.push(index)
              }
              assert.strictEqual(works.length, 1)
              assert.includeMembers(possible, works)
              possible = works
              const published = yield* Effect.promise(() => send("GET", "/.well-known/jwks.json"))
              const kids = (published.body as { keys: ReadonlyArray<{ kid: string }> }).keys.map(({ kid }) => kid)
              assert.includeMembers(kids, keys)
            })
          )
        }
        assert.isAbove(answers, ROUNDS)
        assert.isAbove(cutOff, 0)
      }),
    ROUNDS * 30_000
  )

  it.scopedLive("four rotations at once leave one key that signs and retire the others", () =>
    Effect.gen(function* () {
      const dir = join(yield* tempDir, "mcias")
      const run = (...args: ReadonlyArray<string>) =>
        Effect.promise(() => runFile(program.file, [...args, "--dir", dir]))
      yield* run("init")
      const all = yield* Effect.all(
        Array.from({ length: 4 }, () => run("key", "rotate")),
        { concurrency: "unbounded" }
      )
      for (const ran of all) assert.strictEqual(ran.code, 0, ran.stderr)
      const listed = JSON.parse((yield* run("key", "list", "--json")).stdout) as ReadonlyArray<{
        state: string
        kid: string
      }>
      assert.strictEqual(listed.length, 5)
      const db = new Database(join(dir, "mcias.db"), { readonly: true })
      const unretired = db.prepare("SELECT kid FROM keys WHERE ends_at = 0").all()
      db.close()
      const signing = listed.filter((key) => key.state === "signs").map(({ kid }) => ({ kid }))
      assert.deepStrictEqual(unretired, signing)
    })
  )
})
