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

/** Programs have no password, roles or second factor. */
export class NotAPerson extends Schema.TaggedError<NotAPerson>()("NotAPerson", {
  account: Schema.String,
  what: Schema.String
}) {
  override get message() {
    return `${this.account} is a system account and has no ${this.what}. It gets tokens by: mcp-mcias token issue ${this.account} --dir DIR`
  }
}

export class AccountDisabled extends Schema.TaggedError<AccountDisabled>()("AccountDisabled", {
  account: Schema.String
}) {
  override get message() {
    return `cannot issue a token to ${this.account}: the account is disabled. Enable it with: mcp-mcias account enable ${this.account} --dir DIR`
  }
}

export class LastRole extends Schema.TaggedError<LastRole>()("LastRole", {
  account: Schema.String,
  role: Schema.String
}) {
  override get message() {
    return `cannot take ${this.role} from ${this.account}: a person keeps at least one role. Give another first (mcp-mcias role set), or disable the account (mcp-mcias account disable)`
  }
}

export class TotpEnrolled extends Schema.TaggedError<TotpEnrolled>()("TotpEnrolled", { account: Schema.String }) {
  override get message() {
    return `${this.account} has a second factor already, whose secret is not shown again. For a new one, remove it first: mcp-mcias totp remove ${this.account} --dir DIR`
  }
}

export class TokenUnknown extends Schema.TaggedError<TokenUnknown>()("TokenUnknown", { jti: Schema.String }) {
  override get message() {
    return `there is no token with the id ${this.jti}. See: mcp-mcias token list --dir DIR`
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
  | NotAPerson
  | AccountDisabled
  | LastRole
  | TotpEnrolled
  | TokenUnknown
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
