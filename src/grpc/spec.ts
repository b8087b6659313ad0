import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { Either, ParseResult, Schema } from "effect"
import type { ServiceSpec } from "../domain/Spec.ts"
import { type ComponentSpecSchema, ServiceSpecSchema, type ServiceSpec as Wire } from "../gen/mcp/v1/mcp_pb.ts"

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
    comment: spec.comment ?? "",
    tier: spec.tier ?? "",
    node: spec.node ?? "",
    path: spec.path ?? "",
    buildImages: { ...spec.build?.images },
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
