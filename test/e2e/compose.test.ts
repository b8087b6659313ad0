import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, login, make } from "../support/agent.ts"
import { image } from "../support/podman.ts"
import { get } from "../support/shop.ts"

const compose = (port: number) => `
x-base: &base
  image: ${image}
  restart: unless-stopped
  stop_grace_period: 0s
services:
  web:
    <<: *base
    # What the definition of the other is for: its page, by its name on the service's own network.
    command: sh -c "wget -q -O /tmp/index.html http://my-api:8080/ && exec httpd -f -p 8080 -h /tmp"
    ports: ["127.0.0.1:${port}:8080"]
    depends_on: { my_api: { condition: service_healthy } }
    labels: { traefik.enable: true }
  my_api:
    <<: *base
    env_file: api.env
    environment:
      GREETING: \${GREETING:-hello} from
      NAME:
    # Not healthy, and without a page, for a second.
    command: ["sh", "-c", "sleep 1; echo $$GREETING $$NAME $$FROM_FILE > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
    healthcheck:
      test: wget -q -O /dev/null http://127.0.0.1:8080/ || exit 1
      interval: 1s
      start_period: 20s
  job:
    <<: *base
    profiles: [never]
`

it.scopedLive("a compose file is imported and deployed, and means what it meant to compose", () =>
  Effect.gen(function* () {
    const node = yield* make
    yield* node.startMcias
    yield* node.startAgent
    yield* login(node, "admin")
    const port = yield* freePort
    const file = join(node.dir, "compose.yaml")
    writeFileSync(file, compose(port))
    writeFileSync(join(node.dir, ".env"), "NAME=compose\n")
    writeFileSync(join(node.dir, "api.env"), "FROM_FILE='and a file'\nGREETING=not this\n")

    const shown = yield* node.mcp("service", "import", file, "--name", "shop", "--dry-run")
    assert.strictEqual(shown.code, 0, shown.stderr)
    const imported = yield* node.mcp("service", "import", file, "--name", "shop", "--json")
    assert.strictEqual(imported.code, 0, imported.stderr)
    assert.strictEqual(readFileSync(join(node.services, "shop.toml"), "utf8"), shown.stdout)
    const document = JSON.parse(imported.stdout)
    assert.deepStrictEqual(document.components, ["web", "my-api"])
    const left = document.items.filter(({ outcome }: { outcome: string }) => outcome === "left_out")
    assert.deepStrictEqual(
      left.map(({ key, line }: { key: string; line: number }) => `${line} ${key}`),
      ["2 x-base", "13 services.web.labels", "26 services.job"]
    )
    assert.match(
      imported.stderr,
      /compose.yaml:13:5: services.web.labels: left out: the node's proxy has routes instead/
    )

    const deployed = yield* node.mcp("deploy", "shop")
    assert.strictEqual(deployed.code, 0, deployed.stderr)
    // The web server got the page as it started: so the other one was healthy before.
    assert.strictEqual(yield* get(port), "hello from compose and a file\n")
    assert.strictEqual((yield* node.mcp("plan", "shop", "--exit-code")).code, 0)

    const again = yield* node.mcp("service", "import", file, "--name", "shop")
    assert.strictEqual(again.code, 2)
    writeFileSync(file, compose(port).replace("hello}", "good day}").replace("NAME:\n", "NAME: ${NOBODY:?who}\n"))
    const refused = yield* node.mcp("service", "import", file, "--name", "shop", "--force")
    assert.strictEqual(refused.code, 2)
    assert.match(
      refused.stderr,
      /compose.yaml:19:13: services.my_api.environment.NAME: the variable NOBODY is not set: who/
    )
    assert.strictEqual(readFileSync(join(node.services, "shop.toml"), "utf8"), shown.stdout)
  })
)
