import { assert, describe, it } from "@effect/vitest"
import { allows, narrowed, type Policy, refusal } from "../../src/domain/Authorization.ts"

const person = (username: string, ...roles: ReadonlyArray<string>) =>
  ({ username, accountType: "human", roles }) as const
const system = (username: string) => ({ username, accountType: "system", roles: [] }) as const
const open: Policy = { serviceAccounts: undefined, rules: undefined }

describe("who may call", () => {
  it("a guest may not, whatever else it is", () => {
    assert.isDefined(refusal(open, person("g", "guest")))
    assert.isDefined(refusal(open, person("g", "admin", "guest")))
  })
  it("everybody else may, unless service_accounts narrows the system accounts", () => {
    assert.isUndefined(refusal(open, person("ada", "user")))
    assert.isUndefined(refusal(open, system("ci")))
    const narrow = { ...open, serviceAccounts: ["mcp-master"] }
    assert.isUndefined(refusal(narrow, system("mcp-master")))
    assert.isDefined(refusal(narrow, system("ci")))
    assert.isUndefined(refusal(narrow, person("ada", "user")))
  })
})

describe("what [[auth.rules]] grant", () => {
  const rules: Policy = {
    ...open,
    rules: [
      { principals: ["role:viewer"], verbs: ["read"], services: ["*"] },
      { principals: ["account:ci"], verbs: ["deploy", "read"], services: ["shop"] }
    ]
  }
  it("without rules all verbs are granted everywhere", () => {
    assert.isTrue(allows(open, person("ada", "user"), "admin", "shop"))
    assert.isFalse(narrowed(open, person("ada", "user"), "deploy"))
  })
  it("a role's verb on all services, and no other verb", () => {
    assert.isTrue(allows(rules, person("eve", "viewer"), "read", "blog"))
    assert.isFalse(allows(rules, person("eve", "viewer"), "operate", "blog"))
    assert.isFalse(narrowed(rules, person("eve", "viewer"), "read"))
  })
  it("an account's verbs on its own services", () => {
    assert.isTrue(allows(rules, system("ci"), "deploy", "shop"))
    assert.isFalse(allows(rules, system("ci"), "deploy", "blog"))
    assert.isTrue(allows(rules, system("ci"), "deploy"), "some service is granted: the call may be looked at")
    assert.isTrue(narrowed(rules, system("ci"), "deploy"))
  })
  it("nothing to whom no rule names; a role is no account", () => {
    assert.isFalse(allows(rules, person("bob", "user"), "read"))
    assert.isFalse(allows(rules, person("x", "ci"), "deploy", "shop"))
  })
})
