import { request as plain } from "node:http"
import { connect } from "node:http2"
import { request as secure } from "node:https"
import { Effect } from "effect"
import type { ProbeResult } from "../services/Prober.ts"

interface Target {
  readonly host: string
  readonly port: number
}

/** Whose certificate it is does not matter here: nothing is told to it, and nothing that it says is trusted. */
const anybody = { rejectUnauthorized: false }

const http = (request: typeof plain, { host, port }: Target) =>
  Effect.async<ProbeResult>((resume) => {
    const options = { host, port, path: "/", agent: false, headers: { "user-agent": "mcp-agent" }, ...anybody }
    const call = request(options, (response) => {
      const status = response.statusCode ?? 0
      response.destroy()
      resume(Effect.succeed({ healthy: status < 500, detail: `HTTP ${status}` }))
    })
    call.on("error", (error) => resume(Effect.succeed({ healthy: false, detail: error.message })))
    call.end()
    return Effect.sync(() => call.destroy())
  })

/** An empty HealthCheckRequest, and the answer that says SERVING, each in a frame of gRPC. */
const asks = Buffer.from([0, 0, 0, 0, 0])
const serving = Buffer.from([0, 0, 0, 0, 2, 8, 1])

const grpc = (scheme: "http" | "https", { host, port }: Target) =>
  Effect.async<ProbeResult>((resume) => {
    const session = connect(`${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`, anybody)
    const failed = (error: Error) => resume(Effect.succeed({ healthy: false, detail: error.message }))
    session.on("error", failed)
    const call = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers"
    })
    call.on("error", failed)
    const chunks: Array<Buffer> = []
    call.on("data", (chunk: Buffer) => chunks.push(chunk))
    call.on("end", () => {
      const healthy = Buffer.concat(chunks).equals(serving)
      resume(Effect.succeed({ healthy, detail: healthy ? "SERVING" : "not SERVING" }))
    })
    call.end(asks)
    return Effect.sync(() => session.destroy())
  })

/** Whether something there speaks the protocol, over TLS first. */
export const answering = (protocol: "http" | "grpc", target: Target): Effect.Effect<ProbeResult> =>
  Effect.flatMap(protocol === "http" ? http(secure as typeof plain, target) : grpc("https", target), (first) =>
    first.healthy ? Effect.succeed(first) : protocol === "http" ? http(plain, target) : grpc("http", target)
  )
