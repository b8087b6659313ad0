import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import * as HostSecretFiles from "../../src/layers/HostSecretFiles.ts"
import * as SecretKeyFile from "../../src/layers/SecretKeyFile.ts"
import * as SqliteRegistry from "../../src/layers/SqliteRegistry.ts"
import { Registry } from "../../src/services/Registry.ts"
import { SecretFiles } from "../../src/services/SecretFiles.ts"
import { SecretKey } from "../../src/services/SecretKey.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-secrets-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)
const place = { service: "shop", secret: "db", version: 1 }
const value = Redacted.make<Uint8Array>(Buffer.from("hunter2"))
const text = (of: Redacted.Redacted<Uint8Array>) => Buffer.from(Redacted.value(of)).toString()

describe("the key of the secrets", () => {
  const agent = <A, E>(dir: string, use: Effect.Effect<A, E, Registry | SecretKey>) =>
    Effect.provide(
      use,
      SecretKeyFile.layer(join(dir, "secrets.key")).pipe(Layer.provideMerge(SqliteRegistry.layer(join(dir, "mcp.db"))))
    )
  const keep = Effect.gen(function* () {
    const ciphertext = yield* (yield* SecretKey).seal(place, value)
    assert.isTrue(yield* (yield* Registry).putSecret({ ...place, ciphertext, actor: "ada" }))
    return ciphertext
  })
  const opened = (ciphertext: string) =>
    Effect.flatMap(SecretKey, (key) => Effect.map(key.unseal(place, ciphertext), text))

  it.scopedLive("is made at the first start, for its owner alone, and stays", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const file = join(dir, "secrets.key")
      yield* agent(dir, Effect.void)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const key = readFileSync(file, "utf8")
      const ciphertext = yield* agent(dir, keep)
      assert.strictEqual(yield* agent(dir, opened(ciphertext)), "hunter2")
      assert.strictEqual(readFileSync(file, "utf8"), key)
    })
  )

  it.scopedLive("is never made anew while something is encrypted: the agent stays up, and says what is missing", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const file = join(dir, "secrets.key")
      const ciphertext = yield* agent(dir, keep)
      const key = readFileSync(file, "utf8")
      rmSync(file)
      yield* agent(
        dir,
        Effect.gen(function* () {
          const missing = yield* Effect.flip(opened(ciphertext))
          assert.strictEqual(missing.message, `the key of the secrets cannot be used: ${file} is missing`)
          assert.strictEqual((yield* Effect.flip((yield* SecretKey).seal(place, value)))._tag, "SecretKeyUnusable")
          assert.isFalse(existsSync(file))
          // Another one is no help; the right one is at once.
          writeFileSync(file, Buffer.alloc(32).toString("base64"), { mode: 0o600 })
          assert.strictEqual((yield* Effect.flip(opened(ciphertext)))._tag, "SecretUnreadable")
          writeFileSync(file, key)
          chmodSync(file, 0o640)
          assert.include((yield* Effect.flip(opened(ciphertext))).message, "can be read by others")
          chmodSync(file, 0o600)
          assert.strictEqual(yield* opened(ciphertext), "hunter2")
        })
      )
    })
  )
})

describe("the files of secrets", () => {
  const of = { service: "shop", component: "web", generation: 3 }
  const written = new Map([["db", value]])
  /** On memory that goes with the test. */
  const inMemory = Effect.acquireRelease(
    Effect.map(folder, (dir) => {
      execFileSync("mount", ["-t", "tmpfs", "none", dir])
      return dir
    }),
    (dir) => Effect.sync(() => execFileSync("umount", ["-l", dir]))
  )

  it.scopedLive("are in memory, in folders for nobody else, and gone with their generation", () =>
    Effect.gen(function* () {
      const root = join(yield* inMemory, "secrets")
      const umask = process.umask(0o077)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(umask)))
      yield* Effect.gen(function* () {
        const files = yield* SecretFiles
        assert.strictEqual(files.file(of, "db"), `${root}/shop/web/3/db`)
        assert.isTrue(Option.isNone(yield* files.read(of, "db")))
        yield* files.write(of, new Map([["old", value]]), false)
        yield* files.write(of, written, true)
        yield* files.write({ ...of, generation: 4 }, written, false)
        assert.deepStrictEqual(readdirSync(`${root}/shop/web/3`), ["db"])
        const modes = ["", "/shop", "/shop/web", "/shop/web/3", "/shop/web/3/db"].map((at) =>
          (statSync(root + at).mode & 0o7777).toString(8)
        )
        assert.deepStrictEqual(modes, ["700", "700", "700", "700", "444"])
        assert.strictEqual(Option.getOrThrow(Option.map(yield* files.read(of, "db"), text)), "hunter2")
        assert.deepStrictEqual((yield* files.generations("shop")).map(({ generation }) => generation).sort(), [3, 4])
        yield* files.remove(of)
        yield* files.remove({ ...of, generation: 4 })
        yield* files.remove(of)
        assert.deepStrictEqual(readdirSync(root), [])
      }).pipe(Effect.provide(HostSecretFiles.layer({ root })))
    })
  )

  it.scopedLive("have a tmpfs mounted where there is none, once", () =>
    Effect.gen(function* () {
      const root = join(yield* folder, "secrets")
      yield* Effect.addFinalizer(() => Effect.sync(() => execFileSync("umount", [root])))
      yield* Effect.gen(function* () {
        const files = yield* SecretFiles
        yield* Effect.all([files.check, files.check, files.write(of, written, true)], { concurrency: "unbounded" })
      }).pipe(Effect.provide(HostSecretFiles.layer({ root })))
      const mounts = readFileSync("/proc/self/mounts", "utf8")
        .split("\n")
        .filter((line) => line.includes(` ${root} `))
      assert.lengthOf(mounts, 1)
      assert.match(mounts[0] ?? "", /^mcp-secrets \S+ tmpfs rw,nosuid,nodev,noexec/)
    })
  )

  it.scopedLive("are refused where no tmpfs can be mounted, and never written to the disk", () =>
    Effect.gen(function* () {
      const root = join(yield* folder, "secrets")
      for (const mount of [() => Promise.resolve(), () => Promise.reject(new Error("mount: permission denied"))]) {
        const refused = yield* Effect.flip(Effect.flatMap(SecretFiles, (files) => files.write(of, written, true))).pipe(
          Effect.provide(HostSecretFiles.layer({ root, mount }))
        )
        assert.include(refused.message, `secrets cannot be written to ${root}: `)
        assert.deepStrictEqual(readdirSync(root), [])
      }
    })
  )
})
