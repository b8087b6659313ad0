import { Either, ParseResult, Schema, SchemaAST } from "effect"
import { nearest } from "./nearest.ts"
import { formatPath, type Path, type Problem, type TomlDocument } from "./Toml.ts"

type Problems = readonly [Problem, ...Array<Problem>]

/** The types that the encoded side of a schema has at a path. */
const typesAt = (ast: SchemaAST.AST, path: Path): ReadonlyArray<SchemaAST.AST> => {
  if (SchemaAST.isRefinement(ast)) return typesAt(ast.from, path)
  if (SchemaAST.isSuspend(ast)) return typesAt(ast.f(), path)
  if (SchemaAST.isUnion(ast)) return ast.types.flatMap((type) => typesAt(type, path))
  const [key, ...rest] = path
  if (key === undefined) return [ast]
  if (SchemaAST.isTypeLiteral(ast)) {
    const property = ast.propertySignatures.find((signature) => signature.name === key)
    const types = property ? [property.type] : ast.indexSignatures.map((signature) => signature.type)
    return types.flatMap((type) => typesAt(type, rest))
  }
  if (SchemaAST.isTupleType(ast) && typeof key === "number") {
    const element = ast.elements[key]?.type ?? ast.rest[0]?.type
    return element ? typesAt(element, rest) : []
  }
  return []
}

/** The keys that a table at this path may have. */
const keysAt = (schema: Schema.Schema.All, path: Path): ReadonlyArray<string> =>
  typesAt(SchemaAST.encodedAST(schema.ast), path).flatMap((type) =>
    SchemaAST.isTypeLiteral(type) ? type.propertySignatures.map((signature) => String(signature.name)) : []
  )

export const valueAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value)

/** A value in a few words. What stands below `env` is never shown: it may be a secret. */
const shown = (value: unknown, path: Path): string => {
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array"
  if (value instanceof Date) return "a date"
  if (typeof value === "object" && value !== null) return "a table"
  if (path.includes("env")) return `a ${typeof value === "string" ? "text" : typeof value}`
  const text = typeof value === "string" ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

const plain: Record<string, string> = {
  string: "a text",
  number: "a number",
  boolean: "true or false",
  "a non empty array": "an array that is not empty"
}

const expectation = (message: string): string => {
  const [, expected = message] = /^Expected (.*), actual .*$/s.exec(message) ?? []
  if (/^(ReadonlyArray|readonly \[)/.test(expected)) return "an array"
  if (/^(\{|Struct\b)/.test(expected)) return "a table"
  return plain[expected] ?? expected.replaceAll(" | ", " or ")
}

const unknownKey = (schema: Schema.Schema.All, path: Path): string => {
  const known = keysAt(schema, path.slice(0, -1))
  const near = nearest(String(path.at(-1)), known)
  return near === undefined
    ? `unknown key; known are ${[...known].sort().join(", ")}`
    : `unknown key; did you mean "${near}"?`
}

export interface Issue {
  readonly path: Path
  readonly tag: "Unexpected" | "Missing" | "Wrong"
  readonly expected: string
}

/** What is wrong, one thing a path. */
export const issuesOf = (error: ParseResult.ParseError): ReadonlyArray<Issue> => {
  const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
  const below = (path: Path) =>
    issues.some((other) => other.path.length > path.length && path.every((key, i) => other.path[i] === key))
  // A union complains once for each member: what an optional key may be besides, or the form that was not meant.
  const telling = issues.filter(
    ({ _tag, message, path }) => !(_tag === "Type" && (below(path) || message.startsWith("Expected undefined")))
  )
  const byPath = new Map<string, typeof telling>()
  for (const issue of telling)
    byPath.set(formatPath(issue.path), [...(byPath.get(formatPath(issue.path)) ?? []), issue])
  return [...byPath.values()].flatMap(([issue, ...others]) => {
    if (!issue) return []
    const tag = issue._tag === "Unexpected" || issue._tag === "Missing" ? issue._tag : "Wrong"
    const expected = [...new Set([issue, ...others].map(({ message }) => expectation(message)))].join(" or ")
    // The first element of an array that must not be empty: it is the array that is wrong.
    return tag === "Missing" && typeof issue.path.at(-1) === "number"
      ? [{ path: issue.path.slice(0, -1), tag: "Wrong" as const, expected: "at least one" }]
      : [{ path: issue.path, tag, expected }]
  })
}

/** Everything that keeps the document from being an `A`, each thing with its place. */
export const problemsOf = (
  schema: Schema.Schema.All,
  document: TomlDocument,
  error: ParseResult.ParseError
): ReadonlyArray<Problem> =>
  issuesOf(error).map(({ expected, path, tag }) => {
    const problem = (of: "key" | "value", message: string): Problem => ({
      file: document.file,
      ...document.place(path, of),
      key: formatPath(path),
      path,
      message
    })
    if (tag === "Unexpected") return problem("key", unknownKey(schema, path))
    const value = valueAt(document.value, path)
    if (value === undefined) return problem("key", "is missing")
    return problem("value", `expected ${expected}, found ${shown(value, path)}`)
  })

const order = (a: Problem, b: Problem) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)

/** In the order in which they stand in the file. */
export const sorted = (problems: ReadonlyArray<Problem>): ReadonlyArray<Problem> => [...problems].sort(order)

export const options = { errors: "all", onExcessProperty: "error" } as const

/** Decodes a document; all problems at once, unknown keys at every level included. */
export const decodeToml = <A, I>(schema: Schema.Schema<A, I>, document: TomlDocument): Either.Either<A, Problems> =>
  Either.mapLeft(
    Schema.decodeUnknownEither(schema, options)(document.value),
    (error) => sorted(problemsOf(schema, document, error)) as unknown as Problems
  )
