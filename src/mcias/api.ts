import { Effect, Option, Redacted, Schema } from "effect"
import { Accounts } from "./Accounts.ts"
import type { StoreUnavailable } from "./Failure.ts"
import * as Passwords from "./passwords.ts"
import { isWellFormed, type Tokens } from "./tokens.ts"

/** A request as far as the API reads it. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  /** Read only by the calls that take a body. */
  readonly body: Effect.Effect<string, Reply>
}

export interface Reply {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** The account a request turned out to be about, for the log. */
  readonly account?: string
}

export const refusal = (status: number, error: string, headers?: Readonly<Record<string, string>>): Reply => ({
  status,
  body: { error },
  ...(headers === undefined ? {} : { headers })
})

const LoginBody = Schema.Struct({
  username: Schema.String,
  password: Schema.Redacted(Schema.String),
  totp_code: Schema.optional(Schema.Redacted(Schema.String)),
  service_name: Schema.optional(Schema.String),
  tags: Schema.optional(Schema.Unknown)
})
const TokenBody = Schema.Struct({ token: Schema.optional(Schema.Redacted(Schema.String)) })

// Without the ParseError: it shows the value it refused.
const decoded = <A, I>(schema: Schema.Schema<A, I>, text: string, expected: string) =>
  Effect.try({ try: (): unknown => JSON.parse(text), catch: () => refusal(400, "the body is not JSON") }).pipe(
    Effect.flatMap((json) => Effect.mapError(Schema.decodeUnknown(schema)(json), () => refusal(400, expected)))
  )

type Handler = (request: Request) => Effect.Effect<Reply, Reply | StoreUnavailable>

/** MCIAS's REST API, as far as MCP uses it. */
export const make = (tokens: Tokens) =>
  Effect.gen(function* () {
    const accounts = yield* Accounts
    const decoy = yield* Passwords.decoy

    const login: Handler = (request) =>
      Effect.gen(function* () {
        const body = yield* decoded(LoginBody, yield* request.body, "expected {username, password} as strings")
        const found = Option.getOrUndefined(yield* accounts.byName(body.username))
        // Hashing comes first in every case, so that the time does not tell which names exist.
        const right = yield* Passwords.matches(found?.passwordHash ?? decoy, body.password)
        if (found?.passwordHash === undefined || !right) {
          return {
            ...refusal(401, "wrong username or password"),
            ...(found === undefined ? {} : { account: found.account.username })
          }
        }
        const { token, expiresAt } = yield* tokens.issue(found.account)
        return {
          status: 200,
          body: { token: Redacted.value(token), expires_at: expiresAt.toISOString() },
          account: found.account.username
        }
      })

    // Well formed but not ours, expired or of no account: 200 and valid = false. None or no JWT at all: 401.
    const validate: Handler = (request) =>
      Effect.gen(function* () {
        const text = yield* request.body
        const body = text === "" ? {} : yield* decoded(TokenBody, text, "expected {token} as a string")
        const bearer = /^Bearer +(\S+)$/i.exec(request.authorization ?? "")?.[1]
        const token =
          bearer !== undefined ? Redacted.make(bearer) : request.authorization === undefined ? body.token : undefined
        if (token === undefined || !isWellFormed(Redacted.value(token))) {
          return refusal(401, "a bearer token is needed", { "www-authenticate": "Bearer" })
        }
        const claims = Option.getOrUndefined(yield* tokens.verify(token))
        // Roles as they are now, not as they were when the token was made.
        const account = claims && Option.getOrUndefined(yield* accounts.byId(claims.sub))
        if (claims === undefined || account === undefined) return { status: 200, body: { valid: false } }
        return {
          status: 200,
          body: {
            valid: true,
            sub: account.id,
            username: account.username,
            roles: account.roles,
            expires_at: new Date(claims.exp * 1000).toISOString()
          },
          account: account.username
        }
      })

    const health: Handler = () => Effect.succeed({ status: 200, body: { status: "ok" } })

    const routes: Readonly<Record<string, { readonly method: string; readonly handle: Handler }>> = {
      "/v1/auth/login": { method: "POST", handle: login },
      "/v1/token/validate": { method: "POST", handle: validate },
      "/v1/health": { method: "GET", handle: health }
    }

    return {
      /** The path when there is a route for it: others may hold anything, a token even, and are not logged. */
      routeOf: (path: string) => (Object.hasOwn(routes, path) ? path : "unknown"),
      handle: (request: Request): Effect.Effect<Reply> => {
        const route = Object.hasOwn(routes, request.path) ? routes[request.path] : undefined
        if (route === undefined) return Effect.succeed(refusal(404, "no such path"))
        if (request.method !== route.method) {
          return Effect.succeed(refusal(405, `use ${route.method}`, { allow: route.method }))
        }
        return route.handle(request).pipe(
          Effect.catchAll((error) =>
            "_tag" in error
              ? Effect.as(
                  Effect.logError("the database did not answer", error.message),
                  refusal(503, "try again later")
                )
              : Effect.succeed(error)
          ),
          Effect.catchAllDefect((defect) =>
            Effect.as(
              Effect.logError("a request failed", defect instanceof Error ? defect.message : "unknown"),
              refusal(500, "internal error")
            )
          )
        )
      }
    }
  })

export type Api = Effect.Effect.Success<ReturnType<typeof make>>
