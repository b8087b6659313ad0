import { Effect, Stream } from "effect"
import type { FileParts, Received } from "../../domain/FileParts.ts"
import type { FileError } from "../../services/FileTransfer.ts"
import { fileError } from "./failure.ts"
import { collectAsUsual, collectLessOften } from "./garbage.ts"
import type { Receiver } from "./receive.ts"

/** Takes a transfer to its end. What was cut is kept where it can be gone on with; what was wrong is not. */
export const receiving = <E, R>(
  path: string,
  open: () => { readonly receiver: Receiver; readonly close: () => void },
  parts: Stream.Stream<FileParts, E, R>
): Effect.Effect<Received, FileError | E, R> => {
  // What has begun is waited for when the caller goes away: only then is it known what there is to close and clear.
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.uninterruptible(Effect.tryPromise({ try: run, catch: (cause) => fileError(path, cause) }))
  return Effect.acquireUseRelease(
    Effect.tap(Effect.try({ try: open, catch: (cause) => fileError(path, cause) }), Effect.sync(collectLessOften)),
    ({ receiver }) =>
      Stream.runForEach(parts, (some) =>
        attempt(async () => {
          for (const part of some) await receiver.take(part)
        })
      ).pipe(Effect.zipRight(attempt(() => receiver.done()))),
    ({ close, receiver }) =>
      Effect.ignore(
        Effect.tryPromise(async () => {
          try {
            await receiver.end(true)
          } finally {
            close()
            collectAsUsual()
          }
        })
      )
  )
}
