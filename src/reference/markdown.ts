import type { JsonSchema } from "./jsonSchema.ts"

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

export const table = (heading: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [heading, heading.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n")

/** As TOML has it. */
const value = (json: unknown) => `\`${JSON.stringify(json)}\``

const typeOf = (json: JsonSchema): string => {
  if (json.anyOf !== undefined) return [...new Set(json.anyOf.map(typeOf))].join(" or ")
  if (Array.isArray(json.enum)) return json.enum.map(value).join(" or ")
  if (json.items !== undefined) return `array: ${typeOf(json.items)}`
  return json.type === "string" ? "text" : json.type === "object" ? "table" : String(json.type)
}

/** The keys of a table, as rows, and below it those of the tables in it. */
const tables = (path: ReadonlyArray<string>, json: JsonSchema, isArray: boolean): ReadonlyArray<string> => {
  const properties = Object.entries(json.properties ?? {})
  const inside = (property: JsonSchema) => property.items ?? property
  const isTable = ([, property]: readonly [string, JsonSchema]) =>
    Object.keys(inside(property).properties ?? {}).length > 0
  const name = path.join(".")
  const rows = properties
    .filter((property) => !isTable(property))
    .map(([key, property]) => [
      `\`${key}\``,
      typeOf(property),
      json.required?.includes(key) ? "needed" : property.default === undefined ? "" : value(property.default),
      String(property.description ?? "")
    ])
  return [
    ...(path.length === 0 ? [] : [`## ${isArray ? `[[${name}]]` : `[${name}]`}`]),
    String(json.description ?? ""),
    ...(rows.length === 0 ? [] : [table(["key", "type", "default", ""], rows)]),
    ...properties
      .filter(isTable)
      .flatMap(([key, property]) => tables([...path, key], inside(property), property.items !== undefined))
  ]
}

/** A reference of all keys of a file. */
export const page = (title: string, intro: ReadonlyArray<string>, json: JsonSchema): string =>
  [`# ${title}`, ...intro, ...tables([], json, false), ""].join("\n\n").trimEnd().concat("\n")
