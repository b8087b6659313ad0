import { inspect } from "node:util"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Redacted, TestClock } from "effect"
import { describe } from "vitest"
import * as HttpMcias from "../../src/layers/HttpMcias.ts"
import { Mcias } from "../../src/services/Mcias.ts"
import { type Answer, always, disconnected, SERVER } from "./fakeMcias.ts"

const PASSWORD = "canary-password-4711"

const mcias = (answer: Answer) => {
  const bodies: Array<unknown> = []
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const { body } = request
      if (body._tag === "Uint8Array") bodies.push(JSON.parse(new TextDecoder().decode(body.body)))
      return answer(request, bodies.length)
    }).pipe(
      Effect.map(({ json, status = 200, text }) =>
        HttpClientResponse.fromWeb(request, new Response(text ?? JSON.stringify(json ?? {}), { status }))
      )
    )
  )
  const layer = HttpMcias.layerWithClient({ serverUrl: SERVER, serviceName: "mcp" }).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
  )
  return { bodies, layer }
}
const login = (totp?: string) =>
  Effect.flatMap(Mcias, (mcias) =>
    mcias.login({
      username: "alice",
      password: Redacted.make(PASSWORD),
      ...(totp === undefined ? {} : { totp: Redacted.make(totp) })
    })
  )

describe("login", () => {
  it.effect("sends the documented fields, the code only when there is one", () => {
    const { bodies, layer } = mcias(always({ json: { token: "t", expires_at: "2026-01-02T03:04:05Z" } }))
    return Effect.gen(function* () {
      const { expiresAt, token } = yield* login()
      yield* login("123456")
      assert.strictEqual(Redacted.value(token), "t")
      assert.strictEqual(expiresAt.toISOString(), "2026-01-02T03:04:05.000Z")
      const plain = { username: "alice", password: PASSWORD, service_name: "mcp" }
      assert.deepStrictEqual(bodies, [plain, { ...plain, totp_code: "123456" }])
    }).pipe(Effect.provide(layer))
  })

  const cases: ReadonlyArray<readonly [what: string, answer: Answer, tag: string, message: RegExp, totp?: string]> = [
    ["401", always({ status: 401, json: { error: "no" } }), "LoginRefused", /wrong name or password, or the account/],
    [
      "403",
      always({ status: 403, json: { error: "not from there" } }),
      "LoginForbidden",
      /may not log in here: not from/
    ],
    ["403 without a body", always({ status: 403, text: "" }), "LoginForbidden", /MCIAS's policy/],
    [
      "401 for want of a code",
      always({ status: 401, json: { error: "TOTP code required" } }),
      "TotpRequired",
      /TOTP code/
    ],
    ["a wrong code", always({ status: 401, json: { error: "wrong TOTP code" } }), "LoginRefused", /wrong/, "123456"],
    ["400", always({ status: 400, json: { error: "bad" } }), "MciasUnavailable", /it answered 400 \(bad\)/],
    ["404", always({ status: 404 }), "MciasUnavailable", /it answered 404/],
    ["500", always({ status: 500 }), "MciasUnavailable", /it answered 500/],
    [
      "an empty token",
      always({ json: { token: "", expires_at: "2026-01-02T03:04:05Z" } }),
      "MciasUnavailable",
      /no sense/
    ],
    ["no expiry", always({ json: { token: PASSWORD } }), "MciasUnavailable", /no sense/],
    ["a closed port", disconnected("ECONNREFUSED"), "MciasUnavailable", /connection refused/]
  ]
  for (const [what, answer, tag, message, totp] of cases) {
    it.effect(`${what}: ${tag}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(login(totp))
        assert.strictEqual(error._tag, tag)
        assert.match(error.message, message)
        const everything = `${inspect(error, { depth: 20 })} ${JSON.stringify(error)} ${Cause.pretty(Cause.fail(error))}`
        assert.notInclude(everything, PASSWORD)
      }).pipe(Effect.provide(mcias(answer).layer))
    )
  }

  it.effect("a refusal says whether a code was sent with it", () =>
    Effect.gen(function* () {
      const [plain, coded] = [yield* Effect.flip(login()), yield* Effect.flip(login("123456"))]
      assert.notInclude(plain.message, "TOTP")
      assert.match(coded.message, /wrong name, password or TOTP code \(each works once\), or the account is locked/)
    }).pipe(Effect.provide(mcias(always({ status: 401, json: { error: "wrong" } })).layer))
  )

  it.effect("429 is tried three times, and then told apart from an MCIAS that is down", () => {
    const { bodies, layer } = mcias(always({ status: 429, json: { error: "too many requests" } }))
    return Effect.gen(function* () {
      const waiting = yield* Effect.fork(Effect.flip(login()))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error._tag, "MciasBusy")
      assert.strictEqual(error.message, `MCIAS at ${SERVER} gets too many requests from this address`)
      assert.strictEqual(bodies.length, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("waits 15 s and no longer", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(Effect.flip(login()))
      yield* TestClock.adjust("15 seconds")
      assert.match((yield* Fiber.join(waiting)).message, /it did not answer in time/)
    }).pipe(Effect.provide(mcias(() => Effect.never).layer))
  )
})
