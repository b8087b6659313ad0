import { it } from "vitest"
import { Either } from "effect"
import { formatProblem, parseDefinition } from "/work/main/src/domain/Definition.ts"
import { checkService } from "/work/main/src/domain/ServiceRules.ts"
import { setActive } from "/work/main/src/domain/activeLine.ts"
import { loadAgentConfig } from "/work/main/src/domain/AgentConfig.ts"
const p = (label: string, text: string) => {
  try {
    const t = Date.now()
    console.log(label, Either.match(parseDefinition({ file: "f", text, expectedName: "shop" }), { onLeft: (a) => a.map(formatProblem).map(s=>s.slice(0,300)), onRight: (r) => "ok" + JSON.stringify(r.warnings) }), Date.now() - t)
  } catch (e) { console.log(label, "THROWS", String(e).slice(0, 200)) }
}
const web = (l: string) => `name = "shop"\n[[components]]\nname = "web"\nimage = "nginx:1"\n${l}\n`
it("x", () => {
  p("deep", web("x = " + "[".repeat(20000)))
  p("deep closed", web("x = " + "[".repeat(5000) + "]".repeat(5000)))
  p("deep table", web("x = " + "{a=".repeat(5000) + "1" + "}".repeat(5000)))
  p("deep dotted", web("x" + ".a".repeat(5000) + " = 1"))
  p("shift", web('ports = ["x", "80:80", "80:81"]'))
  p("shift vol", web('volumes = [1, "/a:/x", "/b:/x"]\nroutes = [3, {port=1}, {port=1}]'))
  p("comp not table", 'name = "shop"\ncomponents = [5, {name="web",image="x:1",depends_on=["web"]}]')
  p("snapshot+type", web("cpus = 'x'") + '[snapshot]\nmethod = "exec"\ncomponent="nope"')
  p("long dur", web('stop_timeout = "999999d"\nmemory="9999999t"\nhealth = {tcp=true, start_period="999999d", retries = 0}'))
  p("proto", web('__proto__ = {a=1}\nenv = {__proto__ = "x"}\n"" = 1\nconstructor = 2'))
  p("proto2", '__proto__.x = 1\nname="shop"\n')
  p("dates", web("env = {A = 1979-05-27}\ncmd = [1979-05-27T07:32:00Z, 99999-01-01]\ncpus = nan"))
  p("bad date", web("x = 2023-02-31"))
  p("bigint", web("cpus = 99999999999999999999999"))
  p("bigint2", web("cpus = 9007199254740993\nenv={A=9007199254740993}\nhealth={tcp=true,port=9007199254740993}"))
  p("inf", web("cpus = inf"))
  p("comps table", 'name="shop"\n[components]\nname="x"')
  p("dup key", web("name = 'y'"))
  p("nul", "\u0000")
  p("lone cr", "name = 'shop'\r[x]")
  p("warnings", web('update_order="start-first"\nnetwork="n"'))
  const comps = Array.from({ length: 24 }, (_, i) => ({ name: `c${i}`, image: "docker.io/library/x:1", dependsOn: Array.from({ length: i }, (_, j) => `c${j}`), ports: [], volumes: [], routes: [] }))
  const t = Date.now(); checkService({ name: "s", active: true, build: { images: {} }, components: comps } as any); console.log("dag24", Date.now() - t)
  for (const s of ["[active]\nx=1\n", 'name = "a"\n[active]\nx=1\n', 'active.x = 1\nname="a"\n', 'name="a"\nactive = """\nx"""\n', 'x = 1\n"name" = """\na"""\r\ny = 1\r\n']) console.log(JSON.stringify(setActive(s, false)))
  const agentText = '[server]\ngrpc_addr = "100.64.0.1:9444"\ntls_cert = "/a"\ntls_key = "/a"\n[database]\npath = "/srv/../x"\n[mcias]\nserver_url = "https://m"\n[agent]\nnode_name = "rift"\n[master]\naddresses=["x:99999"]\ntoken_path="/t"\n'
  const a = (text: string, env: any) => console.log(JSON.stringify(Either.match(loadAgentConfig({ file: "a", text, env }), { onLeft: (x) => x.map(formatProblem), onRight: (c) => [c.auth, c.monitor.alertCommand, c.master, c.log] })))
  a(agentText, { MCP_AGENT_AUTH_SERVICE_ACCOUNTS: "a, b", MCP_AGENT_MONITOR_ALERT_COMMAND: "/bin/x" })
  a("log = 'x'\n" + agentText, { MCP_AGENT_LOG_LEVEL: "info" })
  a(agentText.replace("100.64.0.1:9444", "*:1"), {})
  a(agentText, { MCP_AGENT_MONITOR_HEAL: "TRUE", MCP_AGENT_MONITOR_FLAP_THRESHOLD: "x" })
})
