import type { Cause } from "./Cause.ts"
import { endedByPolicy } from "./Drift.ts"
import { causeOfExit, exitCodeOf, nextStep, wordsOf } from "./FailureCause.ts"
import type { Findings } from "./Findings.ts"
import { lasting } from "./lasting.ts"
import { nextRestart } from "./Restart.ts"

const signals: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  6: "SIGABRT",
  9: "SIGKILL",
  11: "SIGSEGV",
  15: "SIGTERM"
}

/** What an exit code means beyond its number. */
const meaning = (code: number): string => {
  if (code === 126) return ", a shell's sign for a command that cannot be executed"
  if (code === 127) return ", a shell's sign for a command that it does not find"
  const signal = signals[code - 128]
  return signal === undefined ? "" : ` (${signal})`
}

/** After how many ends in a row nobody takes it for a hand's work. */
const againAndAgain = 2
/** Ends with which a program that is stopped in order may end. */
const byHand: ReadonlySet<number> = new Set([0, 137, 143])

const wordsOfEnd = (reason: string, f: Findings): string => {
  switch (reason) {
    case "oom_killed":
      return "it was killed because it used more memory than its limit"
    case "killed_perhaps_oom":
      return "it was killed (exit code 137), perhaps for its memory: the kernel's log cannot be read to tell"
    default: {
      const code = exitCodeOf(reason) ?? 0
      return wordsOf(causeOfExit(reason, f), `it ended with exit code ${code}${meaning(code)}`, f)
    }
  }
}

const soFar = (restarts: number): string =>
  restarts === 0 ? "" : ` (${restarts === 1 ? "1 restart" : `${restarts} restarts`} so far)`

/** What follows the end: a restart that is due, one that was, or none. */
const aftermath = (f: Findings): string => {
  const { container, now, restartAt, restarts, spec } = f
  const count = soFar(restarts)
  if (container?.state === "running") {
    return `; the agent started it again, and it has run for ${lasting(now - (container.startedAt ?? now))} now${count}`
  }
  if (restartAt !== undefined) {
    return restartAt > now
      ? `; the agent starts it again in ${lasting(restartAt - now + 999)}${count}`
      : `; the agent is about to start it again${count}`
  }
  if (f.adopted) return "; it was adopted, and podman itself restarts it by the policy that it had"
  const policy = spec?.restart ?? "no"
  const before = { restarts, failures: f.failures, delayMs: 0 }
  return nextRestart(policy, { exitCode: container?.exitCode, ranMs: 0 }, before) === undefined
    ? `; its restart policy "${policy}" lets it rest${count}`
    : `; the agent starts it again shortly${count}`
}

const rests = (f: Findings) => f.container?.state === "exited" && f.restartAt === undefined

/** A hand is needed where it rests; what is started again by itself goes well once its cause is gone. */
const followOf = (cause: string, f: Findings) =>
  rests(f) ? "start" : cause === "volume_permission" || cause === "port_taken" ? "none" : "deploy"

/** The cause of a container that has ended, or that was started again and has not run for long yet. */
export const causeOfEnd = (f: Findings): Cause => {
  const reason = f.end?.reason ?? `exited_${f.container?.exitCode ?? 0}`
  const ago = f.end?.at === undefined ? "" : `${lasting(f.now - f.end.at)} ago`
  const when = ago === "" ? "" : `${ago} `
  const cause = causeOfExit(reason, f)
  const code = exitCodeOf(cause)
  const exited = f.container?.state === "exited"
  const policy = f.spec?.restart ?? "no"
  if (exited && code === 0 && !f.adopted && endedByPolicy(policy, code)) {
    return {
      cause,
      well: true,
      summary: `${when}it ended with exit code 0: it was done, and its restart policy "${policy}" lets it rest`,
      nextStep: ""
    }
  }
  if (code !== undefined && byHand.has(code) && f.failures < againAndAgain) {
    const kind = code === 0 ? "or the program was done" : "or something on the node sent it a signal"
    return {
      cause: "stopped_by_hand_perhaps",
      well: false,
      summary: `${when}it ended with exit code ${code}${meaning(code)}, by no act of MCP: perhaps it was stopped by hand (podman stop), ${kind}${aftermath(f)}`,
      nextStep: rests(f)
        ? `mcp start ${f.target}`
        : `to keep it stopped: mcp stop ${f.target}; if nobody stopped it: mcp logs ${f.target}`
    }
  }
  const often = f.failures >= againAndAgain
  const intro = often ? `it ends again and again${ago === "" ? "" : `, last ${ago}`}: ` : when
  return {
    cause,
    well: false,
    summary: `${intro}${wordsOfEnd(reason, f)}${aftermath(f)}`,
    nextStep: nextStep(cause, f, followOf(cause, f))
  }
}
