import { createHash } from "node:crypto"
import { Schema } from "effect"
import { ComponentSpec, ServiceSpec } from "./Spec.ts"

type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json | undefined }

/** JSON with sorted keys and without what is undefined: equal values have equal texts. */
const canonicalJson = (value: Json): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value as { readonly [key: string]: Json | undefined })
      .flatMap(([key, item]) => (item === undefined ? [] : [[key, item] as const]))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`
  }
  return JSON.stringify(value)
}

const encodeService = Schema.encodeSync(ServiceSpec)
const encodeComponent = Schema.encodeSync(ComponentSpec)

/** A service's spec as one canonical text, the encoded (definition's) form with every default written out. */
export const canonicalService = (spec: ServiceSpec): string => canonicalJson(encodeService(spec) as Json)

/** Reads a canonical text back. */
export const parseCanonicalService = Schema.decodeUnknownEither(Schema.parseJson(ServiceSpec))

/**
 * SHA-256, in hex, of a component's canonical spec. It does not change with the order of keys, a default written or
 * omitted, a short image name or another spelling of a duration.
 */
export const specHash = (component: ComponentSpec): string =>
  createHash("sha256")
    .update(canonicalJson(encodeComponent(component) as Json))
    .digest("hex")

/** SHA-256, in hex, of a whole service's canonical spec. */
export const serviceHash = (spec: ServiceSpec): string =>
  createHash("sha256").update(canonicalService(spec)).digest("hex")
