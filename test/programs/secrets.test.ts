import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { Labels } from "../../src/domain/Names.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { adopt } from "../../src/programs/adopt.ts"
import { bringBack } from "../../src/programs/bringBack.ts"
import { planDeploy } from "../../src/programs/deploy.ts"
import { restart, start, stop, undeploy } from "../../src/programs/lifecycle.ts"
import { rollback } from "../../src/programs/rollback.ts"
import { listSecrets, removeSecret, setSecret } from "../../src/programs/secrets.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Registry } from "../../src/services/Registry.ts"
import { SecretFiles } from "../../src/services/SecretFiles.ts"
import { leftBehind } from "./foreign.ts"
import { asked, deployed, node, passTime, type SecretsInMemory, specOf } from "./support.ts"

const valueOf = (text: string) => Redacted.make<Uint8Array>(Buffer.from(text))
const set = (secret: string, text: string) => setSecret({ service: "shop", secret, value: valueOf(text), actor: "ada" })
const shop = (change: Record<string, unknown> = {}) =>
  specOf({ name: "shop", components: [{ name: "web", image: "localhost/web:1", secrets: ["db"], ...change }] })
const images = Effect.flatMap(FakeRuntimeControl, (control) =>
  Effect.zipRight(control.addImage("localhost/web:1"), control.addImage("localhost/web:2"))
)
const shown = (files: SecretsInMemory) => [...files].map(([path, value]) => `${path}=${Buffer.from(value)}`).sort()
const versions = Effect.flatMap(Registry, (registry) =>
  Effect.map(registry.secrets("shop"), (rows) => rows.map((row) => `${row.secret} ${row.version}`))
)
const through = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* passTime(fiber)
    return yield* fiber
  })
const back = rollback(
  { service: "shop", to: undefined, noWait: false, wait: false, actor: "ada" },
  () => Effect.void,
  () => Effect.void
)
const files: SecretsInMemory = new Map()
const onNode = <A, E>(
  test: Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof deployed>> | FakeRuntimeControl>
) =>
  Effect.suspend(() => {
    files.clear()
    return Effect.zipRight(images, test).pipe(Effect.provide(node(undefined, undefined, {}, files)))
  })

