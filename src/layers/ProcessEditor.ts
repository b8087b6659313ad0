import { spawn } from "node:child_process"
import { Effect, Layer } from "effect"
import { EditorFailed } from "../services/CliError.ts"
import { Editor } from "../services/Editor.ts"

/**
 * `$VISUAL`, else `$EDITOR`, else vi, on the terminal of this process. Options may follow the program's name, as in
 * `code --wait`; they are split at spaces, and no shell is asked.
 */
export const layer = (env: Readonly<Record<string, string | undefined>>): Layer.Layer<Editor> =>
  Layer.succeed(Editor, {
    edit: (file) =>
      Effect.async<void, EditorFailed>((resume) => {
        const command = env.VISUAL?.trim() || env.EDITOR?.trim() || "vi"
        const [program = "vi", ...options] = command.split(/\s+/)
        const failed = (why: string) => resume(Effect.fail(new EditorFailed({ editor: command, why })))
        const child = spawn(program, [...options, file], { stdio: "inherit" })
        child.once("error", (error) =>
          failed("code" in error && error.code === "ENOENT" ? "there is no such program" : error.message)
        )
        child.once("exit", (code, signal) =>
          code === 0 ? resume(Effect.void) : failed(signal === null ? `it ended with ${code}` : `ended by ${signal}`)
        )
        return Effect.sync(() => void child.kill("SIGTERM"))
      })
  })
