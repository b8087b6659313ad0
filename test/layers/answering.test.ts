import { createServer as plain } from "node:http"
import { createServer as cleartext, createSecureServer } from "node:http2"
import { createServer as secure } from "node:https"
import type { AddressInfo, Server } from "node:net"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NodeProber from "../../src/layers/NodeProber.ts"
import { Prober } from "../../src/services/Prober.ts"
import { issue, makeCa } from "../support/certs.ts"

const certificate = await issue(await makeCa())

const listening = (make: () => Server) =>
  Effect.acquireRelease(
    Effect.async<{ server: Server; port: number }>((resume) => {
      const server = make().listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({ server, port: (server.address() as AddressInfo).port }))
      )
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

const asked = (protocol: "http" | "grpc", make: () => Server) =>
  Effect.gen(function* () {
    const { port } = yield* listening(make)
    const { healthy } = yield* (yield* Prober).serves(protocol, { host: "127.0.0.1", port }, 2_000)
    return healthy
  }).pipe(Effect.provide(NodeProber.layer))

const status = (code: number) => (_: unknown, response: { writeHead: (code: number) => { end: () => void } }) =>
  void response.writeHead(code).end()

/** The standard health service with one answer: 1 is SERVING, 2 is NOT_SERVING. */
const health = (says: number) => (stream: import("node:http2").ServerHttp2Stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, says]))
}

it.scopedLive(
  "http is served in clear and over TLS of any certificate, and by what refuses, but not by what fails",
  () =>
    Effect.gen(function* () {
      assert.isTrue(yield* asked("http", () => plain(status(404))))
      assert.isTrue(yield* asked("http", () => secure(certificate, status(401))))
      assert.isFalse(yield* asked("http", () => plain(status(503))))
      assert.isFalse(yield* asked("http", () => cleartext()))
    })
)

it.scopedLive("grpc is served where the standard health service says SERVING, in clear and over TLS", () =>
  Effect.gen(function* () {
    assert.isTrue(yield* asked("grpc", () => cleartext().on("stream", health(1))))
    assert.isTrue(yield* asked("grpc", () => createSecureServer(certificate).on("stream", health(1))))
    assert.isFalse(yield* asked("grpc", () => cleartext().on("stream", health(2))))
    assert.isFalse(yield* asked("grpc", () => plain(status(200))))
  })
)
