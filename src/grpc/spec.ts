import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { Either, ParseResult, Schema } from "effect"
import { ServiceSpec } from "../domain/Spec.ts"
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
  interval: Number(health.intervalMs),
  timeout: Number(health.timeoutMs),
  retries: health.retries,
  startPeriod: Number(health.startPeriodMs)
})

const routeFromProto = (route: RouteSpec) => ({
  ...text("name", route.name),
  ...text("mode", route.mode),
  ...text("hostname", route.hostname),
  ...maybe("target", route.target),
  port: route.port,
  public: route.public
})

// An entry without "=" is kept whole as a name, which its Schema then refuses.
const envFromProto = (pairs: ReadonlyArray<string>) =>
  Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=")
      return at < 0 ? [`${pair}=`, ""] : [pair.slice(0, at), pair.slice(at + 1)]
    })
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
  restart: c.restart,
  ports: c.ports,
  volumes: c.volumes,
  cmd: c.cmd,
  entrypoint: c.entrypoint,
  env: envFromProto(c.env),
  secrets: c.secrets,
  dependsOn: c.dependsOn,
  stopTimeout: Number(c.stopTimeoutMs),
  drainTimeout: Number(c.drainTimeoutMs),
  settle: Number(c.settleMs),
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

// By the names that a definition has, as ServiceRules gives them; a variable of the environment keeps its own.
const asDefined = (path: ReadonlyArray<PropertyKey>) =>
  path.map((key, i) => (path[i - 1] === "env" ? key : (definitionNames[String(key)] ?? key)))

// The typed side is checked, defaults and canonical forms included: what arrives was made by a client's Schema, or by
// nobody's.
const validate = Schema.validateEither(Schema.typeSchema(ServiceSpec), { errors: "all", onExcessProperty: "error" })

/** The spec that a message carries; each thing wrong with it has its path. Trusts nothing. */
export const fromProto = (message: Wire): Either.Either<ServiceSpec, ReadonlyArray<SpecViolation>> =>
  Either.mapLeft(
    validate({
      ...maybe("comment", message.comment),
      ...text("tier", message.tier),
      ...text("node", message.node),
      ...text("path", message.path),
      ...maybe("snapshot", message.snapshot && snapshotFromProto(message.snapshot)),
      name: message.name,
      active: message.active,
      build: { images: { ...message.buildImages } },
      components: message.components.map(componentFromProto)
    }),
    (error) =>
      ParseResult.ArrayFormatter.formatErrorSync(error).map(({ path, message }) => ({ path: asDefined(path), message }))
  )
