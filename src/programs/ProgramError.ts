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

/** A service has several components, and the caller named none. */
export class ComponentAmbiguous extends Schema.TaggedError<ComponentAmbiguous>()("ComponentAmbiguous", {
  service: Schema.String,
  known: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return `service ${this.service} has several components: ${this.known.join(", ")}`
  }
}

export class ComponentNotRunning extends Schema.TaggedError<ComponentNotRunning>()("ComponentNotRunning", {
  service: Schema.String,
  component: Schema.String,
  /** `stopped` is what was asked for. */
  state: Schema.Literal("stopped", "exited", "removed", "paused")
}) {
  override get message() {
    return `its container does not run: it is ${this.state}`
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

/** No host port is left for a route. */
export class PortsExhausted extends Schema.TaggedError<PortsExhausted>()("PortsExhausted", {
  service: Schema.String,
  component: Schema.String
}) {
  override get message() {
    return `no free host port is left for a route of ${this.component}`
  }
}

/** A fixed host port that something else has. */
export class PortTaken extends Schema.TaggedError<PortTaken>()("PortTaken", {
  component: Schema.String,
  port: Schema.String,
  /** The container that has it; absent: another program. */
  holder: Schema.optional(Schema.String)
}) {
  override get message() {
    return `the host port ${this.port} of ${this.component} is taken by ${this.holder === undefined ? "another program" : `container ${this.holder}`}`
  }
}

export class ImageForeign extends Schema.TaggedError<ImageForeign>()("ImageForeign", {
  image: Schema.String,
  architecture: Schema.String,
  node: Schema.String
}) {
  override get message() {
    return `${this.image} is built for ${this.architecture}, and this node is ${this.node}`
  }
}

/** An image that cannot be loaded as it was offered. */
export class ImageRefused extends Schema.TaggedError<ImageRefused>()("ImageRefused", {
  service: Schema.String,
  image: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `cannot load ${this.image}: ${this.why}`
  }
}

/** What came is not what was announced, or not all of it. */
export class LoadBroken extends Schema.TaggedError<LoadBroken>()("LoadBroken", {
  service: Schema.String,
  image: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.image}: ${this.why}; nothing of it was loaded`
  }
}

export class VolumeMissing extends Schema.TaggedError<VolumeMissing>()("VolumeMissing", {
  component: Schema.String,
  path: Schema.String
}) {
  override get message() {
    return `there is no ${this.path} on the node for ${this.component} to mount`
  }
}

const mib = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`

/** A disk that a deployment writes to is as good as full. */
export class DiskLow extends Schema.TaggedError<DiskLow>()("DiskLow", {
  path: Schema.String,
  freeBytes: Schema.Number,
  wantedBytes: Schema.Number,
  /** Absent: a deployment. */
  wants: Schema.optional(Schema.String)
}) {
  override get message() {
    return `the disk of the node is full: ${mib(this.freeBytes)} are free at ${this.path}, and ${this.wants ?? "a deployment"} wants ${mib(this.wantedBytes)}`
  }
}

export class ModeUnsupported extends Schema.TaggedError<ModeUnsupported>()("ModeUnsupported", {
  component: Schema.String,
  mode: Schema.String,
  driver: Schema.String
}) {
  override get message() {
    return `the proxy (${this.driver}) cannot do mode ${this.mode}, which a route of ${this.component} asks for`
  }
}

export const Problem = Schema.Struct({
  component: Schema.String,
  reason: Schema.String,
  message: Schema.String,
  nextStep: Schema.String
})
export type Problem = typeof Problem.Type

/** Several things stand in the way, found before anything was touched. */
export class PreflightFailed extends Schema.TaggedError<PreflightFailed>()("PreflightFailed", {
  service: Schema.String,
  problems: Schema.NonEmptyArray(Problem)
}) {
  override get message() {
    return `${count(this.problems.length, "problem")}: ${this.problems.map((p) => p.message).join("; ")}`
  }
}

export class DeploymentNotFound extends Schema.TaggedError<DeploymentNotFound>()("DeploymentNotFound", {
  service: Schema.String,
  deployment: Schema.String
}) {
  override get message() {
    return `${this.service} has no revision ${this.deployment}`
  }
}

/** There is no earlier revision to go back to. */
export class NoRevision extends Schema.TaggedError<NoRevision>()("NoRevision", {
  service: Schema.String
}) {
  override get message() {
    return `${this.service} has no earlier revision`
  }
}

/** A folder of that name would reach the agent's own files. */
export class NameReserved extends Schema.TaggedError<NameReserved>()("NameReserved", {
  service: Schema.String
}) {
  override get message() {
    return `${this.service} is reserved: its folder would reach the agent's own`
  }
}

export class NothingToAdopt extends Schema.TaggedError<NothingToAdopt>()("NothingToAdopt", {
  service: Schema.String,
  /** A service that unmanaged containers would be of. */
  nearest: Schema.optional(Schema.String)
}) {
  override get message() {
    return `there is no container of ${this.service} on this node`
  }
}

/** Containers of a service that cannot be taken over as they are. */
export class NotAdoptable extends Schema.TaggedError<NotAdoptable>()("NotAdoptable", {
  service: Schema.String,
  violations: Schema.NonEmptyArray(Violation)
}) {
  override get message() {
    return `${count(this.violations.length, "problem")}: ${this.violations.map((v) => `${v.field}: ${v.description}`).join("; ")}`
  }
}

/** The registry does not know it, but there are containers that adopt would take. */
export class ServiceUnmanaged extends Schema.TaggedError<ServiceUnmanaged>()("ServiceUnmanaged", {
  service: Schema.String,
  containers: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the registry has no service ${this.service}; there are unmanaged containers of it: ${this.containers.join(", ")}`
  }
}

/** A secret that a component names has no value, or not the version that is wanted. */
export class SecretMissing extends Schema.TaggedError<SecretMissing>()("SecretMissing", {
  service: Schema.String,
  component: Schema.String,
  secret: Schema.String,
  /** Absent: it was never set. */
  version: Schema.optional(Schema.Number)
}) {
  override get message() {
    return this.version === undefined
      ? `secret ${this.secret} of ${this.service} is not set, and ${this.component} needs it`
      : `version ${this.version} of secret ${this.secret} is not kept any more, and ${this.component} needs it`
  }
}

export class SecretInvalid extends Schema.TaggedError<SecretInvalid>()("SecretInvalid", {
  service: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return this.why
  }
}

export class SecretNotFound extends Schema.TaggedError<SecretNotFound>()("SecretNotFound", {
  service: Schema.String,
  secret: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.service} has no secret ${this.secret}; it has ${this.known.join(", ") || "none"}`
  }
}

/** A secret that what is deployed cannot do without. */
export class SecretInUse extends Schema.TaggedError<SecretInUse>()("SecretInUse", {
  service: Schema.String,
  secret: Schema.String,
  components: Schema.Array(Schema.String)
}) {
  override get message() {
    return `secret ${this.secret} of ${this.service} is used by ${this.components.join(", ")}`
  }
}

/** The definition's own command did not do its part; nothing is kept. */
export class SnapshotCommandFailed extends Schema.TaggedError<SnapshotCommandFailed>()("SnapshotCommandFailed", {
  service: Schema.String,
  component: Schema.String,
  why: Schema.String,
  /** What it wrote last. */
  lines: Schema.Array(Schema.String)
}) {
  override get message() {
    const said = this.lines.length === 0 ? "" : `; it wrote last: ${this.lines.join(" | ")}`
    return `no snapshot was made: the cmd of [snapshot] ${this.why}${said}`
  }
}

/** An archive of something else. */
export class SnapshotForeign extends Schema.TaggedError<SnapshotForeign>()("SnapshotForeign", {
  service: Schema.String,
  snapshot: Schema.String,
  of: Schema.String
}) {
  override get message() {
    return this.of === this.service
      ? `the archive has no id of a snapshot: ${this.snapshot}`
      : `the archive is a snapshot of ${this.of}, not of ${this.service}`
  }
}

/** Two archives of one id that are not the same. */
export class SnapshotTaken extends Schema.TaggedError<SnapshotTaken>()("SnapshotTaken", {
  service: Schema.String,
  snapshot: Schema.String
}) {
  override get message() {
    return `the node has a snapshot ${this.snapshot} of ${this.service} already, and it is not the same`
  }
}

/** The registry does not know the service, and its folder holds files all the same. */
export class DataInTheWay extends Schema.TaggedError<DataInTheWay>()("DataInTheWay", {
  service: Schema.String
}) {
  override get message() {
    return `${this.service} is not deployed on this node, and there are files in its folder`
  }
}
