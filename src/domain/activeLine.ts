import { Either } from "effect"
import { parse } from "./Toml.ts"

/**
 * The definition with `active` set, and every other character as it was. A text that is not TOML is given back as it
 * is: there is no line to edit.
 */
export const setActive = (text: string, active: boolean): string => {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : ""
  const body = text.slice(mark.length)
  const parsed = parse("", body)
  if (Either.isLeft(parsed)) return text
  // Without the line a service is active.
  if ((parsed.right.value.active ?? true) === active) return text
  const pairs = parsed.right.ast.body[0].body.filter((item) => item.type === "TOMLKeyValue")
  const find = (name: string) =>
    pairs.find(
      ({ key: { keys } }) => keys.length === 1 && keys.some((k) => (k.type === "TOMLBare" ? k.name : k.value) === name)
    )
  const pair = find("active")
  if (pair) {
    const [from, to] = pair.value.range
    return `${mark}${body.slice(0, from)}${active}${body.slice(to)}`
  }
  const newline = body.includes("\r\n") ? "\r\n" : "\n"
  const after = find("name")
  const end = after ? body.indexOf("\n", after.range[1]) : -1
  if (after && end < 0) return `${mark}${body}${newline}active = ${active}${newline}`
  const at = after ? end + 1 : 0
  return `${mark}${body.slice(0, at)}active = ${active}${newline}${body.slice(at)}`
}
