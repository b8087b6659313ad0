import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Logger } from "effect"
import { run } from "../mcias/cli.ts"
import { exitCodeOf, reported } from "./main.ts"
import { version } from "./version.ts"

// A server that is told to stop has done what it should; a command has not.
const interrupted = process.argv[2] === "serve" ? 0 : 130

reported("mcp-mcias", run(process.argv, version)).pipe(
  Effect.provide(NodeContext.layer),
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.jsonLogger))),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    // Without process.exit, which would cut off what a pipe has not taken yet.
    teardown: (exit) => {
      process.exitCode = exitCodeOf(exit, interrupted)
    }
  })
)
