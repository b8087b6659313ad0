import { Effect, Either, Option } from "effect"
import type { Unwritable } from "../domain/Findings.ts"
import { containerName, previousName } from "../domain/Names.ts"
import { parsePort, parseVolume } from "../domain/Scalars.ts"
import type { SecretVersions } from "../domain/Secret.ts"
import type { ComponentSpec, ServiceSpec } from "../domain/Spec.ts"
import type { DeploymentKind } from "../domain/State.ts"
import { HostPorts } from "../services/HostPorts.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Proxy } from "../services/Proxy.ts"
import { ServiceFolders } from "../services/ServiceFolders.ts"
import { explain, type ProgramError } from "./explain.ts"
import type { Facts } from "./facts.ts"
import type { ResolvedImage } from "./images.ts"
import { noteFailure } from "./noteFailure.ts"
import {
  type DiskLow,
  ImageForeign,
  ModeUnsupported,
  NameTaken,
  PortTaken,
  PreflightFailed,
  VolumeMissing
} from "./ProgramError.ts"
import { secretsInTheWay } from "./secretFiles.ts"

type Found = { readonly component: string; readonly error: ProgramError }

/** The names that a deployment needs: what it replaces is set aside under the second. */
const bothNames = (name: string) => [name, previousName(name)]

/** What stands under a name that is needed, and is not what the component's row names. */
export const strangers = (
  spec: ServiceSpec,
  components: ReadonlyArray<ComponentSpec>,
  facts: Facts,
  needed: (name: string) => ReadonlyArray<string> = bothNames
): ReadonlyArray<Found> => {
  const byName = new Map(facts.containers.map((container) => [container.containerName, container]))
  return components.flatMap(({ name: component }) => {
    const name = containerName(spec.name, component)
    return needed(name).flatMap((container) => {
      const there = byName.get(container)
      return there && there.id !== facts.current.get(component)?.id
        ? [{ component, error: new NameTaken({ service: spec.name, component, container }) }]
        : []
    })
  })
}

/** A fixed port is free when it can be bound, or when a container has it that this deployment replaces or keeps. */
const ports = (components: ReadonlyArray<ComponentSpec>, facts: Facts) =>
  Effect.gen(function* () {
    const host = yield* HostPorts
    const own = new Set(components.flatMap(({ name }) => facts.current.get(name)?.id ?? []))
    const running = facts.containers.filter((container) => container.state === "running")
    const holding = (port: number, protocol: string) =>
      running.filter(({ ports }) =>
        ports.some((p) => parsePort(p)?.host === port && parsePort(p)?.protocol === protocol)
      )
    const found: Array<Found> = []
    for (const { name: component, ports } of components) {
      for (const text of ports) {
        const port = parsePort(text)
        if (!port) continue
        const holders = holding(port.host, port.protocol)
        if (holders.some(({ id }) => own.has(id))) continue
        if (yield* host.isFree({ ip: port.ip, port: port.host, protocol: port.protocol })) continue
        const [holder] = holders
        const taken = { component, port: `${port.host}/${port.protocol}` }
        found.push({
          component,
          error: new PortTaken(holder ? { ...taken, holder: holder.containerName } : taken)
        })
      }
    }
    return found
  })

/** The volumes of a component below the service's own folder, and those elsewhere on the node. */
const sourcesOf = (spec: ServiceSpec, component: ComponentSpec, filesRoot: string) => {
  const own = `${filesRoot}/${spec.name}`
  const sources = component.volumes.flatMap((text) => parseVolume(text)?.source ?? [])
  const isOwn = (source: string) => source === own || source.startsWith(`${own}/`)
  return {
    own: sources.filter(isOwn),
    other: sources.filter((source) => source.startsWith("/") && !isOwn(source))
  }
}

const folders = (spec: ServiceSpec, components: ReadonlyArray<ComponentSpec>) =>
  Effect.gen(function* () {
    const { filesRoot } = yield* NodeInfo
    const folders = yield* ServiceFolders
    const found: Array<Found> = []
    for (const component of components) {
      const sources = sourcesOf(spec, component, filesRoot)
      for (const path of sources.own) {
        const checked = yield* Effect.either(folders.check(spec.name, path))
        if (Either.isLeft(checked)) found.push({ component: component.name, error: checked.left })
      }
      for (const path of sources.other) {
        if (Option.isNone(yield* folders.stat(path))) {
          found.push({ component: component.name, error: new VolumeMissing({ component: component.name, path }) })
        }
      }
    }
    return found
  })

const proxies = (components: ReadonlyArray<ComponentSpec>) =>
  Effect.gen(function* () {
    const proxy = yield* Proxy
    const routed = components.filter(({ routes }) => routes.length > 0)
    if (routed.length === 0 || proxy.driver === "none") return []
    const answered = yield* Effect.either(proxy.check)
    if (Either.isLeft(answered)) return [{ component: "", error: answered.left }]
    return routed.flatMap(
      ({ name: component, routes }): ReadonlyArray<Found> =>
        routes.flatMap(({ mode }) =>
          mode === undefined || proxy.modes.includes(mode)
            ? []
            : [{ component, error: new ModeUnsupported({ component, mode, driver: proxy.driver }) }]
        )
    )
  })

