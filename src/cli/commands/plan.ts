import { Command, Options } from "@effect/cli"
import { Effect } from "effect"
import { load, selection } from "../definitions.ts"
import { planAll } from "../planAll.ts"
import * as Target from "../target.ts"

const exitCode = Options.boolean("exit-code").pipe(
  Options.withDescription("exit with 3 when deploy would change something")
)

export const plan = Command.make(
  "plan",
  { targets: Target.any, exitCode },
  Effect.fn("cli.plan")(function* ({ exitCode, targets }) {
    const loaded = yield* load(yield* selection({ targets, all: targets.length === 0, file: undefined }))
    yield* planAll(loaded, { force: false, exitCode })
  })
).pipe(Command.withDescription("What deploy would change; without targets, for every definition"))
