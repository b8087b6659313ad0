import { assert, describe, it } from "@effect/vitest"
import { causeFrom } from "../../src/domain/Cause.ts"
import type { Attempt, Findings } from "../../src/domain/Findings.ts"
import { specOf } from "../programs/support.ts"

const now = Date.UTC(2026, 10, 25, 12)
const ago = (seconds: number) => now - seconds * 1000

const spec = (change: Record<string, unknown> = {}) =>
  specOf({ name: "shop", components: [{ name: "web", image: "localhost/web:1", ...change }] }).components[0]

const well: Findings = {
  ...{ now, service: "shop", component: "web", target: "shop/web", containerName: "shop-web", spec: spec() },
  ...{ desired: "running", undeploying: false, named: true, adopted: false, restarts: 0, failures: 0 },
  ...{ probes: [], logs: [], unwritable: [] },
  container: { state: "running", startedAt: ago(3600), exitCode: undefined }
}

const exited = (code: number, change: Partial<Findings> = {}): Findings => ({
  ...well,
  container: { state: "exited", startedAt: ago(20), exitCode: code },
  end: { reason: `exited_${code}`, at: ago(5) },
  ...change
})

const failed = (state: Attempt["state"], reason: string, message: string, component = "web"): Attempt => ({
  ...{ kind: "deploy", actor: "ada", at: ago(60), state },
  failure: { component, reason, message }
})

const notYet = { desired: undefined, named: false, container: undefined } satisfies Partial<Findings>
const started = (reason: string, message: string, actor = "") => ({
  component: "web",
  reason,
  message,
  at: ago(60),
  actor
})
const denied = { path: "/srv/shop/data", owner: "1000:1000", why: "user 1000:1000 cannot write /srv/shop/data" }
const says = ["sh: can't create /data/x: Permission denied"]

type Case = readonly [name: string, findings: Findings, cause: string, summary: RegExp, next: RegExp]

