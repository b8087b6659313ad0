import { assert } from "@effect/vitest"
import { Either } from "effect"
import { parse } from "smol-toml"
import { type Imported, type Input, importCompose } from "../../src/compose/importCompose.ts"
import type { Finding } from "../../src/compose/Report.ts"
import { formatProblem } from "../../src/domain/Toml.ts"

export const FILE = "shop/compose.yaml"

/** What a file holds; null is a folder. */
export type Files = Readonly<Record<string, string | null>>

export const from = (files: Files, input: Partial<Input> = {}) =>
  importCompose({
    ...{ files: [FILE], name: undefined, folderName: "shop", profiles: [], env: {}, envFile: undefined },
    read: (file) => {
      const text = Object.hasOwn(files, file) ? files[file] : undefined
      return text === null ? Either.left("it is a folder") : Either.right(text)
    },
    kind: (path) => (Object.hasOwn(files, path) ? (files[path] === null ? "folder" : "file") : undefined),
    ...input
  })

const lineOf = ({ key, message, place }: Finding) => formatProblem({ ...place, key, message })

export interface Result extends Imported {
  readonly definition: Readonly<Record<string, unknown>>
  /** `left_out services.web.labels`, in the order of the files. */
  readonly outcomes: ReadonlyArray<string>
  readonly lines: ReadonlyArray<string>
}

/** A compose file that can be imported. */
export const good = (files: Files | string, input: Partial<Input> = {}): Result => {
  const found = from(typeof files === "string" ? { [FILE]: files } : files, input)
  if (Either.isLeft(found)) assert.fail(found.left.map(lineOf).join("\n"))
  const { items, text } = found.right
  return {
    ...found.right,
    definition: parse(text),
    outcomes: items.map(({ key, outcome }) => `${outcome} ${key}`),
    lines: items.map(lineOf)
  }
}

/** What is wrong with one that cannot. */
export const bad = (files: Files | string, input: Partial<Input> = {}): ReadonlyArray<string> => {
  const found = from(typeof files === "string" ? { [FILE]: files } : files, input)
  return Either.match(found, { onLeft: (problems) => problems.map(lineOf), onRight: () => [] })
}

/** The keys of one service, indented, in a file of their own. */
export const service = (keys: string, more = "") =>
  `services:\n  web:\n    image: nginx:1\n    restart: always\n${keys.replace(/^(?=.)/gm, "    ")}\n  db:\n    image: db:1\n    restart: always\n${more}`

/** What became of the component `web`, less what `service` says itself. */
export const web = (result: Result): Readonly<Record<string, unknown>> => {
  const [component] = result.definition.components as ReadonlyArray<Record<string, unknown>>
  const { image, name, restart, ...rest } = component ?? {}
  return { ...rest, ...(image === "nginx:1" ? {} : { image }), ...(restart === "always" ? {} : { restart }) }
}
