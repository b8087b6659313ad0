import { Schema } from "effect"

export class RuntimeUnavailable extends Schema.TaggedError<RuntimeUnavailable>()("RuntimeUnavailable", {
  operation: Schema.String,
  why: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message() {
    return `the container runtime did not answer (${this.operation}): ${this.why}`
  }
}

export class ContainerNotFound extends Schema.TaggedError<ContainerNotFound>()("ContainerNotFound", {
  container: Schema.String
}) {
  override get message() {
    return `no container named ${this.container}`
  }
}

export class ContainerNameInUse extends Schema.TaggedError<ContainerNameInUse>()("ContainerNameInUse", {
  container: Schema.String
}) {
  override get message() {
    return `a container named ${this.container} exists already`
  }
}

export class ImageNotFound extends Schema.TaggedError<ImageNotFound>()("ImageNotFound", {
  image: Schema.String
}) {
  override get message() {
    return `the image ${this.image} is not on this node`
  }
}

export class ImagePullFailed extends Schema.TaggedError<ImagePullFailed>()("ImagePullFailed", {
  image: Schema.String,
  why: Schema.String,
  /** The node has an image of that name all the same. */
  here: Schema.optional(Schema.Boolean)
}) {
  override get message() {
    return `cannot pull ${this.image}: ${this.why}`
  }
}

export class ImageLoadFailed extends Schema.TaggedError<ImageLoadFailed>()("ImageLoadFailed", {
  image: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `cannot load ${this.image}: ${this.why}`
  }
}

/** A layer that was not sent, since the node had it, is gone. */
export class LayerGone extends Schema.TaggedError<LayerGone>()("LayerGone", {
  image: Schema.String,
  layer: Schema.String
}) {
  override get message() {
    return `cannot load ${this.image}: the node has its layer ${this.layer} no more`
  }
}

/** The file system that the runtime writes to has no space left. */
export class DiskFull extends Schema.TaggedError<DiskFull>()("DiskFull", {
  operation: Schema.String,
  subject: Schema.String
}) {
  override get message() {
    return `cannot ${this.operation} ${this.subject}: the disk of the node is full`
  }
}

export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", {
  container: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `cannot start ${this.container}: ${this.why}`
  }
}

/** The runtime understood and said no: a command that is not there, a bad option, a mount that fails. */
export class RuntimeRefused extends Schema.TaggedError<RuntimeRefused>()("RuntimeRefused", {
  operation: Schema.String,
  subject: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.subject}: ${this.why}`
  }
}

/** A command that a shell would answer with 126 or 127. */
export class CommandNotRun extends Schema.TaggedError<CommandNotRun>()("CommandNotRun", {
  exitCode: Schema.Number,
  why: Schema.String
}) {
  override get message() {
    return this.why
  }
}

/** A command of which nobody knows how it ended. */
export class CommandCutOff extends Schema.TaggedError<CommandCutOff>()("CommandCutOff", {
  why: Schema.String
}) {
  override get message() {
    return `the command was cut off: ${this.why}`
  }
}

export type RuntimeError =
  | RuntimeUnavailable
  | ContainerNotFound
  | ContainerNameInUse
  | ImageNotFound
  | ImagePullFailed
  | ImageLoadFailed
  | LayerGone
  | DiskFull
  | PortInUse
  | RuntimeRefused
  | CommandNotRun
  | CommandCutOff
