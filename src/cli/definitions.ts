import { Effect, Either } from "effect"
import { parseDefinition } from "../domain/Definition.ts"
import { nearest } from "../domain/nearest.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { formatProblem } from "../domain/Toml.ts"
import type { NodeConfig } from "../services/Agents.ts"
import { ComponentUnknown, DefinitionsInvalid, NoDefinition, UsageError } from "../services/CliError.ts"
import { type DefinitionFile, Definitions } from "../services/Definitions.ts"
import { collisions } from "./collisions.ts"
import { nodeFor } from "./locate.ts"
import { grouped, type Target } from "./target.ts"

/** A definition to be sent, and where. */
export interface Loaded {
  readonly spec: ServiceSpec
  readonly node: NodeConfig
  /** Empty: all of them. */
  readonly components: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  readonly definition: DefinitionFile
}

interface Chosen {
  readonly definition: DefinitionFile
  /** What the file's name promises; a file given by hand may be called anything. */
  readonly expectedName: string | undefined
  readonly components: ReadonlyArray<string>
}

export interface Selection {
  readonly chosen: ReadonlyArray<Chosen>
  readonly folder: ReadonlyArray<DefinitionFile>
}

const fromFile = (file: string, targets: ReadonlyArray<Target>) =>
  Effect.gen(function* () {
    const definition = yield* (yield* Definitions).open(file)
    const [group, ...others] = grouped(targets)
    if (others.length > 0) return yield* new UsageError({ problem: "-f takes the targets of one service only" })
    return { definition, expectedName: group?.service, components: group?.components ?? [] } satisfies Chosen
  })

/** The definitions that a command line means. */
export const selection = (words: {
  readonly targets: ReadonlyArray<Target>
  readonly all: boolean
  readonly file: string | undefined
}) =>
  Effect.gen(function* () {
    const definitions = yield* Definitions
    const { all, file, targets } = words
    if (all && (targets.length > 0 || file !== undefined)) {
      return yield* new UsageError({ problem: "--all takes no targets and no -f" })
    }
    if (!all && targets.length === 0 && file === undefined) {
      return yield* new UsageError({ problem: "say what to deploy: a target, --all, or -f FILE" })
    }
    const folder = yield* definitions.all
    if (file !== undefined) return { folder, chosen: [yield* fromFile(file, targets)] }
    const names = folder.map((d) => d.service)
    if (all && names.length === 0) {
      return yield* new UsageError({
        problem: `there are no definitions in ${definitions.dir}`,
        nextStep: "write one, <service>.toml, or set [services] dir in the config"
      })
    }
    const groups = all ? names.map((service) => ({ service, components: [] })) : grouped(targets)
    const chosen = yield* Effect.forEach(groups, ({ components, service }) => {
      const definition = folder.find((d) => d.service === service)
      return definition === undefined
        ? Effect.fail(new NoDefinition({ service, dir: definitions.dir, nearest: nearest(service, names) }))
        : Effect.succeed<Chosen>({ definition, expectedName: service, components })
    })
    return { folder, chosen }
  })

const checkComponents = (spec: ServiceSpec, components: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const known = spec.components.map((c) => c.name)
    const wrong = components.find((component) => !known.includes(component))
    if (wrong === undefined) return
    yield* new ComponentUnknown({ service: spec.name, component: wrong, known, nearest: nearest(wrong, known) })
  })

/** All that is wrong with these definitions at once, or what they say. */
export const checked = ({ chosen, folder }: Selection) =>
  Effect.gen(function* () {
    const parsed = chosen.map((c) => ({
      ...c,
      result: parseDefinition({
        file: c.definition.file,
        text: c.definition.text,
        expectedName: c.expectedName
      })
    }))
    const good = parsed.flatMap((p) =>
      Either.isRight(p.result)
        ? [{ ...p.result.right, ...p.definition, components: p.components, definition: p.definition }]
        : []
    )
    const bad = parsed.flatMap((p) =>
      Either.isLeft(p.result) ? [{ file: p.definition.file, problems: p.result.left.map(formatProblem) }] : []
    )
    const clashes = collisions(
      good,
      folder.flatMap(({ file, service, text }) => {
        const other = parseDefinition({ file, text, expectedName: service })
        return Either.match(other, { onLeft: () => [], onRight: ({ spec }) => [spec] })
      })
    )
    const [first, ...rest] = [...bad.flatMap((b) => b.problems), ...clashes.map((c) => c.problem)]
    if (first !== undefined) {
      const files = new Set([...bad.map((b) => b.file), ...clashes.map((c) => c.file)]).size
      return yield* new DefinitionsInvalid({ problems: [first, ...rest], files })
    }
    return good.map(({ components, definition, spec, warnings }) => ({
      ...{ spec, components, definition },
      warnings: warnings.map(formatProblem)
    }))
  })

/** Checks all definitions concerned before anything is sent, and finds their nodes. */
export const load = (selected: Selection) =>
  Effect.flatMap(checked(selected), (definitions) =>
    Effect.forEach(definitions, (definition) =>
      Effect.gen(function* () {
        const { components, spec } = definition
        yield* checkComponents(spec, components)
        return { ...definition, node: yield* nodeFor(spec.name, spec.node) } satisfies Loaded
      })
    )
  )
