import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, TestClock } from "effect"
import { decodeJwt, decodeProtectedHeader } from "jose"
import { errorIn, isValid, login, renew, send, tokenIn, validate } from "./asking.ts"
import { layer as serverLayer, TestServer, tokenOf } from "./server.ts"

const START = Date.UTC(2026, 10, 25)

/** A server of its own, over TLS, whose clock stands still until the test moves it. */
const served = <A, E>(test: Effect.Effect<A, E, TestServer>) =>
  Effect.zipRight(TestClock.setTime(START), Effect.provide(test, serverLayer))

const accountOf = (username: string) =>
  Effect.flatMap(TestServer, ({ accounts }) =>
    Effect.map(Effect.flatten(accounts.byName(username)), ({ account }) => account)
  )
const kidOf = (token: string) => decodeProtectedHeader(token).kid
const expiryIn = (body: unknown) => Date.parse((body as { readonly expires_at: string }).expires_at)

describe("renewal", () => {
  it.effect("is refused with 409 before half of the lifetime, and gives a whole new one from then on", () =>
    served(
      Effect.gen(function* () {
        const first = tokenIn(yield* login("alice"))
        yield* TestClock.adjust("359 hours")
        const early = yield* renew(first)
        assert.strictEqual(early.status, 409)
        assert.strictEqual(errorIn(early), "the token can be renewed from 2026-12-10T00:00:00.000Z on")
        assert.strictEqual(expiryIn(yield* validate(first)), START + 30 * 86_400_000)
        yield* TestClock.adjust("1 hours")
        const answer = yield* renew(first)
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(expiryIn(answer.body), START + 45 * 86_400_000)
        const second = decodeJwt(tokenIn(answer))
        assert.strictEqual(second.sub, decodeJwt(first).sub)
        assert.notStrictEqual(second.jti, decodeJwt(first).jti)
        assert.isTrue(yield* isValid(tokenIn(answer)))
        assert.strictEqual((yield* renew(tokenIn(answer))).status, 409)
      })
    )
  )

  it.effect("leaves the old token five minutes, for a client that did not get the answer", () =>
    served(
      Effect.gen(function* () {
        const first = tokenIn(yield* login("root"))
        yield* TestClock.adjust("4 hours")
        assert.strictEqual((yield* renew(first)).status, 200)
        yield* TestClock.adjust("4 minutes")
        assert.strictEqual(expiryIn(yield* validate(first)), START + 4 * 3_600_000 + 5 * 60_000)
        const again = yield* renew(first)
        assert.strictEqual(again.status, 200)
        yield* TestClock.adjust("1 minutes")
        assert.isFalse(yield* isValid(first))
        assert.strictEqual((yield* renew(first)).status, 401)
        assert.isTrue(yield* isValid(tokenIn(again)))
      })
    )
  )

  it.effect("is refused with 401 to an expired, a revoked and a disabled account's token", () =>
    served(
      Effect.gen(function* () {
        const { accounts, records } = yield* TestServer
        const [root, alice, visitor] = [
          tokenIn(yield* login("root")),
          tokenIn(yield* login("alice")),
          tokenIn(yield* login("visitor"))
        ]
        yield* TestClock.adjust("20 days")
        yield* records.revoke(decodeJwt(alice).jti ?? "")
        yield* accounts.disable((yield* accountOf("visitor")).id)
        for (const token of [root, alice, visitor]) {
          const answer = yield* renew(token)
          assert.deepStrictEqual([answer.status, errorIn(answer)], [401, "the token is not valid"])
          assert.isFalse(yield* isValid(token))
        }
      })
    )
  )

  it.effect("gives a program another year, and people the roles and the lifetime they have by then", () =>
    served(
      Effect.gen(function* () {
        const { accounts } = yield* TestServer
        const agent = yield* tokenOf("agent-rift")
        const alice = tokenIn(yield* login("alice"))
        yield* TestClock.adjust("16 days")
        yield* accounts.giveRole((yield* accountOf("alice")).id, "deployer")
        const renewed = yield* renew(alice)
        assert.deepStrictEqual(decodeJwt(tokenIn(renewed)).roles, ["user", "deployer"])
        yield* TestClock.adjust("170 days")
        const year = yield* renew(agent)
        assert.strictEqual(year.status, 200)
        assert.strictEqual(expiryIn(year.body), START + (186 + 365) * 86_400_000)
      })
    )
  )
})

