import { Args, Command, HelpDoc, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { ServiceName } from "../../domain/Names.ts"
import type { ServiceSpec } from "../../domain/Spec.ts"
import { buildImages, type Delivery, toRegistry } from "../../programs/buildImages.ts"
import type { NodeConfig } from "../../services/Agents.ts"
import { UsageError } from "../../services/CliError.ts"
import { buildSources } from "../buildSources.ts"
import { checked, selection } from "../definitions.ts"
import type { CliFailure } from "../errors.ts"
import * as Json from "../json.ts"
import { type LoadNeeds, type Loads, loadedImage, loadLine, toNode } from "../loadDelivery.ts"
import { confirm, warn } from "../output.ts"
import { buildProgress, builtImage, builtTable } from "../renderBuild.ts"
import { Settings } from "../Settings.ts"
import { failAll } from "../several.ts"

const isName = Schema.is(ServiceName)

const target = Args.text({ name: "target" }).pipe(
  Args.mapEffect((word) => {
    const [service = "", image, ...rest] = word.split("/")
    if (isName(service) && image !== "" && rest.length === 0) return Effect.succeed({ service, image })
    const problem = word.startsWith("-")
      ? `unknown option ${word}`
      : `"${word}" is no target: expected <service> or <service>/<image>`
    return Effect.fail(HelpDoc.p(problem))
  }),
  Args.withDescription("<service>, or <service>/<image> for one image of [build.images]")
)

const push = Options.boolean("push").pipe(Options.withDescription("then to the image registry that its name says"))
const load = Options.boolean("load").pipe(Options.withDescription("then straight onto the service's node"))
const force = Options.boolean("force").pipe(Options.withDescription("build what the image registry has as well"))

/** The node that the images are for, as far as that can be told. */
const nodeOf = (wanted: string | undefined) =>
  Effect.map(Settings, ({ nodes }): NodeConfig | undefined =>
    wanted === undefined ? (nodes.length === 1 ? nodes[0] : undefined) : nodes.find(({ name }) => name === wanted)
  )

/** Where the images go, and for what kind of node they are built. */
const wayOf = ({ load, push }: { readonly push: boolean; readonly load: boolean }, spec: ServiceSpec) =>
  Effect.gen(function* () {
    if (load) return yield* toNode(spec.name, spec.node)
    const delivery: Delivery<CliFailure, LoadNeeds> | undefined = push ? yield* toRegistry : undefined
    const loads: Loads = new Map()
    return { delivery, loads, arch: (yield* nodeOf(spec.node))?.arch }
  })

interface Told {
  readonly service: string
  readonly delivered: boolean
  readonly images: ReadonlyArray<Json.BuiltImage>
  /** A name that the image registry may have had before means another image now. */
  readonly moved: boolean
}

const besides = ({ delivered, images, moved, service }: Told) => {
  const results = images.map(({ result }) => result)
  if (results.includes("failed")) return []
  const skipped = "skipped: the image registry has it; another tag in the definition, or --force, builds it"
  const pull = "pushed: a node that has an image of this name asks for the new one only with --pull"
  const there = delivered || results.every((result) => result === "skipped")
  const deploy = `mcp deploy ${service}${moved ? " --pull" : ""}`
  const next = there ? deploy : `mcp build ${service} --push, or --load, which needs no image registry`
  return [...(results.includes("skipped") ? [skipped] : []), ...(moved ? [pull] : []), `next: ${next}`]
}

export const build = Command.make(
  "build",
  { target, push, load, force },
  Effect.fn("cli.build")(function* ({ force, load, push, target: { image, service } }) {
    if (push && load) return yield* new UsageError({ problem: "--push and --load are two ways: say one of them" })
    const targets = [{ service, component: undefined }]
    const found = yield* checked(yield* selection({ targets, all: false, file: undefined }))
    const images: Array<Json.BuiltImage> = []
    const failures: Array<CliFailure> = []
    let moved = false
    for (const { definition, spec, warnings } of found) {
      const plan = yield* buildSources({ spec, file: definition.file, image })
      for (const text of warnings) yield* warn(text)
      const { arch, delivery, loads } = yield* wayOf({ load, push }, spec)
      const sources = plan.map((source) => ({ ...source, order: { ...source.order, arch } }))
      const results = yield* Effect.scoped(
        Effect.flatMap(buildProgress, (events) => buildImages(sources, { delivery, force, events }))
      )
      images.push(...results.map((built) => builtImage(built, loadedImage(loads, built.image.reference))))
      moved ||= results.some(({ image, outcome }) => outcome === "pushed" && (force || image.floating))
      failures.push(...results.flatMap(({ failure }) => Option.toArray(failure)))
    }
    yield* confirm(Json.BuildResult, { service, images }, (look) => [
      ...builtTable(images, look),
      ...images.flatMap(loadLine),
      ...besides({ service, delivered: push || load, images, moved })
    ])
    yield* failAll(failures)
  })
).pipe(Command.withDescription("Build a service's images; skip those that are there"))
