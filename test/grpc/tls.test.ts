import { mkdtemp, rename, writeFile } from "node:fs/promises"
import * as http2 from "node:http2"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Stream } from "effect"
import * as GrpcClient from "../../src/grpc/client.ts"
import type { CertificateSource } from "../../src/grpc/tls.ts"
import { issue, makeCa } from "../support/certs.ts"
import { EchoService } from "./gen/echo_pb.ts"
import { ca, certificate, start } from "./support.ts"

/** The certificate's serial number, or the error's code. */
const handshake = (port: number, options: tls.ConnectionOptions = {}) =>
  Effect.async<string>((resume) => {
    const socket = tls.connect({ host: "127.0.0.1", port, ca: ca.cert, ALPNProtocols: ["h2"], ...options }, () => {
      resume(Effect.succeed(`${socket.getProtocol()} ${socket.getPeerCertificate().serialNumber}`))
      socket.destroy()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
  })

const listening = (server: ReturnType<typeof createServer> | http2.Http2SecureServer) =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close())
  )

const call = (options: Partial<GrpcClient.ClientOptions> & { readonly address: string }) =>
  GrpcClient.make(EchoService, {
    caCert: ca.cert,
    metadata: Effect.succeed({ authorization: "ann" }),
    ...options
  }).pipe(
    Effect.orDie,
    Effect.flatMap((client) => client.one({ text: "x" }))
  )

describe("the server", () => {
  it.scopedLive("speaks TLS 1.3, and neither 1.2 nor plain text", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      assert.include(yield* handshake(server.port), "TLSv1.3")
      assert.include(yield* handshake(server.port, { maxVersion: "TLSv1.2" }), "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")
      const plain = yield* Effect.async<string>((resume) => {
        const session = http2.connect(`http://127.0.0.1:${server.port}`)
        const end = (how: string) => () => resume(Effect.succeed(how))
        session.on("error", end("closed")).on("close", end("closed")).on("remoteSettings", end("spoken to"))
      })
      assert.strictEqual(plain, "closed")
    })
  )

  it.scopedLive("reads changed certificate files again, and keeps the old one over a bad one", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.promise(() => mkdtemp(join(tmpdir(), "grpc-")))
      const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")]
      const put = (file: string, text: string) =>
        Effect.promise(async () => {
          await writeFile(`${file}.new`, text)
          await rename(`${file}.new`, file)
        })
      yield* put(certFile, certificate.cert)
      yield* put(keyFile, certificate.key)
      const { server } = yield* start({
        server: { certificate: { certFile, keyFile, reloadInterval: "10 millis" } }
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
      const before = yield* handshake(server.port)
      const next = yield* Effect.promise(() => issue(ca))
      yield* put(certFile, next.cert)
      yield* Effect.sleep("60 millis")
      assert.strictEqual(yield* handshake(server.port), before)
      yield* put(keyFile, next.key)
      let now = before
      while (now === before) now = yield* handshake(server.port)
      assert.include(now, "TLSv1.3")
      assert.strictEqual((yield* call({ address: server.address })).text, "x")
    })
  )

  it.scopedLive("refuses certificates it cannot use", () =>
    Effect.gen(function* () {
      const other = yield* Effect.promise(() => issue(ca))
      const make = (certificate: CertificateSource) => Effect.flip(start({ server: { certificate } }))
      const mismatch = yield* make({ cert: certificate.cert, key: other.key })
      assert.deepStrictEqual([mismatch._tag, mismatch.message.includes("does not belong")], ["CertificateError", true])
      assert.strictEqual((yield* make({ cert: "no", key: "no" }))._tag, "CertificateError")
      const absent = yield* make({ certFile: "/nowhere/cert.pem", keyFile: "/nowhere/key.pem" })
      assert.include(absent.message, "/nowhere/")
    })
  )

  it.scopedLive("names the address it cannot listen on", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const error = yield* Effect.flip(start({ server: { port: server.port } }))
      assert.strictEqual(error._tag, "ListenError")
      assert.include(error.message, server.address)
      assert.include(error.message, "EADDRINUSE")
    })
  )
})

