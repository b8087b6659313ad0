import { generateKeyPairSync } from "node:crypto"
import { readFileSync } from "node:fs"
import { connect } from "node:tls"
import { assert, layer } from "@effect/vitest"
import { Effect, FastCheck as fc, Option, Redacted } from "effect"
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose"
import * as Tokens from "../../src/mcias/tokens.ts"
import { type Answer, ISSUER, PASSWORD, layer as serverLayer, TestServer, tokenOf } from "./server.ts"

const json = (value: unknown) => JSON.stringify(value)
const login = (username: string, password: string) => json({ username, password })
const forged = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"

layer(serverLayer, { excludeTestServices: true })("the HTTP API", (it) => {
  const send = (method: string, path: string, body?: string, headers?: Record<string, string>) =>
    Effect.flatMap(TestServer, ({ send }) => Effect.promise(() => send(method, path, body, headers)))
  const error = (answer: Answer) => (answer.body as { readonly error: string }).error

  const cases: ReadonlyArray<
    readonly [
      what: string,
      method: string,
      path: string,
      body: string | undefined,
      status: number,
      authorization?: string
    ]
  > = [
    ["health", "GET", "/v1/health", undefined, 200],
    ["health with a query", "GET", "/v1/health?x=1", undefined, 200],
    ["health, posted", "POST", "/v1/health", "{}", 404],
    ["login, got", "GET", "/v1/auth/login", undefined, 404],
    ["unknown path", "GET", "/", undefined, 404],
    ["unknown path below", "POST", "/v1/auth/login/x", "{}", 404],
    ["a property of Object", "GET", "/constructor", undefined, 404],
    ["login", "POST", "/v1/auth/login", login("alice", PASSWORD), 200],
    [
      "login with unknown keys",
      "POST",
      "/v1/auth/login",
      json({ username: "alice", password: PASSWORD, x: 1, tags: ["a"] }),
      200
    ],
    ["login, wrong password", "POST", "/v1/auth/login", login("alice", "wrong password"), 401],
    ["login, unknown account", "POST", "/v1/auth/login", login("nobody", PASSWORD), 401],
    ["login, empty password", "POST", "/v1/auth/login", login("alice", ""), 401],
    ["login of a system account", "POST", "/v1/auth/login", login("agent-rift", PASSWORD), 401],
    ["login, name in capitals", "POST", "/v1/auth/login", login("ALICE", PASSWORD), 401],
    ["login, injected name", "POST", "/v1/auth/login", login("alice' OR '1'='1", PASSWORD), 401],
    ["login, no body", "POST", "/v1/auth/login", undefined, 400],
    ["login, cut JSON", "POST", "/v1/auth/login", '{"username":', 400],
    ["login, a list", "POST", "/v1/auth/login", "[]", 400],
    ["login, null", "POST", "/v1/auth/login", "null", 400],
    ["login, a number as password", "POST", "/v1/auth/login", json({ username: "alice", password: 1 }), 400],
    ["login, no password", "POST", "/v1/auth/login", json({ username: "alice" }), 400],
    ["a body of 64 KiB", "POST", "/v1/auth/login", login("alice", "x".repeat(64 * 1024 - 39)), 401],
    ["a body beyond 64 KiB", "POST", "/v1/auth/login", login("alice", "x".repeat(64 * 1024)), 400],
    ["validate, no token", "POST", "/v1/token/validate", undefined, 401],
    ["validate, empty body", "POST", "/v1/token/validate", "{}", 401],
    ["validate, basic", "POST", "/v1/token/validate", undefined, 401, "Basic YTpi"],
    ["validate, basic, token in the body", "POST", "/v1/token/validate", json({ token: forged }), 401, "Basic YTpi"],
    ["validate, no JWT", "POST", "/v1/token/validate", undefined, 401, "Bearer nonsense"],
    ["validate, three parts that are no JSON", "POST", "/v1/token/validate", undefined, 401, "Bearer a.b.c"],
    ["validate, forged", "POST", "/v1/token/validate", undefined, 200, `Bearer ${forged}`],
    ["validate, forged in the body", "POST", "/v1/token/validate", json({ token: forged }), 200],
    ["validate, a number as token", "POST", "/v1/token/validate", json({ token: 1 }), 400],
    ["validate, malformed JSON", "POST", "/v1/token/validate", "{", 400, `Bearer ${forged}`],
    ["renew, no token", "POST", "/v1/auth/renew", undefined, 401],
    ["renew, no JWT", "POST", "/v1/auth/renew", undefined, 401, "Bearer nonsense"],
    ["renew, a bad token", "POST", "/v1/auth/renew", undefined, 401, `Bearer ${forged}`],
    ["renew, a number as token", "POST", "/v1/auth/renew", json({ token: 1 }), 400],
    ["the public key", "GET", "/v1/keys/public", undefined, 200],
    ["all public keys", "GET", "/.well-known/jwks.json", undefined, 200]
  ]
  for (const [what, method, path, body, status, authorization] of cases) {
    it.effect(`${what}: ${status}`, () =>
      Effect.gen(function* () {
        const answer = yield* send(method, path, body, authorization === undefined ? {} : { authorization })
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.headers["content-type"], "application/json")
        if (status >= 400) assert.isString(error(answer))
        if (what.includes("forged")) assert.deepStrictEqual(answer.body, { valid: false })
      })
    )
  }

  it.effect("a wrong password and an unknown account answer alike", () =>
    Effect.gen(function* () {
      const wrong = yield* send("POST", "/v1/auth/login", login("alice", "wrong password"))
      const unknown = yield* send("POST", "/v1/auth/login", login("nobody", "wrong password"))
      assert.deepStrictEqual(wrong.body, unknown.body)
    })
  )

  const day = 86_400
  for (const [username, lifetime, roles] of [
    ["alice", 30 * day, ["user"]],
    ["root", day / 3, ["admin"]]
  ] as const) {
    it.effect(`${username} logs in for ${lifetime} s and is known by the token`, () =>
      Effect.gen(function* () {
        const answer = yield* send("POST", "/v1/auth/login", login(username, PASSWORD))
        const { expires_at, token } = answer.body as { token: string; expires_at: string }
        const claims = decodeJwt(token)
        assert.deepStrictEqual(Object.keys(claims).sort(), ["exp", "iat", "iss", "jti", "roles", "sub"])
        assert.strictEqual(decodeProtectedHeader(token).alg, "EdDSA")
        assert.strictEqual(claims.iss, ISSUER)
        assert.deepStrictEqual(claims.roles, [...roles])
        assert.strictEqual((claims.exp ?? 0) - (claims.iat ?? 0), lifetime)
        assert.strictEqual(new Date((claims.exp ?? 0) * 1000).toISOString(), expires_at)
        const known = { valid: true, sub: claims.sub, username, roles: [...roles], expires_at }
        const byHeader = yield* send("POST", "/v1/token/validate", undefined, { authorization: `Bearer ${token}` })
        assert.deepStrictEqual(byHeader.body, known)
        const byBody = yield* send("POST", "/v1/token/validate", json({ token }))
        assert.deepStrictEqual(byBody.body, known)
      })
    )
  }

  it.effect("a system account's token lives a year and has no roles", () =>
    Effect.gen(function* () {
      const token = Redacted.value(yield* tokenOf("agent-rift"))
      const claims = decodeJwt(token)
      assert.strictEqual((claims.exp ?? 0) - (claims.iat ?? 0), 365 * day)
      const answer = yield* send("POST", "/v1/token/validate", json({ token }))
      assert.deepInclude(answer.body as object, { valid: true, username: "agent-rift", roles: [] })
    })
  )

  it.effect("tokens of another key, issuer, algorithm, time or account are not valid", () =>
    Effect.gen(function* () {
      const { accounts, dir, records } = yield* TestServer
      const { account } = yield* Effect.flatten(accounts.byName("alice"))
      const own = readFileSync(`${dir}/signing-key.pem`)
      const { createPrivateKey } = yield* Effect.promise(() => import("node:crypto"))
      const key = createPrivateKey(own)
      const other = generateKeyPairSync("ed25519").privateKey
      const now = Math.floor(Date.now() / 1000)
      const claims = { sub: account.id, roles: ["user"], iss: ISSUER, iat: now, exp: now + 60, jti: "1" }
      yield* records.add({ jti: "1", accountId: account.id, issuedAt: now * 1000, expiresAt: (now + 60) * 1000 })
      const sign = (payload: object, by = key) =>
        Effect.promise(() => new SignJWT({ ...payload }).setProtectedHeader({ alg: "EdDSA" }).sign(by))
      const encode = (value: object) => Buffer.from(json(value)).toString("base64url")
      const good = yield* sign(claims)
      const [head, body, signature] = good.split(".")
      const tokens = [
        yield* sign(claims, other),
        yield* sign({ ...claims, iss: "https://elsewhere" }),
        yield* sign({ ...claims, exp: now - 1 }),
        yield* sign({ ...claims, sub: "00000000-0000-0000-0000-000000000000" }),
        yield* sign({ ...claims, jti: undefined }),
        // Signed by the right key, and never issued.
        yield* sign({ ...claims, jti: "2" }),
        `${head}.${encode({ ...claims, roles: ["admin"] })}.${signature}`,
        `${encode({ alg: "none" })}.${body}.${signature}`,
        yield* Effect.promise(() =>
          new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(own.toString()))
        )
      ]
      for (const token of tokens) {
        const answer = yield* send("POST", "/v1/token/validate", json({ token }))
        assert.deepStrictEqual([answer.status, answer.body], [200, { valid: false }])
      }
      const answer = yield* send("POST", "/v1/token/validate", json({ token: good }))
      assert.deepInclude(answer.body as object, { valid: true, username: "alice" })
    })
  )

  it.effect("TLS 1.2 is refused", () =>
    Effect.gen(function* () {
      const { certificates, url } = yield* TestServer
      const code = yield* Effect.async<string>((resume) => {
        const socket = connect({
          host: "127.0.0.1",
          port: Number(new URL(url).port),
          ca: readFileSync(certificates.caCert),
          maxVersion: "TLSv1.2"
        })
        socket.on("secureConnect", () => resume(Effect.succeed("connected")))
        socket.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(String(error.code))))
        return Effect.sync(() => socket.destroy())
      })
      assert.match(code, /PROTOCOL_VERSION/)
    })
  )

  it.effect("no password and no token is in the log, nor a path that may hold one", () =>
    Effect.gen(function* () {
      const { log } = yield* TestServer
      const canary = "canary-password-4711"
      yield* send("POST", "/v1/auth/login", login("alice", canary))
      yield* send("POST", "/v1/auth/login", login(canary, canary))
      yield* send("POST", "/v1/auth/login", json({ username: canary, password: [canary] }))
      yield* send("GET", `/v1/health?token=${canary}`)
      yield* send("GET", `/${canary}`)
      const token = Redacted.value(yield* tokenOf("alice"))
      yield* send("POST", "/v1/token/validate", json({ token }))
      const text = log()
      assert.include(text, '"account":"alice"')
      for (const secret of [canary, PASSWORD, token, forged]) assert.notInclude(text, secret)
    })
  )
})

