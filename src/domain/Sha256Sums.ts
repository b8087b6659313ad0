import { Either } from "effect"

/* The form of sha256sum, so that `sha256sum -c` reads it. It takes lines that begin with # for comments. */

const LEFT_OUT = "# left out: "

const escapes: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r" }
const unescapes: Record<string, string> = { "\\\\": "\\", "\\n": "\n", "\\r": "\r" }

const escaped = (path: string) => path.replace(/[\\\n\r]/g, (char) => escapes[char] ?? char)
const unescaped = (path: string) => path.replace(/\\[\\nr]/g, (pair) => unescapes[pair] ?? pair)

export const sumLine = (path: string, sha256: Uint8Array): string => {
  const name = escaped(path)
  return `${name === path ? "" : "\\"}${Buffer.from(sha256).toString("hex")}  ${name}\n`
}

/** A file that is in the archive, and is not what it was on the node. */
export const leftOutLine = (path: string): string => `${LEFT_OUT}${escaped(path)}\n`

export interface Sums {
  /** Digests in hex by path. */
  readonly files: ReadonlyMap<string, string>
  readonly leftOut: ReadonlySet<string>
}

/** Or the line that is of another form. */
export const parseSums = (text: string): Either.Either<Sums, string> => {
  const files = new Map<string, string>()
  const leftOut = new Set<string>()
  const lines = text.split("\n")
  if (lines.pop() !== "") return Either.left("its last line is cut")
  for (const line of lines) {
    if (line.startsWith(LEFT_OUT)) {
      leftOut.add(unescaped(line.slice(LEFT_OUT.length)))
      continue
    }
    const [, mark, digest, name] = /^(\\?)([0-9a-f]{64}) {2}(.+)$/s.exec(line) ?? []
    if (digest === undefined || name === undefined)
      return Either.left(`it has a line of another form: ${line.slice(0, 80)}`)
    const path = mark === "" ? name : unescaped(name)
    if (files.has(path)) return Either.left(`it names a file twice: ${path}`)
    files.set(path, digest)
  }
  return Either.right({ files, leftOut })
}