describe("a secret", () => {
  it.effect("is set before its service is there; all that are missing are told at once, and by a plan", () =>
    onNode(
      Effect.gen(function* () {
        const spec = shop({ secrets: ["db", "key", "cert"] })
        yield* set("key", "k")
        const { warnings } = yield* planDeploy({ spec, components: [], force: false })
        assert.deepStrictEqual(
          warnings.map(({ message }) => message),
          ["db", "cert"].map(
            (name) =>
              `secret ${name} of shop is not set, and web needs it; a deploy is refused: mcp secret set shop ${name}`
          )
        )
        const error = yield* Effect.flip(deployed(spec))
        assert.strictEqual(error._tag, "PreflightFailed")
        for (const name of ["db", "cert"]) assert.include(error.message, `secret ${name} of shop is not set`)
        assert.deepStrictEqual(shown(files), [])
        yield* set("db", "a")
        yield* set("cert", "c")
        assert.strictEqual((yield* deployed(spec)).result.state, "succeeded")
        assert.deepStrictEqual(shown(files), ["shop/web/1/cert=c", "shop/web/1/db=a", "shop/web/1/key=k"])
      })
    )
  )

  it.effect(
    "that was set anew replaces its containers by the next deploy, and a rollback brings the old one back",
    () =>
      onNode(
        Effect.gen(function* () {
          yield* set("db", "a")
          yield* deployed(shop())
          assert.deepStrictEqual(yield* set("db", "a"), {
            version: 1,
            changed: false,
            uses: [{ component: "web", version: 1 }]
          })
          const again = yield* deployed(shop())
          assert.deepStrictEqual(
            again.result.components.map(({ action }) => action),
            ["unchanged"]
          )
          yield* set("db", "b")
          const { components } = yield* planDeploy({ spec: shop(), components: [], force: false })
          assert.deepStrictEqual(
            components.map(({ action, changes, why }) => ({ action, changes, why })),
            [
              {
                action: "replace",
                changes: [{ field: "secrets.db", from: "version 1", to: "version 2" }],
                why: "secret db changed"
              }
            ]
          )
          yield* deployed(shop())
          assert.deepStrictEqual(shown(files), ["shop/web/2/db=b"])
          assert.strictEqual((yield* through(back)).state, "succeeded")
          assert.deepStrictEqual(shown(files), ["shop/web/3/db=a"])
          const [row] = yield* (yield* Registry).components("shop")
          assert.deepStrictEqual(row?.secrets, { db: 1 })
          // Its label has the name alone.
          const [container] = yield* (yield* ContainerRuntime).list
          assert.include(container?.labels[Labels.definition], '"secrets":["db"]')
        })
      )
  )

  it.effect("that a failed deployment brought goes back with it, and its number is used again without its files", () =>
    onNode(
      Effect.gen(function* () {
        yield* (yield* FakeRuntimeControl).addImage("localhost/web:bad", { exits: { afterMs: 300, code: 1 } })
        yield* set("db", "a")
        yield* deployed(shop())
        yield* set("db", "b")
        const failed = yield* deployed(shop({ image: "localhost/web:bad", secrets: ["db"] }))
        assert.strictEqual(failed.result.state, "rolled_back")
        assert.deepStrictEqual(shown(files), ["shop/web/1/db=a"])
        // A crash may have left some.
        files.set("shop/web/2/db", Buffer.from("stale"))
        files.set("shop/web/2/old", Buffer.from("stale"))
        yield* deployed(shop({ image: "localhost/web:2" }))
        assert.deepStrictEqual(shown(files), ["shop/web/2/db=b"])
      })
    )
  )

  it.effect("is written again after a reboot, with the version that the container was made with", () =>
    onNode(
      Effect.gen(function* () {
        const control = yield* FakeRuntimeControl
        yield* set("db", "a")
        yield* deployed(shop())
        yield* set("db", "b")
        yield* control.reboot
        files.clear()
        yield* through(bringBack("shop", { byHand: false, readyWithin: "60 seconds", actor: "" }))
        assert.deepStrictEqual(shown(files), ["shop/web/1/db=a"])
        const of = { service: "shop", component: undefined }
        yield* through(stop(of))
        files.clear()
        yield* through(start(of))
        yield* through(restart(of, "ada"))
        assert.deepStrictEqual([...files.values()].map(String), ["a"])
        // Made again when it is gone: still the same.
        yield* control.lose
        files.clear()
        yield* through(bringBack("shop", { byHand: false, readyWithin: "60 seconds", actor: "" }))
        assert.deepStrictEqual([...files.values()].map(String), ["a"])
      })
    )
  )

  it.effect("keeps the versions that containers and the last ten revisions have, and no others", () =>
    onNode(
      Effect.gen(function* () {
        yield* set("db", "1")
        for (let n = 2; n <= 4; n++) yield* set("db", String(n))
        assert.deepStrictEqual(yield* versions, ["db 4"])
        for (let n = 5; n <= 16; n++) {
          yield* deployed(shop())
          yield* set("db", String(n))
        }
        assert.deepStrictEqual(
          yield* versions,
          [16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6].map((n) => `db ${n}`)
        )
        const oldest = (yield* (yield* Registry).revisions("shop", 100)).at(-1)
        const gone = yield* Effect.flip(
          through(
            rollback(
              { service: "shop", to: oldest?.id, noWait: false, wait: false, actor: "ada" },
              () => Effect.void,
              () => Effect.void
            )
          )
        )
        assert.strictEqual(gone.message, "version 4 of secret db is not kept any more, and web needs it")
      })
    )
  )

  it.effect("is removed only while nothing deployed needs it, and its numbers never come again", () =>
    onNode(
      Effect.gen(function* () {
        yield* set("db", "a")
        yield* deployed(shop())
        const used = yield* Effect.flip(removeSecret("shop", "db"))
        assert.strictEqual(used.message, "secret db of shop is used by web")
        yield* undeploy("shop")
        assert.deepStrictEqual(shown(files), [])
        // An undeploy keeps it, as it keeps data.
        assert.deepStrictEqual(
          (yield* listSecrets("shop")).map(({ secret }) => secret),
          ["db"]
        )
        yield* removeSecret("shop", "db")
        assert.isFalse(yield* (yield* Registry).keepsSecrets)
        assert.strictEqual((yield* Effect.flip(removeSecret("shop", "db")))._tag, "SecretNotFound")
        assert.strictEqual((yield* Effect.flip(listSecrets("shop")))._tag, "ServiceNotFound")
        assert.strictEqual((yield* set("db", "b")).version, 2)
      })
    )
  )

  it.effect("is refused when it is empty, too long, or has a name that would lead elsewhere", () =>
    onNode(
      Effect.gen(function* () {
        const why = (secret: string, text: string) =>
          Effect.map(Effect.flip(set(secret, text)), (error) => `${error._tag}: ${error.message}`)
        assert.strictEqual(yield* why("db", ""), "SecretInvalid: the value is empty")
        const tooLong = "SecretInvalid: the value has 524289 bytes, and may have 524288"
        assert.strictEqual(yield* why("db", "x".repeat(512 * 1024 + 1)), tooLong)
        assert.include(yield* why("../db", "x"), '"../db" is no secret\'s name')
      })
    )
  )
})

