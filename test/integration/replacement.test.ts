import { get } from "node:http"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import * as DevKmsgKernelLog from "../../src/layers/DevKmsgKernelLog.ts"
import * as FakeProxy from "../../src/layers/FakeProxy.ts"
import * as HostFolders from "../../src/layers/HostFolders.ts"
import * as NodeHostPorts from "../../src/layers/NodeHostPorts.ts"
import * as NodeProber from "../../src/layers/NodeProber.ts"
import * as OsResources from "../../src/layers/OsResources.ts"
import * as PodmanRuntime from "../../src/layers/PodmanRuntime.ts"
import * as SqliteRegistry from "../../src/layers/SqliteRegistry.ts"
import { ContainerHealth } from "../../src/programs/ContainerHealth.ts"
import { deploy } from "../../src/programs/deploy.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { Monitor } from "../../src/services/Monitor.ts"
import { NodeInfo } from "../../src/services/NodeInfo.ts"
import { SecretFiles } from "../../src/services/SecretFiles.ts"
import { SecretKey } from "../../src/services/SecretKey.ts"
import { ServiceData } from "../../src/services/ServiceData.ts"
import { asked, specOf } from "../programs/support.ts"
import { temporaryFolder } from "../support/folder.ts"
import * as Podman from "../support/podman.ts"

/** An agent's services on real podman, a real registry and real ports; only the proxy is one that records. */
const node = Layer.unwrapScoped(
  Effect.map(Podman.make, ({ command, dir }) => {
    const folder = temporaryFolder()
    return Layer.mergeAll(
      PodmanRuntime.layerOwned({ stateDir: join(dir, "agent"), command: [command] }),
      SqliteRegistry.layer(join(folder, "mcp.db")),
      FakeProxy.layer,
      HostFolders.layer(join(folder, "srv")),
      NodeHostPorts.layer,
      NodeProber.layer,
      OsResources.layer,
      DevKmsgKernelLog.layer,
      ContainerHealth.Default,
      Layer.mock(SecretFiles, { file: (_, secret) => secret, generations: () => Effect.succeed([]) }),
      Layer.mock(SecretKey, {}),
      Layer.mock(ServiceData, {}),
      Layer.mock(Monitor, { flaps: () => false, silencedUntil: () => undefined }),
      Layer.mock(Monitor, { flaps: () => false, silencedUntil: () => undefined }),
      ServiceLocks.Default,
      Layer.succeed(NodeInfo, {
        ...{ node: "rift", version: "test", filesRoot: join(folder, "srv"), dataDir: folder, ownPaths: [] },
        ...{ authFile: undefined, arch: "amd64", zone: undefined, startedAt: 0 }
      })
    )
  })
)

/** A web server that takes its time over each answer, which is its version. */
const version = (n: number, seconds: number) =>
  specOf({
    name: "shop",
    components: [
      {
        name: "web",
        image: Podman.image,
        cmd: [
          "sh",
          "-c",
          'mkdir -p /www/cgi-bin; printf "#!/bin/sh\\nsleep $TAKES\\nprintf \\"\\\\r\\\\n$V\\"" >/www/cgi-bin/v; busybox chmod +x /www/cgi-bin/v; exec httpd -f -p $PORT -h /www'
        ],
        env: { V: `v${n}`, TAKES: String(seconds) },
        settle: "50ms",
        stop_timeout: "0s",
        update_order: "start-first",
        health: { http: "/cgi-bin/v", interval: "100ms" },
        routes: [{ port: 443, hostname: "shop.example" }]
      }
    ]
  })

const ask = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, path: "/cgi-bin/v", agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk
      })
      response.on("end", () => (response.complete ? resolve(text) : reject(new Error("cut off"))))
      response.on("error", reject)
    })
    request.on("error", reject)
  })

/** Asks without a pause, as the proxy would, and counts what is in flight to each backend. */
const client = (
  seen: { readonly answers: Map<string, number>; readonly lost: Array<string> },
  inFlight: Map<number, number>
) =>
  Effect.gen(function* () {
    const { backend } = yield* FakeProxy.FakeProxyControl
    const count = (port: number, by: number) => inFlight.set(port, (inFlight.get(port) ?? 0) + by)
    return yield* Effect.forever(
      Effect.promise(async () => {
        // Found and counted at once: nothing comes between, so that no request is unknown to the drain.
        const port = Option.getOrThrow(Effect.runSync(backend("shop.example", 443))).port
        count(port, 1)
        try {
          const answer = await ask(port)
          seen.answers.set(answer, (seen.answers.get(answer) ?? 0) + 1)
        } catch (error) {
          seen.lost.push(String(error))
        }
        count(port, -1)
      })
    )
  })

/** How a service fares that is replaced again and again under load. */
const replaced = (times: number, { known, seconds }: { readonly known: boolean; readonly seconds: number }) =>
  Effect.gen(function* () {
    const { setInFlight } = yield* FakeProxy.FakeProxyControl
    const seen = { answers: new Map<string, number>(), lost: [] as string[] }
    const inFlight = new Map<number, number>()
    yield* setInFlight((backend) => (known ? (inFlight.get(backend.port) ?? 0) : 0))
    const release = (n: number) =>
      Effect.map(
        deploy(asked(version(n, seconds)), () => Effect.void),
        ({ state }) => assert.strictEqual(state, "succeeded")
      )
    yield* release(0)
    for (let i = 0; i < 4; i++) yield* Effect.forkScoped(client(seen, inFlight))
    for (let n = 1; n <= times; n++) yield* release(n)
    return seen
  }).pipe(Effect.scoped, Effect.provide(node))

it.live(
  "no request fails while a start-first component is replaced 20 times",
  () =>
    Effect.gen(function* () {
      const { answers, lost } = yield* replaced(20, { known: true, seconds: 0.3 })
      assert.deepStrictEqual(lost, [])
      assert.isAbove(
        [...answers.values()].reduce((sum, n) => sum + n, 0),
        100
      )
      // Each version had its turn, the last one perhaps not yet.
      for (let n = 0; n < 20; n++) assert.isTrue(answers.has(`v${n}`), `v${n} in ${[...answers.keys()]}`)
    }),
  300_000
)

it.live("that is the drain's doing: where the proxy denies what is in flight, requests are cut off", () =>
  Effect.gen(function* () {
    assert.isAbove((yield* replaced(3, { known: false, seconds: 1 })).lost.length, 0)
  })
)
