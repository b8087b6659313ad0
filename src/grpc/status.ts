import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt"
import { Metadata, type StatusObject, status } from "@grpc/grpc-js"
import { Schema } from "effect"
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../gen/google/rpc/status_pb.ts"

/** The codes of gRPC, by name. */
export const Code = status
/** A code of gRPC. */
export type Code = status

/** The `domain` of every ErrorInfo that MCP sends. */
export const ERROR_DOMAIN = "mcp"

const DETAILS = "grpc-status-details-bin"
// Peers refuse header blocks past 16 KiB (nginx, Go) to 64 KiB (Node); base64 adds a third, and grpc-message repeats the text.
const MAX_DETAILS_BYTES = 6 * 1024
const MAX_TEXT = 1024

/** One field of a request that was not acceptable. */
export const FieldViolation = Schema.Struct({ field: Schema.String, description: Schema.String })
export type FieldViolation = typeof FieldViolation.Type

const optionalText = Schema.optionalWith(Schema.String, { exact: true })

/** How a call fails, on either side of the wire; `reason` is stable and is what callers branch on. */
export class RpcError extends Schema.TaggedError<RpcError>()("RpcError", {
  code: Schema.Enums(status),
  reason: Schema.String,
  /** What failed and why, in one line for a person. */
  detail: Schema.String,
  service: optionalText,
  component: optionalText,
  node: optionalText,
  nextStep: optionalText,
  violations: Schema.optionalWith(Schema.Array(FieldViolation), { exact: true }),
  /** Any further facts; they travel as ErrorInfo.metadata too. */
  info: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true })
}) {
  override get message() {
    return this.detail
  }
}

/** The name of a code: `NOT_FOUND`. */
export const codeName = (code: Code): string => status[code] ?? "UNKNOWN"

/** An error whose reason is the name of its code, for what has no better one. */
export const plainError = (code: Code, detail: string): RpcError =>
  new RpcError({ code, reason: codeName(code), detail })

// encodeURI, which grpc-js applies to the text, throws on half a surrogate pair.
const clean = (text: string) => {
  const whole = text.replace(/\p{Surrogate}/gu, "\uFFFD")
  return whole.length > MAX_TEXT ? `${whole.slice(0, MAX_TEXT).replace(/[\uD800-\uDBFF]$/, "")}…` : whole
}

const named = { service: "service", component: "component", node: "node", nextStep: "next_step" } as const

const details = (error: RpcError): Uint8Array => {
  const metadata: Record<string, string> = {}
  for (const [key, value] of Object.entries(error.info ?? {})) metadata[key] = clean(value)
  for (const key of ["service", "component", "node", "nextStep"] as const) {
    const value = error[key]
    if (value !== undefined) metadata[named[key]] = clean(value)
  }
  const encode = (
    violations: ReadonlyArray<FieldViolation>,
    metadata: Record<string, string>
  ): Uint8Array<ArrayBufferLike> => {
    const fieldViolations = violations.map((v) => ({ field: clean(v.field), description: clean(v.description) }))
    return toBinary(
      StatusSchema,
      create(StatusSchema, {
        code: error.code,
        message: clean(error.detail),
        details: [
          anyPack(
            ErrorInfoSchema,
            create(ErrorInfoSchema, { reason: clean(error.reason), domain: ERROR_DOMAIN, metadata })
          ),
          ...(fieldViolations.length === 0
            ? []
            : [anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }))])
        ]
      })
    )
  }
  let violations = error.violations ?? []
  let bytes = encode(violations, metadata)
  while (bytes.length > MAX_DETAILS_BYTES && violations.length > 0) {
    violations = violations.slice(0, violations.length >> 1)
    bytes = encode(violations, metadata)
  }
  return bytes.length > MAX_DETAILS_BYTES ? encode([], {}) : bytes
}

/** The status and trailers that carry an error, in google.rpc's richer error model. What is too long for a trailer is cut. */
export const toStatus = (error: RpcError): StatusObject => {
  const metadata = new Metadata()
  metadata.set(DETAILS, Buffer.from(details(error)))
  return { code: error.code, details: clean(error.detail), metadata }
}

/** Reads an error back; `undefined` when the trailers carry none (another kind of server, or grpc-js itself). */
export const fromTrailers = (code: Code, text: string, trailers: Metadata): RpcError | undefined => {
  const [raw] = trailers.get(DETAILS)
  if (raw === undefined) return undefined
  try {
    const message = fromBinary(StatusSchema, Buffer.isBuffer(raw) ? raw : Buffer.from(raw, "base64"))
    let reason = codeName(code)
    const facts: { [K in keyof typeof named]?: string } = {}
    let info: Record<string, string> = {}
    let violations: ReadonlyArray<FieldViolation> = []
    for (const any of message.details) {
      const error = anyUnpack(any, ErrorInfoSchema)
      if (error !== undefined) {
        const { service, component, node, next_step: nextStep, ...rest } = error.metadata
        reason = error.reason
        info = rest
        Object.assign(
          facts,
          Object.fromEntries(Object.entries({ service, component, node, nextStep }).filter(([, v]) => v !== undefined))
        )
      }
      const bad = anyUnpack(any, BadRequestSchema)
      if (bad !== undefined) {
        violations = bad.fieldViolations.map(({ description, field }) => ({ field, description }))
      }
    }
    return new RpcError({
      code,
      reason,
      detail: message.message === "" ? text : message.message,
      ...facts,
      ...(violations.length === 0 ? {} : { violations }),
      ...(Object.keys(info).length === 0 ? {} : { info })
    })
  } catch {
    return undefined
  }
}
