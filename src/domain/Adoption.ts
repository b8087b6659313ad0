import { Either, Option, Schema } from "effect"
import type { Described, OwnHealth } from "./Described.ts"
import * as Image from "./Image.ts"
import { Labels, serviceNetwork } from "./Names.ts"
import { ByteSize, DurationMillis, formatVolume, PortMapping, RestartPolicy, VolumeMount } from "./Scalars.ts"
import { mountedAt } from "./Secret.ts"
import { ComponentSpec, envIssues, type ServiceSpec } from "./Spec.ts"
import { canonicalService, parseCanonicalService } from "./SpecHash.ts"

/** One container's part of a service. */
export interface Part {
  readonly component: ComponentSpec
  readonly source: "label" | "inspect"
  /** All that its label says of the service as a whole. */
  readonly whole: ServiceSpec | undefined
  readonly createdAt: number
  readonly warnings: ReadonlyArray<string>
}

interface Subject extends Described {
  readonly container: {
    readonly image: string
    readonly labels: Readonly<Record<string, string>>
    readonly ports: ReadonlyArray<string>
  }
}

const sameWords = (a: ReadonlyArray<string>, b: ReadonlyArray<string>) => JSON.stringify(a) === JSON.stringify(b)

const fits = <A, I>(schema: Schema.Schema<A, I>) => Schema.is(Schema.typeSchema(schema))
const isPort = fits(PortMapping)
const isVolume = fits(VolumeMount)
const isSize = fits(ByteSize)
const isDuration = fits(DurationMillis)
const isRestart = Schema.is(RestartPolicy)
// A Schema's record passes by the names that it does not know.
const isEnv = ([key, value]: readonly [string, string]) => envIssues([`${key}=${value}`]).length === 0
const isComponentSpec = fits(ComponentSpec)

/** The name by which the image can be found again: that which the container was made by, unless it has moved on. */
export const imageName = ({ container, image }: Pick<Subject, "image" | "container">): string | undefined => {
  const asked = Image.parse(container.image)
  const text = asked && Image.format(asked)
  if (text !== undefined && (image.references.includes(text) || image.digests.includes(text))) return text
  const repository = asked && `${asked.registry}/${asked.repository}@`
  const digest = image.digests.find((each) => repository !== undefined && each.startsWith(repository))
  const found = digest ?? image.references[0] ?? image.digests[0]
  const parsed = found === undefined ? undefined : Image.parse(found)
  return parsed && Image.format(parsed)
}

/** Kept where a definition can say it; else told. */
const sorted = <A>(values: ReadonlyArray<A>, sayable: (value: A) => boolean, word: (value: A) => string) => ({
  kept: values.filter(sayable),
  told: values.filter((value) => !sayable(value)).map(word)
})

const programOf = ({ cmd, entrypoint, image }: Subject) => {
  // Podman leaves the image's cmd away where there is another entrypoint.
  if (!sameWords(entrypoint, image.entrypoint)) return { entrypoint, cmd }
  if (sameWords(cmd, image.cmd)) return { entrypoint: [], cmd: [] }
  return cmd.length === 0 ? { entrypoint, cmd } : { entrypoint: [], cmd }
}

const healthOf = (own: OwnHealth) => {
  const [program, ...args] = own.argv
  return program === undefined
    ? undefined
    : {
        cmd: [program, ...args] as const,
        interval: own.intervalMs || 30_000,
        timeout: own.timeoutMs || 30_000,
        retries: Math.min(1000, own.retries || 3),
        startPeriod: own.startPeriodMs
      }
}

/** Networks of podman's that are no bridges with a name. */
const nameless = /^(?:slirp4netns|pasta|private|default|bridge|)$|:/

const networkOf = (service: string, [first = "", ...others]: ReadonlyArray<string>) => ({
  network: nameless.test(first) || first === serviceNetwork(service) ? undefined : first,
  told: [...(nameless.test(first) ? [`network mode ${first}`] : []), ...others.map((name) => `network ${name} too`)]
})

const given = <K extends string, A>(key: K, value: A | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: A }

/** A mount by which MCP gave a secret to a container; its label says no more than inspect does. */
const secretOf =
  (service: string, component: string) =>
  ({ source, target }: Subject["volumes"][number]): string | undefined => {
    const [secret = "", generation = "", ...above] = source.split("/").reverse()
    const own = target === mountedAt(secret) && /^\d+$/.test(generation)
    return own && above[0] === component && above[1] === service ? secret : undefined
  }

