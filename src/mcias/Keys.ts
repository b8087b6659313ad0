import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { SqlClient } from "@effect/sql"
import { Clock, Context, Duration, Effect, Layer } from "effect"
import { calculateJwkThumbprint } from "jose"
import { unavailable } from "./database.ts"
import type { FileUnusable, StoreUnavailable } from "./Failure.ts"
import * as Home from "./Home.ts"
import { LONGEST } from "./lifetimes.ts"

export interface VerifyingKey {
  /** Its RFC 7638 thumbprint. */
  readonly kid: string
  readonly publicKey: KeyObject
  /** The public part of an Ed25519 key as a JWK has it. */
  readonly x: string
}

export interface SigningKey extends VerifyingKey {
  readonly privateKey: KeyObject
}

export interface ListedKey {
  readonly kid: string
  readonly createdAt: number
  /** When it stops to verify; 0 when that is not set. */
  readonly endsAt: number
  readonly current: boolean
}

type KeyError = FileUnusable | StoreUnavailable

/** The key that signs lies in its file, the public parts of all in the database. Both are read at every call. */
export class Keys extends Context.Tag("mcias/Keys")<
  Keys,
  {
    readonly current: Effect.Effect<SigningKey, KeyError>
    /** Those whose tokens count, the current one first. */
    readonly verifying: Effect.Effect<ReadonlyArray<VerifyingKey>, KeyError>
    readonly list: Effect.Effect<ReadonlyArray<ListedKey>, KeyError>
    /** A new key signs from now on; the others verify until their last token has ended or, `atOnce`, no more. */
    readonly rotate: (options: { readonly atOnce: boolean }) => Effect.Effect<SigningKey, KeyError>
  }
>() {}

const jwkOf = (x: string) => ({ kty: "OKP", crv: "Ed25519", x })

const keyOf = (privateKey: KeyObject): Effect.Effect<SigningKey> =>
  Effect.promise(async () => {
    const publicKey = createPublicKey(privateKey)
    const x = String(publicKey.export({ format: "jwk" }).x)
    return { kid: await calculateJwkThumbprint(jwkOf(x)), publicKey, x, privateKey }
  })

interface Row {
  readonly kid: string
  readonly x: string
  readonly created_at: number
  readonly ends_at: number
}

const make = (dir: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const known = new Map<string, KeyObject>()
    const recorded = new Set<string>()

    const record = (key: SigningKey) =>
      Effect.gen(function* () {
        if (recorded.has(key.kid)) return
        const now = yield* Clock.currentTimeMillis
        yield* sql`INSERT INTO keys (kid, x, created_at) VALUES (${key.kid}, ${key.x}, ${now})
          ON CONFLICT (kid) DO NOTHING`
        recorded.add(key.kid)
      }).pipe(Effect.mapError(unavailable("written")))

    const current = Home.signingKey(dir).pipe(Effect.flatMap(keyOf), Effect.tap(record))
    const rows = Effect.mapError(sql<Row>`SELECT * FROM keys ORDER BY created_at, kid`, unavailable("read"))
    const publicKeyOf = ({ kid, x }: Row) => {
      const key = known.get(kid) ?? createPublicKey({ key: jwkOf(x), format: "jwk" })
      known.set(kid, key)
      return key
    }

    return Keys.of({
      current,
      verifying: Effect.gen(function* () {
        const signing = yield* current
        const now = yield* Clock.currentTimeMillis
        const others = (yield* rows)
          .filter((row) => row.kid !== signing.kid && (row.ends_at === 0 || row.ends_at > now))
          .map((row) => ({ kid: row.kid, x: row.x, publicKey: publicKeyOf(row) }))
        return [signing, ...others]
      }),
      list: Effect.gen(function* () {
        const { kid } = yield* current
        return (yield* rows).map((row) => ({
          kid: row.kid,
          createdAt: row.created_at,
          endsAt: row.ends_at,
          current: row.kid === kid
        }))
      }),
      rotate: ({ atOnce }) =>
        Effect.gen(function* () {
          yield* current
          const { privateKey } = generateKeyPairSync("ed25519")
          const next = yield* keyOf(privateKey)
          const now = yield* Clock.currentTimeMillis
          const ends = atOnce ? now : now + Duration.toMillis(LONGEST)
          yield* Effect.gen(function* () {
            yield* sql`INSERT INTO keys (kid, x, created_at) VALUES (${next.kid}, ${next.x}, ${now})`
            yield* sql`
              UPDATE keys SET ends_at = CASE ends_at WHEN 0 THEN ${ends} ELSE MIN(ends_at, ${ends}) END
              WHERE kid <> ${next.kid}`
            if (atOnce) {
              yield* sql`UPDATE tokens SET ends_at = ${now} WHERE ends_at > ${now}`
              yield* sql`UPDATE accounts SET unrecorded_until = 0`
            }
            // Last, and while others cannot write, so that rotations come one after the other. Cut off right after it,
            // the new key signs already and the old ones go on until the next rotation.
            yield* Home.replaceSigningKey(dir, privateKey)
          }).pipe(
            sql.withTransaction,
            Effect.mapError((error) => (error._tag === "SqlError" ? unavailable("written")(error) : error))
          )
          return next
        })
    })
  })

export const layer = (dir: string): Layer.Layer<Keys, never, SqlClient.SqlClient> => Layer.effect(Keys, make(dir))
