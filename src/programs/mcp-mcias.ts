import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Logger } from "effect"
import { exitCodeOf, run } from "../mcias/cli.ts"

run(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.jsonLogger))),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    // Without process.exit, which would cut off what a pipe has not taken yet.
    teardown: (exit) => {
      process.exitCode = exitCodeOf(process.argv, exit)
    }
  })
)