/** The component that podman's inspect tells of, less what its image sets by itself. */
const fromInspect = (service: string, name: string, image: string, subject: Subject) => {
  const ownEnv = Object.entries(subject.env).filter(([key, value]) => subject.image.env[key] !== value)
  const env = sorted(ownEnv, isEnv, ([key]) => `variable ${key}`)
  const secret = secretOf(service, name)
  const mounted = subject.volumes.filter((volume) => secret(volume) === undefined)
  const volumes = sorted(mounted.map(formatVolume), isVolume, (volume) => `volume ${volume}`)
  const { network, told } = networkOf(service, subject.networks)
  // Podman discards them on these networks.
  const mapped = network !== "host" && network !== "none"
  const ports = sorted(
    subject.container.ports,
    (port) => mapped && isPort(port),
    (port) => `port ${port}`
  )
  const memory = subject.memory !== undefined && isSize(subject.memory) ? subject.memory : undefined
  const user = subject.user === subject.image.user || subject.user === "" ? undefined : subject.user
  const health = subject.health && healthOf(subject.health)
  const component = {
    ...given("network", network),
    ...given("user", user),
    ...given("memory", memory),
    ...given("cpus", subject.cpus),
    ...given("health", health),
    ...programOf(subject),
    name,
    image,
    restart: isRestart(subject.restart) ? subject.restart : "no",
    ports: ports.kept,
    volumes: volumes.kept,
    env: Object.fromEntries(env.kept),
    secrets: subject.volumes.flatMap((volume) => secret(volume) ?? []),
    dependsOn: [],
    stopTimeout: isDuration(subject.stopTimeoutMs) ? subject.stopTimeoutMs : 10_000,
    drainTimeout: 30_000,
    settle: 1_000,
    routes: []
  }
  const beyond = [
    ...env.told,
    ...ports.told,
    ...volumes.told,
    ...told,
    ...(memory === subject.memory ? [] : ["its memory limit"]),
    ...subject.beyond
  ]
  return { component, beyond }
}

const anonymous = /^[0-9a-f]{64}$/

const notes = (name: string, subject: Subject, beyond: ReadonlyArray<string>) => [
  ...(beyond.length === 0
    ? []
    : [`${name}: no key of a definition says ${beyond.join(", ")}; a replacement would be without`]),
  ...subject.volumes
    .filter(({ source }) => anonymous.test(source))
    .map(({ source, target }) => `${name}: what lies at ${target} is in a podman volume without a name, ${source}`)
]

/** What the label says, when a definition of this service and component is in it. */
const fromLabel = (service: string, component: string, { container }: Subject): ServiceSpec | undefined => {
  const text = container.labels[Labels.definition]
  const spec = text === undefined ? Option.none() : Either.getRight(parseCanonicalService(text))
  if (Option.isNone(spec) || spec.value.name !== service) return undefined
  return spec.value.components[0].name === component ? spec.value : undefined
}

/** One container's part of a service; a text says why it can be none. */
export const partOf = (service: string, name: string, subject: Subject): Either.Either<Part, string> => {
  const { createdAt } = subject
  const whole = fromLabel(service, name, subject)
  if (whole !== undefined) {
    return Either.right({ component: whole.components[0], source: "label", whole, createdAt, warnings: [] })
  }
  const image = imageName(subject)
  if (image === undefined) {
    return Either.left("its image has no name; give it one with podman tag, so that a definition can name it")
  }
  const { beyond, component } = fromInspect(service, name, image, subject)
  if (!isComponentSpec(component)) return Either.left("a definition cannot say what it was made with")
  const unread = subject.container.labels[Labels.definition] !== undefined
  return Either.right({
    ...{ component, createdAt, source: "inspect", whole: undefined },
    warnings: [
      ...(unread ? [`${name}: its label mcp.definition cannot be read; its spec is what podman tells`] : []),
      ...notes(name, subject, beyond)
    ]
  })
}

const blank = Schema.decodeUnknownSync(ComponentSpec)({ name: "blank", image: "blank" })
const withoutComponents = (spec: ServiceSpec) => canonicalService({ ...spec, active: true, components: [blank] })

/** The service that parts make up, beside what is stored of it already. */
export const assemble = (
  service: string,
  parts: ReadonlyArray<Part>,
  stored: ServiceSpec | undefined
): { readonly spec: ServiceSpec; readonly warnings: ReadonlyArray<string> } | undefined => {
  const labelled = parts.flatMap((part) => (part.whole ? [{ ...part, whole: part.whole }] : []))
  const [newest] = [...labelled].sort((a, b) => b.createdAt - a.createdAt)
  const conflict = new Set(labelled.map(({ whole }) => withoutComponents(whole))).size > 1
  const taken = new Map(parts.map(({ component }) => [component.name as string, component]))
  const kept = (stored?.components ?? []).map((component) => taken.get(component.name) ?? component)
  const added = [...taken.values()]
    .filter(({ name }) => !kept.some((component) => component.name === name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const [first, ...rest] = [...kept, ...added]
  if (first === undefined) return undefined
  const base = stored ?? newest?.whole ?? { name: service, active: true, build: { images: {} } }
  return {
    spec: { ...base, components: [first, ...rest] },
    warnings:
      conflict && stored === undefined && newest !== undefined
        ? [
            `its containers tell different things of the service as a whole; those of ${newest.component.name}, the newest, are taken`
          ]
        : []
  }
}
