import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer, type Server } from "node:https"
import { Duration, Effect, FiberSet, Schedule, type Scope } from "effect"
import * as Address from "./address.ts"
import type { Api } from "./api.ts"
import { CannotListen, FileUnusable, reasonOf } from "./Failure.ts"
import { type Reply, refusal } from "./reply.ts"

const MAX_BODY = 64 * 1024
const GRACE_MS = 5_000

export interface ServerSettings {
  readonly address: Address.Address
  readonly tlsCert: string
  readonly tlsKey: string
}

const readBody = (request: IncomingMessage): Effect.Effect<string, Reply> => {
  const tooLarge = refusal(400, `the body is larger than ${MAX_BODY} bytes`, { connection: "close" })
  return Effect.async<string, Reply>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      // Paused and not destroyed: the refusal still has to go out on this connection, which it then closes.
      if (size > MAX_BODY) end(Effect.fail(tooLarge))
    }
    const onEnd = () => end(Effect.succeed(Buffer.concat(chunks).toString("utf8")))
    const onError = () => end(Effect.fail(refusal(400, "the body was cut off", { connection: "close" })))
    const stop = () => {
      request.pause()
      request.off("data", onData).off("end", onEnd).off("error", onError)
      request.on("error", () => {})
    }
    const end = (result: Effect.Effect<string, Reply>) => {
      stop()
      resume(result)
    }
    request.on("data", onData).on("end", onEnd).on("error", onError)
    return Effect.sync(stop)
  })
}

const answer = (response: ServerResponse, reply: Reply, stopping: boolean) => {
  if (response.headersSent || response.destroyed) return
  const body = `${JSON.stringify(reply.body)}\n`
  response.writeHead(reply.status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    // Or the stop would wait until the client lets go of its idle connection.
    ...(stopping ? { connection: "close" } : {}),
    ...reply.headers
  })
  response.end(body)
}

const respond = (api: Api, server: Server, request: IncomingMessage, response: ServerResponse) => {
  // The query is left out everywhere, the log included.
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/"
  const method = request.method ?? "GET"
  const peer = request.socket.remoteAddress ?? "gone"
  const authorization = request.headers.authorization
  return api.handle({ method, path, authorization, peer, body: readBody(request) }).pipe(
    Effect.timed,
    Effect.flatMap(([duration, reply]) => {
      answer(response, reply, !server.listening)
      return Effect.logInfo("request").pipe(
        Effect.annotateLogs({
          method,
          path: api.isRoute(method, path) ? path : "unknown",
          status: reply.status,
          duration_ms: Math.round(Duration.toMillis(duration)),
          peer,
          ...(reply.account === undefined ? {} : { account: reply.account })
        })
      )
    })
  )
}

const readPair = ({ tlsCert, tlsKey }: ServerSettings) =>
  Effect.gen(function* () {
    const read = (file: string) =>
      Effect.try({
        try: () => readFileSync(file, "utf8"),
        catch: (error) => new FileUnusable({ file, why: reasonOf(error) })
      })
    const pair = { cert: yield* read(tlsCert), key: yield* read(tlsKey) }
    const fits = yield* Effect.try({
      try: () => new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)),
      catch: (error) => new FileUnusable({ file: tlsCert, why: reasonOf(error) })
    })
    if (!fits) return yield* new FileUnusable({ file: tlsCert, why: `the key ${tlsKey} does not belong to it` })
    return pair
  })

/** A changed certificate is taken up without a restart; one that cannot be used is logged and the old one kept. */
const reload = (server: Server, settings: ServerSettings, first: { readonly cert: string; readonly key: string }) => {
  let current = first
  return readPair(settings).pipe(
    Effect.flatMap((next) => {
      if (next.cert === current.cert && next.key === current.key) return Effect.void
      current = next
      server.setSecureContext({ ...next, minVersion: "TLSv1.3" })
      return Effect.logInfo("certificate replaced")
    }),
    Effect.catchAllCause((cause) => Effect.logWarning("certificate kept: the new one cannot be used", cause)),
    Effect.delay("10 seconds"),
    Effect.repeat(Schedule.forever)
  )
}

// Requests under way get five seconds to end; idle connections are closed at once.
const close = (server: Server) =>
  Effect.async<void>((resume) => {
    const cut = setTimeout(() => server.closeAllConnections(), GRACE_MS)
    server.close(() => {
      clearTimeout(cut)
      resume(Effect.void)
    })
  })

/** Serves until the scope closes; returns the address, with the real port. */
export const serve = (
  api: Api,
  settings: ServerSettings
): Effect.Effect<Address.Address, CannotListen | FileUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const pair = yield* readPair(settings)
    const run = yield* FiberSet.makeRuntime<never>()
    const server = createServer({
      ...pair,
      minVersion: "TLSv1.3",
      // Nobody may hold a connection open by sending slowly.
      handshakeTimeout: 5_000,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 1_000
    })
    server.maxConnections = 1_000
    server.on("request", (request, response) => {
      run(respond(api, server, request, response))
    })
    const port = yield* Effect.acquireRelease(
      Effect.async<number, CannotListen>((resume) => {
        const { host, port } = settings.address
        const refuse = (error: Error) =>
          resume(new CannotListen({ address: Address.show(settings.address), why: error.message }))
        server.once("error", refuse)
        server.listen(port, host, () => {
          server.off("error", refuse)
          server.on("error", () => {})
          const bound = server.address()
          resume(Effect.succeed(typeof bound === "object" && bound !== null ? bound.port : port))
        })
      }),
      () => close(server)
    )
    yield* Effect.forkScoped(reload(server, settings, pair))
    return { host: settings.address.host, port }
  })
