import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect, type Layer, Queue } from "effect"
import * as encode from "../../src/agent/encode.ts"
import { specHash } from "../../src/domain/SpecHash.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { newContainer } from "../../src/programs/newContainer.ts"
import { RuntimeFeed } from "../../src/programs/RuntimeFeed.ts"
import { statusOf } from "../../src/programs/report.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { Monitor } from "../../src/services/Monitor.ts"
import { Registry } from "../../src/services/Registry.ts"
import { node, specOf } from "../programs/support.ts"
import { timed } from "./harness.ts"
import { atMost, type Result, sampled } from "./statistics.ts"

const image = "localhost/web:1"
const runs = 20

/** So many running components in services of ten, as deploys would have left them. */
const filled = (count: number) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const runtime = yield* ContainerRuntime
    yield* (yield* FakeRuntimeControl).addImage(image)
    for (let s = 0; s < count / 10; s++) {
      const spec = specOf({
        name: `s${s}`,
        components: Array.from({ length: 10 }, (_, c) => ({
          name: `c${c}`,
          image,
          env: { A: "b" },
          cmd: ["serve"],
          network: "none"
        }))
      })
      yield* registry.putService({ service: spec.name, spec, desired: "running", undeploying: false })
      for (const component of spec.components) {
        const id = yield* runtime.create(
          newContainer(spec, component, {
            node: "rift",
            registry: registry.id,
            deployment: "d",
            generation: 1,
            imageId: image,
            allocated: new Map(),
            secretFile: (secret) => secret
          })
        )
        yield* runtime.start(id)
        yield* registry.putComponent({
          service: spec.name,
          component: component.name,
          desired: "running",
          specHash: specHash(component),
          generation: 1,
          containerId: id,
          imageId: (yield* runtime.inspect(id)).imageId,
          image,
          observed: "running",
          secrets: {}
        })
      }
    }
  })

const sampling = (
  count: number,
  sample: Effect.Effect<unknown, unknown, Layer.Layer.Success<ReturnType<typeof node>>>
) =>
  Effect.gen(function* () {
    yield* filled(count)
    yield* (yield* Monitor).watch
    const news = yield* (yield* RuntimeFeed).follow
    // The first scan is over.
    yield* Queue.take(news)
    yield* sample
    return yield* Effect.replicateEffect(timed(sample), runs)
  }).pipe(Effect.scoped, Effect.provide(node()), Effect.orDie)

const sizes = [125, 250, 500] as const

const growing = (name: string, what: string, target: number, sample: Parameters<typeof sampling>[1]) =>
  Effect.forEach(sizes, (size) =>
    Effect.map(sampling(size, sample), (samples): Result => {
      const side = sampled(`${what}, ${size} components`, "ms", samples)
      return atMost(name, target, side)
    })
  )

/** What GetServiceStatus does for all services, its answer included. */
export const status500 = growing(
  "status-500",
  "status in the agent",
  20,
  Effect.map(statusOf(undefined, { deployments: 5, events: 5 }), (all) =>
    all.map((one) => encode.serviceStatus(one, "rift"))
  )
)

/** One list of the fake runtime, and what follows from it when nothing has changed. */
export const scan500 = growing(
  "scan-500",
  "full scan, nothing changed",
  50,
  Effect.flatMap(Monitor, ({ scan }) => scan)
)

const heap = (): number => {
  setFlagsFromString("--expose_gc")
  const gc = runInNewContext("gc") as () => void
  gc()
  return process.memoryUsage().heapUsed / 2 ** 20
}

/** Containers that end and are started by hand, each told by an event of the runtime and written as one. */
const churn = (rounds: number) =>
  Effect.gen(function* () {
    const control = yield* FakeRuntimeControl
    const runtime = yield* ContainerRuntime
    const registry = yield* Registry
    for (let n = 0; n < rounds; n++) {
      const name = `s${n % 10}-c${Math.floor(n / 10) % 10}`
      const written = yield* registry.eventsWritten
      for (const change of [control.kill(name, 1), runtime.start(name)]) {
        yield* Queue.takeAll(written)
        yield* change
        yield* Queue.take(written)
      }
    }
  }).pipe(Effect.scoped)

/** What the monitor of 100 components holds more after 10,000 events than after the first 1,000. */
export const eventsMemory = Effect.gen(function* () {
  yield* filled(100)
  yield* (yield* Monitor).watch
  yield* churn(500)
  const before = heap()
  yield* churn(5_000)
  const grown = Math.max(0, heap() - before)
  return [atMost("events-memory", 8, sampled("heap grown over 10,000 events", "MiB", [grown]))]
}).pipe(Effect.scoped, Effect.provide(node(undefined, undefined, { flapThreshold: 1_000_000 })), Effect.orDie)
