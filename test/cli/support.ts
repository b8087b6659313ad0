import { basename } from "node:path"
import { create, type MessageInitShape } from "@bufbuild/protobuf"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { Effect, Exit, Layer, Option, Redacted, Stream, TestClock } from "effect"
import { type RunOptions, runCli } from "../../src/cli/run.ts"
import { Screen } from "../../src/cli/Screen.ts"
import { Settings } from "../../src/cli/Settings.ts"
import { Stdio } from "../../src/cli/Stdio.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import * as HostKeyFiles from "../../src/layers/HostKeyFiles.ts"
import * as HostLocalFiles from "../../src/layers/HostLocalFiles.ts"
import * as HostLocalTree from "../../src/layers/HostLocalTree.ts"
import * as OciLayout from "../../src/layers/OciLayout.ts"
import * as X509Authority from "../../src/layers/X509Authority.ts"
import { type AgentClient, Agents, type NodeConfig } from "../../src/services/Agents.ts"
import { ConfigNotSaved, DefinitionNotSaved, EditorFailed, NotLoggedIn } from "../../src/services/CliError.ts"
import { ConfigFile } from "../../src/services/ConfigFile.ts"
import { type DefinitionFile, Definitions } from "../../src/services/Definitions.ts"
import { Editor } from "../../src/services/Editor.ts"
import { Caller } from "../../src/services/Identity.ts"
import { ImageBuilder } from "../../src/services/ImageBuilder.ts"
import { LoginRefused, Mcias } from "../../src/services/Mcias.ts"
import { TokenStore } from "../../src/services/TokenStore.ts"

export const nodeNamed = (name: string): NodeConfig => ({
  name,
  addresses: [`${name}.example:9444`],
  caCert: undefined,
  arch: undefined
})

type Replies = Partial<AgentClient>

const unary = [
  "plan",
  "undeployService",
  "stopService",
  "startService",
  "restartService",
  "listServices",
  "listDeployments",
  "adoptContainers",
  "purgeComponents",
  "listEvents",
  "explain",
  "silenceTarget",
  "exportSpec",
  "setSecret",
  "listSecrets",
  "removeSecret",
  "getServiceStatus",
  "liveCheck",
  "listFiles",
  "removePath",
  "loadImage",
  "listSnapshots",
  "removeSnapshot",
  "importServiceData",
  "nodeStatus",
  "healthCheck"
] as const

/** One agent over canned replies; what it has none for is a defect. */
export const agent = (replies: Replies): AgentClient =>
  new Proxy(replies, {
    get: (target, key) =>
      Reflect.get(target, key) ??
      ((unary as ReadonlyArray<string | symbol>).includes(key)
        ? () => Effect.dieMessage(`no reply for ${String(key)}`)
        : () => Stream.dieMessage(`no reply for ${String(key)}`))
  }) as AgentClient

export const unreachable = (address: string) =>
  new RpcError({
    code: Code.UNAVAILABLE,
    reason: "NODE_UNREACHABLE",
    detail: `cannot reach ${address}: connect ECONNREFUSED`,
    nextStep: "check that the node and its agent are up, and the address"
  })

/** A node where nobody answers. */
export const dead = (name: string): AgentClient => {
  const error = unreachable(`${name}.example:9444`)
  return new Proxy(
    {},
    {
      get: (_, key) => () =>
        (unary as ReadonlyArray<string | symbol>).includes(key) ? Effect.fail(error) : Stream.fail(error)
    }
  ) as AgentClient
}

export interface World {
  readonly agents?: Readonly<Record<string, AgentClient>>
  /** A map is used as it is, so that a test can change a file meanwhile. */
  readonly definitions?: Readonly<Record<string, string>> | Map<string, string>
  /** Why no definition and no config can be written. */
  readonly unwritable?: string
  readonly token?: string | undefined
  /** The text of the config file; its nodes are those of `agents` all the same. */
  readonly config?: string
  readonly workspace?: string | undefined
  readonly arch?: "amd64" | "arm64"
  readonly builder?: Partial<ImageBuilder["Type"]>
  /** The environment that compose files see. */
  readonly env?: Readonly<Record<string, string>>
  readonly tty?: boolean
  readonly answers?: ReadonlyArray<string>
  /** What comes in at the command's own input, or what is typed. */
  readonly stdin?: string
  /** Whether the input is a terminal; as `tty` where nothing is said. */
  readonly stdinIsTty?: boolean
  /** Sizes that the terminal takes one after the other. */
  readonly sizes?: ReadonlyArray<{ readonly columns: number; readonly rows: number }>
  readonly columns?: number
  /** What the editor does to the text, one a time that it is opened. */
  readonly edits?: ReadonlyArray<((text: string) => string) | EditorFailed>
  readonly services?: RunOptions<never>["services"]
  readonly mcias?: Partial<Mcias["Type"]>
}

