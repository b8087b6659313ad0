import { JSONSchema, Option, Schema, SchemaAST } from "effect"
import type { AnyTable } from "./Table.ts"

/** As much of JSON Schema (draft 7) as effect's own generator uses. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly items?: JsonSchema
  readonly anyOf?: ReadonlyArray<JsonSchema>
}

const DRAFT = "http://json-schema.org/draft-07/schema#"

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Without references, and without what the generator says of a value when nobody has said what it is for. */
const plain = (value: unknown, defs: Record<string, unknown>, isKeyword: boolean): unknown => {
  if (Array.isArray(value)) return value.map((each) => plain(each, defs, true))
  if (!isObject(value)) return value
  if (typeof value.$ref === "string") {
    const { $ref, ...beside } = value
    const name = $ref.replace("#/$defs/", "")
    return name === "Date"
      ? { type: "string", format: "date-time" }
      : { ...(plain(defs[name], defs, true) as object), ...(plain(beside, defs, true) as object) }
  }
  const generated = isKeyword ? ["$defs", "$schema", "$id", "title", "description"] : []
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !generated.includes(key))
      // The names below these two are keys of the data.
      .map(([key, inner]) => [key, plain(inner, defs, key !== "properties" && key !== "patternProperties")])
  )
}

const generate = (schema: Schema.Schema.All): JsonSchema => {
  const made = JSONSchema.make(schema as Schema.Schema<unknown>) as unknown as Record<string, unknown>
  return plain(made, isObject(made.$defs) ? made.$defs : {}, true) as JsonSchema
}

const single = (types: ReadonlyArray<SchemaAST.AST>) => {
  const defined = types.filter((type) => !SchemaAST.isUndefinedKeyword(type))
  return defined.length === 1 ? defined[0] : undefined
}

/** The table that a schema is on the inside: below refinements, in an array, or perhaps absent. */
const inner = (ast: SchemaAST.AST): SchemaAST.AST => {
  if (SchemaAST.isRefinement(ast)) return inner(ast.from)
  const one = SchemaAST.isUnion(ast) ? single(ast.types) : SchemaAST.isTupleType(ast) ? ast.rest[0]?.type : undefined
  return one === undefined ? ast : inner(one)
}

interface Key {
  readonly ast: SchemaAST.AST
  /** As the file would have it; undefined when there is none. */
  readonly fallback: unknown
}

const keysOf = (ast: SchemaAST.AST): ReadonlyMap<string, Key> => {
  const at = inner(ast)
  const literal = SchemaAST.isTransformation(at) ? inner(at.from) : at
  if (!SchemaAST.isTypeLiteral(literal)) return new Map()
  const changes =
    SchemaAST.isTransformation(at) && SchemaAST.isTypeLiteralTransformation(at.transformation)
      ? at.transformation.propertySignatureTransformations
      : []
  return new Map(
    literal.propertySignatures.map(({ name, type }) => {
      const change = changes.find(({ from }) => from === name)
      const value = change === undefined ? Option.none() : change.decode(Option.none())
      const encoded = Option.map(value, (v) => Schema.encodeUnknownSync(Schema.make(type))(v))
      return [String(name), { ast: type, fallback: Option.getOrUndefined(encoded) }]
    })
  )
}

const described = (json: JsonSchema, ast: SchemaAST.AST, about: AnyTable | string): JsonSchema => {
  if (typeof about === "string") return { description: about, ...json }
  if (json.items !== undefined) return { description: about.about, ...json, items: described(json.items, ast, about) }
  const keys = keysOf(ast)
  const properties = Object.entries(json.properties ?? {}).map(([name, property]) => {
    const key = keys.get(name)
    const text = about.keys[name]
    if (key === undefined || text === undefined) throw new Error(`no description of ${name}`)
    const whole = described(property, key.ast, text)
    // A section that may be left out is what its keys say.
    return [name, isObject(key.fallback) || key.fallback === undefined ? whole : { ...whole, default: key.fallback }]
  })
  return { description: about.about, ...json, properties: Object.fromEntries(properties) }
}

/** The JSON Schema of a TOML file: what its keys are for, and what they are when they are absent. */
export const ofFile = (title: string, schema: Schema.Schema.All, about: AnyTable): JsonSchema => ({
  $schema: DRAFT,
  title,
  ...described(generate(schema), schema.ast, about)
})

/** The JSON Schema of what a command prints. */
export const ofOutput = (title: string, schema: Schema.Schema.All): JsonSchema => ({
  $schema: DRAFT,
  title,
  ...generate(schema)
})

export const asText = (schema: JsonSchema): string => `${JSON.stringify(schema, null, 2)}\n`
