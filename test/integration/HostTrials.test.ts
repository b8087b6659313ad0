import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as HostTrialsHere from "../../src/layers/HostTrialsHere.ts"
import { HostTrials } from "../../src/services/HostTrials.ts"
import { issue, makeCa } from "../support/certs.ts"
import { temporaryFolder } from "../support/folder.ts"
import * as Podman from "../support/podman.ts"

it.scopedLive("a container runs on a bridge, its limits are tried, and nothing of it stays", () =>
  Effect.gen(function* () {
    const podman = yield* Podman.make
    const left = Effect.all([
      podman.run("ps", "--all", "--quiet"),
      podman.run("images", "--quiet"),
      podman.run("network", "ls", "--quiet")
    ])
    const before = yield* left
    const trials = Effect.gen(function* () {
      const host = yield* HostTrials
      assert.match(yield* host.podman, /^\d+\.\d+/)
      const ran = yield* host.container
      assert.match(ran.address, /^10\.\d+\.\d+\.\d+$/)
      assert.isTrue(ran.tmpfs)
      assert.match(yield* host.zstd, /^\d+\.\d+/)
      // Whether the kernel enforces it is the machine's own; where it has no memory controller, that is found.
      const controllers = readFileSync("/proc/cgroups", "utf8")
      assert.strictEqual(yield* host.memoryLimit, /^memory\t.*\t1$/m.test(controllers))
    })
    yield* Effect.provide(trials, HostTrialsHere.layer({ socket: undefined, command: [podman.command] }))
    assert.deepStrictEqual(yield* left, before)
  })
)

it.live("a podman that is not there is told", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.flatMap(HostTrials, (host) => host.container))
    assert.match(error.why, /cannot run \/none\/podman/)
  }).pipe(Effect.provide(HostTrialsHere.layer({ socket: undefined, command: ["/none/podman"] })))
)

it.live("addresses and the identity server are tried", () =>
  Effect.gen(function* () {
    const host = yield* HostTrials
    const ca = yield* Effect.promise(() => makeCa())
    const { cert, key } = yield* Effect.promise(() => issue(ca))
    const other = yield* Effect.promise(() => issue(ca))
    const caCert = join(temporaryFolder(), "ca.pem")
    writeFileSync(caCert, ca.cert)
    const server = createServer(
      { cert, key, minVersion: "TLSv1.3", ALPNProtocols: ["h2", "http/1.1"] },
      (_, response) => response.writeHead(404).end()
    )
    yield* Effect.promise(() => once(server.listen(0, "127.0.0.1"), "listening"))
    const { port } = server.address() as AddressInfo
    const on = { host: "127.0.0.1", port }
    assert.strictEqual(yield* host.listen({ ...on, certificate: cert }), "agent")
    assert.strictEqual(yield* host.listen({ ...on, certificate: other.cert }), "taken")
    assert.strictEqual(yield* host.listen({ ...on, certificate: undefined }), "taken")
    assert.strictEqual(yield* host.listen({ host: "192.0.2.1", port, certificate: cert }), "absent")
    const serverUrl = `https://127.0.0.1:${port}`
    const { clock } = yield* host.mcias({ serverUrl, caCert })
    assert.isBelow(Math.abs((clock ?? 0) - Date.now()), 20_000)
    assert.match((yield* Effect.flip(host.mcias({ serverUrl }))).why, /not trusted/)
    yield* Effect.promise(() => once(server.close(), "close"))
    assert.strictEqual(yield* host.listen({ ...on, certificate: cert }), "free")
    assert.strictEqual((yield* Effect.flip(host.mcias({ serverUrl, caCert }))).why, "connection refused")
  }).pipe(Effect.provide(HostTrialsHere.layer({ socket: undefined })))
)
