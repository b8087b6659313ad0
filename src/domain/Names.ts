import { Schema } from "effect"

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const named = (what: string) =>
  Schema.String.pipe(
    Schema.pattern(label, {
      message: () => `a ${what}: 1 to 63 of a-z, 0-9 and "-", with a letter or digit first and last`
    })
  )

/** The unit that an operator deploys. */
export const ServiceName = named("service name")
export type ServiceName = typeof ServiceName.Type

/** One container's part of a service. */
export const ComponentName = named("component name")
export type ComponentName = typeof ComponentName.Type

/** `<service>-<component>`, or `<service>` when both are equal. Never split one: see `mcp.component`. */
export const containerName = (service: string, component: string): string =>
  service === component ? service : `${service}-${component}`

/** A component among those of all services, as an operator types it; no name has a slash. */
export const targetOf = (service: string, component: string): string => `${service}/${component}`

/** What a replaced container is called until its deployment is over. */
export const previousName = (container: string): string => `${container}.prev`

/** The bridge that a service has of its own, unless its components name another network. */
export const serviceNetwork = (service: string): string => `mcp-${service}`

/** Names that would let files of a service reach the programs' own. */
export const reservedNames: ReadonlyArray<string> = ["mcp", "mcp-agent", "mcp-master", "mcp-mcias"]

/** Ownership labels: what a container is goes by these, its name is for people. */
export const Labels = {
  node: "mcp.node",
  service: "mcp.service",
  component: "mcp.component",
  generation: "mcp.generation",
  registry: "mcp.registry",
  deployment: "mcp.deployment",
  definition: "mcp.definition",
  spec: "mcp.spec"
} as const
