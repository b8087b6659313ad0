import { createServer } from "node:net"
import { assert, type Vitest } from "@effect/vitest"
import { Chunk, Deferred, Duration, Effect, Exit, Fiber, Option, Stream } from "effect"
import {
  type AttachedCommand,
  type AttachedOutput,
  ContainerRuntime,
  type NewContainer,
  type RuntimeEvent
} from "../../src/services/ContainerRuntime.ts"
import { layerOf, newImage, piecesOf } from "../support/imageParts.ts"

/*
 * What every ContainerRuntime does, real or fake. The image has `sh` and `sleep`; a fake has to know the commands below.
 */
export const stays = ["sleep", "600"]
export const ends = ["sh", "-c", "echo one; echo two; echo oh >&2; exit 7"]
export const absent = ["/bin/absent"]
export const prints = ["sh", "-c", "echo out; exit 3"]
/** Writes to both streams what it reads, and ends with the code 5. */
export const repeats = ["sh", "-c", "read a; echo $a; echo $a >&2; cat; exit 5"]

const network = "contract-net"
const all = { tail: undefined, since: undefined }

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address ? address.port : 0)))
  })
})

export const runtimeContract = (it: Vitest.MethodsNonLive<ContainerRuntime, true>, image: string) => {
  const wanted = (containerName: string, change: Partial<NewContainer> = {}): NewContainer => ({
    containerName,
    image,
    labels: {},
    env: {},
    cmd: stays,
    entrypoint: [],
    user: undefined,
    network: { to: "none", aliases: [] },
    ports: [],
    volumes: [],
    memory: undefined,
    cpus: undefined,
    stopTimeoutSeconds: 1,
    ...change
  })

  /** Removed at the end of the test. */
  const created = (containerName: string, change?: Partial<NewContainer>) =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove(containerName)))
      return yield* runtime.create(wanted(containerName, change))
    })

  const started = (containerName: string, change?: Partial<NewContainer>) =>
    Effect.gen(function* () {
      const id = yield* created(containerName, change)
      yield* (yield* ContainerRuntime).start(id)
      return id
    })

  const bridge = Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    yield* Effect.addFinalizer(() => Effect.ignore(runtime.removeNetwork(network, {})))
    yield* runtime.ensureNetwork(network, { "mcp.service": "contract" })
  })

  const tagOf = <R>(effect: Effect.Effect<unknown, { readonly _tag: string }, R>) =>
    Effect.map(Effect.flip(effect), (error) => error._tag)

  it.scoped("contract: a container is described by all that it was made with", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* bridge
      const asked = {
        ...{
          env: { GREETING: "a=b c" },
          user: "1:1",
          network: { to: network, aliases: [] },
          ports: ["127.0.0.1:1080:80"]
        },
        ...{
          volumes: ["/usr:/host:ro", "contract-data:/data"],
          memory: 64 * 1024 ** 2,
          cpus: 0.5,
          stopTimeoutSeconds: 3
        }
      }
      const id = yield* created("c-described", { ...asked, entrypoint: ["sh", "-c"], cmd: ["sleep 600"] })
      const found = yield* runtime.describe("c-described")
      assert.deepInclude(found, { entrypoint: ["sh", "-c"], cmd: ["sleep 600"], user: "1:1", networks: [network] })
      assert.deepInclude(found, { memory: 64 * 1024 ** 2, cpus: 0.5, stopTimeoutMs: 3000, restart: "no" })
      assert.strictEqual(found.env.GREETING, "a=b c")
      const mounts = found.volumes.map((each) => `${each.source}:${each.target}${each.readOnly ? ":ro" : ""}`).sort()
      assert.deepEqual(mounts, ["/usr:/host:ro", "contract-data:/data"])
      assert.deepEqual(found.beyond, [])
      assert.deepEqual(found.image.references, [image])
      assert.deepEqual(found.container, yield* runtime.inspect(id))
      assert.strictEqual(yield* tagOf(runtime.describe("c-nobody")), "ContainerNotFound")
    })
  )

  it.scoped("contract: a container is found by its name and by its id, as it was asked for", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* bridge
      const port = yield* freePort
      const labels = { "mcp.service": "contract", "mcp.component": "as-asked" }
      const ports = [`127.0.0.1:${port}:80`, `127.0.0.1:${port}:80/udp`]
      const id = yield* created("c-asked", { labels, ports, network: { to: network, aliases: ["asked"] } })
      const found = yield* runtime.inspect("c-asked")
      assert.deepInclude(found, { id, containerName: "c-asked", image, state: "created", labels })
      assert.deepEqual([...found.ports].sort(), ports)
      assert.isUndefined(found.exitCode)
      assert.deepEqual(yield* runtime.inspect(id), found)
      const listed = (yield* runtime.list).find((one) => one.id === id)
      assert.deepInclude(listed, { containerName: "c-asked", state: "created", labels, imageId: found.imageId })
      assert.isNotEmpty(yield* runtime.version)
    })
  )

  it.scoped("contract: start, stop and remove may be said twice", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const id = yield* started("c-twice")
      yield* runtime.start(id)
      const running = yield* runtime.inspect(id)
      assert.strictEqual(running.state, "running")
      assert.isNumber(running.startedAt)
      yield* runtime.stop(id, 0)
      yield* runtime.stop(id, 0)
      const stopped = yield* runtime.inspect(id)
      assert.strictEqual(stopped.state, "exited")
      assert.isNumber(stopped.exitCode)
      assert.isNumber(stopped.finishedAt)
      yield* runtime.start(id)
      assert.strictEqual((yield* runtime.inspect(id)).state, "running")
      yield* runtime.remove(id)
      yield* runtime.remove(id)
      assert.strictEqual(yield* tagOf(runtime.inspect(id)), "ContainerNotFound")
    })
  )

  it.scoped("contract: remove kills at once, however long the container may take to stop", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* started("c-slow", { stopTimeoutSeconds: 120 })
      const [took] = yield* Effect.timed(runtime.remove("c-slow"))
      assert.isBelow(Duration.toSeconds(took), 20)
      assert.strictEqual(yield* tagOf(runtime.inspect("c-slow")), "ContainerNotFound")
    })
  )

  it.scoped("contract: what is not there is named as missing", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const log = Stream.runDrain(runtime.logs("c-absent", { follow: true, ...all }))
      const calls = [
        runtime.inspect("c-absent"),
        runtime.start("c-absent"),
        runtime.stop("c-absent", 0),
        runtime.rename("c-absent", "c-other"),
        runtime.wait("c-absent"),
        runtime.exec("c-absent", prints),
        log
      ]
      for (const call of calls) assert.strictEqual(yield* tagOf(call), "ContainerNotFound")
      assert.strictEqual(yield* tagOf(created("c-no-image", { image: "localhost/absent:1" })), "ImageNotFound")
      const lost = created("c-no-net", { network: { to: "no-such-network", aliases: [] } })
      assert.strictEqual(yield* tagOf(Effect.scoped(lost)), "RuntimeRefused")
      assert.isTrue(Option.isNone(yield* runtime.image("localhost/absent:1")))
      assert.strictEqual((yield* runtime.list).filter((one) => one.containerName.startsWith("c-no-")).length, 0)
    })
  )

  it.scoped("contract: a name is given once, and a running container can be renamed", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const id = yield* started("c-name")
      const twin = yield* Effect.flip(runtime.create(wanted("c-name")))
      assert.strictEqual(twin._tag, "ContainerNameInUse")
      yield* created("c-second")
      assert.strictEqual(yield* tagOf(runtime.rename(id, "c-second")), "ContainerNameInUse")
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove("c-name.prev")))
      yield* runtime.rename("c-name", "c-name.prev")
      assert.deepInclude(yield* runtime.inspect("c-name.prev"), { id, state: "running" })
      assert.strictEqual(yield* tagOf(runtime.inspect("c-name")), "ContainerNotFound")
      yield* created("c-name")
    })
  )

  it.scoped("contract: the start of an id is not a name", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const id = yield* started("c-prefix")
      const prefix = id.slice(0, 2)
      yield* runtime.remove(prefix)
      assert.strictEqual(yield* tagOf(runtime.stop(prefix, 0)), "ContainerNotFound")
      assert.strictEqual((yield* runtime.inspect(id)).state, "running")
    })
  )

  it.scoped("contract: wait answers the exit code, of a container that ended before as well", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const id = yield* started("c-wait")
      const waiting = yield* Effect.fork(runtime.wait(id))
      const given = yield* Effect.fork(runtime.wait(id))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(given)))
      yield* runtime.stop(id, 0)
      assert.strictEqual(yield* Fiber.join(waiting), (yield* runtime.inspect(id)).exitCode)
      yield* started("c-ended", { cmd: ends })
      assert.strictEqual(yield* runtime.wait("c-ended"), 7)
      assert.strictEqual(yield* runtime.wait("c-ended"), 7)
      assert.deepInclude(yield* runtime.inspect("c-ended"), { state: "exited", exitCode: 7 })
    })
  )

  it.scoped("contract: a followed log ends with its container, and can be read afterwards", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* started("c-log", { cmd: ends })
      const lines = Array.from(yield* Stream.runCollect(runtime.logs("c-log", { follow: true, ...all })))
      const of = (stream: string) => lines.filter((one) => one.stream === stream).map(({ line }) => line)
      assert.deepEqual(of("stdout"), ["one", "two"])
      assert.deepEqual(of("stderr"), ["oh"])
      for (const { at } of lines) assert.isNumber(at)
      yield* runtime.wait("c-log")
      const read = (options: { tail?: number; since?: number }) =>
        Effect.map(
          Stream.runCollect(runtime.logs("c-log", { follow: false, ...all, ...options })),
          (found) => found.length
        )
      assert.strictEqual(yield* read({}), 3)
      assert.strictEqual(yield* read({ tail: 2 }), 2)
      assert.strictEqual(yield* read({ since: Date.now() + 60_000 }), 0)
    })
  )

  it.scoped("contract: exec answers exit code and output, and needs a running container", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* created("c-exec")
      assert.strictEqual(yield* tagOf(runtime.exec("c-exec", prints)), "RuntimeRefused")
      yield* runtime.start("c-exec")
      assert.deepEqual(yield* runtime.exec("c-exec", prints), { exitCode: 3, output: "out\n" })
    })
  )

  const attached = (argv: ReadonlyArray<string>, change: Partial<AttachedCommand> = {}): AttachedCommand => ({
    argv,
    env: [],
    terminal: undefined,
    stdin: true,
    ...change
  })
  const textOf = (output: Iterable<AttachedOutput>, stream: "stdout" | "stderr") =>
    [...output].map((one) => (one._tag === "Bytes" && one.stream === stream ? Buffer.from(one.bytes) : "")).join("")

  it.scoped("contract: an attached command reads to the end of its input, and writes to two streams", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* started("c-attach")
      const command = yield* runtime.attach("c-attach", attached(repeats))
      yield* command.resize({ columns: 10, rows: 10 })
      yield* command.write(Buffer.from("one\n"))
      yield* command.write(Buffer.from("two\n"))
      yield* command.closeInput
      const output = yield* Stream.runCollect(command.output)
      assert.strictEqual(textOf(output, "stdout"), "one\ntwo\n")
      assert.strictEqual(textOf(output, "stderr"), "one\n")
      assert.deepStrictEqual(Chunk.unsafeLast(output), { _tag: "Exit", exitCode: 5, cut: false })
      // What comes too late goes nowhere.
      yield* command.write(Buffer.from("three\n"))
      yield* command.closeInput
    })
  )

  it.scoped("contract: an attached command that cannot be run is told apart from one that fails", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* created("c-cannot")
      assert.strictEqual(yield* tagOf(runtime.attach("c-cannot", attached(prints))), "RuntimeRefused")
      assert.strictEqual(yield* tagOf(runtime.attach("c-absent", attached(prints))), "ContainerNotFound")
      yield* runtime.start("c-cannot")
      for (const terminal of [undefined, { columns: 80, rows: 24 }]) {
        const command = yield* runtime.attach("c-cannot", attached(absent, { terminal }))
        const error = yield* Effect.flip(Stream.runDrain(command.output))
        assert.deepInclude(error, {
          _tag: "CommandNotRun",
          exitCode: 127,
          message: "there is no command /bin/absent in the container"
        })
      }
    })
  )

  it.scoped("contract: the end of a container is the end of its attached commands", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* started("c-ending")
      const command = yield* runtime.attach("c-ending", attached(stays, { stdin: false }))
      const output = yield* Effect.fork(Stream.runCollect(command.output))
      yield* runtime.stop("c-ending", 0)
      const last = Chunk.unsafeLast(yield* Fiber.join(output))
      assert.deepInclude(last, { _tag: "Exit", exitCode: 137 })
    })
  )

  it.scoped("contract: what containers use is told of those that run", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const first = yield* started("c-uses")
      const second = yield* started("c-uses-too")
      const idle = yield* created("c-uses-not")
      const uses = yield* runtime.stats([first, second, idle])
      assert.sameMembers(
        uses.map(({ containerId }) => containerId),
        [first, second]
      )
      for (const use of uses) {
        assert.isAbove(use.pids, 0)
        assert.isAbove(use.atNanos, 0)
      }
      // One that is gone hides none of the others.
      yield* runtime.remove(second)
      const left = yield* runtime.stats([first, second])
      assert.deepStrictEqual(
        left.map(({ containerId }) => containerId),
        [first]
      )
      assert.deepStrictEqual(yield* runtime.stats([]), [])
    })
  )

  it.scoped("contract: a command that is not there is refused at the start", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* created("c-command", { cmd: absent })
      const error = yield* Effect.flip(runtime.start("c-command"))
      assert.strictEqual(error.message, "start c-command: there is no command /bin/absent in the container")
      assert.strictEqual((yield* runtime.inspect("c-command")).state, "created")
    })
  )

  it.scoped("contract: of two containers with one port the second cannot start before the first has stopped", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* bridge
      const change = { ports: [`127.0.0.1:${yield* freePort}:80`], network: { to: network, aliases: [] } }
      yield* started("c-port", change)
      yield* created("c-late", change)
      assert.strictEqual(yield* tagOf(runtime.start("c-late")), "PortInUse")
      assert.notStrictEqual((yield* runtime.inspect("c-late")).state, "running")
      yield* runtime.stop("c-port", 0)
      yield* runtime.start("c-late")
      assert.strictEqual((yield* runtime.inspect("c-late")).state, "running")
    })
  )

  it.scoped("contract: a network is made once, and stays while a container is on it", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* Effect.all([bridge, bridge, bridge], { concurrency: "unbounded" })
      const id = yield* created("c-net", { network: { to: network, aliases: ["a"] } })
      const busy = yield* Effect.flip(runtime.removeNetwork(network, {}))
      assert.strictEqual(busy.message, `remove network ${network}: a container is on it`)
      yield* runtime.remove(id)
      yield* runtime.removeNetwork(network, {})
      yield* runtime.removeNetwork(network, {})
    })
  )

  it.scoped("contract: a network is removed only with the labels that it was made with", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* bridge
      yield* runtime.removeNetwork(network, { "mcp.service": "another" })
      // It is still there: a container can be made on it.
      yield* runtime.remove(yield* created("c-labelled", { network: { to: network, aliases: [] } }))
      yield* runtime.removeNetwork(network, { "mcp.service": "contract" })
      assert.strictEqual(
        yield* tagOf(created("c-labelled", { network: { to: network, aliases: [] } })),
        "RuntimeRefused"
      )
    })
  )

  it.scoped("contract: an image is what a container can be made of by its id, and is not removed while it is", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const found = Option.getOrThrow(yield* runtime.image(image))
      const id = yield* created("c-by-id", { image: found.id })
      assert.deepInclude(yield* runtime.inspect(id), { image, imageId: found.id })
      assert.isFalse(yield* runtime.removeImage(found.id))
      assert.isTrue(Option.isSome(yield* runtime.image(image)))
    })
  )

  it.scoped("contract: events tell a container's life, from the moment in which they are asked for", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const asked = yield* Deferred.make<void>()
      const seen: Array<RuntimeEvent> = []
      const events = yield* Stream.fromEffect(Deferred.succeed(asked, undefined)).pipe(
        Stream.drain,
        Stream.concat(runtime.events),
        Stream.filter((event) => event.containerName === "c-event"),
        Stream.takeUntil((event) => event.action === "remove"),
        Stream.runForEach((event) => Effect.sync(() => seen.push(event))),
        Effect.fork
      )
      // Nothing says when the runtime has begun to listen, and nothing may be missing all the same.
      yield* Deferred.await(asked)
      yield* Effect.yieldNow()
      const id = yield* started("c-event", { cmd: ends, labels: { a: "b" } })
      yield* runtime.wait(id)
      yield* runtime.remove(id)
      yield* Fiber.join(events)
      const life = seen.filter(({ action }) => ["create", "start", "died", "remove"].includes(action))
      assert.deepEqual(
        life.map(({ action, exitCode }) => [action, exitCode]),
        [
          ["create", undefined],
          ["start", undefined],
          ["died", 7],
          ["remove", undefined]
        ]
      )
      for (const event of life) assert.deepInclude(event, { containerId: id, labels: { a: "b" } })
    })
  )

  it.scoped("contract: an image is found by reference and by id, and a pull that fails says so", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const found = Option.getOrThrow(yield* runtime.image(image))
      assert.include(found.references, image)
      assert.strictEqual(Option.getOrThrow(yield* runtime.image(found.id)).id, found.id)
      const id = yield* created("c-image")
      assert.strictEqual((yield* runtime.inspect(id)).imageId, found.id)
      const pull = runtime.pull(`127.0.0.1:${yield* freePort}/absent:1`, { authFile: undefined })
      assert.strictEqual(yield* tagOf(Stream.runDrain(pull)), "ImagePullFailed")
    })
  )

  it.scoped("contract: an image is made of layers that come and of those that are here, and takes its name over", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const name = "localhost/contract/loaded:1"
      const [base, one, two] = yield* Effect.all([
        layerOf("base", "b".repeat(3000)),
        layerOf("x", "1"),
        layerOf("x", "2")
      ])
      const first = newImage(name, [base, one])
      const second = newImage(name, [base, two, base], [two])
      const other = "localhost:5000/contract/other:v1.2"
      yield* Effect.addFinalizer(() =>
        Effect.ignore(Effect.zip(runtime.removeImage(first.config.id), runtime.removeImage(second.config.id)))
      )
      const idOf = (reference: string) =>
        Effect.map(runtime.image(reference), (found) => Option.getOrUndefined(found)?.id)
      assert.isFalse((yield* runtime.layers).has(base.digest))

      yield* runtime.loadImage(first, piecesOf([base, one]))
      assert.strictEqual(yield* idOf(name), first.config.id)
      const here = yield* runtime.layers
      assert.isTrue(here.has(base.digest) && here.has(one.digest) && !here.has(two.digest))

      yield* runtime.loadImage(second, piecesOf([two]))
      assert.strictEqual(yield* idOf(name), second.config.id)
      assert.isTrue(Option.isSome(yield* runtime.image(first.config.id)))

      // It is here: only its name is new.
      yield* runtime.loadImage(newImage(other, [base, one], []), Stream.empty)
      assert.strictEqual(yield* idOf(other), first.config.id)
      assert.isTrue(yield* runtime.removeImage(first.config.id))
      assert.isUndefined(yield* idOf(other))
      assert.strictEqual(yield* idOf(name), second.config.id)
    })
  )

  it.scoped("contract: what is not whole makes no image, and a layer that was to be here and is not is named", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const name = "localhost/contract/broken:1"
      const [base, top] = yield* Effect.all([layerOf("other", "b".repeat(300_000)), layerOf("y", "1")])
      const whole = newImage(name, [base, top])
      const cut = Stream.concat(Stream.take(piecesOf([base]), 200), Stream.fail(new Error("cut")))
      const failed = yield* Effect.flip(runtime.loadImage(whole, cut))
      assert.strictEqual(failed.message, "cut")
      assert.isTrue(Option.isNone(yield* runtime.image(name)))

      const begun = yield* Deferred.make<void>()
      const endless = Stream.concat(
        Stream.take(piecesOf([base]), 200),
        Stream.drain(Stream.fromEffect(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)))
      )
      const left = yield* Effect.fork(runtime.loadImage(whole, endless))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(left)

      const gone = yield* Effect.flip(runtime.loadImage(newImage(name, [base, top], [top]), piecesOf([top])))
      assert.deepInclude(gone, { _tag: "LayerGone", image: name, layer: base.digest })
      assert.isTrue(Option.isNone(yield* runtime.image(name)))
      assert.isTrue(Option.isNone(yield* runtime.image(whole.config.id)))
    })
  )
}