describe("the secrets of a lost registry", () => {
  const lost = Effect.gen(function* () {
    yield* leftBehind(shop({ secrets: ["db", "key"] }))
    const written = new Map([["db", valueOf("a")]])
    yield* (yield* SecretFiles).write({ service: "shop", component: "web", generation: 3 }, written, false)
  })
  const adopting = (dryRun: boolean) => adopt({ service: "shop", dryRun, actor: "ada" }, () => Effect.void)

  it.effect("are taken back from the files that are still there; what is not there is told", () =>
    onNode(
      Effect.gen(function* () {
        yield* lost
        for (const dryRun of [true, false]) {
          assert.deepStrictEqual(
            (yield* adopting(dryRun)).components.map((c) => c.missingSecrets),
            [["key"]]
          )
          assert.strictEqual(yield* (yield* Registry).keepsSecrets, !dryRun)
        }
        const [db, key] = yield* Effect.map(listSecrets("shop"), (all) =>
          all.map(({ newest, secret, uses }) => ({ secret, version: newest?.version, uses }))
        )
        assert.deepStrictEqual(db, { secret: "db", version: 1, uses: [{ component: "web", version: 1 }] })
        assert.deepStrictEqual(key?.version, undefined)
        yield* set("key", "k")
        const spec = Option.getOrThrow(yield* (yield* Registry).service("shop")).spec
        const { components } = yield* planDeploy({ spec, components: [], force: false })
        assert.deepStrictEqual(
          components.map(({ why }) => why),
          ["secret key changed"]
        )
        yield* deployed(spec)
        assert.deepStrictEqual(shown(files), ["shop/web/4/db=a", "shop/web/4/key=k"])
      })
    )
  )

  it.effect("of which it has other values keeps those, and a deploy brings them", () =>
    onNode(
      Effect.gen(function* () {
        yield* set("db", "newer")
        yield* set("key", "k")
        yield* lost
        yield* adopting(false)
        assert.deepStrictEqual(yield* versions, ["db 1", "key 1"])
        yield* deployed(asked(shop({ secrets: ["db", "key"] })).spec)
        assert.deepStrictEqual(shown(files), ["shop/web/4/db=newer", "shop/web/4/key=k"])
      })
    )
  )
})
