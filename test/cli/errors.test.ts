import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type CliFailure, nextStepOf, report, tags } from "../../src/cli/errors.ts"
import { Code, codeName, RpcError } from "../../src/grpc/status.ts"
import * as Build from "../../src/services/BuildError.ts"
import { CertificateUnusable } from "../../src/services/CertificateAuthority.ts"
import * as Cli from "../../src/services/CliError.ts"
import * as Transfer from "../../src/services/FileTransfer.ts"
import * as Identity from "../../src/services/IdentityError.ts"
import * as Files from "../../src/services/KeyFiles.ts"
import * as M from "../../src/services/Mcias.ts"
import { agent, mcp } from "./support.ts"

const rpc = (code: Code, reason = codeName(code), more: Partial<RpcError> = {}) =>
  new RpcError({ code, reason, detail: "why it failed", node: "rift", ...more })

const samples: { readonly [T in CliFailure["_tag"]]: readonly [Extract<CliFailure, { _tag: T }>, number] } = {
  RpcError: [rpc(Code.UNAVAILABLE), 1],
  UsageError: [new Cli.UsageError({ problem: "p" }), 2],
  ConfigMissing: [new Cli.ConfigMissing({ path: "/home/me/mcp.toml" }), 2],
  ConfigInvalid: [new Cli.ConfigInvalid({ path: "/c", problems: ["/c:1:1: x"] }), 2],
  NotLoggedIn: [new Cli.NotLoggedIn({ path: "/t" }), 5],
  TokenExposed: [new Cli.TokenExposed({ path: "/t o", mode: "0644" }), 5],
  TokenUnreadable: [new Cli.TokenUnreadable({ path: "/t", why: "permission denied" }), 5],
  TokenNotStored: [new Cli.TokenNotStored({ path: "/t", why: "the disk is full" }), 1],
  CaUnreadable: [new Cli.CaUnreadable({ node: "rift", file: "/ca", why: "no such file" }), 2],
  DefinitionsUnreadable: [new Cli.DefinitionsUnreadable({ path: "/d", why: "permission denied" }), 2],
  DefinitionNotSaved: [new Cli.DefinitionNotSaved({ file: "/d/web.toml", why: "the disk is full" }), 1],
  DefinitionsInvalid: [new Cli.DefinitionsInvalid({ problems: ["/d/web.toml:1:1: x"], files: 1 }), 2],
  ComposeInvalid: [new Cli.ComposeInvalid({ file: "compose.yaml", problems: ["compose.yaml:1:1: x"] }), 2],
  BuildRefused: [new Cli.BuildRefused({ service: "web", problems: ["p"], nextStep: "n" }), 2],
  PodmanMissing: [new Build.PodmanMissing({ why: "w" }), 1],
  PodmanUnusable: [new Build.PodmanUnusable({ operation: "build", why: "w" }), 1],
  ImageRegistryUnreachable: [new Build.ImageRegistryUnreachable({ registry: "r:1", why: "connection refused" }), 1],
  ImageRegistryUntrusted: [new Build.ImageRegistryUntrusted({ registry: "r:1", why: "x509" }), 1],
  ImageRegistryUnauthorized: [new Build.ImageRegistryUnauthorized({ registry: "r:1", image: "r:1/a:1", why: "w" }), 1],
  ImageRegistryFailed: [new Build.ImageRegistryFailed({ registry: "r:1", image: "r:1/a:1", why: "w" }), 1],
  BuildFailed: [
    new Build.BuildFailed({ image: "r:1/a:1", dockerfile: "/s/a/Dockerfile", why: "exit status 1", lastLines: ["l"] }),
    1
  ],
  BuildDiskFull: [new Build.BuildDiskFull({ operation: "build" }), 1],
  ConfigNotSaved: [new Cli.ConfigNotSaved({ path: "/c.toml", why: "the disk is full" }), 1],
  NodeExists: [new Cli.NodeExists({ node: "rift", configFile: "/c.toml" }), 2],
  DefinitionExists: [new Cli.DefinitionExists({ service: "web", file: "/d/web.toml" }), 2],
  EditorFailed: [new Cli.EditorFailed({ editor: "vi", why: "it ended with 1" }), 1],
  EditNotSaved: [
    new Cli.EditNotSaved({
      service: "web",
      why: "it is not a valid definition",
      draft: "/d/.web.edit.toml",
      problems: []
    }),
    1
  ],
  NoDefinition: [new Cli.NoDefinition({ service: "wbe", dir: "/d", nearest: "web" }), 2],
  ServiceUnknown: [new Cli.ServiceUnknown({ service: "wbe", nearest: "web", unasked: ["orion"] }), 1],
  ComponentUnknown: [new Cli.ComponentUnknown({ service: "web", component: "apo", known: ["api"], nearest: "api" }), 2],
  NodeUnknown: [new Cli.NodeUnknown({ service: "web", node: "rfit", nearest: "rift" }), 2],
  NodeAmbiguous: [new Cli.NodeAmbiguous({ service: "web", nodes: ["rift", "orion"] }), 2],
  PathOutsideRoot: [new Transfer.PathOutsideRoot({ path: "../x", why: "holds a .." }), 2],
  FileNotFound: [new Transfer.FileNotFound({ path: "x" }), 2],
  FileRefused: [new Transfer.FileRefused({ path: "x", why: "is a folder", nextStep: "n" }), 1],
  FileChanged: [new Transfer.FileChanged({ path: "x" }), 1],
  TransferBroken: [new Transfer.TransferBroken({ path: "x", why: "it was cut" }), 1],
  FilesDiskFull: [new Transfer.FilesDiskFull({ path: "x" }), 1],
  FileUnusable: [new Transfer.FileUnusable({ path: "x", why: "permission denied" }), 1],
  NoNodes: [new Cli.NoNodes({ configFile: "/c" }), 2],
  DeployFailed: [
    new Cli.DeployFailed({
      service: "web",
      node: "rift",
      component: "api",
      reason: "EXITED_1",
      why: "w",
      nextStep: "n",
      lastLogs: ["l"],
      now: "so"
    }),
    1
  ],
  Declined: [new Cli.Declined(), 1],
  ExitWith: [new Cli.ExitWith({ exitCode: 3 }), 3],
  LoginRefused: [new M.LoginRefused({ username: "me", withCode: false }), 5],
  LoginForbidden: [new M.LoginForbidden({ username: "me", why: "policy" }), 5],
  TotpRequired: [new M.TotpRequired({ username: "me" }), 5],
  MciasUnavailable: [new M.MciasUnavailable({ server: "https://m", why: "connection refused" }), 1],
  MciasBusy: [new M.MciasBusy({ server: "https://m" }), 1],
  TokenMissing: [new Identity.TokenMissing(), 5],
  TokenInvalid: [new Identity.TokenInvalid({ why: "revoked" }), 5],
  TokenExpired: [new Identity.TokenExpired({ expiredAt: 0 }), 5],
  MciasSettingsInvalid: [new Identity.MciasSettingsInvalid({ key: "ca_cert", why: "no such file" }), 2],
  CertificateUnusable: [new CertificateUnusable({ certificate: "/ca/ca.pem", why: "it has ended" }), 1],
  FileTaken: [new Files.FileTaken({ file: "/ca/ca.key" }), 1],
  FileNotWritten: [new Files.FileNotWritten({ file: "/ca/ca.key", why: "the disk is full" }), 1],
  FileMissing: [new Files.FileMissing({ file: "/ca/ca.pem" }), 1],
  FileUnreadable: [new Files.FileUnreadable({ file: "/ca/ca.pem", why: "permission denied" }), 1],
  KeyExposed: [new Files.KeyExposed({ file: "/ca/ca.key", mode: "0644" }), 1]
}

