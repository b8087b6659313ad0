import { Schema } from "effect"

export class RegistryUnavailable extends Schema.TaggedError<RegistryUnavailable>()("RegistryUnavailable", {
  operation: Schema.String,
  why: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message() {
    return `the registry could not be ${this.operation}: ${this.why}`
  }
}

export class RegistryLocked extends Schema.TaggedError<RegistryLocked>()("RegistryLocked", {
  path: Schema.String,
  pid: Schema.optional(Schema.Number)
}) {
  override get message() {
    return `another agent${this.pid === undefined ? "" : ` (pid ${this.pid})`} holds the database ${this.path}\n  next: stop that one first, or give this one a database of its own ([database] path)`
  }
}

export class RegistryTooNew extends Schema.TaggedError<RegistryTooNew>()("RegistryTooNew", {
  path: Schema.String,
  found: Schema.Number,
  known: Schema.Number
}) {
  override get message() {
    return `the database ${this.path} has schema version ${this.found}; this program knows up to ${this.known}\n  next: start the newer mcp-agent that wrote it`
  }
}
