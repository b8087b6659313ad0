import { type IncomingMessage, request } from "node:http"
import { connect } from "node:net"
import { Effect, Layer } from "effect"
import { bodyBytes, firstWords } from "../domain/Probed.ts"
import { type ProbeResult, Prober } from "../services/Prober.ts"
import { answering } from "./answering.ts"

const words: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to it"
}
const wordsOf = (error: Error & { code?: string }) => words[error.code ?? ""] ?? error.message
const healthy = (detail: string): ProbeResult => ({ healthy: true, detail })
const unhealthy = (detail: string): ProbeResult => ({ healthy: false, detail })

const bounded = (timeoutMs: number) => (probe: Effect.Effect<ProbeResult>) =>
  Effect.timeoutTo(probe, {
    duration: timeoutMs,
    onTimeout: () => unhealthy(`no answer within ${timeoutMs} ms`),
    onSuccess: (result) => result
  })

/** What comes of a body before this has passed is looked at: the status alone has decided already. */
const bodyWithinMs = 250

/** Calls back once, with the first words of a bad answer's body. */
const wordsOfBody = (response: IncomingMessage, withinMs: number, done: (words: string) => void) => {
  let body = Buffer.alloc(0)
  const finish = () => {
    clearTimeout(timer)
    response.removeAllListeners("data")
    response.destroy()
    done(firstWords(body.subarray(0, bodyBytes).toString("utf8")))
  }
  const timer = setTimeout(finish, withinMs)
  response.on("data", (chunk: Buffer) => {
    body = Buffer.concat([body, chunk])
    if (body.length >= bodyBytes) finish()
  })
  response.once("end", finish)
}

/** Each probe has a connection of its own: a kept one would hide a listener that has gone. */
export const layer: Layer.Layer<Prober> = Layer.succeed(
  Prober,
  Prober.of({
    http: ({ host, port, path }, timeoutMs) =>
      Effect.async<ProbeResult>((resume) => {
        const call = request({ host, port, path, agent: false, headers: { "user-agent": "mcp-agent" } }, (response) => {
          const status = response.statusCode ?? 0
          if (status >= 200 && status < 400) {
            response.destroy()
            return resume(Effect.succeed(healthy(`HTTP ${status}`)))
          }
          wordsOfBody(response, Math.min(bodyWithinMs, timeoutMs / 2), (words) =>
            resume(Effect.succeed(unhealthy(`HTTP ${status}${words === "" ? "" : `: ${words}`}`)))
          )
        })
        call.on("error", (error) => resume(Effect.succeed(unhealthy(wordsOf(error)))))
        call.end()
        return Effect.sync(() => call.destroy())
      }).pipe(bounded(timeoutMs)),
    serves: (protocol, target, timeoutMs) => bounded(timeoutMs)(answering(protocol, target)),
    tcp: ({ host, port }, timeoutMs) =>
      Effect.async<ProbeResult>((resume) => {
        const socket = connect({ host, port })
        socket.once("connect", () => {
          socket.destroy()
          resume(Effect.succeed(healthy("connected")))
        })
        socket.on("error", (error) => resume(Effect.succeed(unhealthy(wordsOf(error)))))
        return Effect.sync(() => socket.destroy())
      }).pipe(bounded(timeoutMs))
  })
)
