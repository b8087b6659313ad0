import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, FastCheck as fc, Redacted } from "effect"
import { describe } from "vitest"
import { Identity } from "../../src/services/Identity.ts"
import { agreeing, fakeToken, identity, SERVER } from "./fakeMcias.ts"

const PEER = "100.64.0.9:51234"
const ask = (token: string) => Effect.flatMap(Identity, (identity) => identity.validate(Redacted.make(token), PEER))
const tagOf = (token: string) => Effect.map(Effect.flip(ask(token)), (error) => error._tag)

describe("a token's form, before MCIAS is asked", () => {
  const cases: ReadonlyArray<readonly [what: string, token: string, tag: string]> = [
    ["empty", "", "TokenMissing"],
    ["a word", "secret", "TokenInvalid"],
    ["two parts", "e30.e30", "TokenInvalid"],
    ["four parts", `${fakeToken()}.x`, "TokenInvalid"],
    ["no signature", fakeToken().replace(/[^.]+$/, ""), "TokenInvalid"],
    ["a line break", `${fakeToken()}\n`, "TokenInvalid"],
    ["HS256", fakeToken({}, { alg: "HS256" }), "TokenInvalid"],
    ["none", fakeToken({}, { alg: "none" }), "TokenInvalid"],
    ["no exp", fakeToken({ exp: undefined }), "TokenInvalid"],
    ["exp as text", fakeToken({ exp: "3600" }), "TokenInvalid"],
    ["no sub", fakeToken({ sub: undefined }), "TokenInvalid"],
    ["expired", fakeToken({ exp: 0 }), "TokenExpired"],
    ["issued in the future", fakeToken({ iat: 61 }), "TokenInvalid"],
    ["another issuer", fakeToken({ iss: "https://elsewhere" }), "TokenInvalid"],
    ["no issuer", fakeToken({ iss: undefined }), "TokenInvalid"],
    ["huge", fakeToken({ x: "x".repeat(10_000) }), "TokenInvalid"]
  ]
  for (const [what, token, tag] of cases) {
    it.effect(`${what}: ${tag}`, () => {
      const { asked, layer } = identity(agreeing, { issuer: SERVER })
      return Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(token), tag)
        assert.strictEqual(asked(), 0)
      }).pipe(Effect.provide(layer))
    })
  }

  it.effect("a minute of clock difference is let pass", () =>
    Effect.asVoid(ask(fakeToken({ iat: 60 }))).pipe(Effect.provide(identity(agreeing).layer))
  )

  it.effect("any text is refused without asking", () => {
    const { asked, layer } = identity(agreeing)
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[\w-]{0,20}\.[\w-]{0,20}\.[\w-]{0,20}$/))
    return Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Identity>()
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(text, async (token) => {
            const exit = await Effect.runPromiseExit(Effect.provide(ask(token), runtime))
            assert.isTrue(Exit.isFailure(exit) && Cause.isFailType(exit.cause))
          })
        )
      )
      assert.strictEqual(asked(), 0)
    }).pipe(Effect.provide(layer))
  })
})
