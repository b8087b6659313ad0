import { readFileSync } from "node:fs"
import { Command, Options } from "@effect/cli"
import { Console, Effect, Either, type Layer, Option, Schema } from "effect"
import { type AgentConfig, loadAgentConfig, renderConfig } from "../domain/AgentConfig.ts"
import { formatProblem } from "../domain/Toml.ts"
import type { HostTrials } from "../services/HostTrials.ts"
import { reportHost } from "./checkHost.ts"
import { init } from "./init.ts"

export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  file: Schema.String,
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    const n = this.problems.length
    return `${n} problem${n === 1 ? "" : "s"} in the config\n${this.problems.map((line) => `  ${line}`).join("\n")}\n  next: correct it, then: mcp-agent check-config --config ${this.file}`
  }
}

export class ConfigUnreadable extends Schema.TaggedError<ConfigUnreadable>()("ConfigUnreadable", {
  file: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `cannot read ${this.file}: ${this.why}\n  next: name the config with --config FILE`
  }
}

const load = (file: string): Effect.Effect<AgentConfig, ConfigInvalid | ConfigUnreadable> =>
  Effect.gen(function* () {
    const text = yield* Effect.try({
      try: () => readFileSync(file, "utf8"),
      catch: (cause) => new ConfigUnreadable({ file, why: cause instanceof Error ? cause.message : String(cause) })
    })
    return yield* Either.mapLeft(loadAgentConfig({ file, text, env: process.env }), ([first, ...rest]) => {
      const problems = [formatProblem(first), ...rest.map(formatProblem)] as const
      return new ConfigInvalid({ file, problems })
    })
  })

const config = Options.text("config").pipe(
  Options.withDescription("the agent's config file"),
  Options.withDefault("/srv/mcp/mcp-agent.toml")
)

/** The agent's commands; `serve` is what bare `mcp-agent` does. Layers come from the entry file. */
export const commands = <E, E2, R>(
  serve: (config: AgentConfig, file: string) => Effect.Effect<never, E, R>,
  logging: (config: AgentConfig) => Layer.Layer<never, E2>,
  trials: (config: AgentConfig) => Layer.Layer<HostTrials>
) => {
  const run = ({ config: file }: { readonly config: string }) =>
    Effect.flatMap(load(file), (loaded) => Effect.provide(serve(loaded, file), logging(loaded)))
  const parent = Command.make("mcp-agent", { config }, run)
  const inherited = { config: Options.optional(Options.text("config")) }
  const withConfig =
    <A, E, R>(act: (options: { readonly config: string }) => Effect.Effect<A, E, R>) =>
    ({ config: own }: { readonly config: Option.Option<string> }) =>
      Effect.flatMap(parent, ({ config: before }) => act({ config: Option.getOrElse(own, () => before) }))
  return parent.pipe(
    Command.withDescription("The agent of one node: runs containers through podman and answers over gRPC"),
    Command.withSubcommands([
      Command.make("serve", inherited, withConfig(run)).pipe(Command.withDescription("Serve until stopped (default)")),
      Command.make(
        "check-config",
        inherited,
        withConfig(({ config: file }) => Effect.flatMap(load(file), (loaded) => Console.log(renderConfig(loaded))))
      ).pipe(Command.withDescription("Check the config and print what is in force")),
      Command.make(
        "check-host",
        { ...inherited, json: Options.boolean("json").pipe(Options.withDescription("one JSON document")) },
        ({ config, json }) =>
          withConfig(({ config: file }) =>
            Effect.flatMap(load(file), (loaded) => Effect.provide(reportHost(loaded, json), trials(loaded)))
          )({ config })
      ).pipe(
        Command.withDescription("Try on this node what the agent will need: each line ok, or failed with the fix")
      ),
      init
    ])
  )
}
