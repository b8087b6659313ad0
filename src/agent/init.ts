import { resolve } from "node:path"
import { Command, Options } from "@effect/cli"
import { Console, Effect, Option, Schema } from "effect"
import { type AgentOptionsInvalid, initAgent, type KeyPairUnusable } from "../programs/initAgent.ts"
import type * as Files from "../services/KeyFiles.ts"

type InitError =
  | AgentOptionsInvalid
  | KeyPairUnusable
  | Files.FileTaken
  | Files.FileNotWritten
  | Files.FileMissing
  | Files.FileUnreadable
  | Files.KeyExposed

/** What failed, and what to do. `usage`: nothing but the command line is wrong. */
export class InitFailed extends Schema.TaggedError<InitFailed>()("InitFailed", {
  why: Schema.String,
  nextStep: Schema.String
}) {
  override get message() {
    return `${this.why}\n  next: ${this.nextStep}`
  }
}

const next: { readonly [T in InitError["_tag"]]: (error: Extract<InitError, { _tag: T }>) => string } = {
  AgentOptionsInvalid: () => "correct the options: mcp-agent init --help",
  KeyPairUnusable: () => "issue one for this address: mcp ca issue NAME --address ADDRESS",
  FileTaken: (e) => `this node has been set up: mcp-agent check-config; or move ${e.file} away`,
  FileNotWritten: () => "check who owns the folder, and the disk's space (df -h)",
  FileMissing: () => "name the files with --cert, --key and --ca",
  FileUnreadable: (e) => `check its permissions: ls -l ${e.file}`,
  KeyExposed: (e) => `chmod 600 ${e.file}`
}

const explained = (error: InitError) =>
  new InitFailed({ why: error.message, nextStep: (next[error._tag] as (error: InitError) => string)(error) })

const file = (name: string, what: string) =>
  Options.text(name).pipe(Options.withPseudoName("FILE"), Options.optional, Options.withDescription(what))

/** `mcp-agent init`. */
export const init = Command.make(
  "init",
  {
    dir: Options.text("dir").pipe(
      Options.withDefault("/srv/mcp"),
      Options.withDescription("the agent's folder: config, keys, database")
    ),
    node: Options.text("node").pipe(Options.withDescription("the node's name")),
    address: Options.text("address").pipe(
      Options.withDescription("where to listen: one address of this node, HOST:PORT")
    ),
    mcias: Options.text("mcias").pipe(Options.withDescription("the identity server: https://HOST:PORT")),
    filesRoot: Options.text("files-root").pipe(
      Options.withDefault("/srv"),
      Options.withDescription("services keep their files below it")
    ),
    cert: file("cert", "the agent's certificate with its chain, as mcp ca issue writes it"),
    key: file("key", "its key"),
    ca: file("ca", "the certificate of the CA")
  },
  Effect.fn("agent.cli.init")(function* ({ address, ca, cert, dir, filesRoot, key, mcias, node }) {
    const given = [cert, key, ca].filter(Option.isSome)
    if (given.length !== 0 && given.length !== 3) {
      return yield* new InitFailed({
        why: "--cert, --key and --ca go together",
        nextStep: "name all three, or none and copy them later"
      })
    }
    const [certificate, secret, authority] = given.map((option) => resolve(option.value))
    const pair =
      certificate === undefined || secret === undefined || authority === undefined
        ? undefined
        : { certificate, key: secret, authority }
    const agent = { dir: resolve(dir), node, address, mcias, filesRoot: resolve(filesRoot) }
    const { config, made, missing } = yield* Effect.mapError(initAgent(agent, pair), explained)
    yield* Console.log(
      [
        ...made.map((path) => `wrote ${path}`),
        ...(missing.length === 0
          ? []
          : [
              `still to come, by mcp ca issue ${node} --address ${address.replace(/:\d+$/, "")}:`,
              ...missing.map((path) => `  ${path}`)
            ]),
        `next: mcp-agent check-host --config ${config}`
      ].join("\n")
    )
  })
).pipe(Command.withDescription("Make the folders, config and key pair of a new agent"))
