import { timestampFromMs } from "@bufbuild/protobuf/wkt"
import { Effect, Redacted } from "effect"
import { listSecrets, removeSecret, type SecretUse, setSecret } from "../../programs/secrets.ts"
import { authorize, CallerContext } from "../CallerContext.ts"

const use = ({ component, version }: SecretUse) => ({ component, version: version ?? 0 })

export const secretCalls = {
  setSecret: (request: { readonly service: string; readonly name: string; readonly value: Uint8Array }) =>
    Effect.gen(function* () {
      const value = Redacted.make(request.value)
      yield* authorize(request.service)
      const { who } = yield* CallerContext
      const { name: secret, service } = request
      const { changed, uses, version } = yield* setSecret({ service, secret, value, actor: who.username })
      return { version, changed, uses: uses.map(use) }
    }),
  listSecrets: (request: { readonly service: string }) =>
    authorize(request.service).pipe(
      Effect.zipRight(listSecrets(request.service)),
      Effect.map((secrets) => ({
        secrets: secrets.map(({ newest, secret, uses }) => ({
          name: secret,
          version: newest?.version ?? 0,
          actor: newest?.actor ?? "",
          ...(newest === undefined ? {} : { setAt: timestampFromMs(newest.createdAt) }),
          uses: uses.map(use)
        }))
      }))
    ),
  removeSecret: (request: { readonly service: string; readonly name: string }) =>
    authorize(request.service).pipe(
      Effect.zipRight(removeSecret(request.service, request.name)),
      Effect.map(() => ({}))
    )
}
