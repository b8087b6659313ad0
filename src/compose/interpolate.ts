import { Either } from "effect"

/** A variable's value; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined

export interface Interpolated {
  readonly text: string
  /** Variables that stand for nothing, since they are not set. */
  readonly unset: ReadonlyArray<string>
}

const deepest = 32

const nameAt = (text: string, at: number): string | undefined => {
  const form = /[_a-zA-Z][_a-zA-Z0-9]*/y
  form.lastIndex = at
  return form.exec(text)?.[0]
}

/** The index of the brace that closes the one before `from`. */
const closing = (text: string, from: number): number => {
  let open = 1
  for (let i = from; i < text.length; i++) {
    if (text[i] === "{") open++
    if (text[i] === "}" && --open === 0) return i
  }
  return -1
}

const operators = [":-", ":?", ":+", "-", "?", "+"] as const

/** Puts values for `$A`, `${A}`, `${A:-default}`, `${A:?error}`, `${A:+other}` (and these without colon); `$$` is a dollar. */
export const interpolate = (text: string, lookup: Lookup, depth = 0): Either.Either<Interpolated, string> =>
  Either.gen(function* () {
    if (!text.includes("$")) return { text, unset: [] }
    if (depth > deepest) return yield* Either.left("variables within variables, too deep")
    const parts: Array<string> = []
    const unset: Array<string> = []
    const plain = (name: string) => {
      const value = lookup(name)
      if (value === undefined) unset.push(name)
      return value ?? ""
    }
    for (let i = 0; i < text.length; ) {
      const dollar = text.indexOf("$", i)
      parts.push(text.slice(i, dollar < 0 ? undefined : dollar))
      if (dollar < 0) break
      const next = text[dollar + 1]
      if (next === "$") {
        parts.push("$")
        i = dollar + 2
        continue
      }
      const bare = nameAt(text, dollar + 1)
      if (bare !== undefined) {
        parts.push(plain(bare))
        i = dollar + 1 + bare.length
        continue
      }
      if (next !== "{") {
        parts.push("$")
        i = dollar + 1
        continue
      }
      const name = nameAt(text, dollar + 2)
      const end = closing(text, dollar + 2)
      if (end < 0) return yield* Either.left(`a \${ that no } closes`)
      if (name === undefined)
        return yield* Either.left(`after \${ there must be a variable's name; a dollar itself is $$`)
      const expression = text.slice(dollar + 2 + name.length, end)
      i = end + 1
      if (expression === "") {
        parts.push(plain(name))
        continue
      }
      const operator = operators.find((each) => expression.startsWith(each))
      if (operator === undefined) {
        return yield* Either.left(
          `\${${name}...}: after the name there may be :-, -, :?, ?, :+ or +; a dollar itself is $$`
        )
      }
      const value = lookup(name)
      const there = operator.startsWith(":") ? value !== undefined && value !== "" : value !== undefined
      const takesWord = operator.endsWith("+") ? there : !there
      if (!takesWord) {
        parts.push(operator.endsWith("+") ? "" : (value ?? ""))
        continue
      }
      const word = yield* interpolate(expression.slice(operator.length), lookup, depth + 1)
      if (operator.endsWith("?")) {
        const why = value === undefined ? "is not set" : "is empty"
        return yield* Either.left(`the variable ${name} ${why}${word.text === "" ? "" : `: ${word.text}`}`)
      }
      unset.push(...word.unset)
      parts.push(word.text)
    }
    return { text: parts.join(""), unset }
  })
