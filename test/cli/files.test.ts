import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { report } from "../../src/cli/errors.ts"
import * as FileTokenStore from "../../src/layers/FileTokenStore.ts"
import * as FolderDefinitions from "../../src/layers/FolderDefinitions.ts"
import { Definitions } from "../../src/services/Definitions.ts"
import { TokenStore } from "../../src/services/TokenStore.ts"
import { temporaryFolder } from "../support/folder.ts"

const folder = temporaryFolder
const mode = (path: string) => statSync(path).mode & 0o777

describe("the token file", () => {
  const write = (path: string, token: string) =>
    Effect.flatMap(TokenStore, (store) => store.write(Redacted.make(token))).pipe(
      Effect.provide(FileTokenStore.layer(path))
    )
  const read = (path: string) =>
    Effect.flatMap(TokenStore, (store) => store.read).pipe(Effect.provide(FileTokenStore.layer(path)))

  it.effect("is 0600 in folders of 0700, and replaced whole", () =>
    Effect.gen(function* () {
      const path = join(folder(), "a", "b", "token")
      yield* write(path, "one")
      assert.deepStrictEqual([mode(path), mode(join(path, "..")), mode(join(path, "../.."))], [0o600, 0o700, 0o700])
      chmodSync(path, 0o644)
      yield* write(path, "two")
      assert.strictEqual(mode(path), 0o600)
      assert.strictEqual(Redacted.value(yield* read(path)), "two")
      assert.deepStrictEqual(readdirSync(join(path, "..")), ["token"])
    })
  )

  it.effect("that others can read is refused with the command that mends it", () =>
    Effect.gen(function* () {
      const path = join(folder(), "token")
      yield* write(path, "secret")
      for (const bits of [0o640, 0o604, 0o620]) {
        chmodSync(path, bits)
        const error = yield* Effect.flip(read(path))
        assert.strictEqual(error._tag, "TokenExposed")
        const { exitCode, next } = report(error, "ps")
        assert.deepStrictEqual([exitCode, next], [5, `chmod 600 ${path}`])
        assert.notInclude(error.message, "secret")
      }
    })
  )

  it.effect("that is missing or empty means: not logged in", () =>
    Effect.gen(function* () {
      const path = join(folder(), "token")
      assert.strictEqual((yield* Effect.flip(read(path)))._tag, "NotLoggedIn")
      yield* write(path, "")
      assert.strictEqual((yield* Effect.flip(read(path)))._tag, "NotLoggedIn")
      yield* write(path, "not a\ntoken")
      assert.strictEqual((yield* Effect.flip(read(path)))._tag, "TokenUnreadable")
    })
  )

  it.effect("that cannot be written says why", () =>
    Effect.gen(function* () {
      const path = join(folder(), "file")
      writeFileSync(path, "")
      const error = yield* Effect.flip(write(join(path, "token"), "x"))
      assert.deepStrictEqual([error._tag, error.why], ["TokenNotStored", "a file is in its way"])
    })
  )
})

describe("the folder of definitions", () => {
  const using = <A, E>(dir: string, use: (definitions: Definitions["Type"]) => Effect.Effect<A, E>) =>
    Effect.flatMap(Definitions, use).pipe(Effect.provide(FolderDefinitions.layer(dir)))

  it.effect("has the definitions' JSON Schema beside them for editors, renewed when it is another", () =>
    Effect.gen(function* () {
      const dir = join(folder(), "new")
      const schema = join(dir, ".definition.schema.json")
      for (const text of ["{}", "{}", '{ "title": "newer" }']) {
        yield* using(dir, (d) => d.publishSchema(text))
        assert.strictEqual(readFileSync(schema, "utf8"), text)
      }
      assert.deepStrictEqual(yield* using(dir, (d) => d.all), [])
      assert.deepStrictEqual(readdirSync(dir), [".definition.schema.json"])
    })
  )

  it.effect("is read by name; other files and hidden ones are none", () =>
    Effect.gen(function* () {
      const dir = folder()
      for (const name of ["web.toml", "db.toml", "README.md", ".web.toml.swp", ".hidden.toml"])
        writeFileSync(join(dir, name), name)
      const all = yield* using(dir, (d) => d.all)
      assert.deepStrictEqual(all, [
        { service: "db", file: join(dir, "db.toml"), text: "db.toml" },
        { service: "web", file: join(dir, "web.toml"), text: "web.toml" }
      ])
      assert.isTrue(Option.isNone(yield* using(dir, (d) => d.find("mail"))))
      assert.deepStrictEqual(yield* using(join(dir, "none"), (d) => d.all), [])
      const error = yield* Effect.flip(using(dir, (d) => d.open(join(dir, "none.toml"))))
      assert.strictEqual(error.message, `${join(dir, "none.toml")} cannot be read: no such file`)
    })
  )

  it.effect("is written whole: the mode and a link stay", () =>
    Effect.gen(function* () {
      const [dir, elsewhere] = [folder(), folder()]
      const real = join(elsewhere, "web.toml")
      writeFileSync(real, "old")
      chmodSync(real, 0o640)
      symlinkSync(real, join(dir, "web.toml"))
      yield* using(dir, (d) => d.save({ service: "web", file: join(dir, "web.toml"), text: "new" }))
      assert.deepStrictEqual([readFileSync(real, "utf8"), mode(real)], ["new", 0o640])
      assert.strictEqual(readFileSync(join(dir, "web.toml"), "utf8"), "new")
      assert.deepStrictEqual(readdirSync(elsewhere), ["web.toml"])
      const error = yield* Effect.flip(using(dir, (d) => d.save({ service: "x", file: join(dir, "x.toml"), text: "" })))
      assert.strictEqual(error._tag, "DefinitionNotSaved")
      assert.isFalse(existsSync(join(dir, "x.toml")))
    })
  )
})
