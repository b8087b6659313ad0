import { Schema } from "effect"
import { stringify } from "smol-toml"
import { SCHEMA } from "./definitionTemplate.ts"
import { ComponentSpec, Health, Route, type ServiceSpec, Snapshot } from "./Spec.ts"

type Fields = Readonly<Record<string, unknown>>

/** What the Schema gives to what a definition leaves out. */
const defaultsOf = <A, I>(schema: Schema.Schema<A, I>, least: unknown): Fields =>
  Schema.encodeSync(schema)(Schema.decodeUnknownSync(schema)(least)) as Fields

const plain = {
  component: defaultsOf(ComponentSpec, { name: "a", image: "a" }),
  health: defaultsOf(Health, {}),
  route: defaultsOf(Route, { port: 1 }),
  snapshot: defaultsOf(Snapshot, {})
}

/** The keys whose values are not their defaults, and those that a reader looks for. */
const lines = (value: Fields, defaults: Fields, always: ReadonlyArray<string> = []): ReadonlyArray<string> =>
  Object.entries(value)
    .filter(
      ([key, field]) =>
        field !== undefined && (always.includes(key) || JSON.stringify(field) !== JSON.stringify(defaults[key]))
    )
    .map(([key, field]) => stringify({ [key]: field }).trim())

const table = (header: string, body: ReadonlyArray<string>) => ["", header, ...body]

const componentText = (spec: ComponentSpec) => {
  const { env, health, routes, name, image, ...rest } = Schema.encodeSync(ComponentSpec)(spec) as Fields
  const keys = lines({ name, image, ...rest }, plain.component, ["name", "image"])
  return [
    ...table("[[components]]", keys),
    ...(Object.keys(env as Fields).length === 0 ? [] : table("[components.env]", lines(env as Fields, {}))),
    ...(health === undefined ? [] : table("[components.health]", lines(health as Fields, plain.health))),
    ...(routes as ReadonlyArray<Fields>).flatMap((route) =>
      table("[[components.routes]]", lines(route, plain.route, ["port"]))
    )
  ]
}

/** A spec as the text of a definition: what is not a default, and `active`, which `mcp stop` and `mcp start` edit. */
export const definitionText = (spec: ServiceSpec): string => {
  const { active, build, comment, components, name, node, path, snapshot, tier } = spec
  return [
    `#:schema ./${SCHEMA}`,
    ...lines({ name, node, tier, active, comment, path }, {}),
    ...(Object.keys(build.images).length === 0 ? [] : table("[build.images]", lines(build.images, {}))),
    ...components.flatMap(componentText),
    ...(snapshot === undefined
      ? []
      : table("[snapshot]", lines(Schema.encodeSync(Snapshot)(snapshot) as Fields, plain.snapshot))),
    ""
  ].join("\n")
}
