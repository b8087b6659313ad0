import { Clock, Effect, Either, Schema } from "effect"
import { loadAgentConfig } from "../domain/AgentConfig.ts"
import { agentPaths, agentTemplate, type NewAgent } from "../domain/agentTemplate.ts"
import { formatProblem } from "../domain/Toml.ts"
import { Certificates } from "../services/Certificates.ts"
import { KeyFiles } from "../services/KeyFiles.ts"

export class AgentOptionsInvalid extends Schema.TaggedError<AgentOptionsInvalid>()("AgentOptionsInvalid", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return `these options make no config: ${this.problems.join("; ")}`
  }
}

export class KeyPairUnusable extends Schema.TaggedError<KeyPairUnusable>()("KeyPairUnusable", {
  certificate: Schema.String,
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return `${this.certificate} cannot be the agent's: ${this.problems.join("; ")}`
  }
}

export interface KeyPairFiles {
  readonly certificate: string
  readonly key: string
  readonly authority: string
}

/** A file's errors are about the file; here the options are to blame. */
const validated = (agent: NewAgent) => {
  const file = agentPaths(agent.dir).config
  const loaded = loadAgentConfig({ file, text: agentTemplate(agent), env: {} })
  return Either.mapLeft(loaded, ([first, ...rest]) => {
    const words = (problem: typeof first) => formatProblem(problem).replace(/^.*?:\d+:\d+: /, "")
    return new AgentOptionsInvalid({ problems: [words(first), ...rest.map(words)] })
  })
}

/** Makes the folders and the config of a new agent, and takes its key pair over. Nothing that is there is changed. */
export const initAgent = Effect.fn("agent.init")(function* (agent: NewAgent, pair: KeyPairFiles | undefined) {
  const files = yield* KeyFiles
  const config = yield* validated(agent)
  const at = agentPaths(agent.dir)
  const copied = yield* Effect.gen(function* () {
    if (pair === undefined) return []
    const certificate = yield* files.read(pair.certificate)
    const key = yield* files.readKey(pair.key)
    const authority = yield* files.read(pair.authority)
    const host = config.server.grpcAddr.host
    const now = yield* Clock.currentTimeMillis
    const [first, ...rest] = yield* (yield* Certificates).problems({ certificate, key, authority }, host, now)
    if (first !== undefined) {
      return yield* new KeyPairUnusable({ certificate: pair.certificate, problems: [first, ...rest] })
    }
    return [
      { file: at.key, secret: key },
      { file: at.certificate, text: certificate },
      { file: at.authority, text: authority }
    ]
  })
  yield* files.makeFolder(agent.dir, 0o700)
  yield* files.makeFolder(at.certs, 0o700)
  yield* files.makeFolder(agent.filesRoot, 0o755)
  const made = [...copied, { file: at.config, text: agentTemplate(agent) }]
  yield* files.create(made)
  const missing = yield* Effect.filter([at.certificate, at.key, at.authority], (file) =>
    Effect.map(files.exists(file), (there) => !there)
  )
  return { config: at.config, made: made.map(({ file }) => file), missing }
})
