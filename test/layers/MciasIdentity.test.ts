import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { inspect } from "node:util"
import { assert, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberId, FastCheck as fc, Layer, Redacted, TestClock } from "effect"
import { describe } from "vitest"
import * as HttpMcias from "../../src/layers/HttpMcias.ts"
import * as MciasIdentity from "../../src/layers/MciasIdentity.ts"
import { addressOf } from "../../src/layers/mciasLimits.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Mcias } from "../../src/services/Mcias.ts"
import {
  certificatesIn,
  ISSUER,
  PASSWORD,
  layer as serverLayer,
  TestServer,
  tempDir,
  tokenOf
} from "../mcias/server.ts"
import { type Answer, agreeing, always, disconnected, fakeToken, identity, SERVER, yes } from "./fakeMcias.ts"

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

describe("with a real server", () => {
  const settings = Effect.map(TestServer, ({ certificates, url }) => ({
    serverUrl: url,
    caCert: certificates.caCert,
    issuer: ISSUER
  }))
  const withIdentity = <A, E>(
    effect: Effect.Effect<A, E, Identity>,
    change: Partial<MciasIdentity.IdentitySettings> = {}
  ) => Effect.flatMap(settings, (settings) => Effect.provide(effect, MciasIdentity.layer({ ...settings, ...change })))

  it.scopedLive("people and programs are told apart, forgeries refused", () =>
    Effect.gen(function* () {
      const alice = Redacted.value(yield* tokenOf("alice"))
      const agent = Redacted.value(yield* tokenOf("agent-rift"))
      const visitor = Redacted.value(yield* tokenOf("visitor"))
      yield* withIdentity(
        Effect.gen(function* () {
          assert.deepInclude(yield* ask(alice), { username: "alice", accountType: "human" })
          assert.deepInclude(yield* ask(agent), { username: "agent-rift", accountType: "system" })
          assert.deepStrictEqual((yield* ask(visitor)).roles, ["guest"])
          const error = yield* Effect.flip(ask(`${alice.slice(0, -10)}AAAAAAAAAA`))
          assert.strictEqual(error.message, "the token is not valid: MCIAS refused it")
        })
      )
    }).pipe(Effect.provide(serverLayer))
  )

  it.scopedLive("an authority that did not sign, a closed port and plain http are each told in words", () =>
    Effect.gen(function* () {
      const token = Redacted.value(yield* tokenOf("alice"))
      const dir = yield* tempDir
      const { caCert } = yield* certificatesIn(dir, "other")
      const message = (change: Partial<MciasIdentity.IdentitySettings>) =>
        Effect.map(withIdentity(Effect.flip(ask(token)), change), (error) => error.message)
      assert.match(yield* message({ caCert }), /could not be asked: its certificate is not trusted/)
      assert.match(yield* message({ serverUrl: "https://127.0.0.1:1" }), /could not be asked: connection refused/)
      const invalid = (change: Partial<MciasIdentity.IdentitySettings>) =>
        Effect.map(Effect.flip(withIdentity(ask(token), change)), (error) => error.message)
      assert.match(yield* invalid({ serverUrl: "http://127.0.0.1:1" }), /server_url cannot be used: .* no https:/)
      assert.match(yield* invalid({ caCert: join404 }), /ca_cert cannot be used: ENOENT/)

      // Read again at each new connection.
      const { certificates } = yield* TestServer
      yield* withIdentity(
        Effect.gen(function* () {
          assert.strictEqual(yield* tagOf(token), "IdentityUnavailable")
          writeFileSync(caCert, readFileSync(certificates.caCert))
          assert.strictEqual((yield* ask(token)).username, "alice")
        }),
        { caCert }
      )
    }).pipe(Effect.provide(serverLayer))
  )

  it.scopedLive("a server that stops at TLS 1.2 gets no token", () =>
    Effect.gen(function* () {
      const dir = yield* tempDir
      const { caCert, tlsCert, tlsKey } = yield* certificatesIn(dir)
      let requests = 0
      const server = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const server = createServer(
            { cert: readFileSync(tlsCert), key: readFileSync(tlsKey), maxVersion: "TLSv1.2" },
            (_, response) => {
              requests += 1
              response.end("{}")
            }
          )
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      const serverUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      const error = yield* Effect.flip(ask(fakeToken({ exp: 4e9 }))).pipe(
        Effect.provide(MciasIdentity.layer({ serverUrl, caCert }))
      )
      assert.match(error.message, /it does not speak TLS 1\.3/)
      assert.strictEqual(requests, 0)
    })
  )

  it.scopedLive("an operator logs in, and is known by the token", () =>
    Effect.gen(function* () {
      const layer = Layer.unwrapEffect(
        Effect.map(settings, (settings) => HttpMcias.layer({ ...settings, serviceName: "mcp" }))
      )
      yield* Effect.gen(function* () {
        const mcias = yield* Mcias
        const { expiresAt, token } = yield* mcias.login({ username: "root", password: Redacted.make(PASSWORD) })
        const hours = (expiresAt.getTime() - Date.now()) / 3_600_000
        assert.isTrue(hours > 7.9 && hours <= 8)
        assert.deepInclude(yield* mcias.validate(token), { username: "root", accountType: "human" })
        const wrong = yield* Effect.flip(mcias.login({ username: "root", password: Redacted.make("wrong password") }))
        assert.strictEqual(wrong._tag, "LoginRefused")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(serverLayer))
  )
})

const join404 = "/nonexistent/ca.pem"