describe("every error", () => {
  for (const tag of tags) {
    it(`${tag} says why in one line, what to do, and with which code to exit`, () => {
      const [error, exitCode] = samples[tag]
      const r = report(error, "stop")
      assert.strictEqual(r.exitCode, exitCode)
      if (tag === "ExitWith") return assert.isUndefined(r.line)
      assert.isString(r.line)
      assert.notMatch(r.line ?? "", /\n|undefined|\[object/)
      if (tag !== "Declined" && tag !== "ConfigInvalid" && tag !== "DefinitionsInvalid") assert.isNotEmpty(r.next)
    })
  }
})

describe("a failed call", () => {
  for (const code of Object.values(Code).filter((c): c is Code => typeof c === "number" && c !== Code.OK)) {
    it(`${codeName(code)} has an exit code`, () => {
      const expected =
        code === Code.UNAUTHENTICATED || code === Code.PERMISSION_DENIED ? 5 : code === Code.INVALID_ARGUMENT ? 2 : 1
      assert.strictEqual(report(rpc(code), "stop").exitCode, expected)
    })
  }
  for (const reason of ["NODE_UNREACHABLE", "TLS_UNTRUSTED", "TLS_NAME_MISMATCH", "TLS_FAILED"]) {
    it(`${reason} names the node in its next step`, () =>
      assert.include(nextStepOf(rpc(Code.UNAVAILABLE, reason, { nextStep: "less precise" })), "rift"))
  }
  it("without a next step from the agent still has one", () => {
    assert.match(nextStepOf(rpc(Code.DEADLINE_EXCEEDED)) ?? "", /--timeout/)
    assert.strictEqual(nextStepOf(rpc(Code.UNAUTHENTICATED, "TOKEN_EXPIRED", { nextStep: "x" })), "mcp login")
    assert.strictEqual(nextStepOf(rpc(Code.NOT_FOUND, "SERVICE_NOT_FOUND", { nextStep: "mcp list" })), "mcp list")
  })
  it("shows violations below, and nothing that could drive the terminal", () => {
    const r = report(
      rpc(Code.INVALID_ARGUMENT, "SPEC_INVALID", {
        detail: "2 problems\u001b[2J",
        violations: [{ field: "components[0].image", description: "bad" }]
      }),
      "deploy"
    )
    assert.strictEqual(r.line, "deploy failed on rift: 2 problems")
    assert.deepStrictEqual(r.below, ["components[0].image: bad"])
  })
})

it.effect("a bug is one line, without a stack trace", () =>
  Effect.gen(function* () {
    const ran = yield* mcp(["ps"], { agents: { rift: agent({ liveCheck: () => Effect.die(new Error("oops")) }) } })
    assert.deepStrictEqual(
      [ran.code, ran.err],
      [1, "mcp: internal error: Error: oops\n  next: run it again with MCP_DEBUG=1 and report what it prints\n"]
    )
  })
)
