import { Either, Option, Schema } from "effect"
import { options, problemsOf, sorted } from "./decodeToml.ts"
import { checkService, type Violation } from "./ServiceRules.ts"
import { ComponentSpec, ServiceSpec } from "./Spec.ts"
import { formatPath, formatProblem, type Path, type Problem, parse, type TomlDocument } from "./Toml.ts"

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

const problemAt =
  (document: TomlDocument) =>
  ({ message, path }: Pick<Violation, "path" | "message">): Problem => ({
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

const decodeComponent = Schema.decodeUnknownOption(ComponentSpec)

/**
 * As much of a broken definition as can be read, so that the rules over several fields are checked as well: what is
 * wrong is left out, and a component that is nothing without it is left out whole. `indices` tells where each stood.
 */
const readable = (document: TomlDocument, error: { readonly paths: ReadonlyArray<Path> }) => {
  // From the last to the first, so that what is left out of an array moves nothing that is still to come.
  const pruned = [...error.paths].reverse().reduce(without, document.value) as Record<string, unknown>
  const raw = Array.isArray(pruned.components) ? pruned.components : []
  const read = raw.flatMap((value: unknown, i) => {
    const withImage = typeof value === "object" ? { image: "scratch:0", ...value } : value
    return Option.match(decodeComponent(withImage), { onNone: () => [], onSome: (component) => [{ component, i }] })
  })
  const name = typeof pruned.name === "string" ? pruned.name : "service"
  const [first, ...rest] = read.map(({ component }) => component)
  const unread = raw.length - read.length
  if (!first) return undefined
  const spec: ServiceSpec = { name, active: true, build: { images: {} }, components: [first, ...rest] }
  return { spec, indices: read.map(({ i }) => i), unread }
}

const violationsOf = (document: TomlDocument, paths: ReadonlyArray<Path>): ReadonlyArray<Violation> => {
  const partly = readable(document, { paths })
  if (!partly) return []
  return (
    checkService(partly.spec)
      .filter(({ code, severity }) => severity === "error" && !(code === "DEPENDENCY_UNKNOWN" && partly.unread > 0))
      .map((found) => {
        const [section, index, ...rest] = found.path
        const original = section === "components" && typeof index === "number" ? partly.indices[index] : undefined
        return original === undefined ? found : { ...found, path: ["components", original, ...rest] }
      })
      // What was left out may be just what the rule misses.
      .filter(({ path }) => !paths.some((told) => path.every((key, i) => told[i] === key)))
  )
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
    const warnings = checkService(spec).filter(({ severity }) => severity === "warning")
    return { spec, warnings: warnings.map(toProblem) }
  })

/** A problem's key as a path again. */
const pathsOf = (problems: ReadonlyArray<Problem>): ReadonlyArray<Path> => problems.map(({ path }) => path ?? [])
