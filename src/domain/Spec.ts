import { Schema } from "effect"
import { ComponentName, ServiceName } from "./Names.ts"
import { ByteSize, DurationMillis, ImageReference, PortMapping, RestartPolicy, VolumeMount } from "./Scalars.ts"
import { SecretName } from "./Secret.ts"

/*
 * One Schema serves both forms of a service: its encoded side is the definition as TOML has it, its type side the
 * spec as it is sent and stored, with defaults filled in, durations in milliseconds and images resolved.
 */

const Port = Schema.Int.pipe(Schema.between(1, 65535, { message: () => "a port, 1 to 65535" }))
const NonEmpty = Schema.String.pipe(Schema.minLength(1, { message: () => "a text that is not empty" }))
const Text = Schema.String.pipe(Schema.filter((s) => !s.includes("\0"), { message: () => "a text without NUL" }))
const Argv = Schema.Array(Text)

const defaulted = <A, I, K extends string>(schema: Schema.Schema<A, I>, key: K, value: () => A) =>
  Schema.optionalWith(schema, { default: value }).pipe(Schema.fromKey(key))

const optionalKey = <A, I, K extends string>(schema: Schema.Schema<A, I>, key: K) =>
  Schema.optionalWith(schema, { exact: true }).pipe(Schema.fromKey(key))

export const Hostname = Schema.String.pipe(
  Schema.maxLength(253, { message: () => "a host name of at most 253 characters" }),
  Schema.pattern(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/, {
    message: () => "a host name in lower case"
  })
)

/** With a letter, so that it is never taken for a container port where either may stand. */
const RouteName = ComponentName.pipe(
  Schema.pattern(/[a-z]/, { message: () => "a route's name, with at least one letter in it" })
)

export const Route = Schema.Struct({
  name: Schema.optionalWith(RouteName, { exact: true }),
  port: Port,
  target: Schema.optionalWith(Port, { exact: true }),
  mode: Schema.optionalWith(Schema.Literal("l4", "l7"), { exact: true }),
  hostname: Schema.optionalWith(Hostname, { exact: true }),
  public: Schema.optionalWith(Schema.Boolean, { default: () => false })
})
export type Route = typeof Route.Type

/** `port` is a route's name or a container port; exactly one of http, tcp and cmd is set (checked in ComponentRules). */
export const Health = Schema.Struct({
  http: Schema.optionalWith(
    Schema.String.pipe(Schema.pattern(/^\/[\x21-\x7e]*$/, { message: () => 'a path that starts with "/"' })),
    { exact: true }
  ),
  tcp: Schema.optionalWith(Schema.Literal(true), { exact: true }),
  cmd: Schema.optionalWith(Schema.NonEmptyArray(Text), { exact: true }),
  port: Schema.optionalWith(
    Schema.Union(Port, RouteName).annotations({
      message: () => ({ message: "a container port, 1 to 65535, or a route's name", override: true })
    }),
    { exact: true }
  ),
  interval: Schema.optionalWith(DurationMillis, { default: () => 5_000 }),
  timeout: Schema.optionalWith(DurationMillis, { default: () => 2_000 }),
  retries: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, 1000)), { default: () => 3 }),
  startPeriod: defaulted(DurationMillis, "start_period", () => 10_000)
})
export type Health = typeof Health.Type

// A record that had a key of this name would lose it on the way, since assigning it sets the prototype.
const keepable = (key: string) => key !== "__proto__"

const EnvName = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z_][A-Za-z0-9_.-]*$/, { message: () => "the name of an environment variable" }),
  Schema.filter(keepable, { message: () => "the name of an environment variable" })
)
const EnvRecord = Schema.Record({ key: EnvName, value: Text })
const pairName = (pair: string) => pair.slice(0, pair.indexOf("="))
const isPair = (text: string) => /^[A-Za-z_][A-Za-z0-9_.-]*=[^\0]*$/.test(text) && keepable(pairName(text))

