import { isDeepStrictEqual } from "node:util"
import { Either } from "effect"
import { type AST, getStaticTOMLValue } from "toml-eslint-parser"
import * as Image from "./Image.ts"
import { type Path, type Problem, parse, type TomlDocument } from "./Toml.ts"

/** Two references of one image, short names resolved. */
export const sameImage = (a: string, b: string): boolean => {
  const [one, other] = [Image.parse(a), Image.parse(b)]
  return a === b || (one !== undefined && other !== undefined && Image.format(one) === Image.format(other))
}

const find = (node: AST.TOMLContentNode, at: Path, path: Path): AST.TOMLContentNode | undefined => {
  if (at.length === path.length) return node
  if (node.type === "TOMLInlineTable") return within(node.body, at, path)
  if (node.type !== "TOMLArray") return undefined
  const index = path[at.length]
  const element = typeof index === "number" ? node.elements[index] : undefined
  return element && find(element, path.slice(0, at.length + 1), path)
}

/** The value that stands at a path, below the pairs of a table that stands at `at`. */
const within = (pairs: ReadonlyArray<AST.TOMLKeyValue>, at: Path, path: Path): AST.TOMLContentNode | undefined => {
  for (const pair of pairs) {
    const here = [...at, ...getStaticTOMLValue(pair.key)]
    const found = here.every((key, i) => key === path[i]) ? find(pair.value, here, path) : undefined
    if (found) return found
  }
  return undefined
}

const valueNode = ({ ast }: TomlDocument, path: Path) => {
  const [{ body }] = ast.body
  const top = within(
    body.filter((item) => item.type === "TOMLKeyValue"),
    [],
    path
  )
  if (top) return top
  for (const table of body) {
    const inTable = table.type === "TOMLTable" && table.resolvedKey.every((key, i) => key === path[i])
    const found = inTable ? within(table.body, table.resolvedKey, path) : undefined
    if (found) return found
  }
  return undefined
}

const componentsOf = ({ value }: TomlDocument): ReadonlyArray<unknown> =>
  Array.isArray(value.components) ? value.components : []

const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined

const indexOf = (document: TomlDocument, component: string) =>
  componentsOf(document).findIndex((value) => fieldOf(value, "name") === component)

/** The image that a definition, whatever else is wrong with it, gives a component. */
export const imageOf = (text: string, component: string): string | undefined =>
  Either.match(parse("", text), {
    onLeft: () => undefined,
    onRight: (document) => {
      const image = fieldOf(componentsOf(document)[indexOf(document, component)], "image")
      return typeof image === "string" ? image : undefined
    }
  })

// A reference has neither quotes nor backslashes, so either kind of quotes holds it.
const quoted = (before: string, reference: string) =>
  before.startsWith("'") && !before.startsWith("'''") ? `'${reference}'` : `"${reference}"`

const withReference = (document: TomlDocument, index: number, image: string) => ({
  ...document.value,
  components: componentsOf(document).map((value, i) => (i === index ? { ...(value as object), image } : value))
})

/**
 * The definition with a component's image set, and every other character as it was. What is written is read again
 * first: where it would say anything else that it did not say before, there is a problem instead of a text.
 */
export const withImage = (
  text: string,
  component: string,
  reference: string,
  file = ""
): Either.Either<string, Problem> => {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : ""
  const body = text.slice(mark.length)
  return Either.flatMap(parse(file, body), (document) => {
    const index = indexOf(document, component)
    const path = ["components", index, "image"]
    const node = valueNode(document, path)
    if (node === undefined) {
      return Either.left({
        file,
        ...document.place(["components"], "key"),
        key: "components",
        message: `no ${component}`
      })
    }
    const [from, to] = node.range
    const before = body.slice(from, to)
    const current = getStaticTOMLValue(node)
    if (typeof current === "string" && sameImage(current, reference)) return Either.right(text)
    const result = `${body.slice(0, from)}${quoted(before, reference)}${body.slice(to)}`
    const reread = parse(file, result)
    return Either.isRight(reread) && isDeepStrictEqual(reread.right.value, withReference(document, index, reference))
      ? Either.right(`${mark}${result}`)
      : Either.left({
          file,
          ...document.place(path, "value"),
          key: `components[${index}].image`,
          message: `could not be set to ${reference}`
        })
  })
}
