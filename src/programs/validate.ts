import { Effect, Option } from "effect"
import { containerName } from "../domain/Names.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import { checkContainerNames, checkService, checkVolumes, reservedBy } from "../domain/ServiceRules.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry } from "../services/Registry.ts"
import { ComponentNotFound, NotCarriedOut, SpecInvalid } from "./ProgramError.ts"

/** Keys without which the containers would not be what the definition says; their machinery is still to come. */
const neededLater = (component: ComponentSpec): ReadonlyArray<string> => [
  ...(component.routes.length > 0 ? [`routes of component ${component.name}`] : []),
  ...(component.secrets.length > 0 ? [`secrets of component ${component.name}`] : [])
]

/** What the deployment goes on without, said once. */
export const warnings = (spec: ServiceSpec): ReadonlyArray<{ component: string; message: string }> => [
  ...spec.components.flatMap((component) => [
    ...(component.restart === "no"
      ? []
      : [
          {
            component: component.name,
            message: `restart = "${component.restart}" is not carried out yet: a container that ends stays down until mcp start`
          }
        ]),
    ...(component.updateOrder === "start-first"
      ? [
          {
            component: component.name,
            message: 'update_order = "start-first" is not carried out yet: the old container is stopped first'
          }
        ]
      : [])
  ]),
  ...(spec.snapshot ? [{ component: "", message: "[snapshot] is stored, but snapshots are not carried out yet" }] : [])
]

/** All that is wrong with a spec on this node, at once; the agent trusts no client to have checked. */
export const validate = (spec: ServiceSpec, only: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const node = yield* NodeInfo
    const registry = yield* Registry
    const others = (yield* registry.services)
      .filter((row) => row.service !== spec.name)
      .map((row) => ({ service: row.service, components: row.spec.components.map((c) => c.name) }))
    const violations = [
      ...checkService(spec).filter((violation) => violation.severity !== "warning"),
      ...checkContainerNames(spec, others),
      ...checkVolumes(spec, node.ownPaths)
    ].map((violation) => ({ field: violation.path.join("."), description: violation.message }))
    if (reservedBy(node.filesRoot, spec.name, node.ownPaths)) {
      violations.push({ field: "name", description: `${spec.name} is reserved: its folder would reach the agent's own` })
    }
    if (spec.node !== undefined && spec.node !== node.node) {
      violations.push({ field: "node", description: `this is node ${node.node}, not ${spec.node}` })
    }
    const [first, ...rest] = violations
    if (first) return yield* new SpecInvalid({ service: spec.name, violations: [first, ...rest] })

    const known = spec.components.map((component) => component.name)
    for (const component of only) {
      if (!known.includes(component)) return yield* new ComponentNotFound({ service: spec.name, component, known })
    }
    const features = spec.components.flatMap(neededLater)
    if (features.length > 0) return yield* new NotCarriedOut({ service: spec.name, features })
  })

/** The stored spec of one component, as a container is made from it. */
export const componentOf = (spec: ServiceSpec, component: string): Option.Option<ComponentSpec> =>
  Option.fromNullable(spec.components.find((c) => c.name === component))

export const nameOf = (spec: ServiceSpec, component: ComponentSpec): string => containerName(spec.name, component.name)
