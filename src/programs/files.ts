import { Effect, Stream } from "effect"
import type { FileEntry, FileParts, Held } from "../domain/FileParts.ts"
import { reservedBy } from "../domain/NodeRules.ts"
import { FileTransfer, type PushOptions } from "../services/FileTransfer.ts"
import { NodeInfo } from "../services/NodeInfo.ts"
import { Registry } from "../services/Registry.ts"
import { ServiceFolders } from "../services/ServiceFolders.ts"
import { findService } from "./findService.ts"
import { NameReserved } from "./ProgramError.ts"

/** The service is known, and nothing of the agent's own lies in its folder. */
const scope = (service: string) =>
  Effect.gen(function* () {
    yield* findService(service)
    const { filesRoot, ownPaths } = yield* NodeInfo
    const { realPath } = yield* ServiceFolders
    const real = yield* Effect.forEach(ownPaths, realPath)
    const reserved = reservedBy(filesRoot, service, ownPaths) || reservedBy(yield* realPath(filesRoot), service, real)
    if (reserved) return yield* new NameReserved({ service })
    return yield* FileTransfer
  })

export const pushFiles = <E, R>(
  service: string,
  path: Uint8Array,
  options: PushOptions,
  parts: Stream.Stream<FileParts, E, R>
) => Effect.flatMap(scope(service), (files) => files.push(service, path, options, parts))

export const heldOf = (service: string, path: Uint8Array, source: FileEntry) =>
  Effect.flatMap(scope(service), (files) => files.held(service, path, source))

export const pullFiles = (service: string, path: Uint8Array, tree: boolean, held: Held | undefined) =>
  Stream.unwrap(Effect.map(scope(service), (files) => files.pull(service, path, tree, held)))

export const listFiles = (service: string, path: Uint8Array, after: Uint8Array) =>
  Effect.flatMap(scope(service), (files) => files.list(service, path, after))

export const removePath = (service: string, path: Uint8Array, recursive: boolean) =>
  Effect.flatMap(scope(service), (files) => files.remove(service, path, recursive))

/** What transfers have left that nobody can go on with, at the agent's start. */
export const sweepTransfers = Effect.gen(function* () {
  const services = yield* (yield* Registry).services
  yield* (yield* FileTransfer).sweep(services.map(({ service }) => service))
})