describe("what a token is worth follows its account at once", () => {
  it.effect("roles given and taken; the last one stays, and admins have eight hours", () =>
    served(
      Effect.gen(function* () {
        const { accounts } = yield* TestServer
        const { id } = yield* accountOf("alice")
        const token = tokenIn(yield* login("alice"))
        const roles = Effect.map(validate(token), (body) => (body as { readonly roles: unknown }).roles)
        assert.isTrue(yield* accounts.giveRole(id, "deployer"))
        assert.isFalse(yield* accounts.giveRole(id, "deployer"))
        assert.deepStrictEqual(yield* roles, ["user", "deployer"])
        assert.isTrue(yield* accounts.takeRole(id, "user"))
        assert.isFalse(yield* accounts.takeRole(id, "user"))
        assert.deepStrictEqual(yield* roles, ["deployer"])
        assert.isFalse(yield* accounts.takeRole(id, "deployer"))
        assert.deepStrictEqual(yield* roles, ["deployer"])
        yield* accounts.giveRole(id, "admin")
        assert.strictEqual(expiryIn(yield* validate(token)), START + 8 * 3_600_000)
        yield* TestClock.adjust("8 hours")
        assert.isFalse(yield* isValid(token))
      })
    )
  )

  it.effect("roles given by many at the same time are all there", () =>
    served(
      Effect.gen(function* () {
        const { accounts } = yield* TestServer
        const { id } = yield* accountOf("alice")
        const names = Array.from({ length: 8 }, (_, i) => `role-${i}`)
        yield* Effect.forEach(names, (role) => accounts.giveRole(id, role), { concurrency: "unbounded" })
        assert.sameMembers([...(yield* accountOf("alice")).roles], ["user", ...names])
      })
    )
  )

  it.effect("a revoked token, and no other; all of an account, and no other's", () =>
    served(
      Effect.gen(function* () {
        const { records } = yield* TestServer
        const { id } = yield* accountOf("alice")
        const [one, two, root] = [
          tokenIn(yield* login("alice")),
          tokenIn(yield* login("alice")),
          tokenIn(yield* login("root"))
        ]
        const jti = decodeJwt(one).jti ?? ""
        assert.deepStrictEqual(yield* Effect.flatten(records.revoke(jti)), true)
        assert.deepStrictEqual(yield* Effect.flatten(records.revoke(jti)), false)
        assert.strictEqual((yield* records.revoke("no such"))._tag, "None")
        assert.deepStrictEqual([yield* isValid(one), yield* isValid(two)], [false, true])
        yield* records.revokeAll(id)
        assert.deepStrictEqual([yield* isValid(two), yield* isValid(root)], [false, true])
        assert.isTrue(yield* isValid(tokenIn(yield* login("alice"))))
      })
    )
  )

  it.effect("a disabled account's tokens end, and enabling it does not bring them back", () =>
    served(
      Effect.gen(function* () {
        const { accounts, records, tokens } = yield* TestServer
        const agent = yield* accountOf("agent-rift")
        const token = yield* tokenOf("agent-rift")
        assert.isTrue(yield* isValid(token))
        yield* accounts.disable(agent.id)
        assert.isFalse(yield* isValid(token))
        assert.isFalse(yield* records.add((yield* tokens.issue(agent)).record))
        yield* accounts.enable(agent.id)
        assert.isFalse(yield* isValid(token))
        assert.isTrue(yield* isValid(yield* tokenOf("agent-rift")))
      })
    )
  )

  it.effect("a new password ends all tokens, and a login that has read the old one gets none", () =>
    served(
      Effect.gen(function* () {
        const { accounts, records, tokens } = yield* TestServer
        const { account, passwordHash = "" } = yield* Effect.flatten(accounts.byName("alice"))
        const token = tokenIn(yield* login("alice"))
        const { record } = yield* tokens.issue(account)
        yield* accounts.setPassword(account.id, "another hash")
        assert.isFalse(yield* isValid(token))
        assert.isFalse(yield* records.admit(record, { passwordHash, totpStep: undefined }))
        assert.isTrue(yield* records.admit(record, { passwordHash: "another hash", totpStep: undefined }))
      })
    )
  )
})

