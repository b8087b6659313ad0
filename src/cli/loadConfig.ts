import { readFile } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { Effect, Either } from "effect"
import { type CliConfig, loadCliConfig } from "../domain/CliConfig.ts"
import { formatProblem } from "../domain/Toml.ts"
import type { NodeConfig } from "../services/Agents.ts"
import { ConfigInvalid, ConfigMissing } from "../services/CliError.ts"
import type { Settings } from "./Settings.ts"

type Environment = Readonly<Record<string, string | undefined>>

const homeOf = (env: Environment) => env.HOME || homedir()

/** `--config`, else `$MCP_CONFIG`, else the file of this account. */
export const configPath = (option: string | undefined, env: Environment): string =>
  option ?? (env.MCP_CONFIG || join(homeOf(env), ".config/mcp/mcp.toml"))

/** `~/` is the account's home; what is relative starts at the config's own folder, wherever the command is run. */
const expander = (file: string, env: Environment) => {
  const folder = dirname(resolve(file))
  return (path: string) => (/^~(\/|$)/.test(path) ? join(homeOf(env), path.slice(1)) : resolve(folder, path))
}

const expanded = (config: CliConfig, expand: (path: string) => string): CliConfig => {
  const { caCert, ...mcias } = config.mcias
  return {
    ...config,
    services: { dir: expand(config.services.dir) },
    mcias: caCert === undefined ? mcias : { ...mcias, caCert: expand(caCert) },
    auth: { tokenPath: expand(config.auth.tokenPath) },
    nodes: config.nodes.map(({ caCert, ...node }) =>
      caCert === undefined ? node : { ...node, caCert: expand(caCert) }
    )
  }
}

// The schema holds that one of the two is set.
const nodeOf = ({ address = "", addresses, arch, caCert, name }: CliConfig["nodes"][number]): NodeConfig => ({
  name,
  addresses: addresses === undefined ? [address] : addresses,
  caCert,
  arch
})

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
    const written = yield* Either.mapLeft(loadCliConfig({ file, text, env }), ([first, ...rest]) => {
      const problems = [formatProblem(first), ...rest.map(formatProblem)] as const
      return new ConfigInvalid({ path: file, problems })
    })
    const config = expanded(written, expander(file, env))
    return { config, settings: { configFile: file, nodes: config.nodes.map(nodeOf) } }
  })
