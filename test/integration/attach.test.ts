import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Chunk, Context, Deferred, Effect, Exit, Fiber, Layer, Schedule, Scope, Stream } from "effect"
import * as PodmanRuntime from "../../src/layers/PodmanRuntime.ts"
import { type AttachedCommand, type AttachedOutput, ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import * as Podman from "../support/podman.ts"

class Instance extends Context.Tag("test/Instance")<Instance, Podman.Podman>() {}

const live = Layer.unwrapEffect(
  Effect.map(Instance, ({ command, dir }) =>
    PodmanRuntime.layerOwned({ stateDir: join(dir, "agent"), command: [command] })
  )
).pipe(Layer.provideMerge(Layer.scoped(Instance, Podman.make)))

/** A container that does nothing; removed at the end of the test. */
const running = (containerName: string) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove(containerName)))
    yield* runtime.create({
      containerName,
      image: Podman.image,
      ...{ labels: {}, env: {}, cmd: ["sleep", "600"], entrypoint: [], user: undefined, ports: [], volumes: [] },
      ...{ network: { to: "none", aliases: [] }, memory: undefined, cpus: undefined, stopTimeoutSeconds: 0 }
    })
    yield* runtime.start(containerName)
  })

const sh = (script: string, change: Partial<AttachedCommand> = {}): AttachedCommand => ({
  ...{ argv: ["sh", "-c", script], env: [], terminal: undefined, stdin: true },
  ...change
})
const textOf = (output: Iterable<AttachedOutput>) =>
  [...output].map((one) => (one._tag === "Bytes" ? Buffer.from(one.bytes) : "")).join("")

/** Whether a process with this argument runs on the machine. */
const runs = (word: string) =>
  readdirSync("/proc").some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word)
    } catch {
      return false
    }
  })
const untilNone = (word: string) =>
  Effect.sync(() => runs(word)).pipe(
    Effect.repeat({ until: (there) => !there, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutFail({ duration: "10 seconds", onTimeout: () => new Error(`a process with ${word} is still there`) })
  )

layer(live, { excludeTestServices: true, timeout: "60 seconds" })("an attached command", (it) => {
  it.scoped("gets megabytes of input and gives them back whole, however slowly they are read", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("a-big")
      const size = 8 * 2 ** 20
      const piece = Buffer.from(Array.from({ length: 65_536 }, (_, i) => i % 251))
      const command = yield* runtime.attach("a-big", sh("cat"))
      yield* Stream.range(1, size / piece.length).pipe(
        Stream.runForEach(() => command.write(piece)),
        Effect.zipRight(command.closeInput),
        Effect.forkScoped
      )
      let seen = 0
      let wrong = 0
      const last = yield* command.output.pipe(
        Stream.tap((one) =>
          Effect.sync(() => {
            if (one._tag !== "Bytes") return
            for (const byte of one.bytes) if (byte !== (seen++ % 65_536) % 251) wrong++
          })
        ),
        Stream.tap(() => (seen < 2 ** 20 ? Effect.sleep("2 millis") : Effect.void)),
        Stream.runLast
      )
      assert.deepStrictEqual([seen, wrong], [size, 0])
      assert.deepInclude(last, { value: { _tag: "Exit", exitCode: 0, cut: false } })
    })
  )

  it.scoped("that ends before its input does says that its output may be cut, without podman's words for it", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("a-unread")
      const command = yield* runtime.attach("a-unread", sh("echo no; sleep 1; exit 3"))
      yield* Effect.forkScoped(Effect.forever(command.write(Buffer.alloc(65_536))))
      const output = yield* Stream.runCollect(command.output)
      assert.deepStrictEqual(Chunk.unsafeLast(output), { _tag: "Exit", exitCode: 3, cut: true })
      assert.strictEqual(textOf(output), "no\n")
    })
  )

  it.scoped("on a terminal has its size from the start and at each change, its environment, and reads to ^D", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("a-tty")
      const terminal = { columns: 91, rows: 33 }
      const command = yield* runtime.attach(
        "a-tty",
        sh("stty size; read a; stty size; echo $GREETING $TERM; cat; exit 4", { terminal, env: ["GREETING=hello"] })
      )
      const begun = yield* Deferred.make<void>()
      const output = yield* command.output.pipe(
        Stream.tap((one) =>
          one._tag === "Bytes" && textOf([one]).includes("33 91") ? Deferred.succeed(begun, undefined) : Effect.void
        ),
        Stream.runCollect,
        Effect.fork
      )
      yield* Deferred.await(begun)
      yield* command.resize({ columns: 120, rows: 50 })
      yield* command.write(Buffer.from("\n"))
      yield* command.write(Buffer.from("typed\n"))
      yield* command.closeInput
      const all = yield* Fiber.join(output)
      assert.match(textOf(all), /^33 91\r\n\r?\n?(typed\r\n)?50 120\r\nhello xterm\r\n(typed\r\n)+$/)
      assert.deepStrictEqual(Chunk.unsafeLast(all), { _tag: "Exit", exitCode: 4, cut: false })
    })
  )

  it.scoped("is ended when nobody listens any more, with what it has started, also when it does not want to", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("a-left")
      const marks = ["91001", "91002", "91003"]
      const scripts = [
        sh(`sleep ${marks[0]} & wait`, { stdin: false }),
        sh(`trap "" HUP; sleep ${marks[1]}; sleep ${marks[1]}`),
        sh(`sleep ${marks[2]}`, { terminal: { columns: 80, rows: 24 } })
      ]
      for (const [i, script] of scripts.entries()) {
        const scope = yield* Scope.make()
        yield* Scope.extend(runtime.attach("a-left", script), scope)
        yield* Effect.sync(() => runs(marks[i] ?? "")).pipe(Effect.repeat({ until: (there) => there }))
        yield* Scope.close(scope, Exit.void)
        yield* untilNone(marks[i] ?? "")
      }
      assert.strictEqual((yield* runtime.inspect("a-left")).state, "running")
    })
  )

  it.scoped("of a container that is removed is over", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("a-gone")
      const command = yield* runtime.attach("a-gone", sh("sleep 500"))
      const ended = yield* Effect.fork(
        Effect.merge(Effect.map(Stream.runCollect(command.output), (all) => Chunk.unsafeLast(all)))
      )
      yield* runtime.remove("a-gone")
      // It was killed; whether podman still says so is a race.
      const how = yield* Fiber.join(ended)
      if (how._tag === "Exit") assert.strictEqual(how.exitCode, 137)
      else assert.deepInclude(how, { _tag: "CommandCutOff", why: "its container was removed" })
    })
  )
})
