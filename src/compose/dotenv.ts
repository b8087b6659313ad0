import { Either } from "effect"
import { interpolate, type Lookup } from "./interpolate.ts"

export interface DotenvProblem {
  readonly line: number
  readonly message: string
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" }
const unescape = (text: string) =>
  text.replace(/\\(.)/gs, (whole, char: string) => escapes[char] ?? (/["\\$]/.test(char) ? char : whole))

// `$` after a backslash is one that names no variable; interpolation calls that `$$`.
const escapedDollars = (text: string) => text.replaceAll("\\$", "$$$$")

/** Where a value in quotes ends; -1 when it does not. */
const closing = (text: string, from: number, quote: string): number => {
  for (let i = from; i < text.length; i++) {
    if (text[i] === "\\" && quote === '"') i++
    else if (text[i] === quote) return i
  }
  return -1
}

/**
 * Reads an env file as compose does: comments, `export`, quotes, values over several lines within them, and variables,
 * except within single quotes. A name alone takes its value from `lookup`, and is not there when that has none.
 */
export const parseDotenv = (
  text: string,
  lookup: Lookup,
  raw = false
): {
  readonly values: ReadonlyMap<string, string>
  readonly problems: ReadonlyArray<DotenvProblem>
  readonly notes: ReadonlyArray<DotenvProblem>
} => {
  const values = new Map<string, string>()
  const notes: Array<DotenvProblem> = []
  const problems: Array<DotenvProblem> = []
  const source = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n")
  const known: Lookup = (name) => lookup(name) ?? values.get(name)
  let line = 1
  for (let i = 0; i < source.length; ) {
    const here = line
    const newline = source.indexOf("\n", i)
    let end = newline < 0 ? source.length : newline
    const whole = source.slice(i, end)
    // No message shows the line: without a name all of it may be a secret.
    const match = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*(=|:\s|:$|$|(?=#))/.exec(whole)
    if (/^\s*(#|$)/.test(whole)) {
      // Nothing stands there.
    } else if (match === null) {
      problems.push({ line: here, message: "expected NAME=value" })
    } else {
      const [head, name = "", separator] = match
      const from = i + head.length
      if (separator === "") {
        const value = lookup(name)
        if (value !== undefined) values.set(name, value)
      } else {
        const start = from + (/^[^\S\n]*/.exec(source.slice(from, end))?.[0].length ?? 0)
        const quote = source[start]
        const put = (value: string, expand: boolean) =>
          Either.match(expand ? interpolate(value, known) : Either.right({ text: value, unset: [] }), {
            onLeft: (message) => void problems.push({ line: here, message: `${name}: ${message}` }),
            onRight: (done) => {
              values.set(name, done.text)
              // Not by its name: what follows a dollar may be the rest of a password.
              const message = `${name}: a variable in it is not set: nothing stands in its place; within '...' a dollar is itself`
              if (done.unset.length > 0) notes.push({ line: here, message })
            }
          })
        if (raw) put(source.slice(from, end), false)
        else if (quote === '"' || quote === "'") {
          const close = closing(source, start + 1, quote)
          if (close < 0) {
            problems.push({ line: here, message: `${name}: a ${quote} that nothing closes` })
            break
          }
          const inner = source.slice(start + 1, close)
          put(quote === '"' ? unescape(escapedDollars(inner)) : inner, quote === '"')
          const after = source.indexOf("\n", close)
          end = after < 0 ? source.length : after
        } else
          put(
            source
              .slice(start, end)
              .replace(/(^|\s)#.*$/, "")
              .trimEnd(),
            true
          )
      }
    }
    line += source.slice(i, end + 1).split("\n").length - 1
    i = end + 1
  }
  return { values, problems, notes }
}
