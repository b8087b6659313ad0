import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Effect, Layer } from "effect"
import * as MciasIdentity from "../../src/layers/MciasIdentity.ts"

export const SERVER = "https://mcias.test:8443"

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token in form; no key signed it. */
export const fakeToken = (claims: Readonly<Record<string, unknown>> = {}, header: object = { alg: "EdDSA" }) =>
  `${part(header)}.${part({ sub: "id-alice", iat: 0, exp: 3600, iss: SERVER, ...claims })}.c2ln`

export const yes = (fields: Readonly<Record<string, unknown>> = {}) => ({
  valid: true,
  sub: "id-alice",
  username: "alice",
  roles: ["user"],
  expires_at: "1970-01-01T01:00:00Z",
  ...fields
})

export interface Reply {
  readonly status?: number
  readonly json?: unknown
  readonly text?: string
}

export type Answer = (
  request: HttpClientRequest.HttpClientRequest,
  count: number
) => Effect.Effect<Reply, HttpClientError.RequestError>

export const always =
  (reply: Reply): Answer =>
  () =>
    Effect.succeed(reply)
/** Takes what fakeToken made, whoever it is of. */
export const agreeing: Answer = (request) =>
  Effect.sync(() => {
    const body = (request.headers.authorization ?? "").split(".")[1] ?? ""
    const { sub } = JSON.parse(Buffer.from(body, "base64url").toString()) as { sub: string }
    return { json: yes({ sub, username: sub }) }
  })

export const disconnected =
  (code: string): Answer =>
  (request) =>
    Effect.fail(
      new HttpClientError.RequestError({
        request,
        reason: "Transport",
        cause: Object.assign(new Error(`connect ${code}`), { code })
      })
    )

/** Identity over an MCIAS that answers as told; `asked` counts the requests it got. */
export const identity = (answer: Answer, settings: Partial<MciasIdentity.IdentitySettings> = {}) => {
  const requests: Array<HttpClientRequest.HttpClientRequest> = []
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      requests.push(request)
      return answer(request, requests.length)
    }).pipe(
      Effect.map(({ json, status = 200, text }) =>
        HttpClientResponse.fromWeb(request, new Response(text ?? JSON.stringify(json ?? {}), { status }))
      )
    )
  )
  return {
    requests,
    asked: () => requests.length,
    layer: MciasIdentity.layerWithClient({ serverUrl: SERVER, ...settings }).pipe(
      Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
    )
  }
}
