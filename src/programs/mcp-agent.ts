import { arch } from "node:os"
import { dirname, join, resolve } from "node:path"
import { Command } from "@effect/cli"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Effect, Layer, Logger, LogLevel } from "effect"
import { AgentState } from "../agent/AgentState.ts"
import { Background } from "../agent/Background.ts"
import { AgentRuns } from "../agent/byHand.ts"
import { commands } from "../agent/cli.ts"
import { serve } from "../agent/serve.ts"
import type { AgentConfig } from "../domain/AgentConfig.ts"
import * as BatchedLogger from "../layers/BatchedLogger.ts"
import * as CommandAlerter from "../layers/CommandAlerter.ts"
import * as ConfinedFiles from "../layers/ConfinedFiles.ts"
import * as DevKmsgKernelLog from "../layers/DevKmsgKernelLog.ts"
import * as FolderSnapshots from "../layers/FolderSnapshots.ts"
import * as HostFolders from "../layers/HostFolders.ts"
import * as HostKeyFiles from "../layers/HostKeyFiles.ts"
import * as HostSecretFiles from "../layers/HostSecretFiles.ts"
import * as HostTrialsHere from "../layers/HostTrialsHere.ts"
import * as MciasIdentity from "../layers/MciasIdentity.ts"
import * as NodeCertificates from "../layers/NodeCertificates.ts"
import * as NodeHostPorts from "../layers/NodeHostPorts.ts"
import * as NodeProber from "../layers/NodeProber.ts"
import * as NoProxy from "../layers/NoProxy.ts"
import * as OsResources from "../layers/OsResources.ts"
import * as PodmanRuntime from "../layers/PodmanRuntime.ts"
import * as SecretKeyFile from "../layers/SecretKeyFile.ts"
import * as SqliteRegistry from "../layers/SqliteRegistry.ts"
import * as SqliteSnapshots from "../layers/SqliteSnapshots.ts"
import * as TarServiceData from "../layers/TarServiceData.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { ContainerHealth } from "./ContainerHealth.ts"
import { exitCodeOf, type NextSteps, reported } from "./main.ts"
import * as Monitor from "./monitor/monitor.ts"
import { RuntimeFeed } from "./RuntimeFeed.ts"
import { ServiceLocks } from "./ServiceLocks.ts"
import { version } from "./version.ts"

const logging = ({ log }: AgentConfig) =>
  Layer.merge(
    Logger.replace(
      Logger.defaultLogger,
      BatchedLogger.make(log.format === "json" ? Logger.jsonLogger : Logger.logfmtLogger)
    ),
    Logger.minimumLogLevel(LogLevel.fromLiteral(log.level === "warn" ? "Warning" : levels[log.level]))
  )
const levels = { debug: "Debug", info: "Info", warn: "Warning", error: "Error" } as const

const nodeInfo = (config: AgentConfig, file: string) =>
  Layer.effect(
    NodeInfo,
    Effect.map(Clock.currentTimeMillis, (startedAt) => ({
      node: config.agent.nodeName,
      version,
      filesRoot: config.agent.filesRoot,
      dataDir: dirname(config.database.path),
      ownPaths: [
        resolve(file),
        config.database.path,
        config.server.tlsCert,
        config.server.tlsKey,
        config.mcias.caCert,
        config.runtime.authFile,
        HostSecretFiles.defaultRoot
      ].filter((path) => path !== undefined),
      authFile: config.runtime.authFile,
      arch: arch() === "x64" ? "amd64" : arch(),
      zone: config.dns?.zone,
      startedAt
    }))
  )

