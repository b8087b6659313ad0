import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as HostFolders from "../../src/layers/HostFolders.ts"
import { ServiceFolders } from "../../src/services/ServiceFolders.ts"

const world = Effect.acquireRelease(
  Effect.sync(() => {
    const dir = mkdtempSync(join(tmpdir(), "mcp-folders-"))
    mkdirSync(join(dir, "outside"))
    return { dir, root: join(dir, "srv"), outside: join(dir, "outside") }
  }),
  ({ dir }) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const ensure = (root: string, service: string, path: string, owner = own) =>
  Effect.flatMap(ServiceFolders, (folders) => folders.ensure(service, path, owner)).pipe(
    Effect.provide(HostFolders.layer(root))
  )

describe("a service's folders", () => {
  it.scoped("are made down to the one that is asked for, owned by the component's user; what is there stays", () =>
    Effect.gen(function* () {
      const { root } = yield* world
      mkdirSync(join(root, "shop"), { recursive: true, mode: 0o700 })
      yield* ensure(root, "shop", join(root, "shop/data/db"))
      yield* ensure(root, "shop", join(root, "shop/data/db"))
      assert.isTrue(statSync(join(root, "shop/data/db")).isDirectory())
      assert.strictEqual(statSync(join(root, "shop")).mode & 0o777, 0o700)
      if (own.uid !== 0) return
      yield* ensure(root, "shop", join(root, "shop/mail"), { uid: 1234, gid: 99 })
      const { gid, uid } = statSync(join(root, "shop/mail"))
      assert.deepStrictEqual([uid, gid], [1234, 99])
      assert.strictEqual(statSync(join(root, "shop")).uid, 0)
    })
  )

  it.scoped("are never made outside: not by a path, and not through a link that the service has laid", () =>
    Effect.gen(function* () {
      const { outside, root } = yield* world
      mkdirSync(join(root, "shop"), { recursive: true })
      symlinkSync(outside, join(root, "shop/link"))
      symlinkSync(outside, join(root, "evil"))
      for (const path of [
        join(root, "shop/link/x"),
        join(root, "shop/link"),
        join(root, "evil/x"),
        `${root}/shop/../evil`,
        `${root}/shopping`,
        outside
      ]) {
        const service = path.includes("evil") && !path.includes("..") ? "evil" : "shop"
        const error = yield* Effect.flip(ensure(root, service, path))
        assert.strictEqual(error._tag, "FolderRefused", path)
      }
      assert.deepStrictEqual(readdirSync(outside), [])
    })
  )

  it.scoped("a single file that is there may be mounted, a link in its place may not", () =>
    Effect.gen(function* () {
      const { outside, root } = yield* world
      mkdirSync(join(root, "shop"), { recursive: true })
      writeFileSync(join(root, "shop/app.toml"), "")
      yield* ensure(root, "shop", join(root, "shop/app.toml"))
      writeFileSync(join(outside, "secret"), "")
      symlinkSync(join(outside, "secret"), join(root, "shop/link.toml"))
      assert.strictEqual((yield* Effect.flip(ensure(root, "shop", join(root, "shop/link.toml"))))._tag, "FolderRefused")
      const real = (path: string) =>
        Effect.flatMap(ServiceFolders, (folders) => folders.realPath(path)).pipe(
          Effect.provide(HostFolders.layer(root))
        )
      assert.strictEqual(yield* real(join(root, "shop/link.toml")), join(outside, "secret"))
      assert.strictEqual(yield* real(join(root, "nothing/here")), join(root, "nothing/here"))
    })
  )

  it.scoped("a file in the way is told", () =>
    Effect.gen(function* () {
      const { root } = yield* world
      mkdirSync(join(root, "shop"), { recursive: true })
      writeFileSync(join(root, "shop/data"), "")
      const error = yield* Effect.flip(ensure(root, "shop", join(root, "shop/data/x")))
      assert.strictEqual(error.message, `${join(root, "shop/data")}: is not a folder, or is a link`)
    })
  )
})
