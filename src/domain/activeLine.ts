import { isDeepStrictEqual } from "node:util"
import { Either } from "effect"
import { type Problem, parse, type TomlDocument } from "./Toml.ts"

const keyOf = (document: TomlDocument, name: string) =>
  document.ast.body[0].body
    .filter((item) => item.type === "TOMLKeyValue")
    .find(
      ({ key: { keys } }) => keys.length === 1 && keys.some((k) => (k.type === "TOMLBare" ? k.name : k.value) === name)
    )

const edited = (document: TomlDocument, body: string, active: boolean): string => {
  const pair = keyOf(document, "active")
  if (pair) {
    const [from, to] = pair.value.range
    return `${body.slice(0, from)}${active}${body.slice(to)}`
  }
  const newline = body.includes("\r\n") ? "\r\n" : "\n"
  const after = keyOf(document, "name")
  const end = after ? body.indexOf("\n", after.range[1]) : -1
  if (after && end < 0) return `${body}${newline}active = ${active}${newline}`
  const at = after ? end + 1 : 0
  return `${body.slice(0, at)}active = ${active}${newline}${body.slice(at)}`
}

/**
 * The definition with `active` set, and every other character as it was. What is written is read again first: where it
 * would say anything else that it did not say before, there is a problem instead of a text.
 */
export const withActive = (text: string, active: boolean, file = ""): Either.Either<string, Problem> => {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : ""
  const body = text.slice(mark.length)
  return Either.flatMap(parse(file, body), (document) => {
    // Without the line a service is active.
    if ((document.value.active ?? true) === active) return Either.right(text)
    const result = edited(document, body, active)
    const reread = parse(file, result)
    const same = Either.isRight(reread) && isDeepStrictEqual(reread.right.value, { ...document.value, active })
    return same
      ? Either.right(`${mark}${result}`)
      : Either.left({
          file,
          ...document.place(["active"], "key"),
          key: "active",
          message: `could not be set to ${active}; expected true or false at the top of the file`
        })
  })
}
