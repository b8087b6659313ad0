import { Clock, Context, Deferred, Effect, Layer, Option, PubSub, Stream } from "effect"
import { parsePort } from "../domain/Scalars.ts"
import {
  Container,
  ContainerRuntime,
  type ExecResult,
  Image,
  type LogLine,
  type NewContainer,
  type RuntimeEvent
} from "../services/ContainerRuntime.ts"
import * as E from "../services/RuntimeError.ts"

/** How a container of an image behaves once it is started; without one it runs until it is stopped. */
export interface Behaviour {
  readonly exits?: { readonly afterMs: number; readonly code: number }
  readonly refuses?: E.RuntimeRefused | E.PortInUse
  readonly logs?: ReadonlyArray<string>
  readonly exec?: (argv: ReadonlyArray<string>) => ExecResult
}

type Operation = keyof ContainerRuntime["Type"]

interface Entry {
  container: Container
  readonly spec: NewContainer
  /** Counts starts, so that an exit planned by an earlier one does nothing. */
  run: number
  ended: Deferred.Deferred<number>
  readonly logs: Array<LogLine>
}

/** The strings behind a fake runtime, for tests: faults, latency, and what happens outside of MCP. */
export class FakeRuntimeControl extends Context.Tag("mcp/FakeRuntimeControl")<
  FakeRuntimeControl,
  {
    readonly addImage: (reference: string, behaviour?: Behaviour) => Effect.Effect<void>
    /** An image that the image registry has, for `pull`. */
    readonly addRemoteImage: (reference: string, behaviour?: Behaviour) => Effect.Effect<void>
    /** The next `times` calls of the operation fail so. */
    readonly failNext: (operation: Operation, error: E.RuntimeError, times?: number) => Effect.Effect<void>
    readonly setLatency: (operation: Operation, ms: number) => Effect.Effect<void>
    readonly setDown: (down: boolean) => Effect.Effect<void>
    /** A container ends by itself, or somebody kills it. */
    readonly kill: (container: string, exitCode: number) => Effect.Effect<void>
    /** Somebody else's container. */
    readonly addStranger: (container: string) => Effect.Effect<void>
    /** Operations with their first argument, in order. */
    readonly calls: Effect.Effect<ReadonlyArray<string>>
    readonly containers: Effect.Effect<ReadonlyArray<Container>>
    readonly networks: Effect.Effect<ReadonlyArray<string>>
  }
>() {}

