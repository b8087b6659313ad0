import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect, Layer, Redacted } from "effect"
import { NotLoggedIn, TokenExposed, TokenNotStored, TokenUnreadable } from "../services/CliError.ts"
import { TokenStore } from "../services/TokenStore.ts"
import { isMissing, whyNot } from "./fileError.ts"

const OTHERS = 0o077

const read = (path: string) =>
  Effect.gen(function* () {
    const unreadable = (error: unknown) =>
      isMissing(error) ? new NotLoggedIn({ path }) : new TokenUnreadable({ path, why: whyNot(error) })
    const { mode } = yield* Effect.tryPromise({ try: () => stat(path), catch: unreadable })
    if ((mode & OTHERS) !== 0) {
      return yield* new TokenExposed({ path, mode: (mode & 0o777).toString(8).padStart(4, "0") })
    }
    const text = yield* Effect.tryPromise({ try: () => readFile(path, "utf8"), catch: unreadable })
    const token = text.trim()
    if (token === "") return yield* new NotLoggedIn({ path })
    // A header cannot carry anything else, and the error of one that tries would show it.
    if (!/^[\x21-\x7e]+$/.test(token)) return yield* new TokenUnreadable({ path, why: "it holds no token" })
    return Redacted.make(token)
  })

const replace = async (path: string, text: string) => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = join(dirname(path), `.token-${process.pid}-${Date.now()}`)
  let file: FileHandle | undefined
  try {
    file = await open(temporary, "wx", 0o600)
    await file.writeFile(text)
    await file.sync()
    await file.close()
    await rename(temporary, path)
  } catch (error) {
    await file?.close().catch(() => {})
    await rm(temporary, { force: true })
    throw error
  }
}

/** One file, mode 0600, in a folder of mode 0700. */
export const layer = (path: string): Layer.Layer<TokenStore> =>
  Layer.succeed(TokenStore, {
    path,
    read: read(path),
    write: (token) =>
      Effect.tryPromise({
        try: () => replace(path, `${Redacted.value(token)}\n`),
        catch: (error) => new TokenNotStored({ path, why: whyNot(error) })
      }),
    remove: Effect.tryPromise({ try: () => rm(path), catch: (error) => error }).pipe(
      Effect.as(true),
      Effect.catchAll((error) =>
        isMissing(error) ? Effect.succeed(false) : Effect.fail(new TokenNotStored({ path, why: whyNot(error) }))
      )
    )
  })
