import { isDeepStrictEqual } from "node:util"
import { Schema } from "effect"
import { stringify } from "smol-toml"
import { SCHEMA } from "./definitionTemplate.ts"
import { ComponentSpec, Health, Route, ServiceSpec, Snapshot } from "./Spec.ts"

type Table = Readonly<Record<string, unknown>>

const WIDE = 100

/** What every key is when nothing is said, in the form of a definition. */
const component = Schema.encodeSync(ComponentSpec)(
  Schema.decodeUnknownSync(ComponentSpec)({ name: "x", image: "x:1" })
) as Table
const health = Schema.encodeSync(Health)(Schema.decodeUnknownSync(Health)({})) as Table
const route = Schema.encodeSync(Route)(Schema.decodeUnknownSync(Route)({ port: 1 })) as Table
const snapshot = Schema.encodeSync(Snapshot)(Schema.decodeUnknownSync(Snapshot)({})) as Table

const pair = (key: string, value: unknown) => stringify({ [key]: value }).trim()

/** Arrays on one line, or an element a line where that would be too long. */
const line = (key: string, value: unknown): string => {
  if (!Array.isArray(value)) return pair(key, value)
  const head = pair(key, 0).slice(0, -1)
  const items = value.map((item) => pair("v", item).slice("v = ".length))
  const text = `${head}[${items.join(", ")}]`
  return items.length < 2 || text.length <= WIDE
    ? text
    : [`${head}[`, ...items.map((item) => `  ${item},`), "]"].join("\n")
}

const inlineTable = (key: string, table: Table): string => {
  const pairs = Object.entries(table).map(([name, value]) => pair(name, value))
  return `${pair(key, 0).slice(0, -1)}{ ${pairs.join(", ")} }`
}

/** The keys in the order of the schema, without those that say what is so anyway. */
const said = (fields: Schema.Struct.Fields, table: Table, defaults: Table, always: ReadonlyArray<string>) => {
  const own = Object.entries(table).filter(
    ([key, value]) =>
      value !== undefined && (always.includes(key) || !(key in defaults) || !isDeepStrictEqual(value, defaults[key]))
  )
  // `depends_on` is `dependsOn` in a spec, so the order is that of names without regard to that.
  const names = Object.keys(fields).map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
  return own.sort(([a], [b]) => names.indexOf(a) - names.indexOf(b))
}

const lines = (entries: ReadonlyArray<readonly [string, unknown]>) => entries.map(([key, value]) => line(key, value))

const componentText = (table: Table): ReadonlyArray<string> => {
  const { env, health: check, routes, ...rest } = table
  const variables = Array.isArray(env) ? env : Object.entries((env ?? {}) as Table)
  const inline = Array.isArray(env) ? line("env", env) : inlineTable("env", (env ?? {}) as Table)
  const short = Array.isArray(env) || (inline.length <= WIDE && !inline.includes("\n"))
  return [
    "",
    "[[components]]",
    ...lines(said(ComponentSpec.fields, rest, component, ["name", "image"])),
    ...(variables.length > 0 && short ? [inline] : []),
    ...(variables.length > 0 && !short
      ? ["", "[components.env]", ...Object.entries(env as Table).map(([key, value]) => pair(key, value))]
      : []),
    ...(check === undefined
      ? []
      : ["", "[components.health]", ...lines(said(Health.fields, check as Table, health, []))]),
    ...((routes ?? []) as ReadonlyArray<Table>).flatMap((each) => [
      ...["", "[[components.routes]]"],
      ...lines(said(Route.fields, each, route, ["port"]))
    ])
  ]
}

/**
 * A definition's text as a person would write it: only what differs from the defaults, in the order of the schema. A spec
 * comes to it through `Schema.encodeSync(ServiceSpec)`.
 */
export const definitionText = (
  definition: typeof ServiceSpec.Encoded,
  comments: ReadonlyArray<string> = []
): string => {
  const { build, components, snapshot: saved, ...rest } = definition
  const images = build?.images ?? {}
  return `${[
    `#:schema ./${SCHEMA}`,
    ...comments.map((comment) => `# ${comment.replace(/\p{Cc}/gu, " ")}`),
    ...lines(said(ServiceSpec.fields, { active: true, ...rest }, {}, [])),
    ...(Object.keys(images).length > 0 ? ["", "[build.images]", ...lines(Object.entries(images))] : []),
    ...components.flatMap((each) => componentText(each)),
    ...(saved === undefined ? [] : ["", "[snapshot]", ...lines(said(Snapshot.fields, saved, snapshot, []))])
  ].join("\n")}\n`
}
