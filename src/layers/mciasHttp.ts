import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { type HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import { Data, type Duration, Effect, Layer, Option, Redacted, Schedule, Schema } from "effect"
import { MciasSettingsInvalid } from "../services/IdentityError.ts"
import { type Credentials, LoginForbidden, LoginRefused, TotpRequired } from "../services/Mcias.ts"

/** `[mcias]` of either config. */
export interface MciasSettings {
  /** `https://host:port` */
  readonly serverUrl: string
  /** A PEM file, read again at each new connection; Node's own authorities when absent. */
  readonly caCert?: string
  readonly serviceName?: string
}

/** No usable answer. `limited`: MCIAS said 429 until the end. */
export class Unanswered extends Data.TaggedError("Unanswered")<{
  readonly why: string
  readonly limited: boolean
  readonly cause?: unknown
}> {}

const unanswered = (why: string, cause?: unknown) => new Unanswered({ why, limited: false, cause })

/** Why there was no connection, by the error's code. */
export const connectionWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "its host name could not be looked up",
  EHOSTUNREACH: "no route to its host",
  ENETUNREACH: "no route to its network",
  ETIMEDOUT: "the connection timed out",
  UND_ERR_CONNECT_TIMEOUT: "the connection timed out",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is not trusted (not signed by ca_cert)",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is not trusted (not signed by ca_cert)",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is not trusted (not signed by ca_cert)",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is not trusted (not signed by ca_cert)",
  CERT_SIGNATURE_FAILURE: "its certificate is not trusted (not signed by ca_cert)",
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "it does not speak TLS 1.3",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "it does not speak TLS 1.3",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS"
}

// Never the HttpClientError itself: it holds the request, whose JSON shows the body, token and password included.
const noAnswer = (error: HttpClientError.HttpClientError): Unanswered => {
  const cause = error.cause
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined
  const known = code === undefined ? undefined : connectionWords[code]
  if (known !== undefined) return unanswered(known, cause)
  if (error._tag === "ResponseError") return unanswered("its answer could not be read", cause)
  return unanswered(cause instanceof Error ? cause.message : "the request failed", cause)
}

/** What a server wrote, fit for a terminal and a log line. */
const tidy = (text: string) =>
  text
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim()
    .slice(0, 200)

const ErrorBody = Schema.Struct({ error: Schema.String })
const LoginBody = Schema.Struct({
  token: Schema.NonEmptyString,
  expires_at: Schema.DateFromString.pipe(Schema.validDate())
})
const InvalidBody = Schema.Struct({ valid: Schema.Literal(false) })
const ValidBody = Schema.Struct({
  valid: Schema.Literal(true),
  sub: Schema.NonEmptyString,
  username: Schema.NonEmptyString,
  // A Go server writes an empty list as null.
  roles: Schema.optionalWith(Schema.Array(Schema.String), { nullable: true, default: () => [] }),
  expires_at: Schema.optionalWith(Schema.DateFromString.pipe(Schema.validDate()), { nullable: true })
})
const ValidateBody = Schema.Union(InvalidBody, ValidBody)

type Response = HttpClientResponse.HttpClientResponse

const decode =
  <A, I>(schema: Schema.Schema<A, I>) =>
  (response: Response): Effect.Effect<A, Unanswered> =>
    response.json.pipe(
      Effect.mapError(noAnswer),
      Effect.flatMap((json) =>
        // Without the ParseError: it shows the value it refused, which may be a token.
        Effect.mapError(Schema.decodeUnknown(schema)(json), () => unanswered("its answer makes no sense"))
      )
    )

const errorOf = (response: Response) =>
  response.json.pipe(
    Effect.flatMap(Schema.decodeUnknown(ErrorBody)),
    Effect.map((body) => tidy(body.error)),
    Effect.orElseSucceed(() => "")
  )

const unexpected = (response: Response) =>
  Effect.flatMap(errorOf(response), (error) =>
    Effect.fail(
      new Unanswered({
        why:
          response.status === 429
            ? "it gets too many requests"
            : `it answered ${response.status}${error === "" ? "" : ` (${error})`}`,
        limited: response.status === 429
      })
    )
  )

// Three tries within two seconds.
const whenLimited = Schedule.exponential("500 millis").pipe(Schedule.intersect(Schedule.recurs(2)))