const foreign = (
  components: ReadonlyArray<ComponentSpec>,
  images: ReadonlyMap<string, ResolvedImage>,
  arch: string
): ReadonlyArray<Found> =>
  components.flatMap(({ image, name: component }) => {
    const architecture = images.get(component)?.architecture
    return architecture === undefined || architecture === arch
      ? []
      : [{ component, error: new ImageForeign({ image, architecture, node: arch }) }]
  })

/** All that stands in the way of a deployment; nothing has been touched then. */
export const preflight = (
  spec: ServiceSpec,
  components: ReadonlyArray<ComponentSpec>,
  facts: Facts,
  chosen: {
    readonly resolved: ReadonlyMap<string, ResolvedImage>
    readonly failed: ReadonlyArray<Found>
    readonly secrets: ReadonlyMap<string, SecretVersions>
  },
  low: ReadonlyArray<DiskLow>
) =>
  Effect.gen(function* () {
    const { arch } = yield* NodeInfo
    const found: ReadonlyArray<Found> = [
      // Without space nothing was pulled: an image that is missing is the same problem.
      ...(low.length > 0 ? low.map((error) => ({ component: "", error })) : chosen.failed),
      ...strangers(spec, components, facts),
      ...foreign(components, chosen.resolved, arch),
      ...(spec.active ? yield* ports(components, facts) : []),
      ...(yield* folders(spec, components)),
      ...(yield* proxies(components)),
      ...(yield* secretsInTheWay(spec.name, components, chosen.secrets, spec.active))
    ]
    return found
  })

/** Told at once, and recorded: nothing else says later that there was a deployment. */
export const refuse = (
  found: ReadonlyArray<Found>,
  act: { readonly service: string; readonly kind: DeploymentKind; readonly actor: string }
) =>
  Effect.gen(function* () {
    const [first, ...rest] = found
    if (first === undefined) return
    for (const { component, error } of found) yield* noteFailure({ ...act, component, from: "", to: "refused" }, error)
    if (rest.length === 0) return yield* Effect.fail(first.error)
    const told = ({ component, error }: Found) => ({ component, message: error.message, ...explain(error) })
    return yield* new PreflightFailed({ service: act.service, problems: [told(first), ...rest.map(told)] })
  })

/** `uid[:gid]` as numbers; a name is known to the image alone, and root's folders are the safe answer then. */
const numericOwner = (user: string | undefined) => {
  const match = /^(\d+)(?::(\d+))?$/.exec(user ?? "")
  return match ? { uid: Number(match[1]), gid: Number(match[2] ?? match[1]) } : undefined
}

const mayWrite = (user: { uid: number; gid: number }, at: { uid: number; gid: number; mode: number }) =>
  user.uid === 0 ||
  (at.uid === user.uid
    ? (at.mode & 0o200) !== 0
    : at.gid === user.gid
      ? (at.mode & 0o020) !== 0
      : (at.mode & 0o002) !== 0)

/** Whom a component's processes run as, as far as numbers tell. */
export const ownerOf = (component: ComponentSpec, imageUser: string | undefined) =>
  numericOwner(component.user) ?? numericOwner(imageUser) ?? { uid: 0, gid: 0 }

/** What a component mounts to write, and its user cannot write. */
export const unwritable = (component: ComponentSpec, owner: { readonly uid: number; readonly gid: number }) =>
  Effect.gen(function* () {
    const folders = yield* ServiceFolders
    const found: Array<Unwritable> = []
    for (const text of component.volumes) {
      const volume = parseVolume(text)
      if (!volume?.source.startsWith("/") || volume.readOnly) continue
      const at = Option.getOrUndefined(yield* folders.stat(volume.source))
      if (at === undefined || mayWrite(owner, at)) continue
      const user = `${owner.uid}:${owner.gid}`
      const why = `user ${user} cannot write ${volume.source} (owned by ${at.uid}:${at.gid}, mode ${at.mode.toString(8)})`
      found.push({ path: volume.source, owner: user, why })
    }
    return found
  })

/**
 * Makes the service's own folders that its volumes name, owned by the component's user, or else the image's. Answers what
 * a component cannot write though it mounts it to write: it may be meant so, and is the first suspect when it ends.
 */
export const makeFolders = (
  spec: ServiceSpec,
  components: ReadonlyArray<ComponentSpec>,
  images: ReadonlyMap<string, ResolvedImage>
) =>
  Effect.gen(function* () {
    const { filesRoot } = yield* NodeInfo
    const folders = yield* ServiceFolders
    const found: Array<{ component: string; hint: string }> = []
    for (const component of components) {
      const owner = ownerOf(component, images.get(component.name)?.user)
      for (const path of sourcesOf(spec, component, filesRoot).own) yield* folders.ensure(spec.name, path, owner)
      for (const { why } of yield* unwritable(component, owner)) {
        found.push({ component: component.name, hint: `${why}: chown or chmod it on the node, or mount it :ro` })
      }
    }
    return found
  })
