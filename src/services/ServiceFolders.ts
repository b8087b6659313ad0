import { Context, type Effect, type Option, Schema } from "effect"

export class FolderRefused extends Schema.TaggedError<FolderRefused>()("FolderRefused", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.why}`
  }
}

export interface PathFacts {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/** The folders of services below the node's files root. */
export class ServiceFolders extends Context.Tag("mcp/ServiceFolders")<
  ServiceFolders,
  {
    /**
     * Makes `<files_root>/<service>` and the folders down to `path` in it, those that are missing owned by `owner`.
     * `path` itself may be a file that is there. A link on the way is refused: whoever owns a folder of the service could point it outside.
     */
    readonly ensure: (
      service: string,
      path: string,
      owner: { readonly uid: number; readonly gid: number }
    ) => Effect.Effect<void, FolderRefused>
    /** Whether `ensure` would succeed, as far as that can be told without making anything. */
    readonly check: (service: string, path: string) => Effect.Effect<void, FolderRefused>
    /** What is at a path, links followed; none when nothing is. `mode` has the permission bits alone. */
    readonly stat: (path: string) => Effect.Effect<Option.Option<PathFacts>>
    /** Where a path really leads, links followed; of what is not there its nearest folder that is. */
    readonly realPath: (path: string) => Effect.Effect<string>
  }
>() {}
