import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { UsageError } from "../../../services/CliError.ts"
import { FileNotFound } from "../../../services/FileTransfer.ts"
import { LocalTree } from "../../../services/LocalTree.ts"
import { bytes } from "../../bytes.ts"
import { quoted } from "../../errors.ts"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { answer, note } from "../../output.ts"
import { names } from "../../overview.ts"
import * as Target from "../../target.ts"
import { took } from "../../time.ts"
import { followRestore } from "./follow.ts"
import { upload } from "./upload.ts"
import { consent, described, pick, snapshotsOf, wait, yes } from "./words.ts"

const word = Args.text({ name: "snapshot" }).pipe(
  Args.optional,
  Args.withDescription("its id, or how that begins; the newest by default")
)
const file = Options.file("file", { exists: "either" }).pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription("an archive here, which the node takes in")
)

const meanwhile = "what runs is stopped meanwhile"
const replaced = ({ method }: Json.Snapshot) =>
  method === "known" ? "its *.toml, *.db and *.pem files are replaced" : "all its data is replaced"

/** What is to be restored, once whoever asks for it has agreed. */
const kept = (service: string, word: Option.Option<string>, agreed: boolean) =>
  Effect.gen(function* () {
    const node = yield* locate(service)
    const snapshots = yield* snapshotsOf(node, service)
    const [newest] = snapshots
    if (Option.isNone(word) && newest === undefined) {
      return yield* new UsageError({
        problem: `there is no snapshot of ${service} on ${node.name}`,
        nextStep: `mcp snapshot create ${service}, or --file FILE`
      })
    }
    const wanted = Option.getOrElse(word, () => newest?.id ?? "")
    const snapshot = yield* pick(snapshots, service, wanted)
    const which = snapshot === newest ? "its newest snapshot" : "the snapshot"
    const question = `Restore ${service} on ${node.name} from ${which} ${yield* described(snapshot)}?`
    const words = Option.match(word, { onNone: () => service, onSome: (id) => `${service} ${id}` })
    if (!agreed)
      yield* consent(`${question}\n${capital(replaced(snapshot))}, and ${meanwhile}.`, "snapshot restore", words)
    return { node, snapshot }
  })

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

const fromFile = (service: string, path: string, agreed: boolean) =>
  Effect.gen(function* () {
    const node = yield* locate(service)
    const there = yield* (yield* LocalTree).look(path)
    if (there === undefined) return yield* new FileNotFound({ path })
    if (there.kind !== "file") return yield* new UsageError({ problem: `${path} is no file` })
    const question = `Restore ${service} on ${node.name} from ${path} (${bytes(there.size)})?`
    const words = `${service} --file ${quoted(path)}`
    if (!agreed) yield* consent(`${question}\nIts data is replaced, and ${meanwhile}.`, "snapshot restore", words)
    return { node, snapshot: yield* upload(node, service, path) }
  })

export const restore = Command.make(
  "restore",
  { service: Target.service, snapshot: word, file, yes, wait },
  Effect.fn("cli.snapshot.restore")(function* ({ file, service, snapshot: word, wait, yes }) {
    if (Option.isSome(file) && Option.isSome(word)) {
      return yield* new UsageError({ problem: "--file FILE takes the place of a snapshot's id; only one of them" })
    }
    const { node, snapshot } = Option.isSome(file)
      ? yield* fromFile(service, file.value, yes)
      : yield* kept(service, word, yes)
    const { failure, view } = yield* followRestore(node, service, snapshot, wait)
    const value = { ...view, file: Option.getOrNull(file) }
    const running =
      view.started.length === 0
        ? "; nothing of it ran before, and nothing was started"
        : `; ${names(view.started)} run${view.started.length === 1 ? "s" : ""} again`
    yield* answer(Json.SnapshotRestored, value, () =>
      failure === undefined
        ? [`restored ${service} on ${node.name} from ${snapshot.id} in ${took(view.duration_ms)}${running}`]
        : []
    )
    if (Option.isSome(file)) {
      yield* note(
        `${node.name} keeps ${file.value} as a snapshot: mcp snapshot rm ${service} ${snapshot.id} removes it`
      )
    }
    if (failure !== undefined) yield* failure
  })
).pipe(Command.withDescription("Put a service's data back as a snapshot has it"))
