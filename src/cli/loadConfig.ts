import { readFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { Effect, Either } from "effect"
import { type CliConfig, loadCliConfig } from "../domain/CliConfig.ts"
import { formatProblem } from "../domain/Toml.ts"
import { ConfigInvalid, ConfigMissing } from "../services/CliError.ts"
import type { Settings } from "./Settings.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** `--config`, else `$MCP_CONFIG`, else the file of this account. */
export const configPath = (option: string | undefined, env: Environment): string =>
  option ?? (env.MCP_CONFIG || join(env.HOME || homedir(), ".config/mcp/mcp.toml"))

export const readConfig = (
  file: string,
  env: Environment
): Effect.Effect<{ readonly config: CliConfig; readonly settings: Settings["Type"] }, ConfigMissing | ConfigInvalid> =>
  Effect.gen(function* () {
    const text = yield* Effect.tryPromise({ try: () => readFile(file, "utf8"), catch: (error) => error }).pipe(
      Effect.mapError((error) =>
        error instanceof Error && "code" in error && error.code === "ENOENT"
          ? new ConfigMissing({ path: file })
          : new ConfigInvalid({ path: file, problems: [`${file}: ${error instanceof Error ? error.message : error}`] })
      )
    )
    const config = yield* Either.mapLeft(
      loadCliConfig({ file, text, env, home: env.HOME || homedir() }),
      ([first, ...rest]) => {
        const problems = [formatProblem(first), ...rest.map(formatProblem)] as const
        return new ConfigInvalid({ path: file, problems })
      }
    )
    return { config, settings: { configFile: file, nodes: config.nodes, workspace: config.build?.workspace } }
  })
