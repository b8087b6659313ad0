import { Clock, Context, Deferred, Effect, Layer, Option, PubSub, Stream, Take } from "effect"
import { parsePort, parseVolume } from "../domain/Scalars.ts"
import {
  Container,
  ContainerRuntime,
  type Description,
  type LogLine,
  type NewContainer,
  type RuntimeEvent
} from "../services/ContainerRuntime.ts"
import * as E from "../services/RuntimeError.ts"
import { type ByHand, FakeRuntimeControl, type Operation } from "./FakeRuntimeControl.ts"
import { fakeAttach } from "./fakeAttach.ts"
import { fakeImages } from "./fakeImages.ts"

export * from "./FakeRuntimeControl.ts"

interface Entry {
  container: Container
  readonly spec: NewContainer
  /** As the hand that made it had it. */
  readonly byHand: ByHand
  readonly createdAt: number
  /** Counts starts, so that an exit planned by an earlier one does nothing. */
  run: number
  ended: Deferred.Deferred<number>
  readonly logs: Array<LogLine>
  /** Those who follow the log; it ends for them when the container does. */
  readonly followers: PubSub.PubSub<Take.Take<LogLine>>
}

const nothingSaid: Omit<NewContainer, "containerName"> = {
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
}

const ofNoImage = { entrypoint: [], cmd: [], env: {}, user: "" }

const describedBy =
  (image: ReturnType<typeof fakeImages>["find"]) =>
  ({ byHand, container, createdAt, spec }: Entry): Description => ({
    ...{ container, createdAt, entrypoint: spec.entrypoint, cmd: spec.cmd, env: spec.env, user: spec.user ?? "" },
    image: { ...ofNoImage, references: image(container.imageId)?.image.references ?? [], digests: [] },
    networks: [spec.network.to],
    volumes: spec.volumes.flatMap((text) => parseVolume(text) ?? []),
    memory: spec.memory,
    cpus: spec.cpus,
    stopTimeoutMs: spec.stopTimeoutSeconds * 1000,
    restart: byHand.restart ?? "no",
    health: undefined,
    beyond: byHand.beyond ?? []
  })

