import { spawn } from "node:child_process"
import { Data, Effect, Layer, Schedule } from "effect"
import { type Alert, Alerter } from "../services/Alerter.ts"

export interface CommandOptions {
  /** The program and its arguments; no shell sees them. */
  readonly command: readonly [string, ...Array<string>]
  /** It is killed after so many milliseconds. */
  readonly timeout: number
}

/** Of what a command prints this much is logged, and the rest is read and dropped. */
const keptOutput = 4 * 1024
const lateOutputMs = 250
const onceMore = Schedule.addDelay(Schedule.recurs(1), () => "1 second")

class AlertFailed extends Data.TaggedError("AlertFailed")<{ readonly why: string; readonly output: string }> {}

/** The agent's own environment may hold secrets, and is not handed on. */
const inherited = ["PATH", "HOME", "LANG", "TZ"] as const

const fieldsOf = (alert: Alert) => ({ ...alert, at: new Date(alert.at).toISOString() })

const environmentOf = (alert: Alert): Record<string, string> => ({
  ...Object.fromEntries(inherited.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
  ...Object.fromEntries(
    // A NUL would end the text there, and the spawn fail.
    Object.entries(fieldsOf(alert)).map(([key, value]) => [
      `MCP_ALERT_${key.toUpperCase()}`,
      value.replaceAll("\0", "")
    ])
  )
})

/** One run: the alert as JSON on its input, and it has to end with 0 in time. Its whole process group ends with it. */
const runOnce = ({ command: [program, ...args], timeout }: CommandOptions, alert: Alert) =>
  Effect.async<string, AlertFailed>((resume) => {
    const parts: Array<Buffer> = []
    let size = 0
    const output = () => Buffer.concat(parts).subarray(0, keptOutput).toString("utf8").trim()
    const child = spawn(program, args, { env: environmentOf(alert), detached: true, stdio: ["pipe", "pipe", "pipe"] })
    const fail = (why: string) => resume(new AlertFailed({ why, output: output() }))
    const collect = (chunk: Buffer) => {
      if (size < keptOutput) parts.push(chunk)
      size += chunk.length
    }
    child.stdout.on("data", collect)
    child.stderr.on("data", collect)
    child.on("error", (error) => fail(error.message))
    // A command need not read its input.
    child.stdin.on("error", () => undefined)
    child.stdin.end(`${JSON.stringify(fieldsOf(alert))}\n`)
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      } catch {
        // It has ended already.
      }
      child.stdout.destroy()
      child.stderr.destroy()
    }
    child.on("exit", (code, signal) => {
      const ended = () => {
        if (code === 0) resume(Effect.succeed(output()))
        else fail(code === null ? `it was ended by ${signal}` : `it ended with exit code ${code}`)
        end()
      }
      // What it printed last may still be on its way; a child that it leaves behind may hold the pipes open for ever.
      const late = setTimeout(ended, lateOutputMs)
      child.on("close", () => {
        clearTimeout(late)
        ended()
      })
    })
    return Effect.sync(end)
  }).pipe(
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => new AlertFailed({ why: `it had not ended after ${timeout} ms, and was killed`, output: "" })
    })
  )

const make = (options: CommandOptions): Alerter["Type"] => ({
  send: (alert) => {
    const tried = Effect.tapBoth(runOnce(options, alert), {
      onSuccess: (output) => Effect.logInfo("the alert command has run").pipe(Effect.annotateLogs({ output })),
      onFailure: ({ output, why }) =>
        Effect.logError("the alert command failed").pipe(Effect.annotateLogs({ why, output }))
    })
    return tried.pipe(
      Effect.retry(onceMore),
      Effect.ignore,
      Effect.annotateLogs({ service: alert.service, component: alert.component, kind: alert.kind })
    )
  }
})

/** Runs a command for each alert, once more where it fails. */
export const layer = (options: CommandOptions): Layer.Layer<Alerter> => Layer.succeed(Alerter, make(options))

/** Without a command an alert is a line of the log. */
export const layerLog: Layer.Layer<Alerter> = Layer.succeed(Alerter, {
  send: ({ component, kind, message, service }) =>
    Effect.logWarning("alert").pipe(Effect.annotateLogs({ service, component, kind, message }))
})
