import { Schema } from "effect"

/** Each message is the whole line an operator reads: what failed, why, what to do next. */

export class NotInitialised extends Schema.TaggedError<NotInitialised>()("NotInitialised", { dir: Schema.String }) {
  override get message() {
    return `cannot open ${this.dir}: it holds no identity database. Make one with: mcp-mcias init --dir ${this.dir}`
  }
}

export class AccountExists extends Schema.TaggedError<AccountExists>()("AccountExists", { account: Schema.String }) {
  override get message() {
    return `cannot add ${this.account}: the account exists already. See: mcp-mcias account list --dir DIR`
  }
}

export class AccountUnknown extends Schema.TaggedError<AccountUnknown>()("AccountUnknown", { account: Schema.String }) {
  override get message() {
    return `no account is called ${this.account}. Add it with: mcp-mcias account add ${this.account} --dir DIR`
  }
}

export class NotASystemAccount extends Schema.TaggedError<NotASystemAccount>()("NotASystemAccount", {
  account: Schema.String
}) {
  override get message() {
    return `cannot issue a token to ${this.account}: it is a person's account. People log in with: mcp login --username ${this.account}`
  }
}

export class PasswordRefused extends Schema.TaggedError<PasswordRefused>()("PasswordRefused", { why: Schema.String }) {
  override get message() {
    return `cannot use the password: ${this.why}`
  }
}

/** Options that do not go together; exit code 2. */
export class WrongUsage extends Schema.TaggedError<WrongUsage>()("WrongUsage", { why: Schema.String }) {
  override get message() {
    return `${this.why}. See: mcp-mcias --help`
  }
}

export class FileUnusable extends Schema.TaggedError<FileUnusable>()("FileUnusable", {
  file: Schema.String,
  why: Schema.String,
  next: Schema.optional(Schema.String)
}) {
  override get message() {
    return `cannot use ${this.file}: ${this.why}${this.next === undefined ? "" : `. ${this.next}`}`
  }
}

export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  operation: Schema.String,
  why: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message() {
    return `the identity database could not be ${this.operation}: ${this.why}`
  }
}

export class StoreTooNew extends Schema.TaggedError<StoreTooNew>()("StoreTooNew", {
  path: Schema.String,
  found: Schema.Number,
  known: Schema.Number
}) {
  override get message() {
    return `cannot open ${this.path}: it has schema version ${this.found}, this program knows up to ${this.known}. Install the newer mcp-mcias`
  }
}

export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `cannot listen on ${this.address}: ${this.why}`
  }
}

export class PasswordPromptLeft extends Schema.TaggedError<PasswordPromptLeft>()("PasswordPromptLeft", {}) {
  override get message() {
    return "no password was given; nothing was changed"
  }
}

export type Failure =
  | NotInitialised
  | AccountExists
  | AccountUnknown
  | NotASystemAccount
  | PasswordRefused
  | WrongUsage
  | FileUnusable
  | StoreUnavailable
  | StoreTooNew
  | CannotListen
  | PasswordPromptLeft

/** The reason in a system or driver error, without its stack and without the system call. */
export const reasonOf = (error: unknown): string => {
  const cause = typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined
  const text = cause instanceof Error ? cause.message : error instanceof Error ? error.message : String(error)
  return /^E[A-Z]+: (.+?), \w+( '.*')?$/.exec(text)?.[1] ?? text
}