layer(serverLayer, { excludeTestServices: true })("any input", (it) => {
  it.effect("is answered and never with 500", () =>
    Effect.gen(function* () {
      const { send } = yield* TestServer
      const path = fc.constantFrom("/v1/auth/login", "/v1/auth/renew", "/v1/token/validate")
      const body = fc.oneof(fc.string({ unit: "binary" }), fc.json(), fc.record({ token: fc.json() }).map(json))
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(path, body, async (path, body) => {
            const { status } = await send("POST", path, body)
            assert.include([200, 400, 401], status)
          }),
          { numRuns: 200 }
        )
      )
    })
  )

  it.effect("a token changed in one place is not valid", () =>
    Effect.gen(function* () {
      const { tokens } = yield* TestServer
      const token = Redacted.value(yield* tokenOf("alice"))
      assert.isTrue(Option.isSome(yield* tokens.verify(Redacted.make(token))))
      // The last character of a part may carry bits that decoding drops.
      const end = token.length - 1
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.integer({ min: 0, max: end - 1 }),
            fc.constantFrom(..."ABCxyz019-_"),
            async (at, letter) => {
              fc.pre(token[at] !== letter && token[at] !== "." && token[at + 1] !== ".")
              const changed = `${token.slice(0, at)}${letter}${token.slice(at + 1)}`
              assert.isTrue(Option.isNone(await Effect.runPromise(tokens.verify(Redacted.make(changed)))))
            }
          )
        )
      )
    })
  )

  it.effect("isWellFormed takes any string", () =>
    Effect.sync(() => fc.assert(fc.property(fc.string(), (text) => typeof Tokens.isWellFormed(text) === "boolean")))
  )
})
