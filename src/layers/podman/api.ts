import { request } from "node:http"
import type { Duplex } from "node:stream"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Undici from "@effect/platform-node/Undici"
import { Data, Duration, Effect, Option, Schema, type Scope, Stream } from "effect"
import { RuntimeUnavailable } from "../../services/RuntimeError.ts"
import { plain } from "./words.ts"

/** podman answered, and the answer is no. The operations turn it into the error that their callers know. */
export class Refusal extends Data.TaggedError("Refusal")<{
  readonly operation: string
  readonly status: number
  /** The innermost reason, as podman's own error values have it: `no such container`. */
  readonly reason: string
  readonly detail: string
}> {
  /** One line for people. */
  get why(): string {
    return plain(this.detail || this.reason || `podman answered with status ${this.status}`)
  }
}

export interface Call {
  readonly operation: string
  readonly request: HttpClientRequest.HttpClientRequest
  /** Without it the call may take for ever, as waiting for a container does. */
  readonly within?: Duration.DurationInput
}

export interface Api {
  /** Answers the body; an empty one for 304, which podman says when there was nothing to do. */
  readonly text: (call: Call) => Effect.Effect<string, Refusal | RuntimeUnavailable>
  readonly json: <A, I>(call: Call, schema: Schema.Schema<A, I>) => Effect.Effect<A, Refusal | RuntimeUnavailable>
  readonly bytes: (call: Call) => Stream.Stream<Uint8Array, Refusal | RuntimeUnavailable>
  /** Posts JSON and takes the connection over: bytes in both directions, closed by whoever asked for it. */
  readonly hijack: (
    operation: string,
    path: string,
    body: unknown
  ) => Effect.Effect<Duplex, Refusal | RuntimeUnavailable>
}

const ErrorFields = Schema.Struct({ cause: Schema.optional(Schema.String), message: Schema.optional(Schema.String) })
const ErrorBody = Schema.parseJson(ErrorFields)

const refusalOf = (operation: string, status: number, body: string) => {
  const decoded: typeof ErrorFields.Type = Option.getOrElse(Schema.decodeOption(ErrorBody)(body), () => ({}))
  const { cause = "", message = body } = decoded
  return new Refusal({ operation, status, reason: cause, detail: message.trim() })
}

const codesOf = (error: unknown): ReadonlyArray<string> =>
  error instanceof Error
    ? [...("code" in error ? [String(error.code)] : []), ...codesOf((error as { cause?: unknown }).cause)]
    : []

const closed = ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]
const wasClosed = (error: Error) => codesOf(error).some((code) => closed.includes(code))

const whyNot = (socketPath: string, error: Error): string => {
  const codes = codesOf(error)
  if (codes.includes("ENOENT")) return `there is no socket at ${socketPath}`
  if (codes.includes("ECONNREFUSED")) return `no podman service listens on ${socketPath}`
  if (codes.includes("EACCES")) return `permission denied on ${socketPath}`
  if (wasClosed(error)) return "podman closed the connection"
  return error.message
}

const refusal = (operation: string, response: HttpClientResponse.HttpClientResponse) =>
  Effect.flatMap(response.text, (body) => refusalOf(operation, response.status, body))

// Not `Schema.parseJson` of each schema: what is made for one call is compiled for one call.
const parsed = (body: string) =>
  Effect.try({ try: (): unknown => JSON.parse(body), catch: (error) => (error instanceof Error ? error : undefined) })

const ROOT = "/v4.0.0/libpod"
const HIJACK_MS = 20_000

// Not interruptible half-way, as it is used: what was asked for may have begun.
const hijack =
  (socketPath: string): Api["hijack"] =>
  (operation, path, body) =>
    Effect.async((resume) => {
      const text = JSON.stringify(body)
      const headers = {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        connection: "Upgrade",
        upgrade: "tcp"
      }
      const asked = request({ socketPath, method: "POST", path: `${ROOT}${path}`, headers, agent: false })
      const failed = (why: string, cause?: unknown) =>
        resume(Effect.fail(new RuntimeUnavailable({ operation, why, ...(cause === undefined ? {} : { cause }) })))
      const timer = setTimeout(() => {
        failed(`no answer within ${HIJACK_MS / 1000} s`)
        asked.destroy()
      }, HIJACK_MS)
      asked.once("upgrade", (_, socket, head) => {
        clearTimeout(timer)
        // Whoever reads hears of it too; without a listener it would end the process.
        socket.on("error", () => {})
        if (head.length > 0) socket.unshift(head)
        resume(Effect.succeed(socket))
      })
      asked.once("response", (response) => {
        clearTimeout(timer)
        const parts: Array<Buffer> = []
        response.on("data", (part: Buffer) => parts.push(part))
        response.once("close", () =>
          resume(refusalOf(operation, response.statusCode ?? 0, Buffer.concat(parts).toString("utf8")))
        )
      })
      asked.on("error", (error) => {
        clearTimeout(timer)
        failed(whyNot(socketPath, error), error)
      })
      asked.end(text)
    })

