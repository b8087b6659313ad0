import { Either, Schema } from "effect"
import type { Extract, Header } from "tar-stream"
import { splitPath } from "../../domain/FilePath.ts"
import { ArchiveHeader, ArchiveUnusable } from "../../services/ServiceData.ts"
import type { FolderFacts } from "./place.ts"
import { textOf } from "./walk.ts"

/* What an entry of an archive says, and what of it makes no sense. */

export const unusable = (why: string) => new ArchiveUnusable({ why })

export const MOST_HEADER_BYTES = 4 * 1024 * 1024
const MOST_OWNER = 0xfffffffe

const Versioned = Schema.parseJson(Schema.Struct({ version: Schema.Number }))

export const decodeHeader = (text: string): ArchiveHeader => {
  const versioned = Schema.decodeUnknownEither(Versioned)(text)
  if (Either.isLeft(versioned)) throw unusable("it does not begin with a snapshot's header")
  const { version } = versioned.right
  if (version !== 1) throw unusable(`it has form ${version}, and this agent knows form 1 only: upgrade the agent`)
  const header = Schema.decodeUnknownEither(Schema.parseJson(ArchiveHeader))(text)
  if (Either.isLeft(header)) throw unusable(`its header is of another form: ${header.left.message.split("\n").at(-1)}`)
  return header.right
}

export type Entry = Extract extends AsyncIterable<infer A> ? A : never

/** What is left early is destroyed by us, and not waited for: its own end may never come. */
export const loosely = <A>(all: AsyncIterable<A>): AsyncIterable<A> => ({
  [Symbol.asyncIterator]: () => {
    const each = all[Symbol.asyncIterator]()
    return { next: () => each.next() }
  }
})

export const whole = async (entry: Entry, most: number): Promise<Buffer> => {
  const { name, size } = entry.header
  if (size > most) throw unusable(`${name} is too large`)
  const chunks: Array<Buffer> = []
  for await (const chunk of loosely(entry)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Its own type leaves open what is read here. */
export type Pax = Omit<Header, "pax" | "linkname" | "type"> & {
  readonly type: Header["type"] | null
  readonly linkname: string | null
  readonly pax?: Record<string, string> | null
}

const numeric = (path: string, what: string, value: number | string | undefined, most: number): number => {
  const number = typeof value === "string" && !/^\d+$/.test(value) ? Number.NaN : Number(value)
  if (Number.isSafeInteger(number) && number >= 0 && number <= most) return number
  throw unusable(`${path}: its ${what} makes no sense`)
}

export const factsOf = (path: string, header: Pax): FolderFacts => {
  const { pax } = header
  const seconds = pax?.mtime === undefined ? Number(header.mtime?.getTime()) / 1000 : Number(pax.mtime)
  if (!Number.isFinite(seconds) || Math.abs(seconds) > 1e11) throw unusable(`${path}: its time makes no sense`)
  return {
    path: Buffer.from(path).toString("latin1"),
    mode: numeric(path, "mode", header.mode, 0o7777777) & 0o777,
    uid: numeric(path, "owner", pax?.uid ?? header.uid, MOST_OWNER),
    gid: numeric(path, "group", pax?.gid ?? header.gid, MOST_OWNER),
    modifiedMs: seconds * 1000
  }
}

/** Its parts are names, none of them the agent's own; as one text without what is left over. */
export const pathOf = (name: string): string => {
  if (name.includes("\ufffd") && textOf(Buffer.from(name)) !== name) throw unusable(`${name} is no text`)
  const split = splitPath(Buffer.from(name))
  if (Either.isLeft(split)) throw unusable(`${name} ${split.left}`)
  return split.right.map((part) => Buffer.from(part).toString()).join("/")
}

export const kinds = { file: "file", symlink: "link", directory: "folder" } as const
