import { Effect } from "effect"
import { toProto } from "../../grpc/spec.ts"
import { adopt } from "../../programs/adopt.ts"
import { exportSpec } from "../../programs/exportSpec.ts"
import { Background } from "../Background.ts"
import { authorizeSpec } from "../beyond.ts"
import { authorize, CallerContext } from "../CallerContext.ts"
import * as encode from "../encode.ts"

export const adoptContainers = (request: { readonly service: string; readonly dryRun: boolean }) =>
  Effect.gen(function* () {
    const { dryRun, service } = request
    yield* authorize(service)
    const { who } = yield* CallerContext
    const background = yield* Background
    const { components, warnings } = yield* background.detached(
      adopt({ service, dryRun, actor: who.username }, authorizeSpec)
    )
    return { components: components.map(encode.adopted), warnings: [...warnings] }
  })

export const exported = (request: { readonly service: string }) =>
  Effect.gen(function* () {
    yield* authorize(request.service)
    const { spec, warnings } = yield* exportSpec(request.service)
    return { spec: toProto(spec), warnings: [...warnings] }
  })
