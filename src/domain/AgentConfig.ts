import { isIPv4, isIPv6 } from "node:net"
import { type Either, ParseResult, Schema } from "effect"
import { stringify } from "smol-toml"
import { Verb } from "./Authorization.ts"
import { AbsolutePath, type ConfigSource, HostPort, HttpsUrl, loadConfig, MciasService } from "./Config.ts"
import { ServiceName } from "./Names.ts"
import { DurationMillis } from "./Scalars.ts"
import type { Problem } from "./Toml.ts"

const key = <A, I, K extends string>(schema: Schema.Schema<A, I>, name: K) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(name))
const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })
const defaulted = <A, I>(schema: Schema.Schema<A, I>, value: () => NoInfer<A>) =>
  Schema.optionalWith(schema, { default: value })

/** Every spelling of "all interfaces", legacy IPv4 forms such as `0` and `0x0` and IPv4 in IPv6 included. */
const isWildcard = (host: string): boolean => {
  if (/^[0.x]*$/i.test(host)) return true
  if (!isIPv6(host)) return false
  const { hostname } = new URL(`http://[${host.replace(/%.*$/, "")}]`)
  return hostname === "[::]" || hostname === "[::ffff:0:0]"
}

const addressExpected = "one address of this node as host:port, such as 100.64.0.1:9444; never all interfaces"

/** `host:port` of one address; an agent never listens on all of them. */
export const ListenAddress = Schema.transformOrFail(
  Schema.String,
  Schema.Struct({ host: Schema.String, port: Schema.Int.pipe(Schema.between(0, 65535)) }),
  {
    strict: true,
    decode: (text, _, ast) => {
      const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text)
      const host = match?.[1] ?? match?.[2] ?? ""
      const port = Number(match?.[3])
      const good = match !== null && port <= 65535 && !isWildcard(host)
      const named = isIPv4(host) || isIPv6(host) || (match?.[1] === undefined && /^[a-zA-Z0-9.-]+$/.test(host))
      return good && named
        ? ParseResult.succeed({ host, port })
        : ParseResult.fail(new ParseResult.Type(ast, text, addressExpected))
    },
    encode: ({ host, port }) => ParseResult.succeed(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)
  }
)

const Rule = Schema.Struct({
  principals: Schema.Array(
    Schema.String.pipe(Schema.pattern(/^(role|account):.+$/, { message: () => '"role:NAME" or "account:NAME"' }))
  ),
  verbs: Schema.Array(Verb),
  services: Schema.Array(
    Schema.Union(Schema.Literal("*"), ServiceName).annotations({
      message: () => ({ message: 'a service name, or "*"', override: true })
    })
  )
})

const Auth = Schema.Struct({
  serviceAccounts: optional(Schema.Array(Schema.NonEmptyString)).pipe(Schema.fromKey("service_accounts")),
  rules: optional(Schema.Array(Rule))
})

const Monitor = Schema.Struct({
  interval: defaulted(DurationMillis, () => 60_000),
  alertCommand: optional(Schema.NonEmptyArray(Schema.String)).pipe(Schema.fromKey("alert_command")),
  alertTimeout: defaulted(DurationMillis, () => 10_000).pipe(Schema.fromKey("alert_timeout")),
  holdFor: defaulted(DurationMillis, () => 10_000).pipe(Schema.fromKey("hold_for")),
  cooldown: defaulted(DurationMillis, () => 900_000),
  flapThreshold: defaulted(Schema.Int.pipe(Schema.greaterThan(0)), () => 3).pipe(Schema.fromKey("flap_threshold")),
  flapWindow: defaulted(DurationMillis, () => 600_000).pipe(Schema.fromKey("flap_window")),
  eventRetention: defaulted(DurationMillis, () => 30 * 86_400_000).pipe(Schema.fromKey("event_retention")),
  heal: defaulted(Schema.Boolean, () => false)
})

const Log = Schema.Struct({
  level: defaulted(Schema.Literal("debug", "info", "warn", "error"), () => "info" as const),
  format: defaulted(Schema.Literal("json", "pretty"), () => "json" as const)
})

