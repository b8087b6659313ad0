import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect } from "effect"
import { afterAll, beforeAll, describe } from "vitest"
import { bundle, failsWith, run as runFile, runHere, start as startFile } from "./program.ts"
import { certificatesIn, client, tempDir } from "./server.ts"

let program: Awaited<ReturnType<typeof bundle>>
beforeAll(async () => {
  program = await bundle()
})
afterAll(() => program.remove())

/** The built program when it has standard input to read; else the same code in this process. */
const run = (args: ReadonlyArray<string>, input?: string) =>
  input === undefined ? runHere(args) : Effect.promise(() => runFile(program.file, args, input))
const spawned = (args: ReadonlyArray<string>) => Effect.promise(() => runFile(program.file, args))
const start = (args: ReadonlyArray<string>) => Effect.promise(() => startFile(program.file, args))
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)
const password = "correct horse battery staple"

const initialised = Effect.gen(function* () {
  const dir = join(yield* tempDir, "mcias")
  assert.strictEqual((yield* run(["init", "--dir", dir, "--issuer", "https://mcias.test:8443"])).code, 0)
  return dir
})

describe("mcp-mcias", () => {
  it.scopedLive("init makes private files, and a second one leaves them alone", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      assert.deepStrictEqual(
        readdirSync(dir).filter((file) => !/-(wal|shm)$/.test(file)),
        ["mcias.db", "signing-key.pem"]
      )
      assert.strictEqual(mode(dir), "700")
      for (const file of readdirSync(dir)) assert.strictEqual(mode(join(dir, file)), "600", file)
      const key = readFileSync(join(dir, "signing-key.pem"), "utf8")
      const again = yield* run(["init", "--dir", dir, "--issuer", "https://other"])
      assert.strictEqual(again.code, 0)
      assert.match(again.stdout, /there already, issuer https:\/\/mcias\.test:8443/)
      assert.strictEqual(readFileSync(join(dir, "signing-key.pem"), "utf8"), key)
    })
  )

  it.scopedLive("init goes on where one of the same process id was killed, as happens in containers", () =>
    Effect.gen(function* () {
      const dir = yield* tempDir
      writeFileSync(join(dir, `signing-key.pem.${process.pid}.tmp`), "half a k")
      assert.strictEqual((yield* runHere(["init", "--dir", dir])).code, 0)
      assert.notInclude(readdirSync(dir).join(), ".tmp")
      assert.strictEqual((yield* runHere(["key", "list", "--dir", dir])).code, 0)
    })
  )

  it.scopedLive("four inits at once agree on one key", () =>
    Effect.gen(function* () {
      const dir = join(yield* tempDir, "mcias")
      const both = yield* Effect.all(
        Array.from({ length: 4 }, () => spawned(["init", "--dir", dir])),
        {
          concurrency: 4
        }
      )
      for (const ran of both) assert.strictEqual(ran.code, 0, ran.stderr)
      assert.strictEqual((yield* run(["account", "add", "bot", "--system", "--dir", dir])).code, 0)
      assert.match((yield* run(["token", "issue", "bot", "--dir", dir])).stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    })
  )

  it.scopedLive("init in a folder with other files does not change its mode", () =>
    Effect.gen(function* () {
      const dir = yield* tempDir
      mkdirSync(join(dir, "other"))
      chmodSync(dir, 0o755)
      assert.strictEqual((yield* run(["init", "--dir", dir])).code, 0)
      assert.strictEqual(mode(dir), "755")
    })
  )

  it.scopedLive("accounts are added once, and listed", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      const add = (args: ReadonlyArray<string>, input?: string) => run(["account", "add", ...args, "--dir", dir], input)
      assert.strictEqual((yield* add(["alice", "--password-stdin"], `${password}\n`)).code, 0)
      const file = join(dir, "password")
      writeFileSync(file, `${password}\n`)
      const root = yield* add(["root@example.net", "--role", "admin", "--role", "user", "--password-file", file])
      assert.strictEqual(root.stdout, "added human account root@example.net (admin, user)\n")
      assert.strictEqual((yield* add(["agent-rift", "--system"])).code, 0)
      failsWith(yield* add(["alice", "--password-file", file]), 1, /cannot add alice: the account exists already/)
      const short = join(dir, "short")
      writeFileSync(short, "seven77\n")
      failsWith(yield* add(["bob", "--password-file", short]), 1, /fewer than 8 characters/)
      failsWith(yield* add(["bob", "--password-file", "/nonexistent"]), 1, /cannot use \/nonexistent: no such file/)
      failsWith(yield* add(["bob"], ""), 2, /no password: give --password-file/)
      failsWith(yield* add(["bob", "--password-stdin", "--password-file", file]), 2, /exclude each other/)
      failsWith(yield* add(["bot", "--system", "--role", "admin"]), 2, /a system account carries no roles/)
      failsWith(yield* add(["bot", "--system", "--password-stdin"]), 2, /a system account has no password/)
      failsWith(yield* add(["bob", "--role", "Big Boss", "--password-stdin"]), 2, /"Big Boss" is no role/)
      const listed = yield* run(["account", "list", "--json", "--dir", dir])
      const rows = JSON.parse(listed.stdout) as ReadonlyArray<{ username: string; kind: string; roles: Array<string> }>
      assert.deepStrictEqual(
        rows.map((row) => [row.username, row.kind, ...row.roles]),
        [
          ["agent-rift", "system"],
          ["alice", "human", "user"],
          ["root@example.net", "human", "admin", "user"]
        ]
      )
      const table = (yield* run(["account", "list", "--dir", dir])).stdout
      assert.match(table, /^NAME +KIND +STATE +TOTP +CREATED +ROLES\nagent-rift +system +active +- +\S+Z +-\nalice/)
      const everything = readdirSync(dir).filter((name) => name.startsWith("mcias.db"))
      for (const name of everything) assert.notInclude(readFileSync(join(dir, name), "latin1"), password)
    })
  )

  it.scopedLive("names that are none are usage errors", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      for (const name of ["Alice", "a b", "../x", "ä", "-alice", "a".repeat(65), ""]) {
        const ran = yield* run(["account", "add", name, "--system", "--dir", dir])
        assert.strictEqual(ran.code, 2, name)
        assert.notInclude(ran.stderr, "    at ")
      }
    })
  )

  it.scopedLive("tokens go to system accounts alone, into a private file", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      const file = join(dir, "password")
      writeFileSync(file, password)
      yield* run(["account", "add", "alice", "--password-file", file, "--dir", dir])
      yield* run(["account", "add", "agent-rift", "--system", "--dir", dir])
      const out = join(dir, "token")
      writeFileSync(out, "old", { mode: 0o644 })
      const issued = yield* run(["token", "issue", "agent-rift", "--out", out, "--dir", dir])
      assert.strictEqual(issued.code, 0)
      assert.match(readFileSync(out, "utf8"), /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
      assert.notInclude(issued.stdout, readFileSync(out, "utf8").trim())
      assert.strictEqual(mode(out), "600")
      failsWith(yield* run(["token", "issue", "alice", "--dir", dir]), 1, /it is a person's account/)
      failsWith(yield* run(["token", "issue", "nobody", "--dir", dir]), 1, /no account is called nobody/)
      chmodSync(join(dir, "signing-key.pem"), 0o640)
      failsWith(yield* run(["token", "issue", "agent-rift", "--dir", dir]), 1, /others can read it. Run: chmod 600/)
    })
  )

  it.scopedLive("a folder without a database, with a foreign or a newer one, is refused", () =>
    Effect.gen(function* () {
      const dir = yield* tempDir
      failsWith(yield* run(["account", "list", "--dir", dir]), 1, /holds no identity database. Make one with/)
      assert.isFalse(existsSync(join(dir, "mcias.db")))
      const newer = yield* initialised
      const db = new Database(join(newer, "mcias.db"))
      db.exec("INSERT INTO effect_sql_migrations (migration_id, name) VALUES (99, 'later')")
      db.close()
      failsWith(yield* run(["account", "list", "--dir", newer]), 1, /schema version 99, this program knows up to 2/)
      const foreign = yield* initialised
      writeFileSync(join(foreign, "mcias.db"), "no database ".repeat(1000))
      failsWith(yield* run(["account", "list", "--dir", foreign]), 1, /could not be opened: file is not a database/)
    })
  )

  it.scopedLive("wildcards, unusable certificates and taken ports are refused", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      const { tlsCert, tlsKey } = yield* certificatesIn(dir)
      const other = yield* certificatesIn(dir, "other")
      const serve = (addr: string, cert = tlsCert, key = tlsKey) =>
        run(["serve", "--dir", dir, `--addr=${addr}`, "--tls-cert", cert, "--tls-key", key])
      for (const addr of ["0.0.0.0:0", "[::]:0", ":8443", "*:8443", "0:0", "[::ffff:0.0.0.0]:0", "[0:0::0]:0"]) {
        failsWith(yield* serve(addr), 1, /means every address of the host/)
      }
      failsWith(yield* serve("127.0.0.1"), 1, /expected HOST:PORT/)
      failsWith(yield* serve("127.0.0.1:0", "/nonexistent"), 1, /cannot use \/nonexistent: no such file or directory/)
      failsWith(yield* serve("127.0.0.1:0", tlsCert, other.tlsKey), 1, /does not belong to it/)
      const running = yield* start(["--dir", dir, "--addr", "127.0.0.1:0", "--tls-cert", tlsCert, "--tls-key", tlsKey])
      failsWith(yield* serve(new URL(running.url).host), 1, /EADDRINUSE/)
      yield* Effect.promise(() => running.end("SIGTERM"))
    })
  )

  it.scopedLive("a running server sees new accounts at once, and all survives kill -9", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      const { caCert, tlsCert, tlsKey } = yield* certificatesIn(dir)
      const ca = readFileSync(caCert, "utf8")
      const args = ["--dir", dir, "--addr", "127.0.0.1:0", "--tls-cert", tlsCert, "--tls-key", tlsKey]
      const login = JSON.stringify({ username: "alice", password })

      const first = yield* start(args)
      const send = yield* client(first.url, ca)
      const before = yield* Effect.promise(() => send("POST", "/v1/auth/login", login))
      assert.strictEqual(before.status, 401)
      assert.strictEqual((yield* run(["account", "add", "alice", "--password-stdin", "--dir", dir], password)).code, 0)
      const after = yield* Effect.promise(() => send("POST", "/v1/auth/login", login))
      assert.strictEqual(after.status, 200)
      yield* Effect.promise(() => first.end("SIGKILL"))

      const second = yield* start(args)
      const sendAgain = yield* client(second.url, ca)
      const { token } = after.body as { token: string }
      const valid = yield* Effect.promise(() => sendAgain("POST", "/v1/token/validate", JSON.stringify({ token })))
      assert.deepInclude(valid.body as object, { valid: true, username: "alice", roles: ["user"] })
      assert.strictEqual(yield* Effect.promise(() => second.end("SIGTERM")), 0)
      for (const line of second.log().trim().split("\n")) assert.isObject(JSON.parse(line))
      for (const secret of [password, token]) assert.notInclude(first.log() + second.log(), secret)
      assert.include(second.log(), "stopping")
    })
  )

  it.scopedLive("a request under way when the server is told to stop is answered", () =>
    Effect.gen(function* () {
      const dir = yield* initialised
      const { caCert, tlsCert, tlsKey } = yield* certificatesIn(dir)
      const args = ["--dir", dir, "--addr", "127.0.0.1:0", "--tls-cert", tlsCert, "--tls-key", tlsKey]
      const running = yield* start(args)
      const body = JSON.stringify({ token: "x" })
      const status = yield* Effect.promise(
        () =>
          new Promise<number | undefined>((resolve, reject) => {
            const sent = request(`${running.url}/v1/token/validate`, {
              method: "POST",
              ca: readFileSync(caCert),
              headers: { expect: "100-continue", "content-length": body.length }
            })
            sent.on("error", reject)
            sent.on("response", (response) => resolve(response.statusCode))
            sent.on("continue", () => {
              const rest = () => sent.end(body)
              running.child.stderr?.on("data", (chunk) => {
                if (String(chunk).includes("stopping")) rest()
              })
              running.child.kill("SIGTERM")
            })
            sent.flushHeaders()
          })
      )
      assert.strictEqual(status, 401)
      assert.strictEqual(yield* Effect.promise(() => running.ended), 0)
    })
  )

  it.scopedLive("help and version exit 0, nonsense exits 2", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* run(["--help"])).code, 0)
      assert.match((yield* spawned(["--version"])).stdout, /^\d+\.\d+\.\d+/)
      for (const args of [["bogus"], ["serve"], ["account", "add", "x", "--nonsense"]]) {
        const ran = yield* run(args)
        assert.strictEqual(ran.code, 2, args.join(" "))
        assert.notStrictEqual(ran.stderr, "")
      }
    })
  )
})
