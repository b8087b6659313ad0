import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Either, type Fiber, Layer, Option, Redacted, Schema, TestClock } from "effect"
import { keyBytes, nonceBytes, seal, unseal } from "../../src/domain/Secret.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import * as ConfinedFiles from "../../src/layers/ConfinedFiles.ts"
import * as FakeProxy from "../../src/layers/FakeProxy.ts"
import * as FakeRuntime from "../../src/layers/FakeRuntime.ts"
import * as FakeServiceData from "../../src/layers/FakeServiceData.ts"
import * as FakeSnapshotStore from "../../src/layers/FakeSnapshotStore.ts"
import * as SqliteRegistry from "../../src/layers/SqliteRegistry.ts"
import { ContainerHealth } from "../../src/programs/ContainerHealth.ts"
import type { DeployEvent } from "../../src/programs/DeployEvent.ts"
import { type DeployRequest, deploy } from "../../src/programs/deploy.ts"
import type { MonitorSettings } from "../../src/programs/monitor/monitor.ts"
import * as MonitorProgram from "../../src/programs/monitor/monitor.ts"
import { RuntimeFeed } from "../../src/programs/RuntimeFeed.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { type Alert, Alerter } from "../../src/services/Alerter.ts"
import { HostPorts } from "../../src/services/HostPorts.ts"
import { KernelLog } from "../../src/services/KernelLog.ts"
import { NodeInfo } from "../../src/services/NodeInfo.ts"
import { NodeResources } from "../../src/services/NodeResources.ts"
import { type ProbeResult, Prober } from "../../src/services/Prober.ts"
import { type Generation, SecretFiles } from "../../src/services/SecretFiles.ts"
import { SecretKey, SecretUnreadable } from "../../src/services/SecretKey.ts"
import { ServiceFolders } from "../../src/services/ServiceFolders.ts"

/** How the node is watched, and where its alerts go. */
export interface Watching extends Partial<MonitorSettings> {
  readonly alerts?: Array<Alert>
}

/** As an agent's config has it by default. */
const quietMonitor: MonitorSettings = {
  holdFor: 10_000,
  cooldown: 900_000,
  flapThreshold: 3,
  flapWindow: 600_000,
  heal: false
}

/** As the agent's, with a key that is always there. */
const fakeSecretKey = Layer.succeed(SecretKey, {
  seal: (place, value) => Effect.sync(() => seal(testKey, place, Redacted.value(value), randomBytes(nonceBytes))),
  unseal: (place, ciphertext) =>
    Either.match(unseal(testKey, place, ciphertext), {
      onLeft: () => Effect.fail(new SecretUnreadable(place)),
      onRight: (value) => Effect.succeed(Redacted.make(value))
    })
})
const testKey = new Uint8Array(keyBytes).fill(7)

/** Files of secrets by their path below the root. */
export type SecretsInMemory = Map<string, Uint8Array>

const memorySecretFiles = (files: SecretsInMemory) => {
  const folder = ({ component, generation, service }: Generation) => `${service}/${component}/${generation}/`
  const remove = (of: Generation) => {
    for (const path of [...files.keys()]) if (path.startsWith(folder(of))) files.delete(path)
  }
  return Layer.succeed(SecretFiles, {
    check: Effect.void,
    file: (of, secret) => `/run/mcp/secrets/${folder(of)}${secret}`,
    write: (of, values, alone) =>
      Effect.sync(() => {
        if (alone) remove(of)
        for (const [secret, value] of values) files.set(folder(of) + secret, Redacted.value(value))
      }),
    read: (of, secret) =>
      Effect.sync(() => Option.map(Option.fromNullable(files.get(folder(of) + secret)), Redacted.make)),
    generations: (of) =>
      Effect.sync(() => {
        const parts = [...files.keys()].map((path) => path.split("/")).filter(([service]) => service === of)
        return parts.map(([service = "", component = "", generation]) => ({
          ...{ service, component },
          generation: Number(generation)
        }))
      }),
    remove: (of) => Effect.sync(() => remove(of))
  })
}

