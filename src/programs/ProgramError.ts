import { Schema } from "effect"

export const Violation = Schema.Struct({
  field: Schema.String,
  description: Schema.String
})
export type Violation = typeof Violation.Type

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`

export class SpecInvalid extends Schema.TaggedError<SpecInvalid>()("SpecInvalid", {
  service: Schema.String,
  violations: Schema.NonEmptyArray(Violation)
}) {
  override get message() {
    const [first, ...rest] = this.violations
    return `${count(this.violations.length, "problem")}: ${[first, ...rest].map((v) => `${v.field}: ${v.description}`).join("; ")}`
  }
}

export class ServiceNotFound extends Schema.TaggedError<ServiceNotFound>()("ServiceNotFound", {
  service: Schema.String,
  nearest: Schema.optional(Schema.String)
}) {
  override get message() {
    return `no service named ${this.service} on this node${this.nearest === undefined ? "" : `; did you mean ${this.nearest}?`}`
  }
}

export class ComponentNotFound extends Schema.TaggedError<ComponentNotFound>()("ComponentNotFound", {
  service: Schema.String,
  component: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `service ${this.service} has no component ${this.component}; it has ${this.known.join(", ") || "none"}`
  }
}

export class ServiceBusy extends Schema.TaggedError<ServiceBusy>()("ServiceBusy", {
  service: Schema.String,
  holder: Schema.String,
  since: Schema.Number
}) {
  override get message() {
    return `${this.holder} of ${this.service} has been under way since ${new Date(this.since).toISOString()}`
  }
}

/** A container stands under the name, and no row of the registry explains it. */
export class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", {
  service: Schema.String,
  component: Schema.String,
  container: Schema.String
}) {
  override get message() {
    return `a container named ${this.container} is there that this registry did not make`
  }
}

/** Keys of the definition whose machinery is still to come. */
export class NotCarriedOut extends Schema.TaggedError<NotCarriedOut>()("NotCarriedOut", {
  service: Schema.String,
  features: Schema.Array(Schema.String)
}) {
  override get message() {
    return `not carried out yet by this version: ${this.features.join("; ")}`
  }
}

export class DeployUnfinished extends Schema.TaggedError<DeployUnfinished>()("DeployUnfinished", {
  service: Schema.String,
  deployment: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `deployment ${this.deployment} could not be brought back: ${this.why}`
  }
}

/** The new container did not become ready; `reason` is a stable name such as `exited_1` or `probe_status_503`. */
export class NotReady extends Schema.TaggedError<NotReady>()("NotReady", {
  component: Schema.String,
  reason: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.component} did not become ready: ${this.why}`
  }
}
