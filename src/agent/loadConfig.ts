import { readFileSync } from "node:fs"
import { Effect, Either, Schema } from "effect"
import { type AgentConfig, loadAgentConfig } from "../domain/AgentConfig.ts"
import { formatProblem } from "../domain/Toml.ts"

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

/** The config of a file and of the environment. */
export const load = (file: string): Effect.Effect<AgentConfig, ConfigInvalid | ConfigUnreadable> =>
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