/** What is wrong with the array form of `env`. No message shows an entry: without "=" all of it may be a secret. */
export const envIssues = (pairs: ReadonlyArray<string>) => {
  const seen = new Set<string>()
  return pairs.flatMap((pair, i) => {
    if (!isPair(pair)) return [{ path: [i], message: "K=V, K the name of an environment variable" }]
    const name = pairName(pair)
    // Of two pairs the later would win unseen; a table cannot name a variable twice either.
    if (seen.has(name)) return [{ path: [i], message: `a variable other than ${name}, which is set above` }]
    seen.add(name)
    return []
  })
}
const EnvPairs = Schema.transform(
  Schema.Array(Schema.String).pipe(Schema.filter(envIssues)),
  Schema.typeSchema(EnvRecord),
  {
    strict: true,
    decode: (pairs) => Object.fromEntries(pairs.map((pair) => [pairName(pair), pair.slice(pair.indexOf("=") + 1)])),
    encode: (record) => Object.entries(record).map(([key, value]) => `${key}=${value}`)
  }
)
export const Env = Schema.Union(EnvRecord, EnvPairs).annotations({ description: "a table of names and texts, or K=V" })

export const UpdateOrder = Schema.Literal("start-first", "stop-first")
export type UpdateOrder = typeof UpdateOrder.Type

export const ComponentSpec = Schema.Struct({
  name: ComponentName,
  image: ImageReference,
  network: Schema.optionalWith(
    Schema.String.pipe(
      Schema.pattern(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/, { message: () => 'a network\'s name, "host" or "none"' })
    ),
    { exact: true }
  ),
  user: Schema.optionalWith(
    Schema.String.pipe(Schema.pattern(/^[a-zA-Z0-9_.-]+(:[a-zA-Z0-9_.-]+)?$/, { message: () => "user[:group]" })),
    { exact: true }
  ),
  restart: Schema.optionalWith(RestartPolicy, { default: () => "unless-stopped" }),
  ports: Schema.optionalWith(Schema.Array(PortMapping), { default: () => [] }),
  volumes: Schema.optionalWith(Schema.Array(VolumeMount), { default: () => [] }),
  cmd: Schema.optionalWith(Argv, { default: () => [] }),
  entrypoint: Schema.optionalWith(Argv, { default: () => [] }),
  env: Schema.optionalWith(Env, { default: () => ({}) }),
  secrets: Schema.optionalWith(Schema.Array(SecretName), { default: () => [] }),
  memory: Schema.optionalWith(ByteSize, { exact: true }),
  cpus: Schema.optionalWith(
    Schema.Number.pipe(Schema.finite(), Schema.between(0.01, 1024, { message: () => "a number of CPUs above 0" })),
    { exact: true }
  ),
  dependsOn: defaulted(Schema.Array(ComponentName), "depends_on", () => []),
  stopTimeout: defaulted(DurationMillis, "stop_timeout", () => 10_000),
  drainTimeout: defaulted(DurationMillis, "drain_timeout", () => 30_000),
  settle: Schema.optionalWith(DurationMillis, { default: () => 1_000 }),
  updateOrder: optionalKey(UpdateOrder, "update_order"),
  health: Schema.optionalWith(Health, { exact: true }),
  routes: Schema.optionalWith(Schema.Array(Route), { default: () => [] })
})
export type ComponentSpec = typeof ComponentSpec.Type

export const Snapshot = Schema.Struct({
  method: Schema.optionalWith(Schema.Literal("exec", "full"), { exact: true }),
  cmd: Schema.optionalWith(Argv, { default: () => [] }),
  component: Schema.optionalWith(ComponentName, { exact: true }),
  excludes: Schema.optionalWith(Schema.Array(NonEmpty), { default: () => [] })
})

const ImageBaseName = Schema.String.pipe(
  Schema.pattern(/^[a-z0-9][a-z0-9._-]*$/, { message: () => "an image's base name in lower case" })
)

export const ServiceSpec = Schema.Struct({
  name: ServiceName,
  node: Schema.optionalWith(ServiceName, { exact: true }),
  tier: Schema.optionalWith(Schema.Literal("core", "worker"), { exact: true }),
  active: Schema.optionalWith(Schema.Boolean, { default: () => true }),
  comment: Schema.optionalWith(Text, { exact: true }),
  path: Schema.optionalWith(NonEmpty, { exact: true }),
  build: Schema.optionalWith(
    Schema.Struct({
      images: Schema.optionalWith(Schema.Record({ key: ImageBaseName, value: NonEmpty }), { default: () => ({}) })
    }),
    { default: () => ({ images: {} }) }
  ),
  components: Schema.NonEmptyArray(ComponentSpec),
  snapshot: Schema.optionalWith(Snapshot, { exact: true })
})
/** A service, validated: what the CLI sends, the agent checks again and stores. */
export type ServiceSpec = typeof ServiceSpec.Type