describe("a new signing key", () => {
  it.effect("signs at once; tokens of the old one go on until they expire, and then it is forgotten", () =>
    served(
      Effect.gen(function* () {
        const { keys } = yield* TestServer
        const agent = yield* tokenOf("agent-rift")
        const old = tokenIn(yield* login("alice"))
        const next = yield* keys.rotate({ atOnce: false })
        const fresh = tokenIn(yield* login("alice"))
        assert.strictEqual(kidOf(fresh), next.kid)
        assert.notStrictEqual(kidOf(old), next.kid)
        assert.deepStrictEqual([yield* isValid(old), yield* isValid(fresh)], [true, true])
        assert.deepStrictEqual((yield* send("GET", "/v1/keys/public")).body, { kty: "OKP", crv: "Ed25519", x: next.x })
        const published = Effect.map(send("GET", "/.well-known/jwks.json"), ({ body }) =>
          (body as { readonly keys: ReadonlyArray<{ readonly kid: string }> }).keys.map(({ kid }) => kid)
        )
        assert.deepStrictEqual(yield* published, [next.kid, kidOf(old)])
        yield* TestClock.adjust("364 days")
        assert.isTrue(yield* isValid(agent))
        yield* TestClock.adjust("1 days")
        assert.isFalse(yield* isValid(agent))
        assert.deepStrictEqual(yield* published, [next.kid])
      })
    )
  )

  it.effect("is not there when the database does not take it", () =>
    served(
      Effect.gen(function* () {
        const { dir, keys } = yield* TestServer
        const { kid } = yield* keys.current
        const token = tokenIn(yield* login("alice"))
        const db = new Database(join(dir, "mcias.db"))
        db.exec("CREATE TRIGGER full BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
        db.close()
        const error = yield* Effect.flip(keys.rotate({ atOnce: true }))
        assert.strictEqual(error.message, "the identity database could not be written: the disk is full")
        assert.strictEqual((yield* keys.current).kid, kid)
        assert.strictEqual((yield* keys.list).length, 1)
        assert.isTrue(yield* isValid(token))
      })
    )
  )

  it.effect("may end what the old one signed; a key that was retired before is not given more time", () =>
    served(
      Effect.gen(function* () {
        const { keys } = yield* TestServer
        const first = tokenIn(yield* login("alice"))
        yield* keys.rotate({ atOnce: false })
        const second = tokenIn(yield* login("alice"))
        yield* TestClock.adjust("1 days")
        const { kid } = yield* keys.rotate({ atOnce: true })
        assert.deepStrictEqual([yield* isValid(first), yield* isValid(second)], [false, false])
        assert.strictEqual((yield* renew(second)).status, 401)
        const third = tokenIn(yield* login("alice"))
        assert.isTrue(yield* isValid(third))
        yield* keys.rotate({ atOnce: false })
        assert.deepStrictEqual([yield* isValid(first), yield* isValid(third)], [false, true])
        const list = yield* keys.list
        const ended = list.filter((key) => key.endsAt > 0 && key.endsAt <= START + 86_400_000)
        assert.strictEqual(list.length, 4)
        assert.strictEqual(ended.length, 2)
        assert.notInclude(
          ended.map((key) => key.kid),
          kid
        )
      })
    )
  )
})