export interface Ran {
  readonly code: number | "interrupted"
  readonly out: string
  readonly err: string
  readonly json: unknown
  readonly files: ReadonlyMap<string, string>
  readonly token: string | undefined
  readonly config: string
  readonly questions: ReadonlyArray<string>
  /** How the terminal's keys were taken and given back. */
  readonly keys: ReadonlyArray<"raw" | "restored">
}

export const DIR = "/defs"
export const draftKey = (service: string) => `.${service}.edit`
export const admin = new Caller({
  account: "5b0a",
  username: "admin",
  accountType: "human",
  roles: ["admin", "user"],
  expiresAt: Date.UTC(2026, 11, 1)
})

const NOW = Date.UTC(2026, 10, 25, 12)
export const now = new Date(NOW)

/** Runs a command line against fakes, in memory. */
export const mcp = (argv: ReadonlyArray<string>, world: World = {}): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    yield* TestClock.setTime(NOW)
    const agents = world.agents ?? {}
    const given = world.definitions ?? {}
    const files = given instanceof Map ? given : new Map(Object.entries(given))
    const answers = [...(world.answers ?? [])]
    const questions: Array<string> = []
    const keys: Array<"raw" | "restored"> = []
    const sizes = [...(world.sizes ?? [])]
    const edits = [...(world.edits ?? [])]
    let token = "token" in world ? world.token : "t0ken"
    let config = world.config ?? ""
    let out = ""
    let err = ""
    const file = (service: string): DefinitionFile => ({
      service,
      file: `${DIR}/${service}.toml`,
      text: files.get(service) ?? ""
    })
    const services = Layer.mergeAll(
      Layer.succeed(Settings, {
        configFile: "/etc/mcp.toml",
        nodes: Object.keys(agents)
          .map(nodeNamed)
          .map((node) => ({ ...node, arch: world.arch })),
        workspace: world.workspace
      }),
      Layer.succeed(Agents, {
        connect: (node) =>
          Effect.suspend(() => {
            const client = agents[node.name]
            if (token === undefined) return Effect.fail(new NotLoggedIn({ path: "/home/me/token" }))
            return client === undefined ? Effect.dieMessage("no such agent") : Effect.succeed(client)
          })
      }),
      Layer.succeed(TokenStore, {
        path: "/home/me/token",
        read: Effect.suspend(() =>
          token === undefined
            ? Effect.fail(new NotLoggedIn({ path: "/home/me/token" }))
            : Effect.succeed(Redacted.make(token))
        ),
        write: (value) =>
          Effect.sync(() => {
            token = Redacted.value(value)
          }),
        remove: Effect.sync(() => {
          const there = token !== undefined
          token = undefined
          return there
        })
      }),
      Layer.succeed(Definitions, {
        dir: DIR,
        all: Effect.sync(() =>
          [...files.keys()]
            .filter((name) => !name.startsWith("."))
            .sort()
            .map(file)
        ),
        find: (service) => Effect.sync(() => (files.has(service) ? Option.some(file(service)) : Option.none())),
        open: (path) => Effect.sync(() => ({ ...file(files.has(path) ? path : basename(path, ".toml")), file: path })),
        save: (d) =>
          world.unwritable === undefined
            ? Effect.sync(() => void files.set(d.service, d.text))
            : new DefinitionNotSaved({ file: d.file, why: world.unwritable }),
        create: (service, text) => Effect.sync(() => file(service)).pipe(Effect.tap(() => files.set(service, text))),
        publishSchema: (text) => Effect.sync(() => void JSON.parse(text)),
        // Beside the others, under a name that no service has.
        draft: (service) => ({
          file: draftKey(service),
          read: Effect.sync(() => Option.fromNullable(files.get(draftKey(service)))),
          write: (text) => Effect.sync(() => void files.set(draftKey(service), text)),
          discard: Effect.sync(() => void files.delete(draftKey(service)))
        })
      }),
      Layer.succeed(ConfigFile, {
        file: "/etc/mcp.toml",
        read: Effect.sync(() => config),
        save: (text) =>
          world.unwritable === undefined
            ? Effect.sync(() => {
                config = text
              })
            : new ConfigNotSaved({ path: "/etc/mcp.toml", why: world.unwritable })
      }),
      Layer.succeed(Editor, {
        edit: (path) =>
          Effect.suspend(() => {
            const made = edits.shift()
            if (typeof made === "function") files.set(path, made(files.get(path) ?? ""))
            return made instanceof EditorFailed ? made : Effect.void
          })
      }),
      Layer.succeed(Mcias, {
        login: (c) => Effect.fail(new LoginRefused({ username: c.username, withCode: c.totp !== undefined })),
        validate: () => Effect.succeed(admin),
        ...world.mcias
      })
    )
    const screen = Layer.succeed(Screen, {
      out: (text) =>
        Effect.sync(() => {
          out += text
        }),
      err: (text) =>
        Effect.sync(() => {
          err += text
        }),
      outIsTty: world.tty ?? false,
      errIsTty: world.tty ?? false,
      canAsk: world.tty ?? false,
      size: Effect.sync(() => sizes.shift() ?? { columns: world.columns ?? 120, rows: 24 }),
      ask: (question) =>
        Effect.sync(() => {
          questions.push(question)
          return answers.shift() ?? ""
        })
    })
    const stdio = Layer.succeed(Stdio, {
      inIsTty: world.stdinIsTty ?? world.tty ?? false,
      input: world.stdin === undefined ? Stream.empty : Stream.succeed(Buffer.from(world.stdin)),
      write: (stream, bytes) =>
        Effect.sync(() => {
          if (stream === "stdout") out += Buffer.from(bytes).toString()
          else err += Buffer.from(bytes).toString()
        }),
      raw: Effect.acquireRelease(
        Effect.sync(() => void keys.push("raw")),
        () => Effect.sync(() => void keys.push("restored"))
      ),
      resized: Stream.suspend(() => Stream.fromIterable(sizes.map(() => undefined)))
    })
    const exit = yield* runCli(argv, {
      version: "1.2.3",
      debug: false,
      colour: true,
      services: world.services ?? (() => services)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          screen,
          stdio,
          X509Authority.layer,
          HostKeyFiles.layer,
          HostLocalFiles.layer(world.env ?? {}),
          HostLocalTree.layer,
          OciLayout.layer,
          Layer.mock(ImageBuilder, world.builder ?? {})
        )
      ),
      Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer)),
      Effect.exit
    )
    return {
      code: Exit.isSuccess(exit) ? exit.value : "interrupted",
      out,
      err,
      get json() {
        return JSON.parse(out)
      },
      files,
      token,
      config,
      questions,
      keys
    }
  })

