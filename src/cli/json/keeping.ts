import { Schema } from "effect"
import { MaybeNumber, MaybeText, Time } from "./fields.ts"

/* What commands print of definitions, secrets, files, accounts, nodes and keys. */

export const Account = Schema.Struct({
  account: Schema.String,
  id: Schema.String,
  type: Schema.Literal("human", "system"),
  roles: Schema.Array(Schema.String),
  expires_at: Schema.Date,
  expires_in_ms: Schema.JsonNumber
})

export const NodeAdded = Schema.Struct({
  node: Schema.String,
  addresses: Schema.Array(Schema.String),
  ca_cert: MaybeText,
  config_file: Schema.String
})

export const NodeRemoved = Schema.Struct({
  node: Schema.String,
  removed: Schema.Boolean,
  config_file: Schema.String,
  /** Services whose definitions still name it. */
  named_by: Schema.Array(Schema.String)
})

export const LoggedOut = Schema.Struct({ token_path: Schema.String, removed: Schema.Boolean })

export const Definition = Schema.Struct({
  service: Schema.String,
  file: Schema.String,
  valid: Schema.Boolean,
  /** One line each, with file, line and column. */
  problems: Schema.Array(Schema.String),
  warnings: Schema.Array(Schema.String),
  /** These are null where the definition is not valid. */
  node: MaybeText,
  active: Schema.NullOr(Schema.Boolean),
  components: Schema.NullOr(Schema.Array(Schema.String))
})
export type Definition = typeof Definition.Type

export const Definitions = Schema.Struct({ dir: Schema.String, definitions: Schema.Array(Definition) })

export const Edited = Schema.Struct({ service: Schema.String, file: Schema.String, changed: Schema.Boolean })

export const SecretUse = Schema.Struct({
  component: Schema.String,
  /** That its container has; null: none. */
  version: MaybeNumber
})

export const SecretSet = Schema.Struct({
  service: Schema.String,
  name: Schema.String,
  node: Schema.String,
  version: Schema.JsonNumber,
  /** False: it had this value already. */
  changed: Schema.Boolean,
  used_by: Schema.Array(SecretUse)
})

export const Secret = Schema.Struct({
  name: Schema.String,
  /** Null: a component needs it, and it is not set. */
  version: MaybeNumber,
  set_at: Time,
  set_by: MaybeText,
  used_by: Schema.Array(SecretUse)
})
export type Secret = typeof Secret.Type

export const Secrets = Schema.Struct({ service: Schema.String, node: Schema.String, secrets: Schema.Array(Secret) })

export const SecretRemoved = Schema.Struct({ service: Schema.String, name: Schema.String, node: Schema.String })

export const Exported = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  format: Schema.Literal("definition", "quadlet"),
  /** `path` where it was written, or null. */
  files: Schema.Array(Schema.Struct({ name: Schema.String, path: MaybeText, text: Schema.String })),
  warnings: Schema.Array(Schema.String)
})

export const Created = Schema.Struct({ service: Schema.String, file: Schema.String })

/** What `service import` made of a compose file, and all that became otherwise. */
export const Imported = Schema.Struct({
  service: Schema.String,
  /** Null with `--dry-run`. */
  file: MaybeText,
  /** The text, with `--dry-run`. */
  definition: MaybeText,
  components: Schema.Array(Schema.String),
  items: Schema.Array(
    Schema.Struct({
      file: Schema.String,
      line: Schema.JsonNumber,
      column: Schema.JsonNumber,
      key: Schema.String,
      /** `advice`: carried over as it is, but worth a look. */
      outcome: Schema.Literal("left_out", "changed", "advice"),
      message: Schema.String
    })
  ),
  /** Commands that are still to be run, in this order. */
  next_steps: Schema.Array(Schema.String)
})

export const LoggedIn = Schema.Struct({ account: Schema.String, expires_at: Schema.Date, token_path: Schema.String })

export const CaMade = Schema.Struct({
  name: Schema.String,
  certificate: Schema.String,
  key: Schema.String,
  expires_at: Schema.Date
})

export const CaIssued = Schema.Struct({
  name: Schema.String,
  addresses: Schema.Array(Schema.String),
  certificate: Schema.String,
  key: Schema.String,
  ca_cert: Schema.String,
  expires_at: Schema.Date
})

const moved = {
  service: Schema.String,
  node: Schema.String,
  /** Below the service's own folder. */
  path: Schema.String,
  local: Schema.String,
  files: Schema.JsonNumber,
  bytes: Schema.JsonNumber,
  /** Of a file that was gone on with: not sent again. */
  resumed_bytes: Schema.JsonNumber,
  took_ms: Schema.JsonNumber,
  skipped: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String }))
}

export const Pushed = Schema.Struct(moved)

export const Pulled = Schema.Struct(moved)

export const ListedFile = Schema.Struct({
  name: Schema.String,
  /** The name's bytes when it is not text. */
  name_base64: MaybeText,
  kind: Schema.Literal("file", "folder", "link", "other"),
  size_bytes: Schema.JsonNumber,
  /** Octal, four digits. */
  mode: Schema.String,
  uid: Schema.JsonNumber,
  gid: Schema.JsonNumber,
  modified_at: Time,
  target: MaybeText
})
export type ListedFile = typeof ListedFile.Type

export const Files = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  path: Schema.String,
  files: Schema.Array(ListedFile)
})

export const PathRemoved = Schema.Struct({
  service: Schema.String,
  node: Schema.String,
  path: Schema.String,
  removed: Schema.JsonNumber
})
