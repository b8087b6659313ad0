import { Schema } from "effect"

const optionalText = Schema.optional(Schema.String)

/** An option or argument that cannot be used; nothing was sent. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  problem: Schema.String,
  nextStep: optionalText
}) {
  override get message() {
    return this.problem
  }
}

export class ConfigMissing extends Schema.TaggedError<ConfigMissing>()("ConfigMissing", {
  path: Schema.String
}) {
  override get message() {
    return `there is no config file at ${this.path}`
  }
}

export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  path: Schema.String,
  /** One line each, with file, line and column. */
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return this.problems.join("\n")
  }
}

export class ConfigNotSaved extends Schema.TaggedError<ConfigNotSaved>()("ConfigNotSaved", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the config ${this.path} is as it was: ${this.why}`
  }
}

export class NodeExists extends Schema.TaggedError<NodeExists>()("NodeExists", {
  node: Schema.String,
  configFile: Schema.String
}) {
  override get message() {
    return `${this.configFile} has a node ${this.node} already`
  }
}

export class NotLoggedIn extends Schema.TaggedError<NotLoggedIn>()("NotLoggedIn", {
  path: Schema.String
}) {
  override get message() {
    return `there is no token at ${this.path}`
  }
}

export class TokenExposed extends Schema.TaggedError<TokenExposed>()("TokenExposed", {
  path: Schema.String,
  mode: Schema.String
}) {
  override get message() {
    return `others can read the token file ${this.path} (mode ${this.mode})`
  }
}

export class TokenUnreadable extends Schema.TaggedError<TokenUnreadable>()("TokenUnreadable", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the token file ${this.path} cannot be read: ${this.why}`
  }
}

export class TokenNotStored extends Schema.TaggedError<TokenNotStored>()("TokenNotStored", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the token could not be stored at ${this.path}: ${this.why}`
  }
}

export type TokenError = NotLoggedIn | TokenExposed | TokenUnreadable

export class CaUnreadable extends Schema.TaggedError<CaUnreadable>()("CaUnreadable", {
  node: Schema.String,
  file: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the CA certificate ${this.file} of node ${this.node} cannot be used: ${this.why}`
  }
}

export class DefinitionsUnreadable extends Schema.TaggedError<DefinitionsUnreadable>()("DefinitionsUnreadable", {
  path: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.path} cannot be read: ${this.why}`
  }
}

export class DefinitionNotSaved extends Schema.TaggedError<DefinitionNotSaved>()("DefinitionNotSaved", {
  file: Schema.String,
  why: Schema.String,
  /** What was to be set in it. */
  line: optionalText
}) {
  override get message() {
    return `${this.file} cannot be written: ${this.why}`
  }
}

/** All problems of all definitions concerned, as lines that editors can jump to. */
export class DefinitionsInvalid extends Schema.TaggedError<DefinitionsInvalid>()("DefinitionsInvalid", {
  problems: Schema.NonEmptyArray(Schema.String),
  files: Schema.Number
}) {
  override get message() {
    return this.problems.join("\n")
  }
}

/** A compose file that nothing can be made of. */
export class ComposeInvalid extends Schema.TaggedError<ComposeInvalid>()("ComposeInvalid", {
  file: Schema.String,
  /** One line each, with file, line and column. */
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return this.problems.join("\n")
  }
}

/** What a build needs is not as it should be; nothing was built. */
export class BuildRefused extends Schema.TaggedError<BuildRefused>()("BuildRefused", {
  service: Schema.String,
  problems: Schema.NonEmptyArray(Schema.String),
  nextStep: Schema.String
}) {
  override get message() {
    return this.problems.join("\n")
  }
}

export class EditorFailed extends Schema.TaggedError<EditorFailed>()("EditorFailed", {
  editor: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the editor ${this.editor} failed: ${this.why}`
  }
}

/** An edit that ended without being saved; what was written lies in the draft. */
export class EditNotSaved extends Schema.TaggedError<EditNotSaved>()("EditNotSaved", {
  service: Schema.String,
  why: Schema.String,
  draft: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.why}; what you wrote is kept in ${this.draft}`
  }
}

export class DefinitionExists extends Schema.TaggedError<DefinitionExists>()("DefinitionExists", {
  service: Schema.String,
  file: Schema.String
}) {
  override get message() {
    return `there is a definition of ${this.service} already: ${this.file}`
  }
}

export class NoDefinition extends Schema.TaggedError<NoDefinition>()("NoDefinition", {
  service: Schema.String,
  dir: Schema.String,
  nearest: optionalText
}) {
  override get message() {
    return `there is no definition ${this.dir}/${this.service}.toml`
  }
}

export class ServiceUnknown extends Schema.TaggedError<ServiceUnknown>()("ServiceUnknown", {
  service: Schema.String,
  nearest: optionalText,
  /** Nodes that could not be asked. */
  unasked: Schema.Array(Schema.String)
}) {
  override get message() {
    return `no node has a service named ${this.service}`
  }
}

export class ComponentUnknown extends Schema.TaggedError<ComponentUnknown>()("ComponentUnknown", {
  service: Schema.String,
  component: Schema.String,
  known: Schema.Array(Schema.String),
  nearest: optionalText
}) {
  override get message() {
    return `service ${this.service} has no component ${this.component}; it has ${this.known.join(", ")}`
  }
}

export class NodeUnknown extends Schema.TaggedError<NodeUnknown>()("NodeUnknown", {
  service: Schema.String,
  node: Schema.String,
  nearest: optionalText
}) {
  override get message() {
    return `${this.service} belongs on node ${this.node}, which the config does not have`
  }
}

/** Which node a service is for cannot be told. */
export class NodeAmbiguous extends Schema.TaggedError<NodeAmbiguous>()("NodeAmbiguous", {
  service: Schema.String,
  nodes: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.service} could be meant for any of the nodes ${this.nodes.join(", ")}`
  }
}

export class NoNodes extends Schema.TaggedError<NoNodes>()("NoNodes", {
  configFile: Schema.String
}) {
  override get message() {
    return `the config ${this.configFile} names no node`
  }
}

/** A deployment that ended, but not well. */
export class DeployFailed extends Schema.TaggedError<DeployFailed>()("DeployFailed", {
  service: Schema.String,
  node: Schema.String,
  component: Schema.String,
  reason: Schema.String,
  why: Schema.String,
  nextStep: Schema.String,
  lastLogs: Schema.Array(Schema.String),
  /** What is so now, in one line. */
  now: Schema.String
}) {
  override get message() {
    return this.why
  }
}

/** The operator said no. */
export class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {
  override get message() {
    return "nothing was done"
  }
}

/** Not a failure to report: all has been printed, and this is the exit code. */
export class ExitWith extends Schema.TaggedError<ExitWith>()("ExitWith", {
  exitCode: Schema.Number
}) {}
