import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NodeHostPorts from "../../src/layers/NodeHostPorts.ts"
import { HostPorts } from "../../src/services/HostPorts.ts"

const listening = Effect.acquireRelease(
  Effect.async<{ port: number; close: () => void }>((resume) => {
    const server = createServer().listen({ port: 0, host: "127.0.0.1" }, () => {
      const address = server.address()
      const port = typeof address === "object" && address ? address.port : 0
      resume(Effect.succeed({ port, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)
const bound = Effect.acquireRelease(
  Effect.async<{ port: number; close: () => void }>((resume) => {
    const socket = createSocket("udp4")
    socket.bind({ port: 0, address: "127.0.0.1" }, () =>
      resume(Effect.succeed({ port: socket.address().port, close: () => socket.close() }))
    )
  }),
  ({ close }) => Effect.sync(close)
)

describe("a host port", () => {
  it.scopedLive("of TCP is free exactly when nobody listens there, and asking does not take it", () =>
    Effect.gen(function* () {
      const host = yield* HostPorts
      const { port } = yield* Effect.scoped(
        Effect.gen(function* () {
          const taken = yield* listening
          assert.isFalse(yield* host.isFree({ ip: "127.0.0.1", port: taken.port, protocol: "tcp" }))
          assert.isFalse(yield* host.isFree({ ip: undefined, port: taken.port, protocol: "tcp" }))
          assert.isTrue(yield* host.isFree({ ip: "127.0.0.1", port: taken.port, protocol: "udp" }))
          return taken
        })
      )
      assert.isTrue(yield* host.isFree({ ip: "127.0.0.1", port, protocol: "tcp" }))
      assert.isTrue(yield* host.isFree({ ip: "127.0.0.1", port, protocol: "tcp" }))
    }).pipe(Effect.provide(NodeHostPorts.layer))
  )

  it.scopedLive("of UDP likewise", () =>
    Effect.gen(function* () {
      const host = yield* HostPorts
      const taken = yield* bound
      assert.isFalse(yield* host.isFree({ ip: "127.0.0.1", port: taken.port, protocol: "udp" }))
    }).pipe(Effect.provide(NodeHostPorts.layer))
  )

  it.effect("on an address that the node does not have is left to podman to name", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* (yield* HostPorts).isFree({ ip: "192.0.2.1", port: 8080, protocol: "tcp" }))
    }).pipe(Effect.provide(NodeHostPorts.layer))
  )
})
