import { isDeepStrictEqual } from "node:util"
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck as fc, Schema, SchemaAST } from "effect"
import { parse, stringify } from "smol-toml"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { canonicalService, specHash } from "../../src/domain/SpecHash.ts"
import { ServiceSpecSchema } from "../../src/gen/mcp/v1/mcp_pb.ts"
import { fromProto, toProto } from "../../src/grpc/spec.ts"

/*
 * Walks the Schema of a service, so that a field that is added to it later is checked by itself: on the wire, in the
 * definition and in the hash.
 */

type Path = ReadonlyArray<PropertyKey>
interface Field {
  readonly path: Path
  readonly ast: SchemaAST.AST
}

const base = (ast: SchemaAST.AST): SchemaAST.AST => (SchemaAST.isRefinement(ast) ? base(ast.from) : ast)
const isStruct = (ast: SchemaAST.AST): ast is SchemaAST.TypeLiteral =>
  SchemaAST.isTypeLiteral(ast) && ast.propertySignatures.length > 0
/** What an array's first element is; undefined for what is no array. */
const elementOf = (ast: SchemaAST.AST): SchemaAST.AST | undefined => {
  const type = base(ast)
  return SchemaAST.isTupleType(type) ? (type.elements[0]?.type ?? type.rest[0]?.type) : undefined
}

/** Every field that holds a value of its own, in structs and in the first element of arrays. */
const fieldsOf = (ast: SchemaAST.AST, path: Path = []): ReadonlyArray<Field> => {
  const type = base(ast)
  if (isStruct(type)) {
    return type.propertySignatures.flatMap((property) => fieldsOf(property.type, [...path, property.name]))
  }
  const element = elementOf(type)
  return element ? [{ path, ast }, ...fieldsOf(element, [...path, 0])] : [{ path, ast }]
}

const samples = (ast: SchemaAST.AST): ReadonlyArray<unknown> =>
  fc.sample(Arbitrary.make(Schema.make(ast)), { numRuns: 40, seed: 7 })

/** A value with every field set, those that may be absent too. */
const whole = (ast: SchemaAST.AST): unknown => {
  const type = base(ast)
  if (isStruct(type)) {
    return Object.fromEntries(type.propertySignatures.map((property) => [property.name, whole(property.type)]))
  }
  const element = elementOf(type)
  return element ? [whole(element)] : samples(ast)[0]
}

const at = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value)

const put = (value: unknown, path: Path, field: unknown): unknown => {
  const [key, ...rest] = path
  if (key === undefined) return field
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<PropertyKey, unknown>
  copy[key] = put(copy[key], rest, field)
  return copy
}

/** A health check has exactly one of these, by ComponentRules; setting one takes the others away. */
const probes = ["http", "tcp", "cmd"]
const withProbe = (value: unknown, probe: string): unknown => {
  const path = ["components", 0, "health"]
  const health = at(value, path) as Record<string, unknown>
  return put(
    value,
    path,
    Object.fromEntries(Object.entries(health).filter(([k]) => k === probe || !probes.includes(k)))
  )
}

const schema = SchemaAST.typeAST(ServiceSpec.ast)
const fields = fieldsOf(schema)
const complete = whole(schema)
const isSpec = Schema.is(Schema.typeSchema(ServiceSpec), { onExcessProperty: "error" })
const spec = (value: unknown): ServiceSpec => {
  if (!isSpec(value)) throw new Error(`not a spec: ${JSON.stringify(value)}`)
  return value
}

/** Two specs that differ in one field only. */
const pair = ({ ast, path }: Field): readonly [ServiceSpec, ServiceSpec] => {
  const probe = path[2] === "health" ? probes.find((each) => each === path[3]) : undefined
  const before = withProbe(complete, probe === "tcp" ? "http" : (probe ?? "http"))
  const now = at(before, path)
  // An array of structs changes by one more of the same, whose health check has one probe only as well.
  const candidates = Array.isArray(now) && isStruct(base(elementOf(ast) ?? ast)) ? [[...now, ...now]] : samples(ast)
  const other = candidates.find((each) => !isDeepStrictEqual(each, now))
  assert.isDefined(other, `the Schema has one value only for ${path.join(".")}`)
  const after = put(before, path, other)
  return [spec(before), spec(probe === undefined ? after : withProbe(after, probe))]
}

const overTheWire = (value: ServiceSpec) =>
  Either.getOrThrow(fromProto(fromBinary(ServiceSpecSchema, toBinary(ServiceSpecSchema, toProto(value)))))

const viaDefinition = (value: ServiceSpec) =>
  Schema.decodeUnknownSync(ServiceSpec, { onExcessProperty: "error" })(
    parse(stringify(Schema.encodeSync(ServiceSpec)(value)))
  )

describe("a change of any one field of the Schema", () => {
  it("there is a case for what stands deepest", () => {
    const paths = fields.map(({ path }) => path.join("."))
    for (const path of ["active", "build.images", "components.0.health.startPeriod", "components.0.routes.0.public"]) {
      assert.include(paths, path)
    }
  })

  it.each(fields.map((field) => [field.path.join("."), field] as const))("%s is not lost", (_, field) => {
    const [before, after] = pair(field)
    assert.deepStrictEqual(overTheWire(after), after, "on the wire")
    assert.deepStrictEqual(viaDefinition(after), after, "in the definition")
    assert.notStrictEqual(canonicalService(after), canonicalService(before), "in the canonical text")
    if (field.path[0] === "components" && field.path.length > 1) {
      assert.notStrictEqual(specHash(after.components[0]), specHash(before.components[0]), "in the hash")
    }
  })
})
