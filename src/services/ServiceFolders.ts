import { Context, type Effect, Schema } from "effect"

export class FolderRefused extends Schema.TaggedError<FolderRefused>()("FolderRefused", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.why}`
  }
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
    /** Where a path really leads, links followed; of what is not there its nearest folder that is. */
    readonly realPath: (path: string) => Effect.Effect<string>
  }
>() {}
