import { createServer as createHttp } from "node:http"
import { type AddressInfo, createServer as createTcp, type Server } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NodeProber from "../../src/layers/NodeProber.ts"
import { Prober } from "../../src/services/Prober.ts"

const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )
const host = "127.0.0.1"

describe("a health probe from the host", () => {
  it.scopedLive("over HTTP takes 200 to 399 for healthy and says the status", () =>
    Effect.gen(function* () {
      const prober = yield* Prober
      const port = yield* listening(
        createHttp((request, response) => {
          response.statusCode = Number(request.url?.slice(1))
          if (request.url === "/500") return void response.write("half of \u001b[31mit\n")
          response.end(
            response.statusCode === 404 ? "<h1>Not\n found</h1>" : request.url === "/503" ? "" : "x".repeat(1_000_000)
          )
        })
      )
      const probe = (path: string) => prober.http({ host, port, path }, 5_000)
      assert.deepStrictEqual(yield* probe("/200"), { healthy: true, detail: "HTTP 200" })
      assert.deepStrictEqual(yield* probe("/302"), { healthy: true, detail: "HTTP 302" })
      assert.deepStrictEqual(yield* probe("/503"), { healthy: false, detail: "HTTP 503" })
      // With the first words of what it says, as one short line.
      assert.deepStrictEqual(yield* probe("/404"), { healthy: false, detail: "HTTP 404: Not found" })
      assert.deepStrictEqual(yield* probe("/400"), { healthy: false, detail: `HTTP 400: ${"x".repeat(199)}…` })
      // A body that does not end is not waited for.
      assert.deepStrictEqual(yield* probe("/500"), { healthy: false, detail: "HTTP 500: half of [31mit" })
    }).pipe(Effect.provide(NodeProber.layer))
  )

  it.scopedLive("names a refused connection, and an answer that does not come in time", () =>
    Effect.gen(function* () {
      const prober = yield* Prober
      const silent = yield* listening(createTcp(() => {}))
      const free = yield* Effect.scoped(listening(createTcp()))
      assert.deepStrictEqual(yield* prober.tcp({ host, port: silent }, 5_000), { healthy: true, detail: "connected" })
      for (const result of [
        yield* prober.tcp({ host, port: free }, 5_000),
        yield* prober.http({ host, port: free, path: "/" }, 5_000)
      ]) {
        assert.deepStrictEqual(result, { healthy: false, detail: "connection refused" })
      }
      assert.deepStrictEqual(yield* prober.http({ host, port: silent, path: "/" }, 50), {
        healthy: false,
        detail: "no answer within 50 ms"
      })
    }).pipe(Effect.provide(NodeProber.layer))
  )
})
