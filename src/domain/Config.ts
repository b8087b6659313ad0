import { Either, Schema, SchemaAST } from "effect"
import { decodeToml } from "./decodeToml.ts"
import { nearest } from "./nearest.ts"
import { type Problem, parse, type TomlDocument } from "./Toml.ts"

/* What both programs' configs have in common: sections of keys in TOML, each overridden by PREFIX_SECTION_KEY. */

export type Environment = Readonly<Record<string, string | undefined>>

export const AbsolutePath = Schema.String.pipe(
  // With ".." a path would not show which folder it is in, and the agent's own are kept from services by it.
  Schema.pattern(/^\/(?!(?:.*\/)?\.\.?(?:\/|$))[^\0]*$/, { message: () => 'an absolute path, without "." and ".."' })
)

export const HttpsUrl = Schema.String.pipe(
  Schema.filter((text) => URL.canParse(text) && new URL(text).protocol === "https:", {
    message: () => "a URL that starts with https://"
  })
)

/** What the identity server knows MCP as. */
export const MciasService = Schema.String.pipe(
  Schema.pattern(/^[a-zA-Z0-9][\w.-]{0,127}$/, { message: () => "the name of a service at MCIAS" })
)

export const HostPort = Schema.String.pipe(
  Schema.pattern(/^(\[[0-9a-fA-F:.%]+\]|[^:[\]\s]+):\d{1,5}$/, { message: () => "host:port" }),
  Schema.filter((text) => Number(text.slice(text.lastIndexOf(":") + 1)) <= 65535, { message: () => "host:port" })
)

/** The variables that override a key of the config: name, section and key. */
const overrides = (schema: Schema.Schema.All, prefix: string) => {
  const encoded = SchemaAST.encodedAST(schema.ast)
  if (!SchemaAST.isTypeLiteral(encoded)) return []
  return encoded.propertySignatures.flatMap((section) => {
    const sections = SchemaAST.isUnion(section.type) ? section.type.types : [section.type]
    return sections.flatMap((type) =>
      SchemaAST.isTypeLiteral(type)
        ? type.propertySignatures.map((key) => ({
            name: `${prefix}${String(section.name)}_${String(key.name)}`.toUpperCase(),
            section: String(section.name),
            key: String(key.name),
            type: key.type
          }))
        : []
    )
  })
}

const strip = (ast: SchemaAST.AST): SchemaAST.AST => (SchemaAST.isRefinement(ast) ? strip(ast.from) : ast)

const isText = (type: SchemaAST.AST) => SchemaAST.isStringKeyword(type) || SchemaAST.isLiteral(type)

const ofTexts = (type: SchemaAST.AST): boolean =>
  SchemaAST.isTupleType(type) &&
  [...type.elements, ...type.rest].map((element) => strip(element.type)).every((element) => isText(element))

/** The text of a variable as the TOML value that its key wants: arrays as JSON, those of texts also as `a, b`. */
const fromText = (text: string, type: SchemaAST.AST): unknown => {
  const wanted = (SchemaAST.isUnion(type) ? type.types : [type]).map(strip)
  if (wanted.some(isText)) return text
  if (wanted.some(ofTexts) && !text.trimStart().startsWith("[")) {
    return text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "")
  }
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export interface ConfigSource {
  readonly file: string
  readonly text: string
  readonly env: Environment
}

export interface Prefix {
  readonly prefix: string
  /** Variables of MCP's own that override nothing. */
  readonly ignored: RegExp
  /** Whether other programs' variables have the prefix too: then only what looks like a slip is told. */
  readonly shared: boolean
}

const mistyped = ({ ignored, prefix, shared }: Prefix, known: ReadonlyArray<string>, env: Environment) =>
  Object.keys(env)
    .filter((name) => name.startsWith(prefix) && !ignored.test(name) && !known.includes(name))
    .flatMap((name): ReadonlyArray<Problem> => {
      const near = nearest(name, known)
      const message = `overrides no key${near === undefined ? "" : `; did you mean ${near}?`}`
      return near === undefined && shared ? [] : [{ file: name, key: "", message }]
    })

/** Reads a config and the variables that override it; all problems at once, each with the file's place or the variable. */
export const loadConfig = <A, I>(
  schema: Schema.Schema<A, I>,
  prefix: Prefix,
  { env, file, text }: ConfigSource
): Either.Either<A, readonly [Problem, ...Array<Problem>]> =>
  Either.gen(function* () {
    const document = yield* Either.mapLeft(parse(file, text), (problem) => [problem] as const)
    const known = overrides(schema, prefix.prefix)
    const value: Record<string, unknown> = { ...document.value }
    const overridden = new Map<string, string>()
    for (const { key, name, section, type } of known) {
      const text = env[name]
      if (text === undefined) continue
      const before = value[section] ?? {}
      // A section that is no table is a problem of the file, to be told as it is.
      if (typeof before !== "object" || Array.isArray(before)) continue
      overridden.set(JSON.stringify([section, key]), name)
      value[section] = { ...before, [key]: fromText(text, type) }
    }
    const names = known.map((override) => override.name)
    const wrong = mistyped(prefix, names, env)
    const merged: TomlDocument = { ...document, value }
    const decoded = decodeToml(schema, merged)
    if (Either.isRight(decoded) && wrong.length === 0) return decoded.right
    const placed = (Either.isLeft(decoded) ? decoded.left : []).map((problem) => {
      const variable = overridden.get(JSON.stringify((problem.path ?? []).slice(0, 2)))
      return variable === undefined ? problem : { ...problem, file: variable, line: undefined, column: undefined }
    })
    return yield* Either.left([...placed, ...wrong] as unknown as readonly [Problem, ...Array<Problem>])
  })
