import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { load, selection } from "../definitions.ts"
import { deployOne } from "../deployOne.ts"
import type { CliFailure } from "../errors.ts"
import * as Json from "../json.ts"
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
  force: Options.boolean("force").pipe(Options.withDescription("replace what is unchanged, too")),
  pull: Options.boolean("pull").pipe(Options.withDescription("ask the image registry for newer images")),
  noWait: Options.boolean("no-wait").pipe(Options.withDescription("do not wait until all is ready"))
}

export const deploy = Command.make(
  "deploy",
  { targets: Target.any, ...options },
  Effect.fn("cli.deploy")(function* ({ all, dryRun, file, force, noWait, pull, targets }) {
    const chosen = yield* selection({ targets, all, file: Option.getOrUndefined(file) })
    const loaded = yield* load(chosen)
    if (dryRun) return yield* planAll(loaded, { force, exitCode: false })
    for (const text of new Set(loaded.flatMap((l) => l.warnings))) yield* warn(text)
    const results = yield* Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress.make(loaded.length > 1)
        return yield* Effect.forEach(loaded, (item) => deployOne(item, { force, pull, noWait }, progress), {
          concurrency: "unbounded"
        })
      })
    )
    const known = new Set(loaded.flatMap((l) => l.warnings))
    for (const text of new Set(results.flatMap((r) => r.view.warnings))) if (!known.has(text)) yield* warn(text)
    const services = results.map((r) => r.view)
    yield* answer(Json.Deploy, { services }, (look) => renderDeploy(services, look))
    yield* failAll<CliFailure>(results.flatMap((r) => (r.failure === undefined ? [] : [r.failure])))
  })
).pipe(Command.withDescription("Bring services to their definitions"))
