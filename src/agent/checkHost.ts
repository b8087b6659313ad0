import { Console, Effect, Logger, LogLevel } from "effect"
import type { AgentConfig } from "../domain/AgentConfig.ts"
import { renderFinding } from "../domain/HostCheck.ts"
import { checkHost } from "../programs/checkHost.ts"
import { Told } from "../programs/main.ts"

/** Prints the findings; exit code 1 when one is bad. */
export const reportHost = (config: AgentConfig, json: boolean) =>
  Effect.gen(function* () {
    const findings = yield* checkHost(config).pipe(
      // What goes wrong is in the findings; on standard output a log line would spoil the JSON.
      Effect.provide(Logger.minimumLogLevel(LogLevel.None))
    )
    const ok = findings.every((finding) => finding.ok)
    const checks = findings.map((finding) => ({ ...finding, fix: finding.fix ?? null }))
    yield* Console.log(json ? JSON.stringify({ ok, checks }, null, 2) : findings.flatMap(renderFinding).join("\n"))
    if (!ok) return yield* Effect.fail(new Told(1))
  })
