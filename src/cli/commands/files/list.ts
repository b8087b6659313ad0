import { Args, Command } from "@effect/cli"
import { Effect } from "effect"
import { shown } from "../../../domain/FilePath.ts"
import type { FileEntry } from "../../../gen/mcp/v1/mcp_pb.ts"
import { decodeEntry } from "../../../grpc/fileParts.ts"
import { bytes } from "../../bytes.ts"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { ask, ofService, reading } from "../../nodes.ts"
import { answer, note } from "../../output.ts"
import { table } from "../../table.ts"
import * as Target from "../../target.ts"
import { stamp } from "../../time.ts"
import { pathBytes } from "../../transfer.ts"

const path = Args.text({ name: "path" }).pipe(
  Args.withDefault("."),
  Args.withDescription("a path below the service's own folder; that folder itself by default")
)

const row = (found: FileEntry): Json.ListedFile => {
  const { kind, mode, modifiedMs, path, size, target } = decodeEntry(found)
  const name = Buffer.from(path)
  return {
    name: shown(name),
    name_base64: Buffer.from(name.toString("utf8")).equals(name) ? null : name.toString("base64"),
    kind,
    size_bytes: size,
    mode: mode.toString(8).padStart(4, "0"),
    uid: found.uid,
    gid: found.gid,
    modified_at: new Date(modifiedMs),
    target: kind === "link" ? shown(target ?? new Uint8Array()) : null
  }
}

const marks: Record<Json.ListedFile["kind"], string> = { folder: "/", file: "", link: "", other: " (no file)" }

const cells = (file: Json.ListedFile) => [
  `${file.name}${marks[file.kind]}${file.target === null ? "" : ` -> ${file.target}`}`,
  file.kind === "file" ? bytes(file.size_bytes) : "",
  file.mode,
  `${file.uid}:${file.gid}`,
  file.modified_at === null ? "" : stamp(file.modified_at)
]

export const list = Command.make(
  "list",
  { service: Target.service, path },
  Effect.fn("cli.files.list")(function* ({ path, service }) {
    const options = yield* reading
    const node = yield* locate(service)
    const found = yield* ask(node, (client) =>
      Effect.gen(function* () {
        const all: Array<FileEntry> = []
        for (let more = true; more; ) {
          const after = all.at(-1)?.path ?? new Uint8Array()
          const page = yield* client.listFiles({ service, path: pathBytes(path), after }, options)
          all.push(...page.entries)
          more = page.more && page.entries.length > 0
        }
        return all
      })
    ).pipe(Effect.mapError(ofService(service)))
    const files = found.map(row)
    if (files.length === 0) yield* note(`${path} of ${service} on ${node.name} is empty`)
    yield* answer(Json.Files, { service, node: node.name, path, files }, (look) =>
      files.length === 0 ? [] : table(["NAME", "SIZE", "MODE", "OWNER", "MODIFIED"], files.map(cells), look)
    )
  })
).pipe(Command.withDescription("What lies in a service's own folder"))