/** A real registry in a folder of its own, and everything else in memory, on the test's clock. */
export const node = (
  probe: () => ProbeResult = () => ({ healthy: true, detail: "HTTP 200" }),
  freeBytes: () => number = () => 2 ** 39,
  { alerts = [], ...settings }: Watching = {},
  files: SecretsInMemory = new Map()
) => {
  const monitor = { ...quietMonitor, ...settings }
  const registry = Layer.unwrapScoped(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-node-"))),
        (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
      ),
      (dir) => SqliteRegistry.layer(join(dir, "mcp.db"))
    )
  )
  const parts = Layer.mergeAll(
    registry,
    FakeRuntime.layer,
    fakeSecretKey,
    memorySecretFiles(files),
    ServiceLocks.Default,
    ContainerHealth.Default,
    Layer.succeed(NodeInfo, {
      node: "rift",
      version: "test",
      filesRoot: "/srv",
      dataDir: "/srv/mcp",
      ownPaths: ["/srv/mcp/mcp.db"],
      authFile: undefined,
      arch: "amd64",
      zone: undefined,
      startedAt: 0
    }),
    Layer.succeed(Prober, {
      http: () => Effect.sync(probe),
      tcp: () => Effect.sync(probe),
      serves: () => Effect.sync(probe)
    }),
    Layer.succeed(ServiceFolders, {
      ensure: () => Effect.void,
      check: () => Effect.void,
      stat: () => Effect.succeedSome({ uid: 0, gid: 0, mode: 0o755 }),
      realPath: Effect.succeed
    }),
    FakeProxy.layer,
    FakeServiceData.layer,
    FakeSnapshotStore.layer,
    // No folder can be there.
    ConfinedFiles.layer("/dev/null/srv"),
    Layer.succeed(NodeResources, {
      cpus: Effect.succeed(2),
      memory: Effect.succeed({ totalBytes: 2 ** 30, usedBytes: 2 ** 29 }),
      disk: () => Effect.succeedSome({ totalBytes: 2 ** 40, freeBytes: freeBytes(), device: 1 })
    }),
    Layer.succeed(HostPorts, { isFree: () => Effect.succeed(true) }),
    Layer.succeed(Alerter, { send: (alert) => Effect.sync(() => void alerts.push(alert)) }),
    Layer.succeed(KernelLog, { oomKilled: () => Effect.succeedSome(false) })
  )
  return MonitorProgram.layer(monitor).pipe(Layer.provideMerge(RuntimeFeed.Default({})), Layer.provideMerge(parts))
}

export const specOf = (definition: Record<string, unknown>) => Schema.decodeUnknownSync(ServiceSpec)(definition)

/** A web server that needs a worker first; `version` is the tag of both images. */
export const shop = (version: string, change: Record<string, unknown> = {}) =>
  specOf({
    name: "shop",
    components: [
      { name: "web", image: `localhost/web:${version}`, depends_on: ["worker"], ports: ["127.0.0.1:8080:80"] },
      { name: "worker", image: `localhost/worker:${version}` }
    ],
    ...change
  })

/** A plain request to deploy the whole service. */
export const asked = (spec: ServiceSpec): DeployRequest => ({
  spec,
  components: [],
  force: false,
  pull: false,
  noWait: false,
  wait: false,
  respectPin: false,
  actor: "ada"
})

/** Lets other fibers run until what they do shows. */
export const until = <A>(read: Effect.Effect<A>, holds: (value: A) => boolean): Effect.Effect<void> =>
  Effect.flatMap(read, (value) => (holds(value) ? Effect.void : Effect.zipRight(Effect.yieldNow(), until(read, holds))))

/** Deploys to the end, with the clock running past every wait, and keeps what was told on the way. */
export const deployed = (spec: ServiceSpec, change: Partial<DeployRequest> = {}) =>
  Effect.gen(function* () {
    const events: Array<DeployEvent> = []
    const request = { ...asked(spec), ...change }
    const fiber = yield* Effect.fork(deploy(request, (event) => Effect.sync(() => void events.push(event))))
    yield* passTime(fiber)
    return { result: yield* fiber, events }
  })

/** Moves the clock until the fiber is done. */
export const passTime = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 2000; i++) {
      if ((yield* fiber.status)._tag === "Done") return
      yield* TestClock.adjust("100 millis")
    }
  })
