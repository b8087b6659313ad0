import { Args, Command, Options } from "@effect/cli"
import { Path } from "@effect/platform"
import { Effect, Either, Option } from "effect"
import { loadCliConfig } from "../../../domain/CliConfig.ts"
import { withNode } from "../../../domain/nodeTables.ts"
import { formatProblem } from "../../../domain/Toml.ts"
import { ConfigNotSaved, NodeExists, UsageError } from "../../../services/CliError.ts"
import { ConfigFile } from "../../../services/ConfigFile.ts"
import * as Json from "../../json.ts"
import { confirm } from "../../output.ts"
import { Settings } from "../../Settings.ts"
import { nodeName } from "./name.ts"

const addresses = Args.text({ name: "address" }).pipe(
  Args.atLeast(1),
  Args.withDescription("HOST:PORT of its agent; several are tried in order")
)
const caCert = Options.file("ca-cert", { exists: "yes" }).pipe(
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription("the CA of its certificate; the system's without it")
)
const arch = Options.choice("arch", ["amd64", "arm64"]).pipe(
  Options.optional,
  Options.withDescription("its architecture, for mcp build")
)

export const add = Command.make(
  "add",
  { name: nodeName, addresses, caCert, arch },
  Effect.fn("cli.node.add")(function* ({ addresses, arch, caCert, name }) {
    const config = yield* ConfigFile
    const { nodes } = yield* Settings
    if (nodes.some((node) => node.name === name)) {
      return yield* new NodeExists({ node: name, configFile: config.file })
    }
    const [first, ...rest] = addresses
    // Written whole: the config may lie elsewhere than where this was typed.
    const path = yield* Path.Path
    const node = {
      ...{ name, addresses: [first, ...rest] as const, arch: Option.getOrUndefined(arch) },
      caCert: Option.getOrUndefined(Option.map(caCert, (file) => path.resolve(file)))
    }
    const text = yield* Either.mapLeft(
      withNode(config.file, yield* config.read, node),
      (why) => new ConfigNotSaved({ path: config.file, why })
    )
    // With the words of the config: a bad address is the same mistake there.
    const wrong = loadCliConfig({ file: config.file, text, env: {}, home: "/" })
    if (Either.isLeft(wrong)) {
      return yield* new UsageError({ problem: wrong.left.map(formatProblem).join("; ") })
    }
    yield* config.save(text)
    const value = { node: name, addresses, ca_cert: node.caCert ?? null, config_file: config.file }
    yield* confirm(Json.NodeAdded, value, () => [`added ${name} to ${config.file}`, "next: mcp node list"])
  })
).pipe(Command.withDescription("Write a node into the config"))
