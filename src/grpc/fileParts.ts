import { create, type MessageInitShape } from "@bufbuild/protobuf"
import type { FileEntry, FileKind, FilePart, FileParts } from "../domain/FileParts.ts"
import * as pb from "../gen/mcp/v1/mcp_pb.ts"
import { encoded, field } from "./encoded.ts"

/* Parts of a transfer as messages, for whichever side sends. */

const kinds: Record<FileKind, pb.FileKind> = {
  file: pb.FileKind.FILE,
  folder: pb.FileKind.FOLDER,
  link: pb.FileKind.LINK,
  other: pb.FileKind.OTHER
}
const named = new Map(Object.entries(kinds).map(([kind, value]) => [value, kind as FileKind]))

const encodeEntry = ({ kind, mode, modifiedMs, offset, path, size, target }: FileEntry) => ({
  path,
  kind: kinds[kind],
  mode,
  size: BigInt(size),
  modifiedMs: BigInt(modifiedMs),
  offset: BigInt(offset),
  ...(target === undefined ? {} : { target })
})

export const encodeFileEntry = (entry: FileEntry) => create(pb.FileEntrySchema, encodeEntry(entry))

export const encodeListed = (entry: FileEntry & { readonly uid: number; readonly gid: number }) => ({
  ...encodeEntry(entry),
  uid: entry.uid,
  gid: entry.gid
})

export const decodeEntry = (entry: pb.FileEntry): FileEntry => ({
  path: entry.path,
  kind: named.get(entry.kind) ?? "other",
  mode: entry.mode & 0o777,
  size: Number(entry.size),
  modifiedMs: Number(entry.modifiedMs),
  offset: Number(entry.offset),
  target: entry.target
})

const encodePart = (
  part: Exclude<FilePart, { _tag: "Last" }>
): NonNullable<MessageInitShape<typeof pb.FilePartSchema>["part"]> => {
  switch (part._tag) {
    case "Entry":
      return { case: "entry", value: encodeEntry(part.entry) }
    case "Data":
      return { case: "data", value: part.bytes }
    case "End":
      return { case: "endSha256", value: part.sha256 }
    case "Skipped":
      return { case: "skipped", value: { path: part.path, why: part.why } }
    case "Total":
      return { case: "total", value: { files: BigInt(part.files), bytes: BigInt(part.bytes) } }
  }
}

const decodePart = ({ part }: pb.FilePart): FilePart | undefined => {
  switch (part.case) {
    case "entry":
      return { _tag: "Entry", entry: decodeEntry(part.value) }
    case "data":
      return { _tag: "Data", bytes: part.value }
    case "endSha256":
      return { _tag: "End", sha256: part.value }
    case "skipped":
      return { _tag: "Skipped", path: part.value.path, why: part.value.why }
    case "total":
      return { _tag: "Total", files: Number(part.value.files), bytes: Number(part.value.bytes) }
    case undefined:
      return undefined
  }
}

const isLast = (part: FilePart): part is Extract<FilePart, { _tag: "Last" }> => part._tag === "Last"

const encodeParts = (parts: FileParts) => ({
  parts: parts.flatMap((part) => (isLast(part) ? [] : [{ part: encodePart(part) }])),
  last: parts.some(isLast)
})

/** A large piece of a file comes alone, and is most of what there is to send. */
const dataAlone = (parts: FileParts, partsField: number): Uint8Array | undefined => {
  const [first] = parts
  if (parts.length !== 1 || first?._tag !== "Data") return undefined
  const { bytes, room = 0 } = first
  const header = Buffer.concat(
    field(partsField, ...field(pb.FilePartSchema.field.data.number, bytes)).filter((one) => one !== bytes)
  )
  if (room < header.length) return Buffer.concat([header, bytes])
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset - header.length, header.length + bytes.length)
  whole.set(header)
  return whole
}

export const encodePush = (parts: FileParts): MessageInitShape<typeof pb.PushFileRequestSchema> => {
  const alone = dataAlone(parts, pb.PushFileRequestSchema.field.parts.number)
  return alone === undefined ? encodeParts(parts) : encoded(pb.PushFileRequestSchema, alone)
}

export const encodePull = (parts: FileParts): MessageInitShape<typeof pb.PullFileResponseSchema> => {
  const alone = dataAlone(parts, pb.PullFileResponseSchema.field.parts.number)
  return alone === undefined ? encodeParts(parts) : encoded(pb.PullFileResponseSchema, alone)
}

/** What a newer peer adds, and we do not know, is left out. */
export const decodeParts = ({
  last,
  parts
}: {
  readonly parts: ReadonlyArray<pb.FilePart>
  readonly last: boolean
}): FileParts => [...parts.flatMap((part) => decodePart(part) ?? []), ...(last ? [{ _tag: "Last" } as const] : [])]
