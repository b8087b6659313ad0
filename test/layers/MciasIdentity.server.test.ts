import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { describe } from "vitest"
import * as HttpMcias from "../../src/layers/HttpMcias.ts"
import * as MciasIdentity from "../../src/layers/MciasIdentity.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Mcias } from "../../src/services/Mcias.ts"
import { enrol } from "../mcias/asking.ts"
import {
  certificatesIn,
  ISSUER,
  limitedLayer,
  PASSWORD,
  layer as serverLayer,
  TestServer,
  tempDir,
  tokenOf
} from "../mcias/server.ts"
import { fakeToken } from "./fakeMcias.ts"

const PEER = "100.64.0.9:51234"
const ask = (token: string) => Effect.flatMap(Identity, (identity) => identity.validate(Redacted.make(token), PEER))
const tagOf = (token: string) => Effect.map(Effect.flip(ask(token)), (error) => error._tag)

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
      assert.match(yield* invalid({ caCert: "/nonexistent/ca.pem" }), /ca_cert cannot be used: ENOENT/)

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

  it.scopedLive("second factors, and accounts that are locked or disabled, are each told by their own error", () =>
    Effect.gen(function* () {
      const { accounts } = yield* TestServer
      const layer = Layer.unwrapEffect(Effect.map(settings, HttpMcias.layer))
      const login = (totp?: string) =>
        Effect.flatMap(Mcias, (mcias) =>
          mcias.login({
            username: "alice",
            password: Redacted.make(PASSWORD),
            ...(totp === undefined ? {} : { totp: Redacted.make(totp) })
          })
        )
      const refused = (totp?: string) => Effect.map(Effect.flip(login(totp)), (error) => error._tag)
      yield* Effect.gen(function* () {
        const { account } = yield* Effect.flatten(accounts.byName("alice"))
        const code = yield* enrol("alice")
        assert.strictEqual(yield* refused(), "TotpRequired")
        assert.strictEqual(yield* refused("nonsense"), "LoginRefused")
        // Of one moment: asked for again it may be the next one, which is good.
        const once = yield* code()
        const { token } = yield* login(once)
        assert.strictEqual((yield* (yield* Mcias).validate(token)).username, "alice")
        assert.strictEqual(yield* refused(once), "LoginRefused")
        yield* accounts.disable(account.id)
        const disabled = yield* Effect.flip(login(yield* code(1)))
        assert.strictEqual(disabled.message, "alice may not log in here: the account is disabled")
        yield* accounts.enable(account.id)
        yield* Effect.replicateEffect(accounts.countFailure(account.id), 10)
        assert.strictEqual(yield* refused(yield* code(1)), "LoginRefused")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(serverLayer))
  )

  it.scopedLive("one address that asks too much is told so", () =>
    Effect.gen(function* () {
      const layer = Layer.unwrapEffect(Effect.map(settings, HttpMcias.layer))
      const error = yield* Effect.gen(function* () {
        const mcias = yield* Mcias
        const validate = Effect.flip(mcias.validate(Redacted.make(fakeToken({ exp: 4e9 }))))
        const all = yield* Effect.replicateEffect(validate, 60, { concurrency: "unbounded" })
        return all.find((one) => one._tag === "MciasBusy")
      }).pipe(Effect.provide(layer))
      assert.strictEqual(error?._tag, "MciasBusy")
    }).pipe(Effect.provide(limitedLayer))
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
