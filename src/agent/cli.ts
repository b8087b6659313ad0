import { Args, Command, Options } from "@effect/cli"
import { Console, Effect, type Layer, Option, Schema } from "effect"
import { type AgentConfig, renderConfig } from "../domain/AgentConfig.ts"
import type { HostTrials } from "../services/HostTrials.ts"
import type { Snapshots } from "../services/Snapshots.ts"
import { definitionIn, deployByHand, type OnThisNode, recoverByHand } from "./byHand.ts"
import { reportHost } from "./checkHost.ts"
import { init } from "./init.ts"
import { load } from "./loadConfig.ts"
import { restoreRegistry, snapshotRegistry } from "./snapshots.ts"

const config = Options.text("config").pipe(
  Options.withDescription("the agent's config file"),
  Options.withDefault("/srv/mcp/mcp-agent.toml")
)

const snapshotOptions = {
  to: Options.text("to").pipe(
    Options.withPseudoName("DIR or FILE"),
    Options.optional,
    Options.withDescription("a folder, or a file that is not there; snapshots/ beside the database when absent")
  ),
  keep: Options.integer("keep").pipe(
    Options.withPseudoName("N"),
    Options.withSchema(Schema.Int.pipe(Schema.greaterThan(0, { message: () => "--keep takes a number from 1 on" }))),
    Options.optional,
    Options.withDescription("how many of this node's snapshots stay in the folder; all when absent")
  )
}

/** The agent's commands; `serve` is what bare `mcp-agent` does. Layers come from the entry file. */
export const commands = <E, E2, E3, R>(
  serve: (config: AgentConfig, file: string) => Effect.Effect<never, E, R>,
  logging: (config: AgentConfig) => Layer.Layer<never, E2>,
  trials: (config: AgentConfig) => Layer.Layer<HostTrials>,
  onThisNode: (config: AgentConfig, file: string) => Layer.Layer<OnThisNode, E3>,
  snapshots: Layer.Layer<Snapshots>
) => {
  const run = ({ config: file }: { readonly config: string }) =>
    Effect.flatMap(load(file), (loaded) => Effect.provide(serve(loaded, file), logging(loaded)))
  const parent = Command.make("mcp-agent", { config }, run)
  const inherited = { config: Options.optional(Options.text("config")) }
  const withConfig =
    <A, E, R>(act: (options: { readonly config: string }) => Effect.Effect<A, E, R>) =>
    ({ config: own }: { readonly config: Option.Option<string> }) =>
      Effect.flatMap(parent, ({ config: before }) => act({ config: Option.getOrElse(own, () => before) }))
  /** With the agent stopped: the registry's lock holds everybody else off. */
  const byHand = <E>(config: Option.Option<string>, act: (loaded: AgentConfig) => Effect.Effect<void, E, OnThisNode>) =>
    withConfig(({ config: file }) =>
      Effect.flatMap(load(file), (loaded) =>
        act(loaded).pipe(Effect.provide(onThisNode(loaded, file)), Effect.provide(logging(loaded)))
      )
    )({ config })
  const withSnapshots = <E>(
    config: Option.Option<string>,
    act: (loaded: AgentConfig) => Effect.Effect<void, E, Snapshots>
  ) =>
    withConfig(({ config: file }) => Effect.flatMap(load(file), (loaded) => Effect.provide(act(loaded), snapshots)))({
      config
    })
  return parent.pipe(
    Command.withDescription("The agent of one node: runs containers through podman and answers over gRPC"),
    Command.withSubcommands([
      Command.make("serve", inherited, withConfig(run)).pipe(Command.withDescription("Serve until stopped (default)")),
      Command.make(
        "check-config",
        inherited,
        withConfig(({ config: file }) => Effect.flatMap(load(file), (loaded) => Console.log(renderConfig(loaded))))
      ).pipe(Command.withDescription("Check the config and print what is in force")),
      Command.make(
        "check-host",
        { ...inherited, json: Options.boolean("json").pipe(Options.withDescription("one JSON document")) },
        ({ config, json }) =>
          withConfig(({ config: file }) =>
            Effect.flatMap(load(file), (loaded) => Effect.provide(reportHost(loaded, json), trials(loaded)))
          )({ config })
      ).pipe(
        Command.withDescription("Try on this node what the agent will need: each line ok, or failed with the fix")
      ),
      init,
      Command.make("recover", inherited, ({ config }) => byHand(config, recoverByHand)).pipe(
        Command.withDescription("With the agent stopped: bring back all that should run, and say what was done")
      ),
      Command.make(
        "deploy",
        { ...inherited, file: Args.text({ name: "FILE" }).pipe(Args.withDescription("a service's definition")) },
        ({ config, file }) => Effect.flatMap(definitionIn(file), (spec) => byHand(config, () => deployByHand(spec)))
      ).pipe(Command.withDescription("With the agent stopped: deploy a definition, when nobody can log in")),
      Command.make("snapshot", { ...inherited, ...snapshotOptions }, ({ config, keep, to }) =>
        withSnapshots(config, (loaded) => snapshotRegistry(loaded, to, keep))
      ).pipe(Command.withDescription("Copy the registry, also beside a running agent")),
      Command.make(
        "restore",
        { ...inherited, snapshot: Args.text({ name: "SNAPSHOT" }).pipe(Args.withDescription("a file of snapshot's")) },
        ({ config, snapshot }) => withSnapshots(config, (loaded) => restoreRegistry(loaded, snapshot))
      ).pipe(Command.withDescription("With the agent stopped: put a snapshot in the registry's place"))
    ])
  )
}