const make = Effect.gen(function* () {
  const entries = new Map<string, Entry>()
  const networks = new Map<string, Readonly<Record<string, string>>>()
  const faults = new Map<Operation, Array<E.RuntimeError>>()
  const latency = new Map<Operation, number>()
  const calls: Array<string> = []
  const events = yield* PubSub.unbounded<Take.Take<RuntimeEvent, E.RuntimeUnavailable>>()
  let down = false
  let counter = 0
  const images = fakeImages(() => ++counter)

  const refusedConnection = (operation: Operation) => new E.RuntimeUnavailable({ operation, why: "connection refused" })

  /** Every call passes here: it is recorded, waits, and fails when it is told to. */
  const gate = (operation: Operation, subject: string) =>
    Effect.gen(function* () {
      calls.push(subject === "" ? operation : `${operation} ${subject}`)
      const wait = latency.get(operation) ?? 0
      if (wait > 0) yield* Effect.sleep(wait)
      if (down) return yield* refusedConnection(operation)
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
      events.publish(
        Take.of({
          at,
          action,
          containerId: entry.container.id,
          containerName: entry.container.containerName,
          exitCode,
          labels: entry.container.labels
        })
      )
    )

  const write = (entry: Entry, stream: LogLine["stream"], text: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) => {
      const line: LogLine = { stream, at, line: text }
      entry.logs.push(line)
      return entry.followers.publish(Take.of(line))
    })

  const behaviourOf = ({ spec }: Entry) => {
    const program = images.find(spec.image)?.program ?? {}
    return typeof program === "function" ? program(spec) : program
  }

  const update = (entry: Entry, change: Partial<Container>) => {
    entry.container = new Container({ ...entry.container, ...change })
  }

  const end = (entry: Entry, exitCode: number) =>
    Effect.gen(function* () {
      if (entry.container.state !== "running") return
      update(entry, { state: "exited", exitCode, finishedAt: yield* Clock.currentTimeMillis })
      yield* Deferred.succeed(entry.ended, exitCode)
      yield* entry.followers.publish(Take.end)
      yield* tell(entry, "died", exitCode)
    })

  const add = (spec: NewContainer, imageId: string, byHand: ByHand = {}) =>
    Effect.gen(function* () {
      const id = `c${String(++counter).padStart(4, "0")}`
      const { containerName, labels, ports } = spec
      const image = images.find(spec.image)?.image.references[0] ?? spec.image
      const container = new Container({ id, containerName, image, imageId, state: "created", labels, ports })
      const ended = yield* Deferred.make<number>()
      const followers = yield* PubSub.unbounded<Take.Take<LogLine>>()
      const createdAt = yield* Clock.currentTimeMillis
      const entry: Entry = { container, spec, byHand, createdAt, run: 0, ended, logs: [], followers }
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

  const begin = (entry: Entry, behaviour = behaviourOf(entry)) =>
    Effect.gen(function* () {
      const run = ++entry.run
      const now = yield* Clock.currentTimeMillis
      entry.ended = yield* Deferred.make<number>()
      update(entry, { state: "running", startedAt: now, exitCode: undefined, finishedAt: undefined })
      yield* tell(entry, "start")
      for (const said of behaviour.logs ?? []) {
        yield* typeof said === "string" ? write(entry, "stdout", said) : write(entry, said.stream, said.line)
      }
      const { exits } = behaviour
      if (!exits) return
      const later = Effect.suspend(() => (entry.run === run ? end(entry, exits.code) : Effect.void))
      yield* Effect.forkDaemon(Effect.delay(later, exits.afterMs))
    })

  const runtime = ContainerRuntime.of({
    folders: Effect.as(gate("folders", ""), ["/var/lib/containers/storage"]),
    version: Effect.as(gate("version", ""), "fake"),
    list: Effect.map(gate("list", ""), () => [...entries.values()].map((entry) => entry.container)),
    inspect: (name) => Effect.map(Effect.zipRight(gate("inspect", name), find(name)), (entry) => entry.container),
    describe: (name) => Effect.map(Effect.zipRight(gate("describe", name), find(name)), describedBy(images.find)),
    create: (spec) =>
      Effect.gen(function* () {
        yield* gate("create", spec.containerName)
        const known = images.find(spec.image)
        if (!known) return yield* new E.ImageNotFound({ image: spec.image })
        const taken = yield* Effect.option(find(spec.containerName))
        if (Option.isSome(taken)) return yield* new E.ContainerNameInUse({ container: spec.containerName })
        const { to } = spec.network
        if (to !== "host" && to !== "none" && !networks.has(to)) {
          const why = `unable to find network with name or ID ${to}: network not found`
          return yield* new E.RuntimeRefused({ operation: "create", subject: spec.containerName, why })
        }
        return (yield* add(spec, known.image.id)).container.id
      }),
    start: (name) =>
      Effect.gen(function* () {
        yield* gate("start", name)
        const entry = yield* find(name)
        if (entry.container.state === "running") return
        const behaviour = behaviourOf(entry)
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
        if (entry.container.state !== "running") {
          const why = "can only create exec sessions on running containers: container state improper"
          return yield* new E.RuntimeRefused({ operation: "exec", subject: name, why })
        }
        return behaviourOf(entry).exec?.(argv) ?? { exitCode: 0, output: "" }
      }),
    attach: (name, command) =>
      Effect.gen(function* () {
        yield* gate("attach", name)
        const entry = yield* find(name)
        if (entry.container.state !== "running") {
          const why = "can only create exec sessions on running containers: container state improper"
          return yield* new E.RuntimeRefused({ operation: "exec", subject: name, why })
        }
        return yield* fakeAttach(behaviourOf(entry), command, Deferred.await(entry.ended))
      }),
    stats: (ids) =>
      Effect.gen(function* () {
        yield* gate("stats", "")
        const atNanos = (yield* Clock.currentTimeMillis) * 1e6
        return [...entries.values()]
          .filter(({ container }) => container.state === "running" && ids.includes(container.id))
          .map((entry) => ({
            ...{ containerId: entry.container.id, cpuNanos: 0, atNanos, memoryBytes: 0, memoryLimitBytes: 0, pids: 1 },
            ...{ networkInBytes: 0, networkOutBytes: 0, blockInBytes: 0, blockOutBytes: 0 },
            ...behaviourOf(entry).uses?.(atNanos)
          }))
      }),
    logs: (name, options) =>
      Stream.unwrapScoped(
        Effect.gen(function* () {
          yield* gate("logs", name)
          const entry = yield* find(name)
          const later = yield* PubSub.subscribe(entry.followers)
          const since = entry.logs.filter((line) => options.since === undefined || (line.at ?? 0) >= options.since)
          const shown = options.tail === undefined ? since : since.slice(Math.max(0, since.length - options.tail))
          const lines = Stream.fromIterable(shown)
          return options.follow && entry.container.state === "running"
            ? Stream.concat(lines, Stream.flattenTake(Stream.fromQueue(later)))
            : lines
        })
      ),
    events: Stream.unwrapScoped(
      Effect.map(Effect.zipRight(gate("events", ""), PubSub.subscribe(events)), (queue) =>
        Stream.flattenTake(Stream.fromQueue(queue))
      )
    ),
    image: (reference) =>
      Effect.map(gate("image", reference), () =>
        Option.map(Option.fromNullable(images.find(reference)), ({ image }) => image)
      ),
    pull: (reference) =>
      Stream.unwrap(
        Effect.gen(function* () {
          yield* gate("pull", reference)
          const program = images.remote.get(reference)
          if (!program) return yield* new E.ImagePullFailed({ image: reference, why: "manifest unknown" })
          images.pull(reference, program)
          return Stream.make(`pulled ${reference}`)
        })
      ),
    layers: Effect.map(gate("layers", ""), images.layers),
    loadImage: ({ config, reference, sent }, pieces) =>
      Effect.gen(function* () {
        yield* gate("loadImage", reference)
        yield* Stream.runDrain(pieces)
        const here = new Set([...images.layers(), ...sent.map(({ digest }) => digest)])
        const gone = config.layers.find((digest) => !here.has(digest))
        if (gone !== undefined) return yield* new E.LayerGone({ image: reference, layer: gone })
        images.load(reference, config.id, config.layers, config.architecture)
      }),
    removeImage: (id) =>
      Effect.gen(function* () {
        yield* gate("removeImage", id)
        if ([...entries.values()].some((entry) => entry.container.imageId === id)) return false
        images.remove(id)
        return true
      }),
    ensureNetwork: (network, labels) =>
      Effect.map(gate("ensureNetwork", network), () => {
        if (!networks.has(network)) networks.set(network, labels)
      }),
    removeNetwork: (network, labels) =>
      Effect.gen(function* () {
        yield* gate("removeNetwork", network)
        const found = networks.get(network)
        if (!found || Object.entries(labels).some(([key, value]) => found[key] !== value)) return
        if ([...entries.values()].some((entry) => entry.spec.network.to === network)) {
          const why = "a container is on it"
          return yield* new E.RuntimeRefused({ operation: "remove network", subject: network, why })
        }
        networks.delete(network)
      })
  })

  const control = FakeRuntimeControl.of({
    addImage: (reference, program = {}) => Effect.sync(() => void images.store(reference, program)),
    addRemoteImage: (reference, program = {}) => Effect.sync(() => void images.remote.set(reference, program)),
    program: (reference, program) =>
      Effect.sync(() => {
        const known = images.named(reference)
        if (known) known.program = program
      }),
    failNext: (operation, error, times = 1) =>
      Effect.sync(() => {
        faults.set(operation, [...(faults.get(operation) ?? []), ...new Array<E.RuntimeError>(times).fill(error)])
      }),
    setLatency: (operation, ms) => Effect.sync(() => void latency.set(operation, ms)),
    setDown: (value) =>
      Effect.suspend(() => {
        down = value
        return down ? events.publish(Take.fail(refusedConnection("events"))) : Effect.void
      }),
    kill: (container, exitCode) => Effect.ignore(Effect.flatMap(find(container), (entry) => end(entry, exitCode))),
    reboot: Effect.sync(() => {
      for (const entry of entries.values()) {
        entry.run += 1
        if (entry.container.state === "running") update(entry, { state: "created" })
      }
    }),
    lose: Effect.sync(() => {
      entries.clear()
      networks.clear()
    }),
    emitLog: (container, stream, line) =>
      Effect.ignore(Effect.flatMap(find(container), (entry) => write(entry, stream, line))),
    addStranger: (containerName, { beyond, restart, ...wanted } = {}) => {
      const spec: NewContainer = { ...nothingSaid, ...wanted, containerName }
      const id = images.find(spec.image)?.image.id ?? `sha256:${spec.image}`
      return add(spec, id, { beyond: beyond ?? [], restart: restart ?? "no" }).pipe(
        Effect.tap((entry) => begin(entry, {})),
        Effect.map((entry) => entry.container.id)
      )
    },
    specOf: (container) =>
      Effect.map(Effect.option(find(container)), (entry) => Option.getOrUndefined(Option.map(entry, (e) => e.spec))),
    images: Effect.sync(images.ids),
    calls: Effect.sync(() => [...calls]),
    containers: Effect.sync(() => [...entries.values()].map((entry) => entry.container)),
    networks: Effect.sync(() => [...networks.keys()].sort())
  })
  return Context.make(ContainerRuntime, runtime).pipe(Context.add(FakeRuntimeControl, control))
})

/** A container runtime in memory, on the Clock of the program: under TestClock nothing takes time. */
export const layer: Layer.Layer<ContainerRuntime | FakeRuntimeControl> = Layer.effectContext(make)