export const ago = (seconds: number) => ({ seconds: BigInt(Math.floor(NOW / 1000) - seconds), nanos: 0 })

export const live = (init: MessageInitShape<typeof pb.LiveComponentSchema>) =>
  create(pb.LiveComponentSchema, {
    service: "web",
    container: `${init.service ?? "web"}-${init.component}`,
    observed: pb.ObservedState.RUNNING,
    desired: pb.DesiredState.RUNNING,
    image: "docker.io/library/web:v1",
    version: "v1",
    startedAt: { $typeName: "google.protobuf.Timestamp", ...ago(139) },
    ...init
  })

export const liveReply =
  (...components: ReadonlyArray<pb.LiveComponent>) =>
  () =>
    Effect.succeed(create(pb.LiveCheckResponseSchema, { components: [...components] }))

export const info = (name: string, ...components: ReadonlyArray<MessageInitShape<typeof pb.ComponentInfoSchema>>) =>
  create(pb.ServiceInfoSchema, {
    name,
    desired: pb.DesiredState.RUNNING,
    components: components.map((c) => ({
      desired: pb.DesiredState.RUNNING,
      observed: pb.ObservedState.RUNNING,
      version: "v1",
      image: "docker.io/library/web:v1",
      generation: 1n,
      ...c
    }))
  })

export const listReply =
  (...services: ReadonlyArray<pb.ServiceInfo>) =>
  () =>
    Effect.succeed(create(pb.ListServicesResponseSchema, { services: [...services] }))

export const notFound = (service: string) =>
  new RpcError({
    code: Code.NOT_FOUND,
    reason: "SERVICE_NOT_FOUND",
    detail: `no service named ${service} on this node; did you mean web?`,
    service,
    nextStep: "mcp list shows the services of all nodes"
  })
