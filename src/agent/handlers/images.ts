import { Effect, type Stream } from "effect"
import type { LoadImageRequest } from "../../gen/mcp/v1/mcp_pb.ts"
import { annotateCall } from "../../grpc/CallInfo.ts"
import { Code, RpcError } from "../../grpc/status.ts"
import { beyondService, loadImage, missingLayers } from "../../programs/loadImage.ts"
import { authorize, authorizeBeyond } from "../CallerContext.ts"
import { firstOf } from "../firstOf.ts"

const malformed = new RpcError({
  code: Code.INVALID_ARGUMENT,
  reason: "START_MISSING",
  detail: "the first message does not say which image",
  nextStep: "mcp build <service> --load sends what is needed"
})

export const loadImageCall = (requests: Stream.Stream<LoadImageRequest, RpcError>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { all, first } = yield* firstOf(requests)
      const start = first?.start
      if (start === undefined) return yield* malformed
      const { config, layers, reference, service } = start
      yield* authorize(service)
      yield* annotateCall({ image: reference.slice(0, 300) })
      yield* authorizeBeyond(service, yield* beyondService(service, reference))
      const sent = layers.map(({ digest, size }) => ({ digest, size: Number(size) }))
      const offer = { service, reference, config, sent }
      if (start.ask) return { missing: yield* missingLayers(offer) }
      const loaded = yield* loadImage(offer, all)
      return { ...loaded, bytes: BigInt(loaded.bytes) }
    })
  )
