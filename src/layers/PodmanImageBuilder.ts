import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import * as Image from "../domain/Image.ts"
import {
  BuildDiskFull,
  BuildFailed,
  ImageRegistryUnauthorized,
  ImageRegistryUnreachable,
  PodmanUnusable
} from "../services/BuildError.ts"
import { type BuildOrder, ImageBuilder } from "../services/ImageBuilder.ts"
import {
  buildReason,
  errorOf,
  isOfBaseImage,
  isStep,
  isUnknownRepository,
  lastStep,
  reasonOf,
  registryError
} from "./podman/imageWords.ts"
import { type Exited, lines, output } from "./podman/program.ts"
import { isDiskFull } from "./podman/words.ts"

const Tags = Schema.parseJson(Schema.Array(Schema.Struct({ Tags: Schema.NullOr(Schema.Array(Schema.String)) })))

/** podman itself waits for minutes where nothing answers at all. */
const askedWithin = "30 seconds"
const everyTag = "1000000"

const unusable = (operation: string, { lines }: Exited) =>
  new PodmanUnusable({ operation, why: reasonOf(errorOf(lines)) || "it said nothing" })

const failed = (operation: string, exited: Exited) =>
  isDiskFull(errorOf(exited.lines)) ? new BuildDiskFull({ operation }) : unusable(operation, exited)

const registryOrPodman = (operation: string, reference: string, exited: Exited) =>
  registryError(errorOf(exited.lines), reference) ?? unusable(operation, exited)

const ownFolder = /^mcp-image-(\d+)-/

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** Whole images, of a `mcp` that was killed: nobody else would remove them. */
const sweep = async () => {
  for (const name of await readdir(tmpdir())) {
    const pid = ownFolder.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    // One of another account stays.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
  }
}

const folder = Effect.acquireRelease(
  Effect.tryPromise({
    try: async () => {
      await sweep()
      return await mkdtemp(join(tmpdir(), `mcp-image-${process.pid}-`))
    },
    catch: () => new PodmanUnusable({ operation: "save", why: `no folder can be made in ${tmpdir()}` })
  }),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** Docker Hub and others refuse who asks for a repository that is not there as they refuse a wrong password. */
const orAbsent = (repository: string, error: ImageRegistryUnauthorized) =>
  output(["login", "--get-login", repository]).pipe(
    Effect.catchTag("Exited", () => Effect.fail(error)),
    Effect.zipRight(Effect.fail(new ImageRegistryUnauthorized({ ...error, mayBeAbsent: true })))
  )

/**
 * podman is asked rather than the image registry itself: its credentials, CAs, mirrors and proxies are then the same for
 * this question and for the push. Of a repository it lists the tags; `manifest inspect` has no credentials on 4.3.
 */
const has = (reference: string) => {
  const { registry = "", repository = "", tag } = Image.parse(reference) ?? {}
  const path = `${registry}/${repository}`
  const words = ["search", "--list-tags", "--format", "json", "--limit", everyTag, path] as const
  return output(words).pipe(
    Effect.timeoutFail({
      duration: askedWithin,
      onTimeout: () => new ImageRegistryUnreachable({ registry, why: `no answer within ${askedWithin}` })
    }),
    Effect.flatMap((text) =>
      Effect.mapError(
        Schema.decode(Tags)(text.trim() === "" ? "[]" : text),
        () => new PodmanUnusable({ operation: "search", why: "its answer has another form" })
      )
    ),
    Effect.map((found) => found.some(({ Tags }) => Tags?.includes(tag ?? "latest") === true)),
    Effect.catchTag("Exited", (exited) =>
      isUnknownRepository(errorOf(exited.lines))
        ? Effect.succeed(false)
        : Effect.fail(registryOrPodman("search", reference, exited))
    ),
    Effect.catchTag("ImageRegistryUnauthorized", (error) => orAbsent(path, error))
  )
}

const buildError = ({ dockerfile, reference }: BuildOrder, exited: Exited) => {
  const error = errorOf(exited.lines)
  if (isDiskFull(error)) return new BuildDiskFull({ operation: "build" })
  const base = isOfBaseImage(error) ? registryError(error, reference) : undefined
  if (base !== undefined && base._tag !== "ImageRegistryFailed") return base
  return new BuildFailed({ image: reference, dockerfile, why: buildReason(error), lastLines: lastStep(exited.lines) })
}

const built = (order: BuildOrder, ...more: ReadonlyArray<string>) =>
  lines([
    ...(["build", "--file", order.dockerfile, "--tag", order.reference] as const),
    ...(order.arch === undefined ? [] : ["--arch", order.arch]),
    ...more,
    order.context
  ]).pipe(
    Stream.map(({ text }) => ({ text, step: isStep(text) })),
    Stream.catchTag("Exited", (exited) => Stream.fail(buildError(order, exited)))
  )

/** Layers upon `scratch` are taken from the cache whatever architecture they were built for (seen on 4.3). */
const isOfOther = ({ arch, reference }: BuildOrder) =>
  arch === undefined
    ? Effect.succeed(false)
    : output(["image", "inspect", "--format", "{{.Architecture}}", reference]).pipe(
        Effect.map((text) => text.trim() !== arch),
        Effect.catchTag("Exited", (exited) => Effect.fail(unusable("image inspect", exited)))
      )

const make: ImageBuilder["Type"] = {
  has,
  build: (order) =>
    Stream.concat(
      built(order),
      Stream.unwrap(Effect.map(isOfOther(order), (other) => (other ? built(order, "--no-cache") : Stream.empty)))
    ),
  push: (reference) =>
    Effect.scoped(
      Effect.gen(function* () {
        const digestFile = join(yield* folder, "digest")
        yield* output(["push", "--digestfile", digestFile, reference])
        // A podman that runs in a machine of its own may not write it.
        const digest = yield* Effect.promise(() => readFile(digestFile, "utf8").catch(() => ""))
        return /^sha256:[0-9a-f]{64}$/.test(digest.trim()) ? Option.some(digest.trim()) : Option.none()
      })
    ).pipe(
      Effect.catchTag("Exited", (exited) =>
        Effect.fail(
          isDiskFull(errorOf(exited.lines))
            ? new BuildDiskFull({ operation: "push" })
            : registryOrPodman("push", reference, exited)
        )
      )
    ),
  saved: (reference) =>
    Effect.gen(function* () {
      const layout = join(yield* folder, "image")
      yield* output(["save", "--quiet", "--uncompressed", "--format", "oci-dir", "--output", layout, reference])
      return layout
    }).pipe(Effect.catchTag("Exited", (exited) => Effect.fail(failed("save", exited))))
}

/** The `podman` on the PATH: a socket is often not there on a workstation, and on macOS podman has its machine. */
export const layer: Layer.Layer<ImageBuilder> = Layer.succeed(ImageBuilder, make)