const over = (socketPath: string, client: HttpClient.HttpClient): Api => {
  const unavailable = (operation: string) => (error: HttpClientError.HttpClientError) =>
    new RuntimeUnavailable({ operation, why: whyNot(socketPath, error), cause: error })

  const send = ({ operation, request }: Call) => {
    const once = Effect.flatMap(client.execute(request), (response) =>
      response.status < 400 ? Effect.succeed(response) : refusal(operation, response)
    )
    // The service may have been replaced since the connection was last used.
    return request.method === "GET"
      ? Effect.retry(once, { times: 1, while: (error) => error._tag !== "Refusal" && wasClosed(error) })
      : once
  }

  const text = (call: Call) => {
    const answer = send(call).pipe(
      Effect.flatMap((response) => response.text),
      Effect.catchTags({
        RequestError: unavailable(call.operation),
        ResponseError: unavailable(call.operation)
      })
    )
    if (call.within === undefined) return answer
    const within = Duration.decode(call.within)
    return Effect.timeoutFail(answer, {
      duration: within,
      onTimeout: () =>
        new RuntimeUnavailable({
          operation: call.operation,
          why: `no answer within ${Math.round(Duration.toSeconds(within))} s`
        })
    })
  }

  return {
    text,
    hijack: hijack(socketPath),
    json: (call, schema) =>
      Effect.flatMap(text(call), (body) =>
        Effect.mapError(
          Effect.flatMap(parsed(body), Schema.decodeUnknown(schema)),
          (cause) =>
            new RuntimeUnavailable({ operation: call.operation, why: "podman answered something unexpected", cause })
        )
      ),
    bytes: (call) =>
      Stream.unwrap(Effect.map(send(call), (response) => response.stream)).pipe(
        Stream.catchTags({
          RequestError: (error) => Stream.fail(unavailable(call.operation)(error)),
          ResponseError: (error) => Stream.fail(unavailable(call.operation)(error))
        })
      )
  }
}

/** Connections are kept, and closed with the scope. */
export const make = (socketPath: string): Effect.Effect<Api, never, Scope.Scope> =>
  Effect.gen(function* () {
    const agent = yield* Effect.acquireRelease(
      Effect.sync(
        // Following a log, waiting for a container and listening to events each hold a connection.
        () => new Undici.Agent({ connect: { socketPath }, connections: 256, keepAliveTimeout: 30_000 })
      ),
      (agent) => Effect.promise(() => agent.destroy())
    )
    // The headers of a wait come when the container ends, which may take longer than the hour that is set for them.
    const dispatcher = agent.compose(
      (dispatch) => (options, handler) => dispatch({ ...options, headersTimeout: 0 }, handler)
    )
    return over(
      socketPath,
      NodeHttpClient.makeUndici(dispatcher).pipe(
        HttpClient.mapRequest(HttpClientRequest.prependUrl(`http://podman${ROOT}`)),
        HttpClient.withTracerDisabledWhen(() => true)
      )
    )
  })

export const path = (strings: TemplateStringsArray, ...values: ReadonlyArray<string>): string =>
  String.raw({ raw: strings }, ...values.map(encodeURIComponent))

/** For operations whose callers can do nothing about a refusal. */
export const asUnavailable = (error: Refusal): RuntimeUnavailable =>
  new RuntimeUnavailable({ operation: error.operation, why: error.why, cause: error })

export const mapRefusal =
  <E2>(f: (refusal: Refusal) => E2) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E2 | Exclude<E, Refusal>, R> =>
    Effect.mapError(self, (error) => (error instanceof Refusal ? f(error) : (error as Exclude<E, Refusal>)))