const make = Effect.gen(function* () {
  const entries = new Map<string, Entry>()
  const images = new Map<string, { image: Image; behaviour: Behaviour }>()
  const remote = new Map<string, Behaviour>()
  const networks = new Set<string>()
  const faults = new Map<Operation, Array<E.RuntimeError>>()
  const latency = new Map<Operation, number>()
  const calls: Array<string> = []
  const events = yield* PubSub.unbounded<RuntimeEvent>()
  let down = false
  let counter = 0

  /** Every call passes here: it is recorded, waits, and fails when it is told to. */
  const gate = (operation: Operation, subject: string) =>
    Effect.gen(function* () {
      calls.push(subject === "" ? operation : `${operation} ${subject}`)
      const wait = latency.get(operation) ?? 0
      if (wait > 0) yield* Effect.sleep(wait)
      if (down) return yield* new E.RuntimeUnavailable({ operation, why: "connection refused" })
      const fault = faults.get(operation)?.shift()
      // A test plans only errors that the operation may have.
      if (fault) return yield* Effect.fail(fault as never)
    })

  const find = (nameOrId: string) =>
    Effect.suspend(() => {
      const entry = entries.get(nameOrId) ?? [...entries.values()].find((e) => e.container.containerName === nameOrId)
      return entry ? Effect.succeed(entry) : new E.ContainerNotFound({ container: nameOrId })
    })

  const tell = (entry: Entry, action: string, exitCode?: number) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) =>
      events.publish({
        at,
        action,
        containerId: entry.container.id,
        containerName: entry.container.containerName,
        exitCode,
        labels: entry.container.labels
      })
    )

  const update = (entry: Entry, change: Partial<Container>) => {
    entry.container = new Container({ ...entry.container, ...change })
  }

  const end = (entry: Entry, exitCode: number) =>
    Effect.gen(function* () {
      if (entry.container.state !== "running") return
      update(entry, { state: "exited", exitCode, finishedAt: yield* Clock.currentTimeMillis })
      yield* Deferred.succeed(entry.ended, exitCode)
      yield* tell(entry, "died", exitCode)
    })

  const add = (spec: NewContainer, imageId: string) =>
    Effect.gen(function* () {
      const id = `c${String(++counter).padStart(4, "0")}`
      const { containerName, image, labels, ports } = spec
      const container = new Container({ id, containerName, image, imageId, state: "created", labels, ports })
      const entry: Entry = { container, spec, run: 0, ended: yield* Deferred.make<number>(), logs: [] }
      entries.set(id, entry)
      yield* tell(entry, "create")
      return entry
    })

  const portClash = (entry: Entry) => {
    const taken = [...entries.values()]
      .filter((other) => other !== entry && other.container.state === "running")
      .flatMap((other) => other.spec.ports.flatMap((text) => parsePort(text)?.host ?? []))
    return entry.spec.ports.flatMap((text) => parsePort(text)?.host ?? []).find((port) => taken.includes(port))
  }

  const begin = (entry: Entry, behaviour: Behaviour) =>
    Effect.gen(function* () {
      const run = ++entry.run
      const now = yield* Clock.currentTimeMillis
      entry.ended = yield* Deferred.make<number>()
      update(entry, { state: "running", startedAt: now, exitCode: undefined, finishedAt: undefined })
      for (const line of behaviour.logs ?? []) entry.logs.push({ stream: "stdout", at: now, line })
      yield* tell(entry, "start")
      const { exits } = behaviour
      if (!exits) return
      const later = Effect.suspend(() => (entry.run === run ? end(entry, exits.code) : Effect.void))
      yield* Effect.forkDaemon(Effect.delay(later, exits.afterMs))
    })

  const runtime = ContainerRuntime.of({
    version: Effect.as(gate("version", ""), "fake"),
    list: Effect.map(gate("list", ""), () => [...entries.values()].map((entry) => entry.container)),
    inspect: (name) => Effect.map(Effect.zipRight(gate("inspect", name), find(name)), (entry) => entry.container),
    create: (spec) =>
      Effect.gen(function* () {
        yield* gate("create", spec.containerName)
        const known = images.get(spec.image)
        if (!known) return yield* new E.ImageNotFound({ image: spec.image })
        const taken = yield* Effect.option(find(spec.containerName))
        if (Option.isSome(taken)) return yield* new E.ContainerNameInUse({ container: spec.containerName })
        return (yield* add(spec, known.image.id)).container.id
      }),
    start: (name) =>
      Effect.gen(function* () {
        yield* gate("start", name)
        const entry = yield* find(name)
        if (entry.container.state === "running") return
        const behaviour = images.get(entry.spec.image)?.behaviour ?? {}
        if (behaviour.refuses) return yield* behaviour.refuses
        const port = portClash(entry)
        if (port !== undefined) {
          const why = `port ${port} is already in use`
          return yield* new E.PortInUse({ container: entry.container.containerName, why })
        }
        yield* begin(entry, behaviour)
      }),
    stop: (name) =>
      Effect.gen(function* () {
        yield* gate("stop", name)
        yield* end(yield* find(name), 143)
      }),
    remove: (name) =>
      Effect.gen(function* () {
        yield* gate("remove", name)
        const entry = Option.getOrUndefined(yield* Effect.option(find(name)))
        if (!entry) return
        yield* end(entry, 137)
        entries.delete(entry.container.id)
        yield* tell(entry, "remove")
      }),
    rename: (name, to) =>
      Effect.gen(function* () {
        yield* gate("rename", name)
        const entry = yield* find(name)
        if (Option.isSome(yield* Effect.option(find(to)))) return yield* new E.ContainerNameInUse({ container: to })
        update(entry, { containerName: to })
        yield* tell(entry, "rename")
      }),
    wait: (name) =>
      Effect.gen(function* () {
        yield* gate("wait", name)
        const entry = yield* find(name)
        if (entry.container.state !== "running") return entry.container.exitCode ?? 0
        return yield* Deferred.await(entry.ended)
      }),
    exec: (name, argv) =>
      Effect.gen(function* () {
        yield* gate("exec", name)
        const entry = yield* find(name)
        const behaviour = images.get(entry.spec.image)?.behaviour
        return behaviour?.exec?.(argv) ?? { exitCode: 0, output: "" }
      }),
    logs: (name, options) =>
      Stream.unwrap(
        Effect.gen(function* () {
          yield* gate("logs", name)
          const { ended, logs } = yield* find(name)
          const since = logs.filter((line) => options.since === undefined || (line.at ?? 0) >= options.since)
          const shown = options.tail === undefined ? since : since.slice(Math.max(0, since.length - options.tail))
          const lines = Stream.fromIterable(shown)
          return options.follow ? Stream.concat(lines, Stream.drain(Stream.fromEffect(Deferred.await(ended)))) : lines
        })
      ),
    events: Stream.unwrapScoped(
      Effect.map(Effect.zipRight(gate("events", ""), PubSub.subscribe(events)), Stream.fromQueue)
    ),
    image: (reference) =>
      Effect.map(gate("image", reference), () =>
        Option.fromNullable(
          images.get(reference) ?? [...images.values()].find(({ image }) => image.id === reference)
        ).pipe(Option.map(({ image }) => image))
      ),
    pull: (reference) =>
      Stream.unwrap(
        Effect.gen(function* () {
          yield* gate("pull", reference)
          const behaviour = remote.get(reference)
          if (!behaviour) return yield* new E.ImagePullFailed({ image: reference, why: "manifest unknown" })
          yield* store(reference, behaviour)
          return Stream.make(`pulled ${reference}`)
        })
      ),
    ensureNetwork: (network) => Effect.map(gate("ensureNetwork", network), () => void networks.add(network)),
    removeNetwork: (network) => Effect.map(gate("removeNetwork", network), () => void networks.delete(network))
  })

  const store = (reference: string, behaviour: Behaviour) =>
    Effect.sync(() => {
      const image = new Image({ id: `sha256:${++counter}`, references: [reference], digests: [] })
      images.set(reference, { image, behaviour })
    })

  const control = FakeRuntimeControl.of({
    addImage: (reference, behaviour = {}) => store(reference, behaviour),
    addRemoteImage: (reference, behaviour = {}) => Effect.sync(() => void remote.set(reference, behaviour)),
    failNext: (operation, error, times = 1) =>
      Effect.sync(() => {
        faults.set(operation, [...(faults.get(operation) ?? []), ...new Array<E.RuntimeError>(times).fill(error)])
      }),
    setLatency: (operation, ms) => Effect.sync(() => void latency.set(operation, ms)),
    setDown: (value) =>
      Effect.sync(() => {
        down = value
      }),
    kill: (container, exitCode) => Effect.ignore(Effect.flatMap(find(container), (entry) => end(entry, exitCode))),
    addStranger: (containerName) =>
      add(
        {
          containerName,
          image: "stranger",
          labels: {},
          env: {},
          cmd: [],
          entrypoint: [],
          user: undefined,
          network: { to: "host", aliases: [] },
          ports: [],
          volumes: [],
          memory: undefined,
          cpus: undefined,
          stopTimeoutSeconds: 10
        },
        "sha256:stranger"
      ).pipe(Effect.flatMap((entry) => begin(entry, {}))),
    calls: Effect.sync(() => [...calls]),
    containers: Effect.sync(() => [...entries.values()].map((entry) => entry.container)),
    networks: Effect.sync(() => [...networks].sort())
  })
  return Context.make(ContainerRuntime, runtime).pipe(Context.add(FakeRuntimeControl, control))
})

/** A container runtime in memory, on the Clock of the program: under TestClock nothing takes time. */
export const layer: Layer.Layer<ContainerRuntime | FakeRuntimeControl> = Layer.effectContext(make)
