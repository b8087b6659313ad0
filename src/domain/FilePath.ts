import { Either } from "effect"

/* Names of files are bytes, not text: nothing here decodes one, except to show it. */

/** Where the agent writes what is not whole yet, in each service's own folder. */
export const PARTIAL_FOLDER = ".mcp-partial"

const SLASH = 0x2f
const BACKSLASH = 0x5c
const MAX_NAME_BYTES = 255
/** Deeper than any real tree, and few enough to hold each folder open on the way. */
export const MAX_DEPTH = 256

const text = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")
const same = (bytes: Uint8Array, word: string) => bytes.length === word.length && text(bytes) === word

/** A name or path as people see it, on one line and without a terminal's control characters. */
export const shown = (path: Uint8Array): string =>
  text(path).replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufffd]/gu, (c) =>
    c === "\ufffd" ? "\\x??" : c === "\n" ? "\\n" : `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`
  )

const pieces = (path: Uint8Array): Array<Uint8Array> => {
  const found: Array<Uint8Array> = []
  for (let from = 0; from <= path.length; ) {
    const at = path.indexOf(SLASH, from)
    const to = at === -1 ? path.length : at
    found.push(path.subarray(from, to))
    from = to + 1
  }
  return found
}

/** The parts of a path below a folder, or why it is none: it is refused, never put right. */
export const splitPath = (path: Uint8Array): Either.Either<ReadonlyArray<Uint8Array>, string> => {
  if (path.includes(0)) return Either.left("holds a NUL")
  if (path[0] === SLASH) return Either.left("is absolute: paths begin at the service's own folder")
  if (path.includes(BACKSLASH)) return Either.left("holds a backslash: parts of a path are parted by /")
  const parts = pieces(path).filter((part) => part.length > 0 && !same(part, "."))
  if (parts.some((part) => same(part, ".."))) return Either.left("holds a ..")
  if (parts.some((part) => part.length > MAX_NAME_BYTES)) return Either.left("has a name of more than 255 bytes")
  if (parts.length > MAX_DEPTH) return Either.left(`has more than ${MAX_DEPTH} parts`)
  if (parts[0] !== undefined && same(parts[0], PARTIAL_FOLDER)) {
    return Either.left(`lies in ${PARTIAL_FOLDER}, where transfers under way are kept`)
  }
  return Either.right(parts)
}

/**
 * Whether a link in a folder `depth` parts below the root leads nowhere outside it. Each `..` comes first: after a name
 * it could climb from wherever that name, itself a link, leads.
 */
export const staysInside = (depth: number, target: Uint8Array): boolean => {
  if (target.length === 0 || target[0] === SLASH || target.includes(0)) return false
  const parts = pieces(target).filter((part) => part.length > 0 && !same(part, "."))
  const climbs = parts.filter((part) => same(part, "..")).length
  return climbs <= depth && parts.slice(0, climbs).every((part) => same(part, ".."))
}
