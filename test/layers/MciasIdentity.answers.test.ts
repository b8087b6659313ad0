import { inspect } from "node:util"
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FastCheck as fc, Redacted, TestClock } from "effect"
import { describe } from "vitest"
import { Identity } from "../../src/services/Identity.ts"
import { type Answer, agreeing, always, disconnected, fakeToken, identity, SERVER, yes } from "./fakeMcias.ts"

const PEER = "100.64.0.9:51234"
const ask = (token: string) => Effect.flatMap(Identity, (identity) => identity.validate(Redacted.make(token), PEER))
const tagOf = (token: string) => Effect.map(Effect.flip(ask(token)), (error) => error._tag)

const refuse = always({ json: { valid: false } })

describe("an MCIAS in trouble is never a pass", () => {
  const cases: ReadonlyArray<readonly [what: string, answer: Answer, why: RegExp]> = [
    ["500", always({ status: 500, json: { error: "oh\u001b[31m no\n" } }), /it answered 500 \(oh \[31m no\)/],
    ["503 without a body", always({ status: 503, text: "" }), /it answered 503/],
    ["404", always({ status: 404 }), /it answered 404/],
    ["a redirect", always({ status: 302, json: yes() }), /it answered 302/],
    ["204", always({ status: 200, text: "" }), /its answer/],
    ["HTML", always({ text: "<html>valid</html>" }), /its answer could not be read/],
    ["an empty object", always({ json: {} }), /its answer makes no sense/],
    ["null", always({ text: "null" }), /its answer makes no sense/],
    ["valid as a string", always({ json: yes({ valid: "true" }) }), /its answer makes no sense/],
    ["no username", always({ json: yes({ username: undefined }) }), /its answer makes no sense/],
    ["an empty username", always({ json: yes({ username: "" }) }), /its answer makes no sense/],
    ["roles as a string", always({ json: yes({ roles: "admin" }) }), /its answer makes no sense/],
    ["an expiry that is no time", always({ json: yes({ expires_at: "soon" }) }), /its answer makes no sense/],
    ["refused connection", disconnected("ECONNREFUSED"), /connection refused/],
    ["foreign certificate", disconnected("SELF_SIGNED_CERT_IN_CHAIN"), /its certificate is not trusted/]
  ]
  for (const [what, answer, why] of cases) {
    it.effect(what, () => {
      const token = fakeToken()
      return Effect.gen(function* () {
        const error = yield* Effect.flip(ask(token))
        assert.strictEqual(error._tag, "IdentityUnavailable")
        assert.match(error.message, why)
        const everything = `${inspect(error, { depth: 20 })} ${JSON.stringify(error)} ${Cause.pretty(Cause.fail(error))}`
        assert.notInclude(everything, token)
      }).pipe(Effect.provide(identity(answer).layer))
    })
  }

  it.effect("no answer in 5 s", () => {
    const { layer } = identity(() => Effect.never)
    return Effect.gen(function* () {
      const waiting = yield* Effect.fork(Effect.flip(ask(fakeToken())))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.message, `MCIAS at ${SERVER} could not be asked: it did not answer in time`)
    }).pipe(Effect.provide(layer))
  })

  it.effect("429 is tried again, three times in all", () => {
    const busy: Answer = always({ status: 429, json: { error: "slow down" } })
    const short = identity((request, count) => (count < 3 ? busy : agreeing)(request, count))
    const long = identity(busy)
    return Effect.gen(function* () {
      const recovering = yield* Effect.fork(ask(fakeToken()).pipe(Effect.provide(short.layer)))
      const failing = yield* Effect.fork(Effect.flip(ask(fakeToken())).pipe(Effect.provide(long.layer)))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(recovering)).account, "id-alice")
      assert.strictEqual(
        (yield* Fiber.join(failing)).message,
        `MCIAS at ${SERVER} could not be asked: it gets too many requests`
      )
      assert.deepStrictEqual([short.asked(), long.asked()], [3, 3])
    })
  })
})

describe("what MCIAS says", () => {
  it.effect("401 and valid = false refuse; another sub does too", () =>
    Effect.gen(function* () {
      for (const answer of [always({ status: 401 }), refuse, always({ json: yes({ sub: "id-bob" }) })]) {
        assert.strictEqual(yield* tagOf(fakeToken()).pipe(Effect.provide(identity(answer).layer)), "TokenInvalid")
      }
    })
  )

  it.effect("no roles mean a system account, a guest is returned like anybody", () =>
    Effect.gen(function* () {
      for (const [roles, accountType] of [
        [[], "system"],
        [null, "system"],
        [undefined, "system"],
        [["guest"], "human"]
      ] as const) {
        const caller = yield* ask(fakeToken()).pipe(Effect.provide(identity(always({ json: yes({ roles }) })).layer))
        assert.strictEqual(caller.accountType, accountType)
      }
    })
  )

  it.effect("nothing but a well-formed positive answer lets anybody in", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.json(), fc.integer({ min: 200, max: 599 }), async (text, status) => {
          fc.pre(![204, 205, 304, 429].includes(status))
          const { layer } = identity(always({ text, status }))
          const exit = await Effect.runPromiseExit(ask(fakeToken({ exp: 4e9, iat: 1 })).pipe(Effect.provide(layer)))
          assert.isTrue(Exit.isFailure(exit) && Cause.isFailType(exit.cause))
        })
      )
    )
  )
})
