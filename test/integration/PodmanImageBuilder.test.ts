import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Stream } from "effect"
import * as PodmanImageBuilder from "../../src/layers/PodmanImageBuilder.ts"
import { ImageBuilder } from "../../src/services/ImageBuilder.ts"
import * as Podman from "../support/podman.ts"

class Instance extends Context.Tag("test/Instance")<Instance, Podman.Podman>() {}

/** The builder on a podman of its own, found on the PATH. */
const live = Layer.scoped(
  Instance,
  Effect.tap(Podman.make, (podman) =>
    Effect.sync(() => {
      process.env.PATH = `${podman.bin}:${process.env.PATH}`
    })
  )
).pipe(Layer.provideMerge(PodmanImageBuilder.layer))

/** A context folder with one Dockerfile and a file to copy. */
const order = (name: string, dockerfile: string) =>
  Effect.map(Instance, ({ dir }) => {
    const context = join(dir, "contexts", name)
    mkdirSync(context, { recursive: true })
    writeFileSync(join(context, "Dockerfile"), dockerfile)
    writeFileSync(join(context, "page"), name)
    return { reference: `localhost/built/${name}:1`, context, dockerfile: join(context, "Dockerfile") }
  })

const run = (words: Parameters<ImageBuilder["Type"]["build"]>[0]) =>
  Effect.flatMap(ImageBuilder, ({ build }) => Effect.map(Stream.runCollect(build(words)), (lines) => [...lines]))

const architecture = (reference: string) =>
  Effect.flatMap(Instance, ({ run }) => run("image", "inspect", "--format", "{{.Architecture}}", reference))

const digestOf = (layout: string): string =>
  JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests[0].digest

/** Whether this machine has an image of this name. */
const exists = (reference: string) =>
  Effect.flatMap(Instance, ({ run }) =>
    Effect.map(run("images", "--format", "{{.Repository}}:{{.Tag}}"), (names) => names.split("\n").includes(reference))
  )

layer(live, { excludeTestServices: true, timeout: "120 seconds" })("images of this machine", (it) => {
  it.scoped("are there once they are built, and each step is told as one", () =>
    Effect.gen(function* () {
      const words = yield* order("plain", "FROM scratch\nCOPY page /page\n")
      assert.isFalse(yield* exists(words.reference))
      const lines = yield* run(words)
      assert.deepStrictEqual(
        lines.filter(({ step }) => step).map(({ text }) => text),
        ["STEP 1/2: FROM scratch", "STEP 2/2: COPY page /page"]
      )
      assert.isTrue(yield* exists(words.reference))
    })
  )

  it.scoped("are of the architecture that was asked for, also where the cache has another's layers", () =>
    Effect.gen(function* () {
      const words = yield* order("both", "FROM scratch\nCOPY page /page\n")
      for (const arch of ["amd64", "arm64", "amd64"]) {
        yield* run({ ...words, arch })
        assert.strictEqual(yield* architecture(words.reference), arch)
      }
    })
  )

  it.scoped("are saved as an OCI layout, which is gone with its scope", () =>
    Effect.gen(function* () {
      const words = yield* order("saved", "FROM scratch\nCOPY page /page\n")
      yield* run(words)
      const { saved } = yield* ImageBuilder
      const folder = yield* Effect.scoped(
        Effect.tap(saved(words.reference), (layout) => {
          const blob = join(layout, "blobs", digestOf(layout).replace(":", "/"))
          assert.strictEqual(JSON.parse(readFileSync(blob, "utf8")).schemaVersion, 2)
          assert.match(readFileSync(join(layout, "oci-layout"), "utf8"), /"imageLayoutVersion"/)
        })
      )
      assert.isFalse(existsSync(folder))
      const none = yield* Effect.flip(Effect.scoped(saved("localhost/built/none:1")))
      assert.strictEqual(none._tag, "PodmanUnusable")
      assert.match(none.message, /^podman save failed: .*localhost\/built\/none:1/)
    })
  )

  it.scoped("are not left behind as files by a mcp that was killed: the next one removes them", () =>
    Effect.gen(function* () {
      const words = yield* order("swept", "FROM scratch\nCOPY page /page\n")
      yield* run(words)
      const ended = spawnSync("true").pid
      const [dead, alive] = [`mcp-image-${ended}-a`, `mcp-image-${process.ppid}-a`].map((name) => join(tmpdir(), name))
      for (const path of [dead, alive]) mkdirSync(join(path ?? "", "image"), { recursive: true })
      yield* Effect.scoped((yield* ImageBuilder).saved(words.reference))
      assert.deepStrictEqual(
        [dead, alive].map((path) => existsSync(path ?? "")),
        [false, true]
      )
      rmSync(alive ?? "", { recursive: true })
    })
  )

  it.scoped("leave nothing when their build is broken off as a step begins", () =>
    Effect.gen(function* () {
      const words = yield* order("broken", `FROM ${Podman.image}\nRUN while true; do sleep 1; done\n`)
      const { build } = yield* ImageBuilder
      const begins = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        Stream.runForEach(build(words), ({ text }) =>
          text.includes("RUN") ? Deferred.succeed(begins, undefined) : Effect.void
        )
      )
      yield* Deferred.await(begins)
      yield* Fiber.interrupt(fiber)
      const { run: podman } = yield* Instance
      assert.strictEqual(yield* podman("ps", "--all", "--external", "--quiet"), "")
    })
  )

  it.scoped("are not built by a step that fails, and what it wrote last is kept", () =>
    Effect.gen(function* () {
      const fails = "RUN echo first; echo second >&2; exit 3"
      const words = yield* order("fails", `FROM ${Podman.image}\nRUN echo before\n${fails}\n`)
      const error = yield* Effect.flip(run(words))
      assert.strictEqual(error._tag, "BuildFailed")
      assert.match(error.message, /^exit status 3 at the step RUN echo first; .* \(\/.*\/fails\/Dockerfile\)$/)
      assert.deepStrictEqual(error._tag === "BuildFailed" ? [...error.lastLines].sort() : [], ["first", "second"])
      const missing = yield* Effect.flip(run(yield* order("missing", "FROM scratch\nCOPY nope /\n")))
      assert.match(missing.message, /^"\/nope": no such file or directory at the step COPY nope/)
      const base = yield* Effect.flip(run(yield* order("base", "FROM 127.0.0.1:9/base:1\n")))
      assert.strictEqual(base._tag, "ImageRegistryUnreachable")
      assert.match(base.message, /image registry 127\.0\.0\.1:9: .*connection refused$/)
      assert.isFalse(yield* exists(words.reference))
    })
  )
})
