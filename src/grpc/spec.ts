import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { Either, Schema } from "effect"
import { type Issue, issuesOf } from "../domain/decodeToml.ts"
import { envIssues, ServiceSpec } from "../domain/Spec.ts"
import {
  type ComponentSpecSchema,
  type HealthSpec,
  type RouteSpec,
  ServiceSpecSchema,
  type SnapshotSpec,
  type ServiceSpec as Wire,
  type ComponentSpec as WireComponent
} from "../gen/mcp/v1/mcp_pb.ts"

const absent = (text: string) => (text === "" ? {} : undefined)
const text = <K extends string>(key: K, value: string) => absent(value) ?? { [key]: value }
const maybe = <K extends string>(key: K, value: unknown) => (value === undefined ? {} : { [key]: value })

/** What is wrong with a message, and where. */
export interface SpecViolation {
  readonly path: ReadonlyArray<PropertyKey>
  readonly message: string
}

type Component = ServiceSpec["components"][number]

// What the Schema gives to what a definition leaves out; a message may leave it out too.
const defaults = Schema.decodeUnknownSync(ServiceSpec)({
  name: "defaults",
  components: [{ name: "defaults", image: "defaults", health: { tcp: true } }]
})
const [ofComponent] = defaults.components
const ofHealth = ofComponent.health

const millis = (value: bigint | undefined, otherwise: number | undefined) =>
  value === undefined ? otherwise : Number(value)

const componentToProto = (c: Component): MessageInitShape<typeof ComponentSpecSchema> => ({
  name: c.name,
  image: c.image,
  network: c.network ?? "",
  user: c.user ?? "",
  restart: c.restart,
  ports: [...c.ports],
  volumes: [...c.volumes],
  cmd: [...c.cmd],
  entrypoint: [...c.entrypoint],
  env: Object.entries(c.env).map(([key, value]) => `${key}=${value}`),
  secrets: [...c.secrets],
  ...(c.memory === undefined ? {} : { memoryBytes: BigInt(c.memory) }),
  ...(c.cpus === undefined ? {} : { cpus: c.cpus }),
  dependsOn: [...c.dependsOn],
  stopTimeoutMs: BigInt(c.stopTimeout),
  drainTimeoutMs: BigInt(c.drainTimeout),
  settleMs: BigInt(c.settle),
  updateOrder: c.updateOrder ?? "",
  routes: c.routes.map((route) => ({
    name: route.name ?? "",
    port: route.port,
    mode: route.mode ?? "",
    hostname: route.hostname ?? "",
    public: route.public,
    ...(route.target === undefined ? {} : { target: route.target })
  })),
  ...(c.health === undefined
    ? {}
    : {
        health: {
          probe:
            c.health.http !== undefined
              ? { case: "http" as const, value: c.health.http }
              : c.health.cmd !== undefined
                ? { case: "cmd" as const, value: { argv: [...c.health.cmd] } }
                : { case: "tcp" as const, value: true },
          port: c.health.port === undefined ? "" : String(c.health.port),
          intervalMs: BigInt(c.health.interval),
          timeoutMs: BigInt(c.health.timeout),
          retries: c.health.retries,
          startPeriodMs: BigInt(c.health.startPeriod)
        }
      })
})

/** A spec as the message that carries it. */
export const toProto = (spec: ServiceSpec): Wire =>
  create(ServiceSpecSchema, {
    name: spec.name,
    active: spec.active,
    ...(spec.comment === undefined ? {} : { comment: spec.comment }),
    tier: spec.tier ?? "",
    node: spec.node ?? "",
    path: spec.path ?? "",
    buildImages: { ...spec.build.images },
    components: spec.components.map(componentToProto),
    ...(spec.snapshot === undefined
      ? {}
      : {
          snapshot: {
            method: spec.snapshot.method ?? "",
            cmd: [...spec.snapshot.cmd],
            component: spec.snapshot.component ?? "",
            excludes: [...spec.snapshot.excludes]
          }
        })
  })

const probe = (health: HealthSpec) => {
  switch (health.probe.case) {
    case "http":
      return { http: health.probe.value }
    case "cmd":
      return { cmd: health.probe.value.argv }
    case "tcp":
      return health.probe.value ? { tcp: true } : {}
    case undefined:
      return {}
  }
}