const send = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  body: unknown
): Effect.Effect<Response, Unanswered> =>
  HttpClientRequest.bodyJson(request, body).pipe(
    Effect.orDie,
    Effect.flatMap((request) => client.execute(request)),
    Effect.catchTags({
      RequestError: (error) => Effect.fail(noAnswer(error)),
      ResponseError: (error) => Effect.fail(noAnswer(error))
    }),
    Effect.flatMap((response) => (response.status === 429 ? unexpected(response) : Effect.succeed(response))),
    Effect.retry({ schedule: whenLimited, while: (error) => error.limited })
  )

const within =
  (limit: Duration.DurationInput) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.timeoutFail(effect, { duration: limit, onTimeout: () => unanswered("it did not answer in time") })

/** What MCIAS says of a token; none when it refuses it. */
export const validate = (client: HttpClient.HttpClient, serverUrl: string, token: Redacted.Redacted<string>) =>
  // Whether the real server reads the header or the body is not known: it gets both.
  send(
    client,
    HttpClientRequest.post(new URL("/v1/token/validate", serverUrl)).pipe(HttpClientRequest.bearerToken(token)),
    { token: Redacted.value(token) }
  ).pipe(
    Effect.flatMap((response) => {
      if (response.status === 401) return Effect.succeedNone
      if (response.status !== 200) return unexpected(response)
      return Effect.map(decode(ValidateBody)(response), (body) => (body.valid ? Option.some(body) : Option.none()))
    }),
    within("5 seconds")
  )

export type Validated = typeof ValidBody.Type

/** A password for a token. */
export const login = (client: HttpClient.HttpClient, settings: MciasSettings, credentials: Credentials) =>
  send(client, HttpClientRequest.post(new URL("/v1/auth/login", settings.serverUrl)), {
    username: credentials.username,
    password: Redacted.value(credentials.password),
    ...(credentials.totp === undefined ? {} : { totp_code: Redacted.value(credentials.totp) }),
    ...(settings.serviceName === undefined ? {} : { service_name: settings.serviceName })
  }).pipe(
    Effect.flatMap((response) =>
      Effect.gen(function* () {
        const username = credentials.username
        if (response.status === 200) return yield* decode(LoginBody)(response)
        if (response.status !== 400 && response.status !== 401 && response.status !== 403) {
          return yield* unexpected(response)
        }
        const error = yield* errorOf(response)
        // How the real server says that a code is missing is not known, only that it says so apart.
        if (credentials.totp === undefined && /totp/i.test(error)) return yield* new TotpRequired({ username })
        if (response.status === 401) {
          return yield* new LoginRefused({ username, withCode: credentials.totp !== undefined })
        }
        if (response.status === 403) return yield* new LoginForbidden({ username, why: error || "MCIAS's policy" })
        return yield* unanswered(`it answered 400${error === "" ? "" : ` (${error})`}`)
      })
    ),
    // Hashing the password takes the server a while.
    within("15 seconds")
  )

const checkSettings = (settings: MciasSettings) =>
  Effect.try({
    try: () => {
      if (!URL.canParse(settings.serverUrl) || new URL(settings.serverUrl).protocol !== "https:") {
        throw new MciasSettingsInvalid({ key: "server_url", why: `${settings.serverUrl} is no https:// address` })
      }
      if (settings.caCert !== undefined) new X509Certificate(readFileSync(settings.caCert))
    },
    catch: (error) =>
      error instanceof MciasSettingsInvalid
        ? error
        : new MciasSettingsInvalid({ key: "ca_cert", why: error instanceof Error ? error.message : String(error) })
  })

const minVersion = "TLSv1.3"
const connector =
  (caCert: string): Undici.buildConnector.connector =>
  (options, callback) => {
    let ca: string
    try {
      ca = readFileSync(caCert, "utf8")
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null)
      return
    }
    Undici.buildConnector({ ca, minVersion })(options, callback)
  }

/** TLS 1.3 only, to servers that the given authority vouches for; answers beyond 64 KiB are cut. */
export const layerClient = (settings: MciasSettings): Layer.Layer<HttpClient.HttpClient, MciasSettingsInvalid> =>
  NodeHttpClient.layerUndiciWithoutDispatcher.pipe(
    Layer.provide(
      Layer.scoped(
        NodeHttpClient.Dispatcher,
        Effect.zipRight(
          checkSettings(settings),
          Effect.acquireRelease(
            Effect.sync(
              () =>
                new Undici.Agent({
                  connect: settings.caCert === undefined ? { minVersion } : connector(settings.caCert),
                  maxResponseSize: 64 * 1024
                })
            ),
            (agent) => Effect.promise(() => agent.destroy())
          )
        )
      )
    )
  )
