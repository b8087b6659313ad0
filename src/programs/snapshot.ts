import { Clock, Effect, Schema } from "effect"
import { Snapshots } from "../services/Snapshots.ts"

/** `--keep` with a file of its own: there is nothing to choose from. */
export class KeepNeedsFolder extends Schema.TaggedError<KeepNeedsFolder>()("KeepNeedsFolder", {
  file: Schema.String
}) {
  override get message() {
    return `--keep is for a folder, and ${this.file} is none\n  next: name a folder with --to, or leave --keep out`
  }
}

const stamp = (ms: number) => new Date(ms).toISOString().replace(/[-:]/g, "")

/** The snapshots of one node, whatever else lies in the folder. */
const ofNode = (node: string) => (name: string) =>
  name.startsWith(`${node}-`) && /^\d{8}T\d{6}\.\d{3}Z\.db$/.test(name.slice(node.length + 1))

export interface SnapshotRequest {
  readonly database: string
  readonly node: string
  /** A folder, which need not be there yet when it ends in `/`, or a file that is not there. */
  readonly to: string
  /** How many of the node's snapshots stay in the folder; all when absent. */
  readonly keep: number | undefined
}

/** Copies the registry, beside a running agent. Older snapshots go only once the new one is whole. */
export const snapshot = ({ database, keep, node, to }: SnapshotRequest) =>
  Effect.gen(function* () {
    const snapshots = yield* Snapshots
    const folder = to.endsWith("/") || (yield* snapshots.isFolder(to)) ? to.replace(/\/+$/, "") : undefined
    if (folder === undefined && keep !== undefined) return yield* new KeepNeedsFolder({ file: to })
    const file = folder === undefined ? to : `${folder}/${node}-${stamp(yield* Clock.currentTimeMillis)}.db`
    const facts = yield* snapshots.take(database, file)
    const removed: Array<string> = []
    if (folder !== undefined && keep !== undefined) {
      const own = (yield* snapshots.names(folder)).filter(ofNode(node)).sort().reverse()
      for (const name of own.slice(keep)) {
        yield* snapshots.remove(`${folder}/${name}`)
        removed.push(`${folder}/${name}`)
      }
    }
    return { file, facts, removed }
  })
