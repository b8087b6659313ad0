import type { MessageInitShape } from "@bufbuild/protobuf"
import * as pb from "../gen/mcp/v1/mcp_pb.ts"
import { encoded, field } from "./encoded.ts"

type Request = MessageInitShape<typeof pb.LoadImageRequestSchema>

/** A piece of a layer. */
export const encodeLayerData = (bytes: Uint8Array): Request =>
  encoded(pb.LoadImageRequestSchema, Buffer.concat(field(pb.LoadImageRequestSchema.field.data.number, bytes)))
