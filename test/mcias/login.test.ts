import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { enrol, errorIn, isValid, login, send, tokenIn } from "./asking.ts"
import { limitedLayer, PASSWORD, layer as serverLayer, TestServer } from "./server.ts"

/** A server of its own, over TLS, whose clock stands still until the test moves it. */
const served = <A, E>(test: Effect.Effect<A, E, TestServer>) =>
  Effect.zipRight(TestClock.setTime(Date.UTC(2026, 10, 25)), Effect.provide(test, serverLayer))

const wrong = (username: string, times = 1) => Effect.replicateEffect(login(username, "wrong password"), times)
const status = (username: string, code?: string) =>
  Effect.map(login(username, PASSWORD, code), (answer) => answer.status)
const idOf = (username: string) =>
  Effect.flatMap(TestServer, ({ accounts }) =>
    Effect.map(Effect.flatten(accounts.byName(username)), ({ account }) => account.id)
  )

describe("a second factor", () => {
  it.effect("is asked for by its own answer, and only after the right password", () =>
    served(
      Effect.gen(function* () {
        const code = yield* enrol("alice")
        for (const given of [undefined, ""]) {
          const missing = yield* login("alice", PASSWORD, given)
          assert.deepStrictEqual([missing.status, errorIn(missing)], [401, "a TOTP code is required"])
        }
        const blind = yield* login("alice", "wrong password")
        const odd = yield* login("alice", PASSWORD, "nonsense")
        for (const refused of [blind, odd, yield* login("alice", "wrong password", yield* code())]) {
          assert.deepStrictEqual([refused.status, errorIn(refused)], [401, "wrong username or password"])
        }
        const answer = yield* login("alice", PASSWORD, yield* code())
        assert.strictEqual(answer.status, 200)
        assert.isTrue(yield* isValid(tokenIn(answer)))
        // Who has none may send one.
        assert.strictEqual(yield* status("root", "123456"), 200)
      })
    )
  )

  it.effect("code works once, and none of an earlier step after it", () =>
    served(
      Effect.gen(function* () {
        const code = yield* enrol("alice")
        const [before, now, next, far] = [yield* code(-1), yield* code(), yield* code(1), yield* code(2)]
        assert.strictEqual(yield* status("alice", far), 401)
        assert.strictEqual(yield* status("alice", before), 200)
        assert.strictEqual(yield* status("alice", before), 401)
        assert.strictEqual(yield* status("alice", next), 200)
        assert.strictEqual(yield* status("alice", now), 401)
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* status("alice", far), 200)
      })
    )
  )

  it.effect("code works once with five logins at the same time", () =>
    served(
      Effect.gen(function* () {
        const code = yield* (yield* enrol("alice"))()
        const all = yield* Effect.all(
          Array.from({ length: 5 }, () => status("alice", code)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(all.sort(), [200, 401, 401, 401, 401])
      })
    )
  )

  it.effect("cannot be guessed: ten wrong codes lock the account", () =>
    served(
      Effect.gen(function* () {
        const code = yield* enrol("alice")
        for (let i = 0; i < 10; i++) assert.strictEqual(yield* status("alice", `no ${i}`), 401)
        assert.strictEqual(yield* status("alice", yield* code()), 401)
        yield* TestClock.adjust("15 minutes")
        assert.strictEqual(yield* status("alice", yield* code()), 200)
      })
    )
  )

  it.effect("that is taken away is asked for no more; a new one has other codes", () =>
    served(
      Effect.gen(function* () {
        const { accounts } = yield* TestServer
        const first = yield* enrol("alice")
        assert.strictEqual(yield* status("alice", yield* first()), 200)
        assert.isTrue(yield* accounts.removeTotp(yield* idOf("alice")))
        assert.isFalse(yield* accounts.removeTotp(yield* idOf("alice")))
        assert.strictEqual(yield* status("alice"), 200)
        const second = yield* enrol("alice")
        assert.strictEqual(yield* status("alice", yield* first(1)), 401)
        assert.strictEqual(yield* status("alice", yield* second()), 200)
      })
    )
  )
})

describe("too many refused logins", () => {
  it.effect("lock an account for 15 minutes, and the answer does not tell", () =>
    served(
      Effect.gen(function* () {
        const { accounts, log } = yield* TestServer
        const token = tokenIn(yield* login("alice"))
        const refusals = yield* wrong("alice", 10)
        const locked = yield* login("alice")
        assert.deepStrictEqual([locked.status, locked.body], [401, refusals[0]?.body])
        assert.strictEqual(log().split("account locked").length, 2)
        assert.strictEqual(yield* status("root"), 200)
        // Tokens that are out go on.
        assert.isTrue(yield* isValid(token))
        // More refusals do not make it longer, nor do those that were under way when it was locked.
        yield* TestClock.adjust("14 minutes")
        yield* wrong("alice", 12)
        yield* Effect.replicateEffect(accounts.countFailure(yield* idOf("alice")), 12)
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(yield* status("alice"), 401)
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(yield* status("alice"), 200)
      })
    )
  )

  it.effect("are counted anew after a login, and after a quarter of an hour", () =>
    served(
      Effect.gen(function* () {
        yield* wrong("alice", 9)
        assert.strictEqual(yield* status("alice"), 200)
        yield* wrong("alice", 9)
        yield* TestClock.adjust("15 minutes")
        yield* wrong("alice", 9)
        assert.strictEqual(yield* status("alice"), 200)
        yield* wrong("alice", 10)
        assert.strictEqual(yield* status("alice"), 401)
      })
    )
  )

  it.effect("at the same time let no right guess through after the lock, and are counted one by one", () =>
    served(
      Effect.gen(function* () {
        const guesses = [...Array.from({ length: 14 }, () => "wrong password"), PASSWORD]
        const all = yield* Effect.all(
          guesses.map((guess) => login("alice", guess)),
          { concurrency: "unbounded" }
        )
        const through = all.filter((answer) => answer.status === 200).length
        // Whether the right one came in among the first ten is chance; afterwards the account is locked either way.
        yield* wrong("alice", through === 1 ? 10 : 0)
        assert.strictEqual(yield* status("alice"), 401)
      })
    )
  )

  it.effect("and being disabled end a login that is under way", () =>
    served(
      Effect.gen(function* () {
        const { accounts, records, tokens } = yield* TestServer
        const { account, passwordHash = "" } = yield* Effect.flatten(accounts.byName("alice"))
        const admit = Effect.flatMap(tokens.issue(account), ({ record }) =>
          records.admit(record, { passwordHash, totpStep: undefined })
        )
        assert.isTrue(yield* admit)
        yield* Effect.replicateEffect(accounts.countFailure(account.id), 10)
        assert.isFalse(yield* admit)
        yield* accounts.unlock(account.id)
        yield* accounts.disable(account.id)
        assert.isFalse(yield* admit)
        yield* accounts.enable(account.id)
        assert.isTrue(yield* admit)
      })
    )
  )

  it.effect("are forgiven by unlock, and by a new password", () =>
    served(
      Effect.gen(function* () {
        const { accounts } = yield* TestServer
        const id = yield* idOf("alice")
        assert.isFalse(yield* accounts.unlock(id))
        yield* wrong("alice", 10)
        assert.isTrue(yield* accounts.unlock(id))
        yield* wrong("alice", 9)
        assert.strictEqual(yield* status("alice"), 200)
        yield* wrong("alice", 10)
        const { passwordHash } = yield* Effect.flatten(accounts.byName("root"))
        yield* accounts.setPassword(id, passwordHash ?? "")
        assert.strictEqual(yield* status("alice"), 200)
      })
    )
  )
})

describe("a disabled account", () => {
  it.effect("is told so only to who has the password: 403, and 401 to others", () =>
    served(
      Effect.gen(function* () {
        const { accounts } = yield* TestServer
        const id = yield* idOf("alice")
        assert.isTrue(yield* accounts.disable(id))
        assert.isFalse(yield* accounts.disable(id))
        const refused = yield* login("alice")
        assert.deepStrictEqual([refused.status, errorIn(refused)], [403, "the account is disabled"])
        assert.strictEqual((yield* login("alice", "wrong password")).status, 401)
        assert.isTrue(yield* accounts.enable(id))
        assert.isFalse(yield* accounts.enable(id))
        assert.strictEqual(yield* status("alice"), 200)
      })
    )
  )
})

describe("the rate limit", () => {
  it.effect("answers 429 to the eleventh request of an address, and health always", () =>
    Effect.gen(function* () {
      const all = yield* Effect.replicateEffect(send("GET", "/v1/keys/public"), 11)
      assert.deepStrictEqual(
        all.map((answer) => answer.status),
        [...Array.from({ length: 10 }, () => 200), 429]
      )
      assert.strictEqual(all[10]?.headers["retry-after"], "1")
      assert.deepStrictEqual(all[10]?.body, { error: "too many requests" })
      assert.strictEqual((yield* login("alice")).status, 429)
      assert.strictEqual((yield* send("GET", "/v1/health")).status, 200)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* login("alice")).status, 200)
    }).pipe(Effect.provide(limitedLayer), (test) => Effect.zipRight(TestClock.setTime(1_800_000_000_000), test))
  )
})
