import { Args, Command, HelpDoc, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { ServiceName } from "../../domain/Names.ts"
import { type Built, buildImages, type Delivery, toRegistry } from "../../programs/buildImages.ts"
import type { NodeConfig } from "../../services/Agents.ts"
import { UsageError } from "../../services/CliError.ts"
import type { ImageBuilder } from "../../services/ImageBuilder.ts"
import { buildSources } from "../buildSources.ts"
import { checked, selection } from "../definitions.ts"
import type { CliFailure } from "../errors.ts"
import * as Json from "../json.ts"
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

const deliveryOf = (to: {
  readonly push: boolean
}): Effect.Effect<Delivery<CliFailure, never> | undefined, never, ImageBuilder> =>
  to.push ? toRegistry : Effect.succeed(undefined)

const besides = (service: string, pushed: boolean, images: ReadonlyArray<Json.BuiltImage>) => {
  const results = images.map(({ result }) => result)
  if (results.includes("failed")) return []
  const skipped = "skipped: the image registry has it; another tag in the definition, or --force, builds it"
  const there = pushed || results.every((result) => result === "skipped")
  const next = there ? `mcp deploy ${service}` : `mcp build ${service} --push`
  return [...(results.includes("skipped") ? [skipped] : []), `next: ${next}`]
}

export const build = Command.make(
  "build",
  { target, push, load, force },
  Effect.fn("cli.build")(function* ({ force, load, push, target: { image, service } }) {
    if (push && load) return yield* new UsageError({ problem: "--push and --load are two ways: say one of them" })
    if (load)
      return yield* new UsageError({ problem: "--load does not exist yet", nextStep: `mcp build ${service} --push` })
    const targets = [{ service, component: undefined }]
    const found = yield* checked(yield* selection({ targets, all: false, file: undefined }))
    const results: Array<Built<CliFailure>> = []
    for (const { definition, spec, warnings } of found) {
      for (const text of warnings) yield* warn(text)
      const node = yield* nodeOf(spec.node)
      const sources = yield* buildSources({ spec, file: definition.file, image }, node?.arch)
      const delivery = yield* deliveryOf({ push })
      results.push(
        ...(yield* Effect.scoped(
          Effect.flatMap(buildProgress, (events) => buildImages(sources, { delivery, force, events }))
        ))
      )
    }
    const images = results.map(builtImage)
    yield* confirm(Json.BuildResult, { service, images }, (look) => [
      ...builtTable(images, look),
      ...besides(service, push, images)
    ])
    yield* failAll(results.flatMap(({ failure }) => Option.toArray(failure)))
  })
).pipe(Command.withDescription("Build a service's images; skip those that are there"))
