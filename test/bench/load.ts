import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { Client, credentials, Metadata } from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"

export interface Target {
  readonly address: string
  readonly ca: string
  readonly path: string
  readonly token: string
}

const inFlight = 64
/** V8 needs thousands of calls before it has compiled what they take. */
const warmUpMs = 8_000
const bytes = (message: Buffer) => message
const empty = Buffer.alloc(0)

/** Calls again and again with so many in flight, and answers the calls a second. */
const rateOf = (client: Client, { path, token }: Target, ms: number) =>
  new Promise<number>((resolve, reject) => {
    const metadata = new Metadata()
    metadata.set("authorization", `Bearer ${token}`)
    const start = performance.now()
    let done = 0
    let open = inFlight
    const next = () => {
      if (performance.now() - start >= ms) {
        open -= 1
        if (open === 0) resolve((done * 1000) / (performance.now() - start))
        return
      }
      client.makeUnaryRequest(path, bytes, bytes, empty, metadata, (error) => {
        if (error !== null) return reject(error)
        done += 1
        next()
      })
    }
    for (let n = 0; n < inFlight; n++) next()
  })

/** The same bare client for both servers: calls a second over one connection, which is warm. */
export const load = (target: Target, ms: number): Effect.Effect<Effect.Effect<number>, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => {
        const context = createSecureContext({ ca: readFileSync(target.ca), minVersion: "TLSv1.3" })
        return new Client(target.address, credentials.createFromSecureContext(context))
      }),
      (client) => Effect.sync(() => client.close())
    ),
    (client) => {
      const rate = (ms: number) => Effect.promise(() => rateOf(client, target, ms))
      return Effect.as(rate(warmUpMs), rate(ms))
    }
  )
