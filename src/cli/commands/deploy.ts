import { Command, Options } from "@effect/cli"
import { Effect, Either, Option } from "effect"
import { ExitWith } from "../../services/CliError.ts"
import { checkReference, chooseImage, keepImage } from "../chosenImage.ts"
import { load, selection } from "../definitions.ts"
import { deployOne } from "../deployOne.ts"
import { type CliFailure, Exit } from "../errors.ts"
import * as Json from "../json.ts"
import { tellIfLeft } from "../leaving.ts"
import { answer, warn } from "../output.ts"
import { planAll } from "../planAll.ts"
import * as Progress from "../progress.ts"
import { renderDeploy } from "../renderDeploy.ts"
import { failAll } from "../several.ts"
import * as Target from "../target.ts"

const options = {
  all: Options.boolean("all").pipe(Options.withDescription("every definition of the folder")),
  file: Options.text("file").pipe(
    Options.withPseudoName("FILE"),
    Options.withAlias("f"),
    Options.optional,
    Options.withDescription("a definition outside the folder")
  ),
  dryRun: Options.boolean("dry-run").pipe(Options.withDescription("show the plan only")),
  force: Options.boolean("force").pipe(
    Options.withDescription("replace what is unchanged too, and what was rolled back from")
  ),
  pull: Options.boolean("pull").pipe(Options.withDescription("ask the image registry for newer images")),
  image: Options.text("image").pipe(
    Options.withPseudoName("REF"),
    Options.optional,
    Options.withDescription("this image for one component; once it runs, the file says so")
  ),
  noWait: Options.boolean("no-wait").pipe(Options.withDescription("do not wait until all is ready")),
  wait: Options.boolean("wait").pipe(Options.withDescription("wait while another act on the service is under way"))
}

export const deploy = Command.make(
  "deploy",
  { targets: Target.any, ...options },
  Effect.fn("cli.deploy")(function* ({ all, dryRun, file, force, image, noWait, pull, targets, wait }) {
    const reference = Option.getOrUndefined(image)
    if (reference !== undefined) yield* checkReference(reference)
    const chosen = yield* selection({ targets, all, file: Option.getOrUndefined(file) })
    const defined = yield* load(chosen)
    const other = reference === undefined ? undefined : yield* chooseImage(chosen, defined, reference)
    const loaded = other?.loaded ?? defined
    if (dryRun) return yield* planAll(loaded, { force, exitCode: false })
    const known = new Set(loaded.flatMap((l) => l.warnings))
    for (const text of known) yield* warn(text)
    const flags = { force, pull, noWait, waitForLock: wait, respectPin: all && !force }
    const results = yield* Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress.make(loaded.length > 1)
        return yield* Effect.forEach(loaded, (item) => deployOne(item, flags, progress), { concurrency: "unbounded" })
      })
    ).pipe(
      tellIfLeft(
        "deploy",
        loaded.map(({ node, spec }) => ({ service: spec.name, node }))
      )
    )
    for (const text of new Set(results.flatMap((r) => r.view.warnings))) if (!known.has(text)) yield* warn(text)
    const services = results.map((r) => r.view)
    const state = services[0]?.state
    const kept = yield* Effect.either(
      other === undefined || state === undefined ? Effect.succeed(null) : keepImage(other, state)
    )
    const edited_files = Either.isRight(kept) && kept.right !== null ? [kept.right] : []
    yield* answer(Json.Deploy, { services, edited_files }, (look) => renderDeploy(services, look))
    const failures = results.flatMap((r) => (r.failure === undefined ? [] : [r.failure]))
    yield* failAll<CliFailure>([...failures, ...(Either.isLeft(kept) ? [kept.left] : [])])
    if (services.some((s) => s.state === "pinned")) yield* new ExitWith({ exitCode: Exit.changes })
  })
).pipe(Command.withDescription("Bring services to their definitions"))
