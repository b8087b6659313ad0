import { Schema } from "effect"

/** There is no podman on this machine's PATH, or the machine that podman has for itself does not run. */
export class PodmanMissing extends Schema.TaggedError<PodmanMissing>()("PodmanMissing", { why: Schema.String }) {
  override get message() {
    return `podman cannot be used on this machine: ${this.why}`
  }
}

/** The podman of this machine cannot do it, for a reason that is no image's and no image registry's. */
export class PodmanUnusable extends Schema.TaggedError<PodmanUnusable>()("PodmanUnusable", {
  operation: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `podman ${this.operation} failed: ${this.why}`
  }
}

export class ImageRegistryUnreachable extends Schema.TaggedError<ImageRegistryUnreachable>()(
  "ImageRegistryUnreachable",
  { registry: Schema.String, why: Schema.String }
) {
  override get message() {
    return `cannot reach the image registry ${this.registry}: ${this.why}`
  }
}

/** It answers, but with a certificate that podman does not trust, or without TLS. */
export class ImageRegistryUntrusted extends Schema.TaggedError<ImageRegistryUntrusted>()("ImageRegistryUntrusted", {
  registry: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the image registry ${this.registry} is not trusted: ${this.why}`
  }
}

/** No credentials, wrong ones, or no right to this image. */
export class ImageRegistryUnauthorized extends Schema.TaggedError<ImageRegistryUnauthorized>()(
  "ImageRegistryUnauthorized",
  {
    registry: Schema.String,
    image: Schema.String,
    why: Schema.String,
    /** Some say so of a repository that nothing was pushed to yet, to those who may push there. */
    mayBeAbsent: Schema.optionalWith(Schema.Boolean, { default: () => false })
  }
) {
  override get message() {
    return `the image registry ${this.registry} refuses ${this.image}: ${this.why}`
  }
}

/** It answered with something else. */
export class ImageRegistryFailed extends Schema.TaggedError<ImageRegistryFailed>()("ImageRegistryFailed", {
  registry: Schema.String,
  image: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return `the image registry ${this.registry} failed for ${this.image}: ${this.why}`
  }
}

/** A step of the Dockerfile failed. */
export class BuildFailed extends Schema.TaggedError<BuildFailed>()("BuildFailed", {
  image: Schema.String,
  dockerfile: Schema.String,
  why: Schema.String,
  /** What the failing step wrote last. */
  lastLines: Schema.Array(Schema.String)
}) {
  override get message() {
    return `${this.why} (${this.dockerfile})`
  }
}

/** The disk that podman keeps its images on, on this machine. */
export class BuildDiskFull extends Schema.TaggedError<BuildDiskFull>()("BuildDiskFull", {
  operation: Schema.String
}) {
  override get message() {
    return `the disk of this machine is full (podman ${this.operation})`
  }
}

export type LocalPodmanError = PodmanMissing | PodmanUnusable

export type ImageRegistryError =
  | ImageRegistryUnreachable
  | ImageRegistryUntrusted
  | ImageRegistryUnauthorized
  | ImageRegistryFailed

export type ImageBuilderError = LocalPodmanError | ImageRegistryError | BuildFailed | BuildDiskFull
