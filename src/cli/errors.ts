import { Code, type RpcError } from "../grpc/status.ts"
import type { ImageBuilderError } from "../services/BuildError.ts"
import type { CertificateUnusable } from "../services/CertificateAuthority.ts"
import type * as Cli from "../services/CliError.ts"
import type { FileError } from "../services/FileTransfer.ts"
import type { MciasSettingsInvalid, TokenExpired, TokenInvalid, TokenMissing } from "../services/IdentityError.ts"
import type * as Files from "../services/KeyFiles.ts"
import type { LoginError } from "../services/Mcias.ts"
import { tame } from "./ansi.ts"

/** All that a command may fail with. */
export type CliFailure =
  | RpcError
  | Cli.UsageError
  | Cli.ConfigMissing
  | Cli.ConfigInvalid
  | Cli.ConfigNotSaved
  | Cli.NodeExists
  | Cli.TokenError
  | Cli.TokenNotStored
  | Cli.CaUnreadable
  | Cli.DefinitionsUnreadable
  | Cli.DefinitionNotSaved
  | Cli.DefinitionsInvalid
  | Cli.ComposeInvalid
  | Cli.BuildRefused
  | ImageBuilderError
  | Cli.NoDefinition
  | Cli.DefinitionExists
  | Cli.EditorFailed
  | Cli.EditNotSaved
  | Cli.ServiceUnknown
  | Cli.ComponentUnknown
  | Cli.NodeUnknown
  | Cli.NodeAmbiguous
  | Cli.NoNodes
  | Cli.DeployFailed
  | Cli.Declined
  | Cli.ExitWith
  | LoginError
  | TokenMissing
  | TokenInvalid
  | TokenExpired
  | MciasSettingsInvalid
  | CertificateUnusable
  | FileError
  | Files.FileTaken
  | Files.FileNotWritten
  | Files.FileMissing
  | Files.FileUnreadable
  | Files.KeyExposed

export interface Report {
  readonly exitCode: number
  /** What failed, where, and why; undefined when all has been said. */
  readonly line: string | undefined
  /** Lines that come as they are, before the line. */
  readonly before?: ReadonlyArray<string>
  /** Lines below it, indented. */
  readonly below?: ReadonlyArray<string>
  readonly next?: string | undefined
}

export const Exit = { failed: 1, usage: 2, changes: 3, unreachable: 4, notAllowed: 5 } as const

type Tag = CliFailure["_tag"]
type By<T extends Tag> = (error: Extract<CliFailure, { readonly _tag: T }>, command: string) => Report

const failed = (line: string, next?: string): Report => ({ exitCode: Exit.failed, line, next })
const usage = (line: string, next?: string): Report => ({ exitCode: Exit.usage, line, next })
const notAllowed = (line: string, next: string): Report => ({ exitCode: Exit.notAllowed, line, next })
const meant = (nearest: string | undefined) => (nearest === undefined ? "" : `; did you mean ${nearest}?`)

const rpcExit = (code: Code): number => {
  switch (code) {
    case Code.UNAUTHENTICATED:
    case Code.PERMISSION_DENIED:
      return Exit.notAllowed
    case Code.INVALID_ARGUMENT:
      return Exit.usage
    default:
      return Exit.failed
  }
}

/** Next steps that the CLI knows better than who reported the failure. */
const reasonSteps: Readonly<Record<string, (error: RpcError) => string>> = {
  NODE_UNREACHABLE: (e) => `check that ${e.node ?? "the node"} and its agent are up, and its address in the config`,
  TLS_UNTRUSTED: (e) => `check ca_cert of node ${e.node ?? ""} in the config, and both clocks`,
  TLS_NAME_MISMATCH: (e) => `use an address of ${e.node ?? "the node"} that its certificate names`,
  TLS_FAILED: (e) => `check that the address and port of ${e.node ?? "the node"} are those of an mcp-agent`
}

const codeSteps: Readonly<Partial<Record<Code, string>>> = {
  [Code.UNAUTHENTICATED]: "mcp login",
  [Code.PERMISSION_DENIED]: "log in with another account (mcp login), or have this one allowed by the agent's config",
  [Code.DEADLINE_EXCEEDED]: "try again with a longer --timeout; mcp node list shows which nodes answer",
  [Code.UNAVAILABLE]: "try again in a moment; mcp node list shows which nodes answer",
  [Code.RESOURCE_EXHAUSTED]: "try again in a moment",
  [Code.UNIMPLEMENTED]: "upgrade the agent of that node: it is older than this mcp",
  [Code.INTERNAL]: "see the agent's log on that node"
}

/** What to do about a failed call. */
export const nextStepOf = (error: RpcError): string | undefined => {
  if (error.code === Code.UNAUTHENTICATED) return "mcp login"
  const own = Object.hasOwn(reasonSteps, error.reason) ? reasonSteps[error.reason] : undefined
  return own?.(error) ?? error.nextStep ?? codeSteps[error.code]
}