const runtime = ({ database, runtime }: AgentConfig) =>
  runtime.socket === undefined
    ? PodmanRuntime.layerOwned({ stateDir: join(dirname(database.path), "podman") })
    : PodmanRuntime.layer({ socketPath: runtime.socket.replace(/^unix:\/\//, "") })

/** A daemon that is told to stop has done what it should; a command that is cut off has not. */
let serving = false

const main = (config: AgentConfig, file: string) => {
  serving = true
  return serve(options(config, file)).pipe(
    Effect.provide(
      Background.Default.pipe(
        // What goes on in the background is waited for before anything that it uses is closed.
        Layer.provideMerge(Layer.merge(MciasIdentity.layer(config.mcias), AgentState.Default)),
        Layer.provideMerge(onThisNode(config, file))
      )
    )
  )
}

const options = (config: AgentConfig, file: string) => ({
  host: config.server.grpcAddr.host,
  port: config.server.grpcAddr.port,
  certFile: config.server.tlsCert,
  keyFile: config.server.tlsKey,
  eventRetention: config.monitor.eventRetention,
  booting: { stages: config.boot.sequence, breakGlass: breakGlass(file) },
  policy: { serviceAccounts: config.auth.serviceAccounts, rules: config.auth.rules }
})

/** What root on the node may run when nobody can log in, for the log. */
const breakGlass = (file: string) =>
  `systemctl stop mcp-agent, then as root: mcp-agent deploy FILE --config ${file}, or mcp-agent recover --config ${file}`

const onThisNode = (config: AgentConfig, file: string) =>
  // The lock comes first: a second agent must not touch podman.
  Monitor.layer(config.monitor).pipe(
    Layer.provideMerge(RuntimeFeed.Default({ scanEvery: config.monitor.interval })),
    Layer.provideMerge(services(config, file)),
    Layer.provideMerge(SqliteRegistry.layer(config.database.path))
  )

const byHand = (config: AgentConfig, file: string) =>
  Layer.mapError(onThisNode(config, file), (error) =>
    error._tag === "RegistryLocked" ? new AgentRuns({ pid: error.pid }) : error
  )

const services = (config: AgentConfig, file: string) =>
  Layer.mergeAll(
    runtime(config),
    HostFolders.layer(config.agent.filesRoot),
    SecretKeyFile.layer(join(dirname(config.database.path), "secrets.key")),
    HostSecretFiles.layer(),
    ConfinedFiles.layer(config.agent.filesRoot),
    FolderSnapshots.layer(join(dirname(config.database.path), "snapshots")),
    TarServiceData.layer({
      filesRoot: config.agent.filesRoot,
      sqlite: [process.execPath, join(__dirname, "lib/sqlite.js")]
    }),
    NodeProber.layer,
    NodeHostPorts.layer,
    OsResources.layer,
    DevKmsgKernelLog.layer,
    config.proxy === undefined ? NoProxy.layer : NoProxy.layerMissing(config.proxy.driver),
    nodeInfo(config, file),
    ServiceLocks.Default,
    ContainerHealth.Default,
    alerter(config)
  )

const alerter = ({ monitor: { alertCommand, alertTimeout } }: AgentConfig) =>
  alertCommand === undefined
    ? CommandAlerter.layerLog
    : CommandAlerter.layer({ command: alertCommand, timeout: alertTimeout })

const trials = ({ runtime: { socket } }: AgentConfig) =>
  HostTrialsHere.layer({ socket: socket?.replace(/^unix:\/\//, "") })

const run = Command.run(commands(main, logging, trials, byHand, SqliteSnapshots.layer), {
  name: "mcp-agent",
  version,
  executable: "mcp-agent"
})

// Those of init and of the registry's lock and version say it themselves, as does a config with problems.
const next: NextSteps<Effect.Effect.Error<ReturnType<typeof run>>> = {
  ConfigInvalid: undefined,
  ConfigUnreadable: undefined,
  InitFailed: undefined,
  RegistryLocked: undefined,
  RegistryTooNew: undefined,
  AgentRuns: undefined,
  SnapshotFailed: undefined,
  KeepNeedsFolder: undefined,
  RuntimeUnavailable: "mcp-agent check-host tells what of podman is missing",
  RegistryUnavailable: "check that the disk of [database] path has space (df -h), and that the file is the agent's",
  MciasSettingsInvalid: "correct [mcias], then: mcp-agent check-config",
  CertificateError: "mcp ca issue NAME --address ADDRESS makes one; [server] tls_cert and tls_key name it",
  ListenError: "see who listens there (ss -ltnp), or correct [server] grpc_addr: one address of this node"
}

reported("mcp-agent", run(process.argv), next).pipe(
  Effect.provide(Layer.mergeAll(NodeContext.layer, HostKeyFiles.layer, NodeCertificates.layer)),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    // Without process.exit, which would cut off what a pipe has not taken yet.
    teardown: (exit) => {
      process.exitCode = exitCodeOf(exit, serving ? 0 : 130)
    }
  })
)
