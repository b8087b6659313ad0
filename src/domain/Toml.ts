import { Either } from "effect"
import { type AST, getStaticTOMLValue, ParseError, parseTOML } from "toml-eslint-parser"

/** One thing wrong with a file: where it is, under which key, and what. Line and column count from 1. */
export interface Problem {
  /** The file, or the variable of the environment that overrides a key. */
  readonly file: string
  readonly line?: number | undefined
  readonly column?: number | undefined
  /** Dotted, as in `components[0].health.interval`; empty for the file as a whole. */
  readonly key: string
  readonly message: string
  /** The key as a path. */
  readonly path?: Path | undefined
}

// A definition may come from anybody: what it holds must not steer the terminal.
const printable = (text: string) =>
  text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** `web.toml:12:1: components[0].prots: unknown key; did you mean "ports"?` */
export const formatProblem = ({ file, line, column, key, message }: Problem): string =>
  printable(`${file}${line === undefined ? "" : `:${line}:${column ?? 1}`}: ${key === "" ? "" : `${key}: `}${message}`)

export type Path = ReadonlyArray<PropertyKey>

// Quoted where TOML wants quotes too: a dot or a control character in a key could pass for something else.
const keyText = (key: PropertyKey) => (/^[\w-]+$/.test(String(key)) ? String(key) : JSON.stringify(String(key)))

export const formatPath = (path: Path): string =>
  path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : `${text}${text === "" ? "" : "."}${keyText(part)}`,
    ""
  )

interface Place {
  readonly line: number
  readonly column: number
}

/** A text that is TOML: its value, and where each part of it stands. */
export interface TomlDocument {
  readonly file: string
  readonly value: Readonly<Record<string, unknown>>
  readonly ast: AST.TOMLProgram
  /** Where a key or a value stands; for what is missing, where its nearest parent does. */
  readonly place: (path: Path, of: "key" | "value") => Place
}

const at = (node: AST.HasLocs): Place => ({ line: node.loc.start.line, column: node.loc.start.column + 1 })
const id = (path: Path) => JSON.stringify(path)

/** A key that a JavaScript object would swallow: assigning it sets the prototype, and nobody would be told. */
class Swallowed extends Error {
  readonly key: AST.TOMLBare | AST.TOMLQuoted
  constructor(key: AST.TOMLBare | AST.TOMLQuoted) {
    super("__proto__ cannot be a key")
    this.key = key
  }
}

const refuseSwallowed = ({ keys }: AST.TOMLKey): void => {
  const swallowed = keys.find((key) => (key.type === "TOMLBare" ? key.name : key.value) === "__proto__")
  if (swallowed) throw new Swallowed(swallowed)
}

type Places = Map<string, { key: Place; value: Place }>

const indexContent = (places: Places, path: Path, content: AST.TOMLContentNode): void => {
  if (content.type === "TOMLInlineTable") for (const pair of content.body) indexPair(places, path, pair)
  if (content.type !== "TOMLArray") return
  content.elements.forEach((element, i) => {
    places.set(id([...path, i]), { key: at(element), value: at(element) })
    indexContent(places, [...path, i], element)
  })
}

/** What a dotted key or header makes on its way, such as the `build` of `[build.images]`, stands where the first such one does. */
const indexParents = (places: Places, path: Path, place: Place): void => {
  for (let n = path.length - 1; n > 0; n--) {
    const parent = id(path.slice(0, n))
    if (!places.has(parent)) places.set(parent, { key: place, value: place })
  }
}

const indexPair = (places: Places, table: Path, pair: AST.TOMLKeyValue): void => {
  refuseSwallowed(pair.key)
  const path = [...table, ...getStaticTOMLValue(pair.key)]
  places.set(id(path), { key: at(pair.key), value: at(pair.value) })
  indexParents(places, path, at(pair.key))
  indexContent(places, path, pair.value)
}

const index = (ast: AST.TOMLProgram): Places => {
  const places: Places = new Map()
  for (const item of ast.body[0].body) {
    if (item.type === "TOMLKeyValue") {
      indexPair(places, [], item)
      continue
    }
    refuseSwallowed(item.key)
    const path = item.resolvedKey
    const header = { key: at(item), value: at(item) }
    places.set(id(path), header)
    indexParents(places, path, header.key)
    for (const pair of item.body) indexPair(places, path, pair)
  }
  return places
}

/** Reads a text, whatever it holds; the one error of syntax at which the parser stops has its place too. */
export const parse = (file: string, text: string): Either.Either<TomlDocument, Problem> => {
  try {
    // With a byte order mark the parser would count a character more than an editor shows.
    const ast = parseTOML(text.replace(/^\uFEFF/, ""), { tomlVersion: "1.0" })
    const places = index(ast)
    const place = (path: Path, of: "key" | "value"): Place => {
      for (let n = path.length; n > 0; n--) {
        const found = places.get(id(path.slice(0, n)))
        if (found) return n === path.length ? found[of] : found.key
      }
      return { line: 1, column: 1 }
    }
    return Either.right({ file, ast, place, value: getStaticTOMLValue(ast) })
  } catch (error) {
    if (error instanceof Swallowed) return Either.left({ file, ...at(error.key), key: "", message: error.message })
    // The parser recurses: brackets within brackets by the thousand are no definition, but no crash either.
    if (error instanceof RangeError) return Either.left({ file, key: "", message: "not TOML: nested too deeply" })
    if (!(error instanceof ParseError)) throw error
    const { lineNumber: line, column, message } = error
    return Either.left({ file, line, column: column + 1, key: "", message: `not TOML: ${message}` })
  }
}