const cases: ReadonlyArray<Case> = [
  ["all is well", well, "running", /^it has run for 1h$/, /^$/],
  [
    "a container that somebody renamed, also after a deployment that came to nothing",
    { ...well, containerName: "mine", attempt: failed("rolled_back", "EXITED_1", "it ended") },
    "renamed_by_hand",
    /its container is called mine instead of shop-web/,
    /podman rename mine shop-web$/
  ],
  [
    "a healthy one that was started again once, a while ago",
    {
      ...well,
      restarts: 1,
      end: { reason: "exited_2", at: ago(3700) },
      probe: { state: "healthy", detail: "", failing: undefined }
    },
    "running",
    /^it has run for 1h and is healthy; the agent has started it again once, last 1h1m ago \(exited 2\)$/,
    /^$/
  ],
  [
    "an end that waits for its restart",
    exited(1, { restartAt: now + 1_500 }),
    "exited_1",
    /^5s ago it ended with exit code 1; the agent starts it again in 2s$/,
    /^read its last lines below, .*; then mcp deploy shop$/
  ],
  [
    "ends again and again",
    exited(3, { restarts: 7, failures: 7, restartAt: now + 59_500 }),
    "exited_3",
    /^it ends again and again, last 5s ago: it ended with exit code 3; the agent starts it again in 1m \(7 restarts so far\)$/,
    /then mcp deploy shop$/
  ],
  [
    "started again a moment ago",
    {
      ...exited(3, { restarts: 3, failures: 3 }),
      container: { state: "running", startedAt: ago(4), exitCode: undefined }
    },
    "exited_3",
    /again and again, last 5s ago: .*; the agent started it again, and it has run for 4s now \(3 restarts so far\)$/,
    /read its last lines below/
  ],
  [
    "on-failure:N is used up",
    exited(1, { spec: spec({ restart: "on-failure:2" }), restarts: 2, failures: 2 }),
    "exited_1",
    /its restart policy "on-failure:2" lets it rest \(2 restarts so far\)$/,
    /then mcp start shop\/web$/
  ],
  [
    "a job that is done",
    exited(0, { spec: spec({ restart: "no" }) }),
    "exited_0",
    /^5s ago it ended with exit code 0: it was done, and its restart policy "no" lets it rest$/,
    /^$/
  ],
  [
    "a program that goes to the background",
    exited(0, { restarts: 4, failures: 4, restartAt: now + 5_000 }),
    "exited_0",
    /again and again/,
    /stay in the foreground; .*restart = "no"/
  ],
  [
    "a command that a shell does not find",
    exited(127, { restarts: 4, failures: 4 }),
    "exited_127",
    /exit code 127, a shell's sign for a command that it does not find/,
    /correct the command that its last lines name/
  ],
  ["a crash by a signal", exited(139), "exited_139", /exit code 139 \(SIGSEGV\)/, /read its last lines/],
  [
    "a kill for memory",
    exited(137, { end: { reason: "oom_killed", at: ago(5) }, spec: spec({ memory: "64m" }) }),
    "oom_killed",
    /^5s ago it was killed because it used more memory than its limit/,
    /^raise memory in the definition \(now 64m\), .*; then mcp deploy shop$/
  ],
  [
    "a kill of which nobody knows the reason",
    exited(137, { end: { reason: "killed_perhaps_oom", at: ago(5) } }),
    "killed_perhaps_oom",
    /perhaps for its memory: the kernel's log cannot be read/,
    /dmesg \| grep -i oom/
  ],
  ...[0, 137, 143].map(
    (code): Case => [
      `an exit with ${code} and no act of MCP`,
      exited(code, { restartAt: now + 1_000 }),
      "stopped_by_hand_perhaps",
      new RegExp(`^5s ago it ended with exit code ${code}.*, by no act of MCP: perhaps it was stopped by hand`),
      /^to keep it stopped: mcp stop shop\/web; if nobody stopped it: mcp logs shop\/web$/
    ]
  ),
  [
    "a volume that it may not write, in its own words",
    exited(1, { logs: says, unwritable: [denied], restartAt: now + 1_000 }),
    "volume_permission",
    /ended with exit code 1, and says "sh: can't create \/data\/x: Permission denied" \(user 1000:1000 cannot write/,
    /^on the node: chown 1000:1000 \/srv\/shop\/data \(or mount it :ro in the definition\)$/
  ],
  [
    "a volume that it may not write, though it says nothing",
    exited(1, { unwritable: [denied] }),
    "volume_permission",
    /exit code 1 \(user 1000:1000 cannot write/,
    /chown/
  ],
  [
    "a permission that has nothing to do with a volume",
    exited(1, { logs: ["connect to db: permission denied for user shop"], spec: spec({ volumes: ["/srv/x:/data"] }) }),
    "exited_1",
    /exit code 1;/,
    /read its last lines/
  ],
  [
    "a port of the node that the program itself wants",
    exited(1, { logs: ["listen tcp :80: bind: address already in use"], spec: spec({ network: "host" }) }),
    "port_taken",
    /exit code 1/,
    /ss -ltnp/
  ],
  [
    "a refused probe",
    { ...well, probe: { state: "unhealthy", detail: "connection refused", failing: ago(90) } },
    "probe_refused",
    /^it runs, and its health check has failed for 1m30s: connection refused$/,
    /listens on the health check's port, on 0\.0\.0\.0/
  ],
  [
    "a wrong status",
    { ...well, probe: { state: "unhealthy", detail: "HTTP 503: database is down", failing: ago(90) } },
    "probe_status_503",
    /HTTP 503: database is down$/,
    /mcp logs shop\/web/
  ],
  [
    "no answer",
    { ...well, probe: { state: "unhealthy", detail: "no answer within 2000 ms", failing: ago(90) } },
    "probe_timeout",
    /no answer within 2000 ms/,
    /keeps the program from answering/
  ],
  [
    "a failing command",
    { ...well, probe: { state: "unhealthy", detail: "exit 1: no database", failing: ago(90) } },
    "probe_failed",
    /exit 1: no database$/,
    /health check's command/
  ],
  [
    "not yet healthy after its start",
    { ...well, probe: { state: "starting", detail: "connection refused", failing: ago(3) } },
    "starting",
    /has not succeeded since it started 1h ago: connection refused/,
    /^wait/
  ],
  [
    "an image that is gone when it is to be made again",
    {
      ...well,
      container: undefined,
      failedStart: started("IMAGE_NOT_FOUND", "the image x is not on this node", "ada")
    },
    "image_missing",
    /^it did not start when ada asked for it \(since 1m\): the image x is not on this node$/,
    /^check that localhost\/web:1 is in its image registry.*; then mcp deploy shop$/
  ],
  [
    "a port that another program has",
    {
      ...exited(1),
      failedStart: started("PORT_IN_USE", "cannot start shop-web: the port 80 is in use on the node")
    },
    "port_taken",
    /^the agent cannot start it \(since 1m\): cannot start shop-web: the port 80 is in use/,
    /ss -ltnp.*; then mcp start shop\/web$/
  ],
  [
    "a folder that is gone",
    { ...exited(1), failedStart: started("RUNTIME_REFUSED", "start x: there is no /srv/data on the node to mount") },
    "volume_missing",
    /there is no \/srv\/data/,
    /mkdir -p/
  ],
  [
    "a container that somebody removed",
    { ...well, container: undefined },
    "removed_by_hand",
    /^its container shop-web is gone, and no act of MCP removed it/,
    /^mcp start shop\/web makes it again/
  ],
  [
    "a container that was never made",
    { ...well, named: false, container: undefined },
    "not_made",
    /no container/,
    /^mcp start shop\/web$/
  ],
  [
    "a paused container",
    { ...well, container: { state: "paused", startedAt: ago(9), exitCode: undefined } },
    "paused",
    /paused/,
    /podman unpause shop-web$/
  ],
  [
    "a container that never ran",
    { ...well, container: { state: "created", startedAt: undefined, exitCode: undefined } },
    "not_started",
    /never started/,
    /^mcp start shop\/web$/
  ],
  [
    "stopped on purpose",
    { ...exited(0), desired: "stopped", desiredBy: { actor: "ada", at: ago(7200), deployed: false } },
    "stopped_by_operator",
    /^ada stopped it 2h ago$/,
    /^mcp start shop\/web$/
  ],
  [
    "deployed as stopped",
    { ...exited(0), desired: "stopped", desiredBy: { actor: "ada", at: ago(7200), deployed: true } },
    "stopped_by_operator",
    /^ada deployed it as stopped \(active = false\) 2h ago$/,
    /^mcp start shop\/web$/
  ],
  [
    "stopped, and running all the same",
    { ...well, desired: "stopped" },
    "started_by_hand_perhaps",
    /should be stopped and runs/,
    /^mcp stop shop\/web stops it/
  ],
  [
    "a deployment under way",
    { ...well, attempt: { kind: "deploy", actor: "ada", at: ago(12), state: "under_way", stage: "starting" } },
    "deploying",
    /^a deploy by ada has been under way for 12s$/,
    /^wait, and ask again: mcp why shop\/web$/
  ],
  [
    "a deployment that is held up",
    {
      ...well,
      attempt: {
        ...{ kind: "deploy", actor: "ada", at: ago(12), state: "under_way", stage: "committing" },
        lastError: "the proxy did not answer"
      }
    },
    "deploying",
    /held up, and goes on by itself: the proxy did not answer$/,
    /nothing has to be said again/
  ],
  ["an undeploy that is not over", { ...well, undeploying: true }, "undeploying", /an undeploy has begun/, /^wait/],
  [
    "undeployed",
    { ...well, ...notYet, undeployedAt: ago(60) },
    "undeployed",
    /^it was undeployed 1m ago$/,
    /mcp deploy shop/
  ],
  ["left alone", { ...well, desired: "ignore" }, "ignored", /leaves it alone/, /^$/],
  [
    "podman is away",
    { ...well, container: undefined, runtimeError: "connection refused" },
    "runtime_unavailable",
    /^podman does not answer, so nobody can tell how it is: connection refused$/,
    /podman info/
  ],
  [
    "a first deployment that was rolled back",
    {
      ...well,
      ...notYet,
      attempt: failed("rolled_back", "EXITED_1", "web did not become ready: it ended with exit code 1")
    },
    "exited_1",
    /^nothing of it runs: the deploy by ada 1m ago was rolled back: web did not become ready: it ended with exit code 1$/,
    /^read its last lines below, .*; then mcp deploy shop$/
  ],
  [
    "a command that is not there",
    {
      ...well,
      ...notYet,
      attempt: failed("rolled_back", "RUNTIME_REFUSED", "start shop-web: there is no command x in the container")
    },
    "command_missing",
    /there is no command x/,
    /^correct cmd or entrypoint .*; then mcp deploy shop$/
  ],
  [
    "a command that cannot be executed",
    {
      ...well,
      ...notYet,
      attempt: failed("rolled_back", "RUNTIME_REFUSED", "start shop-web: the command /etc cannot be executed")
    },
    "command_not_executable",
    /the command \/etc/,
    /^correct cmd or entrypoint/
  ],
  [
    "an image that cannot be pulled",
    { ...well, ...notYet, attempt: failed("refused", "IMAGE_PULL_FAILED", "cannot pull x: manifest unknown") },
    "image_missing",
    /^nothing of it runs: the deploy by ada 1m ago was refused: cannot pull x: manifest unknown$/,
    /image registry/
  ]
]

describe("the cause of how a component is", () => {
  it.each(cases)("%s", (_, findings, cause, summary, next) => {
    const found = causeFrom(findings)
    assert.strictEqual(found.cause, cause)
    assert.match(found.summary, summary)
    assert.match(found.nextStep, next)
    assert.strictEqual(
      found.well,
      ["running", "exited_0", "stopped_by_operator", "undeployed", "ignored"].includes(cause) &&
        !/again and again/.test(found.summary)
    )
  })

  it("while what ran before runs on, a deployment that came to nothing is named with the cause behind it", () => {
    const back = causeFrom({
      ...well,
      attempt: failed("rolled_back", "PROBE_STATUS_503", "web did not become ready: HTTP 503")
    })
    assert.deepInclude(back, { cause: "rolled_back", behind: "probe_status_503", well: false })
    assert.match(back.summary, /^what ran before runs on: the deploy by ada 1m ago was rolled back: /)
    const refused = causeFrom({ ...well, attempt: failed("refused", "PORT_IN_USE", "the port 80 is taken") })
    assert.deepInclude(refused, { cause: "deploy_refused", behind: "port_taken" })
    const sibling = causeFrom({ ...well, attempt: failed("rolled_back", "EXITED_1", "db ended", "db") })
    assert.deepInclude(sibling, { cause: "running", well: true })
  })

  it("of a first deployment the others are led to the component that failed", () => {
    const other = causeFrom({
      ...well,
      ...notYet,
      attempt: failed("rolled_back", "EXITED_1", "db did not become ready", "db")
    })
    assert.deepInclude(other, { cause: "rolled_back", behind: "exited_1", nextStep: "mcp why shop/db" })
  })

  it("what is wrong now comes before what came to nothing earlier", () => {
    const attempt = failed("rolled_back", "EXITED_9", "ended")
    assert.strictEqual(causeFrom(exited(1, { attempt })).cause, "exited_1")
    assert.strictEqual(causeFrom({ ...well, container: undefined, attempt }).cause, "removed_by_hand")
  })

  it("an adopted container is restarted by podman, and that is said", () => {
    assert.match(causeFrom(exited(1, { adopted: true })).summary, /it was adopted, and podman itself restarts it/)
    assert.match(causeFrom({ ...well, adopted: true }).summary, /it was adopted/)
  })
})