const subject = (e: RpcError) =>
  e.service === undefined ? "" : ` ${e.service}${e.component === undefined ? "" : `/${e.component}`}`

/** What a shell answers for a command that it cannot run. */
const commandExit = (e: RpcError) =>
  e.reason === "COMMAND_NOT_RUN" ? Number(e.info?.exit_code) || undefined : undefined

const rpc: By<"RpcError"> = (e, command) => ({
  exitCode: commandExit(e) ?? rpcExit(e.code),
  line: `${command}${subject(e)} failed${e.node === undefined ? "" : ` on ${e.node}`}: ${tame(e.detail)}`,
  below: (e.violations ?? []).map((v) => `${tame(v.field)}: ${tame(v.description)}`),
  next: nextStepOf(e)
})

const by: { readonly [T in Tag]: By<T> } = {
  RpcError: rpc,
  UsageError: (e, command) => usage(e.message, e.nextStep ?? `mcp ${command === "" ? "" : `${command} `}--help`),
  ConfigMissing: (e) => usage(e.message, "write one, or name another with --config FILE or MCP_CONFIG"),
  ConfigInvalid: (e) => ({ exitCode: Exit.usage, line: `the config ${e.path} is not valid`, before: e.problems }),
  ConfigNotSaved: (e) => failed(e.message, "edit [[nodes]] by hand"),
  NodeExists: (e) => usage(e.message, `mcp node remove ${e.node}, or another name`),
  NotLoggedIn: (e) => notAllowed(`not logged in: ${e.message}`, "mcp login"),
  TokenExposed: (e) => notAllowed(`${e.message}; it is not used`, `chmod 600 ${quoted(e.path)}`),
  TokenUnreadable: (e) => notAllowed(e.message, "mcp login"),
  TokenNotStored: (e) => failed(e.message, "check the folder, or set [auth] token_path in the config"),
  CaUnreadable: (e) => usage(e.message, `check ca_cert of node ${e.node} in the config`),
  DefinitionsUnreadable: (e) => usage(e.message, "check [services] dir in the config, and the file's permissions"),
  DefinitionNotSaved: (e) =>
    failed(e.message, `set ${e.line ?? "its `active` line"} by hand, or the next deploy undoes this`),
  DefinitionsInvalid: (e, command) => ({
    exitCode: Exit.usage,
    before: e.problems,
    line: `${count(e.problems.length, "problem")} in ${count(e.files, "definition")}${
      command.startsWith("service") ? "" : "; nothing was sent"
    }`
  }),
  ComposeInvalid: (e) => ({
    exitCode: Exit.usage,
    before: e.problems,
    line: `${count(e.problems.length, "problem")} in ${e.file}; nothing was written`,
    next: "correct it; docker compose config shows how compose itself reads it"
  }),
  BuildRefused: (e) => ({
    exitCode: Exit.usage,
    ...(e.problems.length === 1
      ? { line: `${e.problems[0]}; nothing was built` }
      : { before: e.problems, line: `${count(e.problems.length, "problem")} in ${e.service}; nothing was built` }),
    next: e.nextStep
  }),
  PodmanMissing: (e) =>
    failed(tame(e.message), "install podman; on macOS also: podman machine init && podman machine start"),
  PodmanUnusable: (e) =>
    failed(tame(e.message), "podman info shows whether podman works here; on macOS: podman machine start"),
  ImageRegistryUnreachable: (e) =>
    failed(tame(e.message), `check that it is up, and the name of the image: curl https://${e.registry}/v2/`),
  ImageRegistryUntrusted: (e) =>
    failed(
      tame(e.message),
      `put its CA into /etc/containers/certs.d/${e.registry}/ca.crt; for one without TLS, insecure = true in registries.conf`
    ),
  ImageRegistryUnauthorized: (e) =>
    failed(tame(e.message), `podman login ${e.registry}, with an account that may do this`),
  ImageRegistryFailed: (e) => failed(tame(e.message), "try again; the log of the image registry may say more"),
  BuildFailed: (e) => ({
    exitCode: Exit.failed,
    line: `${e.image} was not built: ${tame(e.message)}`,
    below:
      e.lastLines.length === 0 ? [] : ["last lines of that step:", ...e.lastLines.map((line) => `  ${tame(line)}`)],
    next: `correct ${quoted(e.dockerfile)} or what it copies`
  }),
  BuildDiskFull: (e) => failed(e.message, "free space on this machine: podman image prune; df -h"),
  DefinitionExists: (e, command) =>
    usage(
      e.message,
      command === "service import"
        ? "--force writes over it, --name gives another name, --dry-run only shows"
        : `mcp service edit ${e.service}`
    ),
  EditorFailed: (e) => failed(`${e.message}; the definition is as it was`, "set VISUAL or EDITOR to one that works"),
  EditNotSaved: (e) => ({
    exitCode: Exit.failed,
    before: e.problems,
    line: e.message,
    next: `mcp service edit ${e.service} takes it up again`
  }),
  NoDefinition: (e) =>
    usage(`${e.message}${meant(e.nearest)}`, "mcp service new writes one; -f names a file elsewhere"),
  ServiceUnknown: (e) =>
    e.unasked.length === 0
      ? failed(`${e.message}${meant(e.nearest)}`, "mcp list shows all services")
      : failed(
          `${e.message}, as far as can be told: ${e.unasked.join(", ")} did not answer${meant(e.nearest)}`,
          "mcp node list shows which nodes answer"
        ),
  ComponentUnknown: (e) => usage(`${e.message}${meant(e.nearest)}`, `mcp status ${e.service}`),
  NodeUnknown: (e) =>
    usage(`${e.message}${meant(e.nearest)}`, "add it under [[nodes]], or correct the definition's `node`"),
  NodeAmbiguous: (e) => usage(e.message, 'say which in its definition: node = "…"'),
  NoNodes: (e) => usage(e.message, "add one under [[nodes]] with name, address and ca_cert"),
  DeployFailed: (e, command) => ({
    exitCode: Exit.failed,
    line: `${command} ${e.service} failed on ${e.node}: ${tame(e.why)}${e.reason === "" ? "" : ` (${e.reason})`}`,
    below: [
      ...(e.lastLogs.length === 0 ? [] : [`last lines of ${e.component === "" ? e.service : e.component}:`]),
      ...e.lastLogs.map((line) => `  ${tame(line)}`),
      `now: ${e.now}`
    ],
    next: e.nextStep === "" ? `mcp logs ${e.service}` : e.nextStep
  }),
  Declined: (e) => failed(e.message),
  ExitWith: (e) => ({ exitCode: e.exitCode, line: undefined }),
  LoginRefused: (e) =>
    notAllowed(
      e.message,
      e.withCode
        ? "try again with the next code, or have the account unlocked"
        : "try again, or have the account unlocked"
    ),
  LoginForbidden: (e) => notAllowed(e.message, "ask for the account to be enabled or allowed in MCIAS"),
  TotpRequired: (e) => notAllowed(e.message, "mcp login --totp"),
  MciasUnavailable: (e) =>
    failed(e.message, "check that MCIAS is up, and [mcias] server_url and ca_cert in the config"),
  MciasBusy: (e) => failed(e.message, "try again in a moment"),
  TokenMissing: (e) => notAllowed(e.message, "mcp login"),
  TokenInvalid: (e) => notAllowed(e.message, "mcp login"),
  TokenExpired: (e) => notAllowed(e.message, "mcp login"),
  MciasSettingsInvalid: (e) => usage(e.message, "correct [mcias] in the config"),
  CertificateUnusable: (e) => failed(e.message, "name the folder of a CA with --dir, or make one: mcp ca init"),
  FileTaken: (e, command) =>
    failed(
      e.message,
      command === "ca init"
        ? "mcp ca issue uses the CA that is there; another one goes into a folder of its own: --dir DIR"
        : command === "service import"
          ? "--force writes over it"
          : command === "service export"
            ? "--force writes over it, or name another place: --output PATH"
            : "move it away, or write to another folder: --out DIR"
    ),
  FileNotWritten: (e) => failed(e.message, `check the folder and the disk's space: ls -ld ${quoted(e.file)}; df -h`),
  PathOutsideRoot: (e) => usage(e.message, "name another path"),
  FileNotFound: (e) => usage(e.message, "check the path: ls -l"),
  FileRefused: (e) => failed(e.message, e.nextStep),
  FileChanged: (e) => failed(e.message, "try again when nobody writes to it"),
  TransferBroken: (e) => failed(e.message, "try again; --resume goes on with a large file"),
  FilesDiskFull: (e) => failed(e.message, "free space on this machine (df -h), then try again"),
  FileUnusable: (e) => failed(e.message, `check its permissions: ls -ld ${quoted(e.path)}`),
  FileMissing: (e) => failed(e.message, "make a CA with mcp ca init, or name the folder of yours with --dir"),
  FileUnreadable: (e) => failed(e.message, `check its permissions: ls -l ${quoted(e.file)}`),
  KeyExposed: (e) => failed(e.message, `chmod 600 ${quoted(e.file)}; if others may have read it, make a new CA`)
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`
export const quoted = (path: string) => (/^[\w./~@-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)

/** What to print and which code to exit with; a new error does not compile until it has both. */
export const report = (error: CliFailure, command: string): Report =>
  (by[error._tag] as (error: CliFailure, command: string) => Report)(error, command)

/** The tags that the table knows: a test walks them. */
export const tags = Object.keys(by) as ReadonlyArray<Tag>
