import { Effect } from "effect"
import { checkContainerNames, checkRoutes, checkVolumes, reservedBy } from "../domain/NodeRules.ts"
import { formatVolume, parseVolume } from "../domain/Scalars.ts"
import { checkService } from "../domain/ServiceRules.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Proxy } from "../services/Proxy.ts"
import { Registry } from "../services/Registry.ts"
import { ServiceFolders } from "../services/ServiceFolders.ts"
import { ComponentNotFound, SpecInvalid } from "./ProgramError.ts"

/** What the deployment goes on without, said once. */
export const warnings = (spec: ServiceSpec) =>
  Effect.gen(function* () {
    const proxy = yield* Proxy
    if (!spec.active) {
      return [{ component: "", message: `active = false: nothing of it is started; mcp start ${spec.name} does that` }]
    }
    const routed = spec.components.filter(({ routes }) => routes.length > 0).map(({ name }) => name)
    if (proxy.driver !== "none" || routed.length === 0) return []
    const message = `this node has no [proxy]: nothing leads to the routes of ${routed.join(", ")}; mcp ps shows their ports`
    return [{ component: "", message }]
  })

/** The spec with the sources of its volumes where they really lead: a link must not reach what a path may not. */
const followed = (spec: ServiceSpec) =>
  Effect.gen(function* () {
    const folders = yield* ServiceFolders
    const real = (text: string) => {
      const volume = parseVolume(text)
      return volume?.source.startsWith("/")
        ? Effect.map(folders.realPath(volume.source), (source) => formatVolume({ ...volume, source }))
        : Effect.succeed(text)
    }
    const [first, ...rest] = yield* Effect.forEach(spec.components, (component) =>
      Effect.map(Effect.forEach(component.volumes, real), (volumes) => ({ ...component, volumes }))
    )
    return first ? { ...spec, components: [first, ...rest] as const } : spec
  })

/**
 * What some components of a definition come to beside the stored others must hold by itself: what one of them depends on
 * may not be deployed yet, and a host port may still be another's.
 */
export const validateMerged = (merged: ServiceSpec) =>
  Effect.suspend(() => {
    const [first, ...rest] = checkService(merged)
      .filter(({ severity }) => severity === "error")
      .map(({ message, path }) => {
        const [, at, ...field] = path
        const component = path[0] === "components" ? merged.components[Number(at)] : undefined
        return {
          field: component ? [component.name, ...field].join(".") : path.join("."),
          description: `${message}, with what is deployed so far; deploy the whole service`
        }
      })
    return first ? new SpecInvalid({ service: merged.name, violations: [first, ...rest] }) : Effect.void
  })

/** Every rule that the spec breaks on this node; paths are those of a definition. */
export const brokenRules = (spec: ServiceSpec) =>
  Effect.gen(function* () {
    const node = yield* NodeInfo
    const registry = yield* Registry
    const folders = yield* ServiceFolders
    const others = (yield* registry.services).map((row) => row.spec).filter(({ name }) => name !== spec.name)
    const names = others.map(({ components, name }) => ({ service: name, components: components.map((c) => c.name) }))
    const found = [
      ...checkService(spec).filter((violation) => violation.severity !== "warning"),
      ...checkContainerNames(spec, names),
      ...checkRoutes(spec, others, node.zone),
      ...checkVolumes(spec, node.ownPaths),
      ...checkVolumes(yield* followed(spec), yield* Effect.forEach(node.ownPaths, folders.realPath))
    ]
    // A path that is no link leads where it says, and breaks a rule once.
    return [...new Map(found.map((each) => [`${each.path.join(".")}: ${each.message}`, each])).values()]
  })

/** All that is wrong with a spec on this node, at once; the agent trusts no client to have checked. */
export const validate = (spec: ServiceSpec, only: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const node = yield* NodeInfo
    const violations = (yield* brokenRules(spec)).map(({ message, path }) => ({
      field: path.join("."),
      description: message
    }))
    if (reservedBy(node.filesRoot, spec.name, node.ownPaths)) {
      violations.push({
        field: "name",
        description: `${spec.name} is reserved: its folder would reach the agent's own`
      })
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
  })
