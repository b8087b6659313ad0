import { Clock, Context, Effect, Option, Redacted } from "effect"
import { Accounts } from "./Accounts.ts"
import { Keys } from "./Keys.ts"
import * as Login from "./login.ts"
import type { RateLimit } from "./rateLimit.ts"
import { type Handler, type Reply, type Request, refusal, tokenNeeded, tokenOf } from "./reply.ts"
import { standingOf } from "./standing.ts"
import { TokenRecords } from "./TokenRecords.ts"
import { isWellFormed, recordOf, type Tokens } from "./tokens.ts"

/** MCIAS's REST API, as far as MCP uses it. */
export const make = (tokens: Tokens, mayPass: RateLimit) =>
  Effect.gen(function* () {
    const keys = yield* Keys
    const records = yield* TokenRecords
    const stores = Context.make(Accounts, yield* Accounts).pipe(Context.add(TokenRecords, records))
    const login = yield* Login.make(tokens)

    // Well formed but not ours, expired, revoked or of no active account: 200 and valid = false. None or no JWT: 401.
    const validate: Handler = (request) =>
      Effect.gen(function* () {
        const token = yield* tokenOf(request)
        if (token === undefined || !isWellFormed(Redacted.value(token))) return tokenNeeded
        const claims = Option.getOrUndefined(yield* tokens.verify(token))
        const standing = claims && Option.getOrUndefined(yield* Effect.provide(standingOf(claims), stores))
        if (standing === undefined) return { status: 200, body: { valid: false } }
        const { account, endsAt } = standing
        return {
          status: 200,
          body: {
            valid: true,
            sub: account.id,
            username: account.username,
            // As they are now, not as they were when the token was made.
            roles: account.roles,
            expires_at: new Date(endsAt).toISOString()
          },
          account: account.username
        }
      })

    const renew: Handler = (request) =>
      Effect.gen(function* () {
        const token = yield* tokenOf(request)
        if (token === undefined || !isWellFormed(Redacted.value(token))) return tokenNeeded
        const invalid = refusal(401, "the token is not valid", { "www-authenticate": "Bearer" })
        const claims = Option.getOrUndefined(yield* tokens.verify(token))
        if (claims === undefined) return invalid
        const standing = Option.getOrUndefined(yield* Effect.provide(standingOf(claims), stores))
        if (standing === undefined) return invalid
        const { account, expiresAt, issuedAt } = standing
        const half = issuedAt + (expiresAt - issuedAt) / 2
        if ((yield* Clock.currentTimeMillis) < half) {
          const from = new Date(half).toISOString()
          return { ...refusal(409, `the token can be renewed from ${from} on`), account: account.username }
        }
        const next = yield* tokens.issue(account)
        const renewed = yield* records.renew(recordOf(claims), next.record)
        return renewed ? Login.issued(next, account) : { ...invalid, account: account.username }
      })

    const publicKey: Handler = () =>
      Effect.map(keys.current, ({ x }) => ({ status: 200, body: { kty: "OKP", crv: "Ed25519", x } }))
    const publicKeys: Handler = () =>
      Effect.map(keys.verifying, (all) => ({
        status: 200,
        body: { keys: all.map(({ kid, x }) => ({ kty: "OKP", crv: "Ed25519", x, kid, alg: "EdDSA", use: "sig" })) }
      }))
    const health: Handler = () => Effect.succeed({ status: 200, body: { status: "ok" } })

    const routes: ReadonlyMap<string, Handler> = new Map([
      ["POST /v1/auth/login", login],
      ["POST /v1/auth/renew", renew],
      ["POST /v1/token/validate", validate],
      ["GET /v1/keys/public", publicKey],
      ["GET /.well-known/jwks.json", publicKeys],
      ["GET /v1/health", health]
    ])

    const handle = (request: Request): Effect.Effect<Reply> =>
      Effect.gen(function* () {
        const route = routes.get(`${request.method} ${request.path}`)
        // A watchdog's question is never too much.
        if (route !== health && !(yield* mayPass(request.peer))) {
          return refusal(429, "too many requests", { "retry-after": "1" })
        }
        return route === undefined ? refusal(404, "no such call") : yield* route(request)
      }).pipe(
        Effect.catchAll((error) =>
          "_tag" in error
            ? Effect.as(Effect.logError("the database did not answer", error.message), refusal(503, "try again later"))
            : Effect.succeed(error)
        ),
        Effect.catchAllDefect((defect) =>
          Effect.as(
            Effect.logError("a request failed", defect instanceof Error ? defect.message : "unknown"),
            refusal(500, "internal error")
          )
        )
      )

    return {
      /** Calls that are none are not logged as they are: they may hold anything, a token even. */
      isRoute: (method: string, path: string) => routes.has(`${method} ${path}`),
      handle
    }
  })

export type Api = Effect.Effect.Success<ReturnType<typeof make>>
