import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import { Cause, Context, Effect, Exit, Layer, Logger, LogLevel } from "effect"
import type { GlobalOptions } from "../cli/Globals.ts"
import { configPath, readConfig } from "../cli/loadConfig.ts"
import * as NodeScreen from "../cli/NodeScreen.ts"
import * as NodeStdio from "../cli/NodeStdio.ts"
import { runCli } from "../cli/run.ts"
import { Settings } from "../cli/Settings.ts"
import type { CliConfig } from "../domain/CliConfig.ts"
import * as FileConfig from "../layers/FileConfig.ts"
import * as FileTokenStore from "../layers/FileTokenStore.ts"
import * as FolderDefinitions from "../layers/FolderDefinitions.ts"
import * as GrpcAgents from "../layers/GrpcAgents.ts"
import * as HostKeyFiles from "../layers/HostKeyFiles.ts"
import * as HostLocalFiles from "../layers/HostLocalFiles.ts"
import * as HostLocalTree from "../layers/HostLocalTree.ts"
import * as OciLayout from "../layers/OciLayout.ts"
import * as PodmanImageBuilder from "../layers/PodmanImageBuilder.ts"
import * as ProcessEditor from "../layers/ProcessEditor.ts"
import { CertificateAuthority } from "../services/CertificateAuthority.ts"
import { Mcias } from "../services/Mcias.ts"
import { version } from "./version.ts"

const INTERRUPTED = 130

/** Its HTTP client is loaded, and its settings are looked at, by the commands that ask MCIAS. */
const lazyMcias = (settings: CliConfig["mcias"]) =>
  Layer.scoped(
    Mcias,
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const made = yield* Effect.promise(() => import("../layers/HttpMcias.ts")).pipe(
        Effect.flatMap(({ layer }) => Layer.buildWithScope(layer(settings), scope)),
        Effect.map(Context.get(Mcias)),
        Effect.cached
      )
      return {
        login: (credentials) => Effect.flatMap(made, (mcias) => mcias.login(credentials)),
        validate: (token) => Effect.flatMap(made, (mcias) => mcias.validate(token))
      }
    })
  )

/** Making certificates takes code that nothing else needs. */
const lazyAuthority = Layer.effect(
  CertificateAuthority,
  Effect.gen(function* () {
    const made = yield* Effect.promise(() => import("../layers/X509Authority.ts")).pipe(
      Effect.flatMap(({ layer }) => Effect.provide(CertificateAuthority, layer)),
      Effect.cached
    )
    return {
      selfSigned: (authority) => Effect.flatMap(made, (x509) => x509.selfSigned(authority)),
      inspect: (file, pair) => Effect.flatMap(made, (x509) => x509.inspect(file, pair)),
      sign: (authority, server) => Effect.flatMap(made, (x509) => x509.sign(authority, server))
    }
  })
)

const services = (globals: GlobalOptions) =>
  Layer.unwrapEffect(
    Effect.map(readConfig(configPath(globals.config, process.env), process.env), ({ config, settings }) =>
      Layer.mergeAll(
        Layer.succeed(Settings, settings),
        FolderDefinitions.layer(config.services.dir),
        ProcessEditor.layer(process.env),
        FileConfig.layer(settings.configFile),
        lazyMcias(config.mcias),
        GrpcAgents.layer.pipe(Layer.provideMerge(FileTokenStore.layer(config.auth.tokenPath)))
      )
    )
  )

const debug = process.env.MCP_DEBUG === "1"
const colour = !process.env.NO_COLOR && process.env.TERM !== "dumb"

runCli(process.argv.slice(2), { version, debug, colour, services }).pipe(
  Effect.provide(
    Layer.mergeAll(
      lazyAuthority,
      HostKeyFiles.layer,
      HostLocalFiles.layer(process.env),
      HostLocalTree.layer,
      PodmanImageBuilder.layer,
      OciLayout.layer
    )
  ),
  Effect.provide(
    Layer.mergeAll(NodeScreen.layer, NodeStdio.layer, NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer)
  ),
  Effect.provide(
    Layer.merge(
      Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger)),
      // What a command has to say it says itself.
      Logger.minimumLogLevel(debug ? LogLevel.Debug : LogLevel.None)
    )
  ),
  Effect.flatMap((exitCode) =>
    Effect.sync(() => {
      process.exitCode = exitCode
    })
  ),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit) => {
      if (Exit.isFailure(exit)) process.exitCode = Cause.isInterrupted(exit.cause) ? INTERRUPTED : 1
      // All is said, but a connection that a silent node never answers would keep the process. What a pipe has not taken
      // yet goes first: an empty write is over when those before it are.
      process.stdout.write("", () => process.stderr.write("", () => process.exit()))
    }
  })
)
