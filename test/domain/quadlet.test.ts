import { execFileSync } from "node:child_process"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { quadlet } from "../../src/domain/quadlet.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { temporaryFolder } from "../support/folder.ts"

const shop = Schema.decodeUnknownSync(ServiceSpec)({
  name: "shop",
  comment: "100% off",
  components: [
    {
      ...{ name: "web", image: "nginx:1.27", depends_on: ["db"], ports: ["127.0.0.1:8080:80"], user: "1000:1000" },
      ...{ cmd: ["sh", "-c", 'echo "$HOME" 50%'], entrypoint: ["/bin/tini", "--"], restart: "on-failure:3" },
      ...{
        env: { GREETING: "hello $USER\nbye", PLAIN: "x" },
        volumes: ["/srv/shop:/data:ro"],
        memory: "64m",
        cpus: 0.5
      },
      health: { cmd: ["curl", "-f", "http://localhost/a b"], interval: "5s" }
    },
    {
      ...{ name: "db", image: "postgres:16", network: "back", user: "postgres", restart: "no" },
      health: { cmd: ["/ready"] }
    },
    {
      ...{ name: "shop", image: "busybox", secrets: ["key"], health: { http: "/", port: 80 } },
      routes: [{ port: 443, target: 80, hostname: "shop.example" }]
    }
  ]
})

/** The keys of podman-systemd.unit(5) as of podman 4.4, the first that has it. */
const documented: Readonly<Record<string, RegExp>> = {
  Unit: /^(?:Description|After|Requires|StartLimitIntervalSec|StartLimitBurst)$/,
  Container:
    /^(?:ContainerName|Image|Exec|Environment|PublishPort|Volume|Network|User|Group|PodmanArgs|Health(?:Cmd|Interval|Timeout|Retries|StartPeriod))$/,
  Network: /^NetworkName$/,
  Service: /^(?:Restart|RestartSec|TimeoutStartSec|TimeoutStopSec)$/,
  Install: /^WantedBy$/
}

const generator = ["/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet"].find((path) => existsSync(path))

describe("a service as quadlet units", () => {
  const { units, warnings } = quadlet(shop)
  const text = (file: string) => units.find((unit) => unit.file === file)?.text ?? ""

  it("is one unit a component and one for its bridge, with documented keys in their sections only", () => {
    assert.deepStrictEqual(
      units.map(({ file }) => file),
      ["shop-web.container", "shop-db.container", "shop.container", "mcp-shop.network"]
    )
    for (const unit of units) {
      let section = ""
      for (const line of unit.text.split("\n").filter((each) => each !== "")) {
        const header = /^\[(\w+)\]$/.exec(line)?.[1]
        if (header) section = header
        else assert.match(line.split("=")[0] ?? "", documented[section] ?? /^$/, `${unit.file}: ${line}`)
      }
    }
  })

  it("starts the same program in the same way: nothing is expanded, and words stay words", () => {
    assert.strictEqual(
      text("shop-web.container"),
      `[Unit]
Description=100%% off
After=shop-db.service
Requires=shop-db.service
StartLimitIntervalSec=infinity
StartLimitBurst=4

[Container]
ContainerName=shop-web
Image=docker.io/library/nginx:1.27
PodmanArgs="--entrypoint=[\\"/bin/tini\\",\\"--\\"]"
Exec=sh -c "echo \\"$$HOME\\" 50%%"
Environment="GREETING=hello $$USER\\nbye"
Environment=PLAIN=x
PublishPort=127.0.0.1:8080:80
Volume=/srv/shop:/data:ro
Network=mcp-shop.network
PodmanArgs=--network-alias=web
User=1000
Group=1000
PodmanArgs=--memory=67108864b
PodmanArgs=--cpus=0.5
PodmanArgs=--stop-timeout=10
HealthCmd=["curl","-f","http://localhost/a b"]
HealthInterval=5s
HealthTimeout=2s
HealthRetries=3
HealthStartPeriod=10s

[Service]
Restart=on-failure
RestartSec=1
TimeoutStartSec=900
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target default.target
`
    )
    for (const line of ["HealthCmd=CMD /ready", "Network=back", "PodmanArgs=--user=postgres", "Restart=no"]) {
      assert.include(text("shop-db.container").split("\n"), line)
    }
    assert.strictEqual(text("mcp-shop.network"), "[Network]\nNetworkName=mcp-shop\n")
  })

  it("says what units cannot say, and holds no secret", () => {
    assert.strictEqual(warnings.length, 3)
    assert.match(warnings.join("\n"), /its health check runs on the node[\s\S]*its routes[\s\S]*its secrets.*key/)
    assert.isFalse(units.some((unit) => /Secret/.test(unit.text)))
  })

  it("of a stopped service is started by nobody", () => {
    assert.notInclude(quadlet({ ...shop, active: false }).units[0]?.text ?? "", "[Install]")
  })

  it.skipIf(generator === undefined)("is accepted by podman's own generator", () => {
    const folder = temporaryFolder()
    for (const { file, text } of units) writeFileSync(join(folder, file), text)
    const made = execFileSync(generator ?? "", ["--dryrun"], {
      env: { ...process.env, QUADLET_UNIT_DIRS: folder },
      encoding: "utf8"
    })
    for (const name of ["shop-web.service", "shop-db.service", "shop.service"]) assert.include(made, name)
  })
})
