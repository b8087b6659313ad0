import { Effect, Redacted, Schema } from "effect"
import type { FileUnusable, StoreUnavailable } from "./Failure.ts"

/** A request as far as the API reads it. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  /** The address it came from, without its port. */
  readonly peer: string
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

export type Handler = (request: Request) => Effect.Effect<Reply, Reply | StoreUnavailable | FileUnusable>

export const refusal = (status: number, error: string, headers?: Readonly<Record<string, string>>): Reply => ({
  status,
  body: { error },
  ...(headers === undefined ? {} : { headers })
})

export const tokenNeeded = refusal(401, "a bearer token is needed", { "www-authenticate": "Bearer" })

// Without the ParseError: it shows the value it refused.
export const decoded = <A, I>(schema: Schema.Schema<A, I>, text: string, expected: string) =>
  Effect.try({ try: (): unknown => JSON.parse(text), catch: () => refusal(400, "the body is not JSON") }).pipe(
    Effect.flatMap((json) => Effect.mapError(Schema.decodeUnknown(schema)(json), () => refusal(400, expected)))
  )

const TokenBody = Schema.Struct({ token: Schema.optional(Schema.Redacted(Schema.String)) })

/** From the header or, without one, from the body. */
export const tokenOf = (request: Request): Effect.Effect<Redacted.Redacted<string> | undefined, Reply> =>
  Effect.gen(function* () {
    const text = yield* request.body
    const body = text === "" ? {} : yield* decoded(TokenBody, text, "expected {token} as a string")
    if (request.authorization === undefined) return body.token
    const bearer = /^Bearer +(\S+)$/i.exec(request.authorization)?.[1]
    return bearer === undefined ? undefined : Redacted.make(bearer)
  })
