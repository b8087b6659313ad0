import { Either, Option, Schema } from "effect"
import { checkBuild } from "./BuildPlan.ts"
import { options, problemsOf, sorted, valueAt } from "./decodeToml.ts"
import { checkService } from "./ServiceRules.ts"
import { ComponentSpec, ServiceSpec, Snapshot } from "./Spec.ts"
import { formatPath, formatProblem, type Path, type Problem, parse, type TomlDocument } from "./Toml.ts"
import type { Violation } from "./Violation.ts"

export { formatProblem, type Problem }

export interface DefinitionSource {
  readonly file: string
  readonly text: string
  /** What the file's name promises. */
  readonly expectedName?: string | undefined
}

export interface Definition {
  readonly spec: ServiceSpec
  readonly warnings: ReadonlyArray<Problem>
}

interface Wrong {
  readonly path: Path
  readonly message: string
}

const problemAt =
  (document: TomlDocument) =>
  ({ message, path }: Wrong): Problem => ({
    file: document.file,
    ...document.place(path, "value"),
    key: formatPath(path),
    message
  })

const without = (value: unknown, path: Path): unknown => {
  const [key, ...rest] = path
  if (key === undefined || typeof value !== "object" || value === null || !(key in value)) return value
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<PropertyKey, unknown>
  if (rest.length > 0) copy[key] = without(copy[key], rest)
  else if (Array.isArray(copy)) copy.splice(Number(key), 1)
  else delete copy[key]
  return copy
}

const holds = (path: Path, other: Path) => path.every((key, i) => other[i] === key)

const indexIn = (array: Path, path: Path): ReadonlyArray<number> => {
  const last = path.at(-1)
  return path.length === array.length + 1 && typeof last === "number" && holds(array, path) ? [last] : []
}

/** Where a path of the document without `dropped` was in the document: what followed a dropped element had moved up. */
const original = (path: Path, dropped: ReadonlyArray<Path>): Path => {
  const place: Array<PropertyKey> = []
  for (const key of path) {
    const gone = dropped.flatMap((each) => indexIn(place, each)).sort((a, b) => a - b)
    place.push(typeof key === "number" ? gone.reduce((index, each) => index + Number(each <= index), key) : key)
  }
  return place
}

// A route is nothing without its port.
const toDrop = (told: Path): Path => (told[2] === "routes" && told[4] === "port" ? told.slice(0, 4) : told)

const nameAt = (document: TomlDocument, path: Path): string | undefined => {
  const name = valueAt(document.value, [...path, "name"])
  return typeof name === "string" ? name : undefined
}

const decodeComponent = Schema.decodeUnknownOption(ComponentSpec)
const decodeSnapshot = Schema.decodeUnknownOption(Snapshot)
const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * As much of a broken definition as can be read, so that the rules over several fields are checked as well: what is
 * wrong is left out, a component's name and image are made up, and what is nothing even so is left out whole.
 */
const readable = (document: TomlDocument, dropped: ReadonlyArray<Path>) => {
  // From the last to the first, so that what is left out of an array moves nothing that is still to come.
  const pruned = [...dropped].reverse().reduce(without, document.value) as Record<string, unknown>
  const raw = Array.isArray(pruned.components) ? pruned.components : []
  const read = raw.flatMap((value: unknown, i) => {
    const made = { name: `unnamed-${i}`, image: "scratch:0" }
    const component = isTable(value) ? decodeComponent({ ...made, ...value }) : Option.none()
    // The name that it was to have, right or not, so that others may depend on it.
    const name = nameAt(document, original(["components", i], dropped))
    return Option.match(component, {
      onNone: () => [],
      onSome: (c) => [{ component: name === undefined ? c : { ...c, name }, i, named: name !== undefined }]
    })
  })
  const [first, ...rest] = read.map(({ component }) => component)
  if (!first) return undefined
  const name = typeof pruned.name === "string" ? pruned.name : "service"
  const snapshot = Option.map(decodeSnapshot(pruned.snapshot), (snapshot) => ({ snapshot }))
  const spec: ServiceSpec = {
    name,
    active: true,
    build: { images: {} },
    components: [first, ...rest],
    ...Option.getOrElse(snapshot, () => ({}))
  }
  const placeOf = (path: Violation["path"]): Path => {
    const [section, index, ...rest] = path
    const at = section === "components" && typeof index === "number" ? read[index]?.i : undefined
    return original(at === undefined ? path : ["components", at, ...rest], dropped)
  }
  const { components } = document.value
  const whole = Array.isArray(components) && components.length === read.length && read.every(({ named }) => named)
  return { spec, placeOf, whole }
}

// What was left out may be just what these rules miss.
const needsAll = ["DEPENDENCY_UNKNOWN", "SNAPSHOT_COMPONENT"]

const violationsOf = (document: TomlDocument, told: ReadonlyArray<Path>): ReadonlyArray<Wrong> => {
  const partly = readable(document, told.map(toDrop))
  if (!partly) return []
  const listensThere = (path: Path) => ["ports", "routes"].map((key) => [...path.slice(0, 2), key])
  return checkService(partly.spec)
    .filter(({ code, severity }) => severity === "error" && (partly.whole || !needsAll.includes(code)))
    .map((found) => ({ ...found, path: partly.placeOf(found.path) }))
    .filter(({ code, path }) => {
      const missing = code === "HEALTH_PORT" ? [path, ...listensThere(path)] : [path]
      return !told.some((each) => missing.some((one) => holds(one, each)))
    })
}

const misnamed = (document: TomlDocument, expected: string | undefined): ReadonlyArray<Problem> => {
  const { name } = document.value
  return expected === undefined || typeof name !== "string" || name === expected
    ? []
    : [
        problemAt(document)({
          path: ["name"],
          message: `expected "${expected}", as the file is called, found "${name}"`
        })
      ]
}

/** Reads a service's definition: the spec, or everything that is wrong with it, in the order of the file. */
export const parseDefinition = ({
  expectedName,
  file,
  text
}: DefinitionSource): Either.Either<Definition, readonly [Problem, ...Array<Problem>]> =>
  Either.gen(function* () {
    const document = yield* Either.mapLeft(parse(file, text), (problem) => [problem] as const)
    const decoded = Schema.decodeUnknownEither(ServiceSpec, options)(document.value)
    const toProblem = problemAt(document)
    const own = Either.isLeft(decoded) ? problemsOf(ServiceSpec, document, decoded.left) : []
    const found = Either.isLeft(decoded)
      ? violationsOf(document, pathsOf(own))
      : checkService(decoded.right).filter(({ severity }) => severity === "error")
    const [first, ...rest] = sorted([...own, ...misnamed(document, expectedName), ...found.map(toProblem)])
    if (first) return yield* Either.left([first, ...rest] as const)
    const spec = yield* Either.mapLeft(decoded, () => [toProblem({ path: [], message: "is no definition" })] as const)
    const warnings = [...checkBuild(spec), ...checkService(spec)].filter(({ severity }) => severity === "warning")
    return { spec, warnings: sorted(warnings.map(toProblem)) }
  })

/** A problem's key as a path again. */
const pathsOf = (problems: ReadonlyArray<Problem>): ReadonlyArray<Path> => problems.map(({ path }) => path ?? [])
