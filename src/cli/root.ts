import { Command, type CommandDescriptor } from "@effect/cli"
import { adopt } from "./commands/adopt.ts"
import { build } from "./commands/build.ts"
import { ca } from "./commands/ca.ts"
import { deploy } from "./commands/deploy.ts"
import { events } from "./commands/events.ts"
import { exec } from "./commands/exec.ts"
import { files } from "./commands/files.ts"
import { history } from "./commands/history.ts"
import { restart, start, stop } from "./commands/lifecycle.ts"
import { list } from "./commands/list.ts"
import { login } from "./commands/login.ts"
import { logout } from "./commands/logout.ts"
import { logs } from "./commands/logs.ts"
import { node } from "./commands/node.ts"
import { plan } from "./commands/plan.ts"
import { ps } from "./commands/ps.ts"
import { pull } from "./commands/pull.ts"
import { purge } from "./commands/purge.ts"
import { push } from "./commands/push.ts"
import { rollback } from "./commands/rollback.ts"
import { secret } from "./commands/secret.ts"
import { service } from "./commands/service.ts"
import { silence } from "./commands/silence.ts"
import { snapshot } from "./commands/snapshot.ts"
import { stats } from "./commands/stats.ts"
import { status } from "./commands/status.ts"
import { sync } from "./commands/sync.ts"
import { undeploy } from "./commands/undeploy.ts"
import { whoami } from "./commands/whoami.ts"
import { why } from "./commands/why.ts"

export const root = Command.make("mcp").pipe(
  Command.withSubcommands([
    login,
    logout,
    whoami,
    build,
    deploy,
    plan,
    rollback,
    history,
    undeploy,
    sync,
    adopt,
    purge,
    stop,
    start,
    restart,
    list,
    ps,
    status,
    why,
    logs,
    events,
    silence,
    stats,
    exec,
    secret,
    push,
    pull,
    files,
    snapshot,
    service,
    node,
    ca
  ])
)

/** Commands that lead to others. From the root's description @effect/cli reaches one level, so the help starts at these. */
export const groups: ReadonlyMap<string, { readonly descriptor: CommandDescriptor.Command<unknown> }> = new Map<
  string,
  { readonly descriptor: CommandDescriptor.Command<unknown> }
>([
  ["service", service],
  ["secret", secret],
  ["files", files],
  ["snapshot", snapshot],
  ["node", node],
  ["ca", ca]
])

/** The commands that need no config: it may not be written yet. */
export const bare = Command.make("mcp").pipe(Command.withSubcommands([ca]))
export const needNoConfig: ReadonlySet<string> = new Set(["ca"])

/** The commands for which what follows `--` is meant. */
export const takesRest: ReadonlySet<string> = new Set(["exec"])

/** Command words by group, in the order of the help: what a line may start with. */
export const commands: ReadonlyArray<{
  readonly title: string
  readonly entries: ReadonlyArray<readonly [usage: string, description: string]>
}> = [
  {
    title: "Services",
    entries: [
      ["build <service>[/<image>]", "build images, for their registry or the node"],
      ["deploy <target>...", "bring services to their definitions"],
      ["plan [<target>...]", "what deploy would change"],
      ["rollback <service>", "back to an earlier revision, whole"],
      ["stop <target>...", "stop services or single components"],
      ["start <target>...", "start them again"],
      ["restart <target>...", "stop and start"],
      ["undeploy <service>", "remove a service's containers; its data stays"],
      ["sync", "bring all nodes to the definitions"],
      ["adopt <service>", "take over containers it does not know"],
      ["purge [<target>]", "drop registry entries that are gone and unwanted"],
      ["exec <target> -- CMD...", "run a command in a container"]
    ]
  },
  {
    title: "Seeing",
    entries: [
      ["ps", "what runs now, on all nodes"],
      ["status [<service>]", "desired and observed state, health, drift"],
      ["why <target>", "why it is as it is: cause, timeline, what to do"],
      ["history <service>", "earlier deployments, and what differs"],
      ["list", "services and components in the registries"],
      ["events [<target>]", "what became otherwise, and by whom"],
      ["silence <target> --for 1h", "a maintenance window: no alerts"],
      ["logs <target>...", "what components write; -f goes on"],
      ["stats [<target>...]", "CPU, memory, network and block I/O of what runs"],
      ["node list", "the nodes and how they are"]
    ]
  },
  {
    title: "Files",
    entries: [
      ["push LOCAL <service> [PATH]", "files to a service's own folder"],
      ["pull <service> PATH [LOCAL]", "files from a service's own folder"],
      ["files list <service> [PATH]", "what lies in it"],
      ["files rm <service> PATH", "remove a file, or a folder with -r"],
      ["snapshot create <service>", "copy a service's data, kept on its node"],
      ["snapshot list [<service>]", "the snapshots that nodes keep"],
      ["snapshot restore <service>", "put the data back: the newest, or [ID]"],
      ["snapshot rm <service> ID", "remove a snapshot"]
    ]
  },
  {
    title: "Nodes",
    entries: [
      ["node add <name> <address>...", "write a node into the config"],
      ["node remove <name>", "take a node out of the config; it runs on"]
    ]
  },
  {
    title: "Definitions",
    entries: [
      ["service list", "the definitions in the folder, valid or not"],
      ["service show <service>", "a service's definition"],
      ["service check [<service>...]", "what is wrong with definitions; all by default"],
      ["service new <service>", "write a definition to begin with"],
      ["service edit <service>", "open a definition in $EDITOR and check it"],
      ["service import <file>...", "make a definition of a compose file"],
      ["service export <service>", "what runs, as a definition or quadlet units"]
    ]
  },
  {
    title: "Secrets",
    entries: [
      ["secret set <service> <name>", "keep a value that containers read as a file"],
      ["secret list <service>", "names, versions, and who uses them"],
      ["secret rm <service> <name>", "remove a secret that nothing needs"]
    ]
  },
  {
    title: "Account",
    entries: [
      ["login", "get a token from MCIAS and store it"],
      ["logout", "remove the stored token"],
      ["whoami", "the account, its roles, the token's expiry"]
    ]
  },
  {
    title: "Setting up",
    entries: [
      ["ca init", "make a private CA, for those who have none"],
      ["ca issue <name> -a ADDR", "a certificate and key for a server"]
    ]
  }
]

/** The first words of a line, each with the second words it takes. */
export const paths: ReadonlyMap<string, ReadonlyArray<string>> = commands
  .flatMap((group) => group.entries)
  .map(([usage]) => usage.split(" ").filter((word) => /^[a-z]+$/.test(word)))
  .reduce(
    (found, [first = "", ...second]) => found.set(first, [...(found.get(first) ?? []), ...second]),
    new Map<string, ReadonlyArray<string>>()
  )
