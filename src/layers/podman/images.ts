import { readFile } from "node:fs/promises"
import { HttpClientRequest } from "@effect/platform"
import { Effect, Either, Option, Schema, Stream } from "effect"
import * as Reference from "../../domain/Image.ts"
import { type ContainerRuntime, Image } from "../../services/ContainerRuntime.ts"
import { DiskFull, ImagePullFailed, RuntimeRefused } from "../../services/RuntimeError.ts"
import { whyNot } from "../fileError.ts"
import { type Api, asUnavailable, path } from "./api.ts"
import { layers, loadImage } from "./loadImage.ts"
import { isDiskFull, plain } from "./words.ts"

const Inspected = Schema.Struct({
  Id: Schema.String,
  RepoTags: Schema.NullOr(Schema.Array(Schema.String)),
  RepoDigests: Schema.NullOr(Schema.Array(Schema.String)),
  Architecture: Schema.optional(Schema.String),
  User: Schema.optional(Schema.String)
})

const AuthFile = Schema.parseJson(
  Schema.Struct({
    auths: Schema.optional(
      Schema.Record({ key: Schema.String, value: Schema.Struct({ auth: Schema.optional(Schema.String) }) })
    )
  })
)

const Progress = Schema.parseJson(
  Schema.Struct({ stream: Schema.optional(Schema.String), error: Schema.optional(Schema.String) })
)

/** The keys for an image as containers-auth.json(5) has them, the most particular first. */
const keysFor = (reference: string): ReadonlyArray<string> => {
  const image = Reference.parse(reference)
  if (!image) return []
  const parts = [image.registry, ...image.repository.split("/")]
  const scopes = parts.map((_, at) => parts.slice(0, parts.length - at).join("/"))
  return image.registry === "docker.io"
    ? [...scopes, "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"]
    : scopes
}

const credentials = (reference: string, authFile: string | undefined) =>
  Effect.gen(function* () {
    if (authFile === undefined) return Option.none<string>()
    const unusable = (why: string) =>
      new ImagePullFailed({ image: reference, why: `cannot use the credentials in ${authFile}: ${why}` })
    const text = yield* Effect.tryPromise({
      try: (signal) => readFile(authFile, { encoding: "utf8", signal }),
      catch: (error) => unusable(whyNot(error))
    })
    // The parse error would quote the file, and with it the secret.
    const { auths = {} } = yield* Effect.mapError(Schema.decode(AuthFile)(text), () => unusable("it has another form"))
    const found = keysFor(reference).flatMap((key) => auths[key]?.auth ?? [])[0]
    if (found === undefined) return Option.none<string>()
    const pair = Buffer.from(found, "base64").toString("utf8")
    const colon = pair.indexOf(":")
    if (colon < 0) return yield* unusable("it has another form")
    const json = JSON.stringify({ username: pair.slice(0, colon), password: pair.slice(colon + 1) })
    // podman reads base64url with its padding, which Node's "base64url" leaves out.
    return Option.some(Buffer.from(json).toString("base64").replaceAll("+", "-").replaceAll("/", "_"))
  })

const find = (api: Api, reference: string) =>
  api
    .json(
      { operation: "image", request: HttpClientRequest.get(path`/images/${reference}/json`), within: "4 seconds" },
      Inspected
    )
    .pipe(
      Effect.map((found) => {
        const user = found.User?.split(":")[0] ?? ""
        return Option.some(
          new Image({
            id: found.Id,
            references: found.RepoTags ?? [],
            digests: found.RepoDigests ?? [],
            ...(found.Architecture ? { architecture: found.Architecture } : {}),
            ...(/^\d+$/.test(user) ? { user } : {})
          })
        )
      }),
      Effect.catchTag("Refusal", (error) => (error.status === 404 ? Effect.succeedNone : asUnavailable(error)))
    )

const pullFailed = (image: string, message: string, why: string) =>
  isDiskFull(message) ? new DiskFull({ operation: "pull", subject: image }) : new ImagePullFailed({ image, why })

/**
 * podman tells of each layer when it begins, so a large one over a thin line is silent for long; but an image registry
 * that has gone away must not hold a service's lock for ever.
 */
const silentAtMost = "30 minutes"

export const make = (
  api: Api
): Pick<ContainerRuntime["Type"], "image" | "layers" | "loadImage" | "pull" | "removeImage"> => ({
  removeImage: (id) =>
    Effect.gen(function* () {
      // Name by name, since an image with several is not removed by its id; with the last one it goes itself. podman
      // refuses that while a container uses it. Never by force: that would take the containers along.
      const before = Option.getOrUndefined(yield* find(api, id))
      if (before === undefined) return true
      const names = before.references.length > 0 ? before.references : [id]
      for (const reference of names) {
        const removed = yield* Effect.either(
          api.text({
            operation: "remove image",
            request: HttpClientRequest.del(path`/images/${reference}`),
            within: "60 seconds"
          })
        )
        if (Either.isRight(removed)) continue
        const error = removed.left
        if (error._tag !== "Refusal") return yield* error
        if (error.status === 409) return false
        if (error.status !== 404) {
          return yield* new RuntimeRefused({ operation: "remove image", subject: id, why: error.why })
        }
      }
      return Option.isNone(yield* find(api, id))
    }),

  image: (reference) => find(api, reference),
  layers: layers(api),
  loadImage: loadImage(api, (id) => Effect.map(find(api, id), Option.isSome)),

  pull: (reference, { authFile }) =>
    Stream.unwrap(
      Effect.map(credentials(reference, authFile), (auth) => {
        const request = HttpClientRequest.post("/images/pull").pipe(
          HttpClientRequest.setUrlParam("reference", reference)
        )
        return api.bytes({
          operation: "pull",
          request: Option.match(auth, {
            onNone: () => request,
            onSome: (value) => HttpClientRequest.setHeader(request, "x-registry-auth", value)
          })
        })
      })
    ).pipe(
      Stream.timeoutFail(
        () => new ImagePullFailed({ image: reference, why: `nothing more came within ${silentAtMost}` }),
        silentAtMost
      ),
      Stream.decodeText(),
      Stream.splitLines,
      Stream.filter((line) => line.trim() !== ""),
      Stream.mapEffect((line) =>
        Effect.gen(function* () {
          const { stream, error } = yield* Effect.orElseSucceed(Schema.decode(Progress)(line), () => ({
            stream: undefined,
            error: undefined
          }))
          if (error !== undefined) return yield* pullFailed(reference, error, plain(error))
          return (stream ?? "").split("\n").filter((text) => text.trim() !== "")
        })
      ),
      Stream.mapConcat((lines) => lines),
      Stream.catchTag("Refusal", (error) => Stream.fail(pullFailed(reference, error.detail, error.why)))
    )
})
