import { createPrivateKey, generateKeyPairSync } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as argon2 from "@node-rs/argon2"
import Database from "better-sqlite3"
import { Effect, TestClock } from "effect"
import { SignJWT } from "jose"
import { isValid, login, renew, tokenIn, validate } from "./asking.ts"
import { ISSUER, layerAfter, PASSWORD, TestServer } from "./server.ts"

const START = Date.UTC(2026, 10, 25)
const hash = argon2.hashSync(PASSWORD)

/** What the first mcp-mcias left: written down here, since migrations must take it as it was then. */
const schemaOne = (dir: string) => {
  const { privateKey } = generateKeyPairSync("ed25519")
  writeFileSync(join(dir, "signing-key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 })
  writeFileSync(join(dir, "mcias.db"), "", { mode: 0o600 })
  const db = new Database(join(dir, "mcias.db"))
  db.exec(`
    CREATE TABLE effect_sql_migrations (
      migration_id integer PRIMARY KEY NOT NULL,
      created_at datetime NOT NULL DEFAULT current_timestamp,
      name VARCHAR(255) NOT NULL
    );
    INSERT INTO effect_sql_migrations (migration_id, name) VALUES (1, 'accounts');
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    INSERT INTO meta VALUES ('issuer', '${ISSUER}');
    CREATE TABLE accounts (
      id TEXT PRIMARY KEY,
      username TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL CHECK (kind IN ('human', 'system')),
      roles TEXT NOT NULL,
      password_hash TEXT,
      created_at BIGINT NOT NULL,
      CHECK ((kind = 'human') = (password_hash IS NOT NULL))
    );
    INSERT INTO accounts VALUES
      ('id-olga', 'olga', 'human', '["user"]', '${hash}', 1),
      ('id-agent', 'agent-old', 'system', '[]', NULL, 1);`)
  db.close()
}

/** A token as the first mcp-mcias signed it: without the key's name, and recorded nowhere. */
const oldToken = (sub: string, roles: ReadonlyArray<string>, days: number, issuedAt = START - 86_400_000) =>
  Effect.flatMap(TestServer, ({ dir }) =>
    Effect.promise(() => {
      const iat = issuedAt / 1000
      return new SignJWT({ roles: [...roles] })
        .setProtectedHeader({ alg: "EdDSA", typ: "JWT" })
        .setSubject(sub)
        .setIssuer(ISSUER)
        .setIssuedAt(iat)
        .setExpirationTime(iat + days * 86_400)
        .setJti(`old-${sub}-${iat}`)
        .sign(createPrivateKey(readFileSync(join(dir, "signing-key.pem"))))
    })
  )
const olga = oldToken("id-olga", ["user"], 30)
const agent = oldToken("id-agent", [], 365)

const served = <A, E>(test: Effect.Effect<A, E, TestServer>) =>
  Effect.zipRight(TestClock.setTime(START), Effect.provide(test, layerAfter(schemaOne)))

describe("a database of the first mcp-mcias", () => {
  it.effect("is taken over: its accounts log in, its tokens count until they expire", () =>
    served(
      Effect.gen(function* () {
        assert.strictEqual((yield* login("olga")).status, 200)
        const [person, program] = [yield* olga, yield* agent]
        assert.deepStrictEqual(yield* validate(person), {
          valid: true,
          sub: "id-olga",
          username: "olga",
          roles: ["user"],
          expires_at: "2026-12-24T00:00:00.000Z"
        })
        assert.isTrue(yield* isValid(program))
        yield* TestClock.adjust("29 days")
        assert.deepStrictEqual([yield* isValid(person), yield* isValid(program)], [false, true])
      })
    )
  )

  it.effect("takes no unrecorded token that was made later", () =>
    served(
      Effect.gen(function* () {
        yield* TestClock.adjust("1 hours")
        assert.isFalse(yield* isValid(yield* oldToken("id-olga", ["user"], 30, START + 60_000)))
        assert.isFalse(yield* isValid(yield* oldToken("id-nobody", ["user"], 30)))
      })
    )
  )

  it.effect("has its tokens renewed like new ones", () =>
    served(
      Effect.gen(function* () {
        const old = yield* olga
        assert.strictEqual((yield* renew(old)).status, 409)
        yield* TestClock.adjust("15 days")
        const answer = yield* renew(old)
        assert.strictEqual(answer.status, 200)
        assert.isTrue(yield* isValid(old))
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual([yield* isValid(old), yield* isValid(tokenIn(answer))], [false, true])
      })
    )
  )

  it.effect(
    "has its tokens ended by revoking all of an account, disabling, a new password and a distrusted key",
    () => {
      const ends = (act: (server: TestServer["Type"]) => Effect.Effect<unknown, unknown>) =>
        served(
          Effect.gen(function* () {
            const [person, program] = [yield* olga, yield* agent]
            yield* act(yield* TestServer)
            return [yield* isValid(person), yield* isValid(program)]
          })
        )
      return Effect.gen(function* () {
        assert.deepStrictEqual(yield* ends(() => Effect.void), [true, true])
        assert.deepStrictEqual(yield* ends(({ records }) => records.revokeAll("id-agent")), [true, false])
        assert.deepStrictEqual(yield* ends(({ accounts }) => accounts.setPassword("id-olga", hash)), [false, true])
        const again = ({ accounts }: TestServer["Type"]) =>
          Effect.zipRight(accounts.disable("id-olga"), accounts.enable("id-olga"))
        assert.deepStrictEqual(yield* ends(again), [false, true])
        assert.deepStrictEqual(yield* ends(({ keys }) => keys.rotate({ atOnce: false })), [true, true])
        assert.deepStrictEqual(yield* ends(({ keys }) => keys.rotate({ atOnce: true })), [false, false])
      })
    }
  )
})