describe("the client tells apart", () => {
  it.scopedLive("a certificate of a strange authority", () =>
    Effect.gen(function* () {
      const { server } = yield* start()
      const stranger = yield* Effect.promise(() => makeCa("another"))
      const error = yield* Effect.flip(call({ address: server.address, caCert: stranger.cert }))
      assert.strictEqual(error.reason, "TLS_UNTRUSTED", error.message)
      assert.include(error.message, server.address)
      const [expired, self] = yield* Effect.promise(() =>
        Promise.all([
          issue(ca, { names: ["127.0.0.1"], notBefore: new Date(0), notAfter: new Date(1000) }),
          makeCa("127.0.0.1")
        ])
      )
      for (const bad of [expired, self]) {
        const { server } = yield* start({ server: { certificate: bad } })
        const error = yield* Effect.flip(call({ address: server.address }))
        assert.strictEqual(error.reason, "TLS_UNTRUSTED", error.message)
      }
    })
  )

  it.scopedLive("a certificate for another name, unless that name is asked for", () =>
    Effect.gen(function* () {
      const elsewhere = yield* Effect.promise(() => issue(ca, ["node-7.example"]))
      const { server } = yield* start({ server: { certificate: elsewhere } })
      const error = yield* Effect.flip(call({ address: server.address }))
      assert.strictEqual(error.reason, "TLS_NAME_MISMATCH", error.message)
      assert.strictEqual((yield* call({ address: server.address, serverName: "node-7.example" })).text, "x")
      const { server: local } = yield* start()
      assert.strictEqual((yield* call({ address: `localhost:${local.port}` })).text, "x")
      assert.strictEqual(
        (yield* Effect.flip(call({ address: local.address, serverName: "127.0.0.2" }))).reason,
        "TLS_NAME_MISMATCH"
      )
    })
  )

  it.scopedLive("a refused connection, at once and again at once", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(listening(createServer()))
      const client = yield* GrpcClient.make(EchoService, { address: `127.0.0.1:${port}` })
      const before = Date.now()
      for (let i = 0; i < 3; i++) {
        const error = yield* Effect.flip(client.one({}))
        assert.deepStrictEqual([error.reason, error.message.includes("ECONNREFUSED")], ["NODE_UNREACHABLE", true])
      }
      const stream = yield* Effect.flip(Stream.runDrain(client.chat(Stream.never)))
      assert.strictEqual(stream.reason, "NODE_UNREACHABLE")
      assert.isBelow(Date.now() - before, 2000)
      const nameless = yield* Effect.flip(call({ address: "no-such-host.invalid:1" }))
      assert.strictEqual(nameless.reason, "NODE_UNREACHABLE", nameless.message)
    })
  )

  it.scopedLive("a listener that says nothing", () =>
    Effect.gen(function* () {
      const port = yield* listening(createServer(() => {}))
      const error = yield* Effect.flip(call({ address: `127.0.0.1:${port}`, connectTimeout: "200 millis" }))
      assert.strictEqual(error.reason, "NODE_UNREACHABLE", error.message)
    })
  )

  it.scopedLive("a server of TLS 1.2, and one of plain text", () =>
    Effect.gen(function* () {
      const old = yield* listening(http2.createSecureServer({ ...certificate, maxVersion: "TLSv1.2" }))
      const plain = yield* listening(createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")))
      for (const port of [old, plain]) {
        const error = yield* Effect.flip(call({ address: `127.0.0.1:${port}` }))
        assert.strictEqual(error.reason, "TLS_FAILED", error.message)
      }
    })
  )

  it.scopedLive("and finds a server that comes back", () =>
    Effect.gen(function* () {
      const { server, client } = yield* start()
      const port = yield* Effect.scoped(listening(createServer()))
      const late = yield* GrpcClient.make(EchoService, {
        address: `127.0.0.1:${port}`,
        caCert: ca.cert,
        metadata: Effect.succeed({ authorization: "ann" })
      })
      assert.strictEqual((yield* Effect.flip(late.one({}))).reason, "NODE_UNREACHABLE")
      yield* start({ server: { port } })
      let tries = 0
      while ((yield* Effect.exit(late.one({})))._tag === "Failure") {
        tries += 1
        yield* Effect.sleep("50 millis")
      }
      assert.isBelow(tries, 100)
      assert.strictEqual((yield* client.one({ count: 1 })).count, 1)
      assert.isAbove(server.port, 0)
    })
  )

  it.scopedLive("a bad authority file", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(GrpcClient.make(EchoService, { address: "127.0.0.1:1", caCert: "no" }))
      assert.strictEqual(error._tag, "CertificateError")
    })
  )
})
