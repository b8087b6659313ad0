import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId, Redacted, TestClock } from "effect"
import { describe } from "vitest"
import { addressOf } from "../../src/layers/mciasLimits.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type Answer, agreeing, always, fakeToken, identity, yes } from "./fakeMcias.ts"

const PEER = "100.64.0.9:51234"
const ask = (token: string, peer = PEER) =>
  Effect.flatMap(Identity, (identity) => identity.validate(Redacted.make(token), peer))
const tagOf = (token: string, peer = PEER) => Effect.map(Effect.flip(ask(token, peer)), (error) => error._tag)
const refuse = always({ json: { valid: false } })

describe("the cache", () => {
  const { asked, layer } = identity(agreeing)
  it.effect("keeps a positive answer for 30 s", () =>
    Effect.gen(function* () {
      const caller = yield* ask(fakeToken())
      assert.deepInclude(caller, { account: "id-alice", username: "id-alice", accountType: "human" })
      assert.deepStrictEqual([caller.roles, caller.expiresAt], [["user"], 3_600_000])
      yield* TestClock.adjust(29_999)
      yield* ask(fakeToken())
      assert.strictEqual(asked(), 1)
      yield* TestClock.adjust(1)
      yield* ask(fakeToken())
      assert.strictEqual(asked(), 2)
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps nothing beyond the token's exp", () => {
    const { asked, layer } = identity(agreeing)
    return Effect.gen(function* () {
      yield* ask(fakeToken({ exp: 10 }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* tagOf(fakeToken({ exp: 10 })), "TokenExpired")
      assert.strictEqual(asked(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("nor beyond an earlier expiry in MCIAS's answer", () => {
    const { asked, layer } = identity(always({ json: yes({ expires_at: "1970-01-01T00:00:10Z" }) }))
    return Effect.gen(function* () {
      assert.strictEqual((yield* ask(fakeToken())).expiresAt, 10_000)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* tagOf(fakeToken()), "TokenExpired")
      assert.strictEqual(asked(), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not keep refusals", () => {
    const { asked, layer } = identity((_, count) => Effect.succeed({ json: count === 1 ? { valid: false } : yes() }))
    return Effect.gen(function* () {
      assert.strictEqual(yield* tagOf(fakeToken()), "TokenInvalid")
      assert.strictEqual((yield* ask(fakeToken())).username, "alice")
      assert.strictEqual(asked(), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("holds so many and drops the oldest", () => {
    const { asked, layer } = identity(agreeing, { capacity: 3 })
    return Effect.gen(function* () {
      for (const sub of ["a", "b", "c", "d"]) yield* ask(fakeToken({ sub }))
      yield* ask(fakeToken({ sub: "b" }))
      assert.strictEqual(asked(), 4)
      yield* ask(fakeToken({ sub: "a" }))
      assert.strictEqual(asked(), 5)
    }).pipe(Effect.provide(layer))
  })
})

describe("one look-up a token", () => {
  const gated = (answer: Answer) => {
    const gate = Deferred.unsafeMake<void>(FiberId.none)
    const started = Deferred.unsafeMake<void>(FiberId.none)
    const fake = identity((request, count) =>
      Deferred.succeed(started, undefined).pipe(
        Effect.zipRight(Deferred.await(gate)),
        Effect.zipRight(answer(request, count))
      )
    )
    return { ...fake, open: Deferred.succeed(gate, undefined), started: Deferred.await(started) }
  }

  it.effect("however many calls wait", () => {
    const { asked, layer, open, started } = gated(agreeing)
    return Effect.gen(function* () {
      const all = yield* Effect.forkAll(Array.from({ length: 50 }, (_, i) => ask(fakeToken(), `peer-${i}:1`)))
      yield* started
      yield* open
      assert.lengthOf(yield* Fiber.join(all), 50)
      assert.strictEqual(asked(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("goes on when the call that started it is gone", () => {
    const { asked, layer, open, started } = gated(agreeing)
    return Effect.gen(function* () {
      const first = yield* Effect.fork(ask(fakeToken()))
      yield* started
      const second = yield* Effect.fork(ask(fakeToken()))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(first)))
      yield* open
      assert.strictEqual((yield* Fiber.join(second)).username, "id-alice")
      assert.strictEqual(asked(), 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("and one refusal for all that waited", () => {
    const { asked, layer, open, started } = gated(refuse)
    return Effect.gen(function* () {
      const all = yield* Effect.forkAll(Array.from({ length: 20 }, () => tagOf(fakeToken())))
      yield* started
      yield* open
      assert.deepStrictEqual(new Set(yield* Fiber.join(all)), new Set(["TokenInvalid"]))
      assert.strictEqual(asked(), 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("refused look-ups", () => {
  it.effect("are limited to two a second an address, after a burst of five", () => {
    const { asked, layer } = identity(refuse)
    const token = (n: number) => fakeToken({ sub: `s${n}` })
    return Effect.gen(function* () {
      const tags = yield* Effect.forEach(Array.from({ length: 20 }), (_, n) => tagOf(token(n), `100.64.0.9:${n}`), {
        concurrency: "unbounded"
      })
      assert.strictEqual(tags.filter((tag) => tag === "TokenInvalid").length, 5)
      assert.strictEqual(tags.filter((tag) => tag === "LookupsLimited").length, 15)
      assert.strictEqual(asked(), 5)
      assert.strictEqual(yield* tagOf(token(30), "100.64.0.10:1"), "TokenInvalid")
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* tagOf(token(31)), "TokenInvalid")
      assert.strictEqual(yield* tagOf(token(32)), "LookupsLimited")
      yield* TestClock.adjust("1 minute")
      for (const n of [40, 41, 42, 43, 44]) assert.strictEqual(yield* tagOf(token(n)), "TokenInvalid")
      assert.strictEqual(yield* tagOf(token(45)), "LookupsLimited")
    }).pipe(Effect.provide(layer))
  })

  it.effect("good ones are not, and what is known still passes", () => {
    const { layer } = identity((request, count) =>
      count <= 100 ? agreeing(request, count) : Effect.succeed({ status: 401 })
    )
    return Effect.gen(function* () {
      const subs = Array.from({ length: 100 }, (_, n) => `s${n}`)
      yield* Effect.forEach(subs, (sub) => ask(fakeToken({ sub })), { concurrency: "unbounded", discard: true })
      for (let n = 0; n < 6; n++) yield* tagOf(fakeToken({ sub: `t${n}` }))
      assert.strictEqual(yield* tagOf(fakeToken({ sub: "u" })), "LookupsLimited")
      assert.strictEqual((yield* ask(fakeToken({ sub: "s7" }))).account, "s7")
    }).pipe(Effect.provide(layer))
  })

  it.effect("of one address do not refuse another that waits for the same token", () => {
    const gate = Deferred.unsafeMake<void>(FiberId.none)
    const started = Deferred.unsafeMake<void>(FiberId.none)
    const { asked, layer } = identity((request, count) => {
      if (count < 5) return Effect.succeed({ status: 401 })
      if (count > 5) return agreeing(request, count)
      return Deferred.succeed(started, undefined).pipe(
        Effect.zipRight(Deferred.await(gate)),
        Effect.as({ status: 401 })
      )
    })
    return Effect.gen(function* () {
      for (let n = 0; n < 4; n++) yield* tagOf(fakeToken({ sub: `bad${n}` }), "1.1.1.1:1")
      yield* Effect.fork(tagOf(fakeToken({ sub: "bad4" }), "1.1.1.1:1"))
      yield* Deferred.await(started)
      const limited = yield* Effect.fork(tagOf(fakeToken({ sub: "good" }), "1.1.1.1:2"))
      yield* Effect.yieldNow()
      const other = yield* Effect.fork(ask(fakeToken({ sub: "good" }), "2.2.2.2:1"))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(limited), "LookupsLimited")
      assert.strictEqual((yield* Fiber.join(other)).account, "good")
      assert.strictEqual(asked(), 6)
    }).pipe(Effect.provide(layer))
  })

  it("are counted by address, whatever the port", () => {
    assert.deepStrictEqual(["1.2.3.4:5", "1.2.3.4", "[fd00::9]:5", "[fd00::9]", "fd00::9", "unix", ""].map(addressOf), [
      "1.2.3.4",
      "1.2.3.4",
      "fd00::9",
      "fd00::9",
      "fd00::9",
      "unix",
      ""
    ])
  })
})