const BootStage = Schema.Struct({
  name: Schema.NonEmptyString,
  services: Schema.Array(ServiceName),
  timeout: defaulted(DurationMillis, () => 120_000),
  health: defaulted(Schema.Literal("tcp", "grpc", "http", "component"), () => "component" as const)
})
export type BootStage = typeof BootStage.Type

const emptySection = <A, I>(schema: Schema.Schema<A, I>) =>
  Schema.optionalWith(schema, { default: () => Schema.decodeUnknownSync(schema)({}) })

/** The agent's config; durations in milliseconds. */
export const AgentConfig = Schema.Struct({
  server: Schema.Struct({
    grpcAddr: key(ListenAddress, "grpc_addr"),
    tlsCert: key(AbsolutePath, "tls_cert"),
    tlsKey: key(AbsolutePath, "tls_key")
  }),
  database: Schema.Struct({ path: AbsolutePath }),
  mcias: Schema.Struct({
    serverUrl: key(HttpsUrl, "server_url"),
    caCert: optional(AbsolutePath).pipe(Schema.fromKey("ca_cert")),
    serviceName: defaulted(MciasService, () => "mcp").pipe(Schema.fromKey("service_name"))
  }),
  auth: emptySection(Auth),
  agent: Schema.Struct({
    nodeName: key(ServiceName, "node_name"),
    filesRoot: defaulted(AbsolutePath, () => "/srv").pipe(Schema.fromKey("files_root"))
  }),
  runtime: emptySection(
    Schema.Struct({
      socket: optional(
        Schema.String.pipe(Schema.pattern(/^unix:\/\/\/.+$/, { message: () => "unix:///path/of/podman.sock" }))
      ),
      authFile: optional(AbsolutePath).pipe(Schema.fromKey("auth_file"))
    })
  ),
  monitor: emptySection(Monitor),
  log: emptySection(Log),
  proxy: optional(
    Schema.Struct({
      driver: Schema.Literal("mcproxy", "caddy"),
      socket: optional(AbsolutePath),
      certDir: optional(AbsolutePath).pipe(Schema.fromKey("cert_dir"))
    })
  ),
  dns: optional(Schema.Struct({ driver: Schema.Literal("mcns", "rfc2136"), zone: Schema.NonEmptyString })),
  certs: optional(
    Schema.Struct({
      driver: Schema.Literal("metacrypt", "acme", "local-ca"),
      serverUrl: optional(HttpsUrl).pipe(Schema.fromKey("server_url")),
      caCert: optional(AbsolutePath).pipe(Schema.fromKey("ca_cert")),
      mount: optional(Schema.NonEmptyString),
      issuer: optional(Schema.NonEmptyString),
      tokenPath: optional(AbsolutePath).pipe(Schema.fromKey("token_path"))
    })
  ),
  boot: emptySection(Schema.Struct({ sequence: defaulted(Schema.Array(BootStage), () => []) })),
  master: optional(
    Schema.Struct({
      addresses: Schema.NonEmptyArray(HostPort),
      caCert: optional(AbsolutePath).pipe(Schema.fromKey("ca_cert")),
      tokenPath: key(AbsolutePath, "token_path"),
      role: defaulted(Schema.Literal("master", "worker", "edge"), () => "worker" as const)
    })
  )
})
export type AgentConfig = typeof AgentConfig.Type

/** Reads the agent's config, overridden by `MCP_AGENT_<SECTION>_<KEY>`. */
export const loadAgentConfig = (
  source: ConfigSource
): Either.Either<AgentConfig, readonly [Problem, ...Array<Problem>]> =>
  loadConfig(AgentConfig, { prefix: "MCP_AGENT_", ignored: /^$/, shared: false }, source)

/** The config in force as TOML, defaults written out. It names files of secrets and holds none. */
export const renderConfig = (config: AgentConfig): string => stringify(Schema.encodeSync(AgentConfig)(config))