// A number is a container port, anything else a route's name.
const healthPort = (port: string) => maybe("port", port === "" ? undefined : /^\d+$/.test(port) ? Number(port) : port)

const healthFromProto = (health: HealthSpec) => ({
  ...probe(health),
  ...healthPort(health.port),
  interval: millis(health.intervalMs, ofHealth?.interval),
  timeout: millis(health.timeoutMs, ofHealth?.timeout),
  retries: health.retries ?? ofHealth?.retries,
  startPeriod: millis(health.startPeriodMs, ofHealth?.startPeriod)
})

const routeFromProto = (route: RouteSpec) => ({
  ...text("name", route.name),
  ...text("mode", route.mode),
  ...text("hostname", route.hostname),
  ...maybe("target", route.target),
  port: route.port,
  public: route.public
})

const envFromProto = (pairs: ReadonlyArray<string>) =>
  Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]))

/** By number, not by name: an entry without "=" is perhaps a secret, which a path would give away. */
const envViolations = (message: Wire): ReadonlyArray<SpecViolation> =>
  message.components.flatMap(({ env }, c) =>
    envIssues(env).map(({ message, path }) => ({
      path: ["components", c, "env", ...path],
      message: `expected ${message}`
    }))
  )

const componentFromProto = (c: WireComponent) => ({
  ...text("network", c.network),
  ...text("user", c.user),
  ...text("updateOrder", c.updateOrder),
  ...maybe("memory", c.memoryBytes === undefined ? undefined : Number(c.memoryBytes)),
  ...maybe("cpus", c.cpus),
  ...maybe("health", c.health && healthFromProto(c.health)),
  name: c.name,
  image: c.image,
  restart: c.restart === "" ? ofComponent.restart : c.restart,
  ports: c.ports,
  volumes: c.volumes,
  cmd: c.cmd,
  entrypoint: c.entrypoint,
  // Told by envViolations when they are not all right.
  env: envIssues(c.env).length === 0 ? envFromProto(c.env) : {},
  secrets: c.secrets,
  dependsOn: c.dependsOn,
  stopTimeout: millis(c.stopTimeoutMs, ofComponent.stopTimeout),
  drainTimeout: millis(c.drainTimeoutMs, ofComponent.drainTimeout),
  settle: millis(c.settleMs, ofComponent.settle),
  routes: c.routes.map(routeFromProto)
})

const snapshotFromProto = (snapshot: SnapshotSpec) => ({
  ...text("method", snapshot.method),
  ...text("component", snapshot.component),
  cmd: snapshot.cmd,
  excludes: snapshot.excludes
})

const definitionNames: Readonly<Record<string, string>> = {
  dependsOn: "depends_on",
  stopTimeout: "stop_timeout",
  drainTimeout: "drain_timeout",
  updateOrder: "update_order",
  startPeriod: "start_period"
}

// By the names that a definition has, as ServiceRules gives them.
const asDefined = (path: ReadonlyArray<PropertyKey>) => path.map((key) => definitionNames[String(key)] ?? key)

const said = ({ expected, tag }: Issue) =>
  tag === "Missing" ? "is missing" : tag === "Unexpected" ? "cannot have this name" : `expected ${expected}`

// The typed side is checked, defaults and canonical forms included: what arrives was made by a client's Schema, or by
// nobody's.
const validate = Schema.validateEither(Schema.typeSchema(ServiceSpec), { errors: "all", onExcessProperty: "error" })

/** The spec that a message carries; each thing wrong with it has its path. Trusts nothing. */
export const fromProto = (message: Wire): Either.Either<ServiceSpec, ReadonlyArray<SpecViolation>> => {
  const inEnv = envViolations(message)
  const validated = Either.mapLeft(
    validate({
      ...maybe("comment", message.comment),
      ...text("tier", message.tier),
      ...text("node", message.node),
      ...text("path", message.path),
      ...maybe("snapshot", message.snapshot && snapshotFromProto(message.snapshot)),
      name: message.name,
      active: message.active ?? defaults.active,
      build: { images: { ...message.buildImages } },
      components: message.components.map(componentFromProto)
    }),
    (error) => issuesOf(error).map((issue) => ({ path: asDefined(issue.path), message: said(issue) }))
  )
  if (inEnv.length === 0) return validated
  return Either.left([...Either.match(validated, { onLeft: (all) => all, onRight: () => [] }), ...inEnv])
}
