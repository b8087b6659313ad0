import { dirname, resolve } from "node:path/posix"
import { Either, Schema } from "effect"
import { type ConfigSource, HostPort, HttpsUrl, loadConfig, MciasService } from "./Config.ts"
import { ServiceName } from "./Names.ts"
import type { Problem } from "./Toml.ts"

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** `~/` is the operator's home; a path that is not absolute starts at the config's own folder. */
const Path = Schema.String.pipe(Schema.minLength(1, { message: () => "a path" }))

const Node = Schema.Struct({
  name: ServiceName,
  address: optional(HostPort),
  addresses: optional(Schema.NonEmptyArray(HostPort)),
  caCert: optional(Path).pipe(Schema.fromKey("ca_cert")),
  arch: optional(Schema.Literal("amd64", "arm64"))
}).pipe(
  Schema.filter((node) => (node.address === undefined) !== (node.addresses === undefined), {
    message: () => "a node with either address or addresses"
  })
)

/** The CLI's config as the file has it. */
export const CliConfigFile = Schema.Struct({
  services: Schema.optionalWith(Schema.Struct({ dir: Path }), {
    default: () => ({ dir: "~/.config/mcp/services" })
  }),
  build: optional(Schema.Struct({ workspace: Path })),
  mcias: Schema.Struct({
    serverUrl: Schema.propertySignature(HttpsUrl).pipe(Schema.fromKey("server_url")),
    caCert: optional(Path).pipe(Schema.fromKey("ca_cert")),
    serviceName: Schema.optionalWith(MciasService, { default: () => "mcp" }).pipe(Schema.fromKey("service_name"))
  }),
  auth: Schema.optionalWith(
    Schema.Struct({ tokenPath: Schema.propertySignature(Path).pipe(Schema.fromKey("token_path")) }),
    { default: () => ({ tokenPath: "~/.config/mcp/token" }) }
  ),
  master: optional(
    Schema.Struct({
      addresses: Schema.NonEmptyArray(HostPort),
      caCert: optional(Path).pipe(Schema.fromKey("ca_cert"))
    })
  ),
  nodes: Schema.optionalWith(
    Schema.Array(Node).pipe(
      Schema.filter((nodes) =>
        nodes.flatMap(({ name }, i) =>
          nodes.findIndex((node) => node.name === name) < i
            ? [{ path: [i, "name"], message: "a name that no node above has" }]
            : []
        )
      )
    ),
    { default: () => [] }
  )
})

type FileNode = (typeof CliConfigFile.Type)["nodes"][number]

/** The CLI's config in force: every path absolute, every node with its addresses in the order to be tried. */
export interface CliConfig {
  readonly services: { readonly dir: string }
  readonly build: { readonly workspace: string } | undefined
  readonly mcias: { readonly serverUrl: string; readonly caCert?: string; readonly serviceName: string }
  readonly auth: { readonly tokenPath: string }
  readonly master:
    | { readonly addresses: readonly [string, ...Array<string>]; readonly caCert: string | undefined }
    | undefined
  readonly nodes: ReadonlyArray<{
    readonly name: string
    readonly addresses: readonly [string, ...Array<string>]
    readonly caCert: string | undefined
    readonly arch: "amd64" | "arm64" | undefined
  }>
}

const inForce = (config: typeof CliConfigFile.Type, home: string, folder: string): CliConfig => {
  const path = (text: string) => resolve(folder, text.replace(/^~(?=\/|$)/, home))
  const maybePath = (text: string | undefined) => (text === undefined ? undefined : path(text))
  const { caCert, ...mcias } = config.mcias
  return {
    services: { dir: path(config.services.dir) },
    build: config.build && { workspace: path(config.build.workspace) },
    mcias: { ...mcias, ...(caCert === undefined ? {} : { caCert: path(caCert) }) },
    auth: { tokenPath: path(config.auth.tokenPath) },
    master: config.master && { addresses: config.master.addresses, caCert: maybePath(config.master.caCert) },
    nodes: config.nodes.map(({ address, addresses, arch, caCert, name }: FileNode) => ({
      name,
      arch,
      caCert: maybePath(caCert),
      addresses: addresses ?? [address ?? ""]
    }))
  }
}

// Variables of the same prefix that are not the config's. MCP is also the Model Context Protocol, whose programs have theirs.
const others = /^MCP_(CONFIG|DEBUG|VERSION|TEST_.*|AGENT_.*|ALERT_.*)$/

/** Reads the CLI's config, overridden by `MCP_<SECTION>_<KEY>`. */
export const loadCliConfig = (
  source: ConfigSource & { readonly home: string }
): Either.Either<CliConfig, readonly [Problem, ...Array<Problem>]> =>
  Either.map(loadConfig(CliConfigFile, { prefix: "MCP_", ignored: others, shared: true }, source), (config) =>
    inForce(config, source.home, dirname(resolve(source.file)))
  )
