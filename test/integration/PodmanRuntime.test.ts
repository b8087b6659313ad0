import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { type AddressInfo, connect, createServer } from "node:net"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Chunk, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Schedule, Stream } from "effect"
import * as DevKmsgKernelLog from "../../src/layers/DevKmsgKernelLog.ts"
import * as PodmanRuntime from "../../src/layers/PodmanRuntime.ts"
import { ContainerRuntime, type NewContainer } from "../../src/services/ContainerRuntime.ts"
import { KernelLog } from "../../src/services/KernelLog.ts"
import { runtimeContract } from "../layers/runtimeContract.ts"
import * as Podman from "../support/podman.ts"

class Instance extends Context.Tag("test/Instance")<Instance, Podman.Podman>() {}

const live = Layer.unwrapEffect(
  Effect.map(Instance, ({ dir, command }) =>
    PodmanRuntime.layerOwned({ stateDir: join(dir, "agent"), command: [command] })
  )
).pipe(Layer.provideMerge(Layer.scoped(Instance, Podman.make)))

const wanted = (containerName: string, change: Partial<NewContainer> = {}): NewContainer => ({
  containerName,
  image: Podman.image,
  labels: {},
  env: {},
  cmd: ["sleep", "600"],
  entrypoint: [],
  user: undefined,
  network: { to: "none", aliases: [] },
  ports: [],
  volumes: [],
  memory: undefined,
  cpus: undefined,
  stopTimeoutSeconds: 0,
  ...change
})

const sh = (script: string) => ["sh", "-c", script]

/** Created and started; removed at the end of the test. */
const running = (containerName: string, change?: Partial<NewContainer>) =>
  Effect.gen(function* () {
    const runtime = yield* ContainerRuntime
    yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove(containerName)))
    const id = yield* runtime.create(wanted(containerName, change))
    yield* runtime.start(containerName)
    return id
  })

const listen = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    return { port: (server.address() as AddressInfo).port, server }
  }),
  ({ server }) => Effect.promise(() => new Promise<void>((done) => server.close(() => done())))
)

/** A socket in front of another that holds back what it is sent until it is opened. */
const slowRoad = (to: string, socketPath: string) =>
  Effect.gen(function* () {
    const asked = yield* Deferred.make<void>()
    const opened = yield* Deferred.make<void>()
    const server = createServer((near) => {
      const far = connect(to)
      for (const [one, other] of [
        [near, far],
        [far, near]
      ] as const) {
        one.on("error", () => other.destroy()).on("close", () => other.destroy())
      }
      far.pipe(near)
      near.once("readable", () => Effect.runSync(Deferred.succeed(asked, undefined)))
      Effect.runFork(Effect.map(Deferred.await(opened), () => near.pipe(far)))
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(socketPath), "listening")),
      () => Effect.promise(() => new Promise<void>((done) => server.close(() => done())))
    )
    return { asked: Deferred.await(asked), open: Deferred.succeed(opened, undefined) }
  })

const freePort = Effect.map(Effect.scoped(listen), ({ port }) => port)

const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, Schedule.spaced("50 millis").pipe(Schedule.intersect(Schedule.recurs(400))))

const child = (command: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { stdio: "ignore" })),
    (child) =>
      Effect.promise(async () => {
        const ended = hasEnded(child) ? undefined : once(child, "exit")
        child.kill("SIGKILL")
        await ended
      })
  )
const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

const startTime = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19]
const argv0 = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]
const recorded = (stateDir: string) => JSON.parse(readFileSync(join(stateDir, "podman-service.json"), "utf8"))

layer(live, { excludeTestServices: true, timeout: "120 seconds" })("PodmanRuntime", (it) => {
  runtimeContract(it, Podman.image)

  it.scoped("an image is removed by its id with all its names, unless a container uses it", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const podman = yield* Instance
      yield* running("origin")
      yield* podman.run("commit", "origin", "localhost/mcp-test/second:1")
      yield* podman.run("tag", "localhost/mcp-test/second:1", "localhost/mcp-test/second:2")
      const { id } = Option.getOrThrow(yield* runtime.image("localhost/mcp-test/second:1"))
      // By its id a container is made of it, whatever its names are by then.
      yield* running("user", { image: id })
      assert.strictEqual((yield* runtime.inspect("user")).imageId, id)
      assert.isFalse(yield* runtime.removeImage(id))
      yield* runtime.remove("user")
      assert.isTrue(yield* runtime.removeImage(id))
      assert.isTrue(Option.isNone(yield* runtime.image(id)))
      assert.isTrue(yield* runtime.removeImage(id))
    })
  )

  it.scoped("a bridge goes only when it carries the labels that are asked for", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const podman = yield* Instance
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.removeNetwork("labelled", {})))
      yield* runtime.ensureNetwork("labelled", { "mcp.service": "a" })
      yield* runtime.removeNetwork("labelled", { "mcp.service": "b" })
      assert.include(yield* podman.run("network", "ls", "--quiet"), "labelled")
      yield* runtime.removeNetwork("labelled", { "mcp.service": "a" })
      assert.notInclude(yield* podman.run("network", "ls", "--quiet"), "labelled")
    })
  )

  it.scoped("a kill for memory is told from another one, by the kernel's log where podman does not know", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const kernel = yield* KernelLog
      const hungry = yield* running("hungry", { memory: 16 * 1024 ** 2, cmd: ["tail", "/dev/zero"] })
      assert.strictEqual(yield* runtime.wait("hungry"), 137)
      const ended = yield* runtime.inspect("hungry")
      const said = yield* kernel.oomKilled(hungry, ended.startedAt ?? 0)
      assert.isTrue(ended.oomKilled === true || Option.getOrThrow(said))
      const killed = yield* running("killed")
      yield* (yield* Instance).run("kill", "killed")
      assert.strictEqual(yield* runtime.wait("killed"), 137)
      assert.isFalse(Option.getOrThrow(yield* kernel.oomKilled(killed, 0)))
    }).pipe(Effect.provide(DevKmsgKernelLog.layer))
  )

  it.scoped("the life of a container", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      assert.match(yield* runtime.version, /^\d+\.\d+\.\d+/)
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove("life-2")))
      const id = yield* runtime.create(wanted("life", { labels: { "mcp.service": "a" } }))
      const created = yield* runtime.inspect("life")
      assert.deepInclude(created, { id, containerName: "life", image: Podman.image, state: "created" })
      assert.deepEqual(created.labels, { "mcp.service": "a" })
      assert.isUndefined(created.startedAt)
      yield* runtime.start("life")
      yield* runtime.start("life")
      const started = yield* runtime.inspect(id)
      assert.strictEqual(started.state, "running")
      assert.isAbove(started.startedAt ?? 0, Date.now() - 60_000)
      assert.isUndefined(started.exitCode)
      yield* runtime.rename("life", "life-2")
      assert.strictEqual((yield* Effect.flip(runtime.inspect("life")))._tag, "ContainerNotFound")
      yield* runtime.stop("life-2", 0)
      yield* runtime.stop("life-2", 0)
      const listed = (yield* runtime.list).find((one) => one.containerName === "life-2")
      const { state, exitCode, imageId, labels } = yield* runtime.inspect("life-2")
      assert.deepInclude(listed, { id, state, exitCode, imageId, labels })
      assert.deepInclude({ state, exitCode }, { state: "exited", exitCode: 137 })
      yield* runtime.remove("life-2")
      yield* runtime.remove("life-2")
      assert.isUndefined((yield* runtime.list).find((one) => one.id === id))
    })
  )

  it.scoped("environment, command, user, read-only volume and limits of memory and CPU are in force", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const { dir } = yield* Instance
      mkdirSync(join(dir, "data"))
      writeFileSync(join(dir, "data/file"), "from the host")
      yield* running("options", {
        env: { GREETING: "hello world" },
        user: "1000:1000",
        volumes: [`${join(dir, "data")}:/data:ro`, "mcp-named:/named"],
        memory: 32 * 1024 ** 2,
        cpus: 0.5
      })
      const script =
        'echo "$GREETING"; id -u; cat /data/file; echo; touch /data/x 2>&1; grep -c " /named " /proc/mounts; tr "\\0" " " </proc/1/cmdline'
      const { output } = yield* runtime.exec("options", sh(script.replace("tr", "busybox tr")))
      assert.deepEqual(output.trim().split("\n"), [
        "hello world",
        "1000",
        "from the host",
        "touch: /data/x: Read-only file system",
        "1",
        "sleep 600"
      ])
      const limits = yield* (yield* Instance).run(
        ...["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}} {{.State.CgroupPath}}", "options"]
      )
      const [memory, quota, cgroup = ""] = limits.split(" ")
      assert.deepEqual([memory, quota], ["33554432", "50000"])
      // The kernel's own word, of either version of its control groups.
      const kernel = (v1: string, v2: string) =>
        Effect.firstSuccessOf(
          [v1, v2].map((file) => Effect.try(() => readFileSync(join("/sys/fs/cgroup", file), "utf8").trim()))
        )
      const memoryFiles = [`memory${cgroup}/memory.limit_in_bytes`, `${cgroup}/memory.max`] as const
      assert.strictEqual(yield* kernel(...memoryFiles), "33554432")
      const cpu = yield* kernel(`cpu${cgroup}/cpu.cfs_quota_us`, `${cgroup}/cpu.max`)
      assert.strictEqual(cpu.split(" ")[0], "50000")
    })
  )

  it.scoped("an entrypoint takes the place of the image's, with cmd as its arguments", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("entry", { entrypoint: ["/bin/sleep"], cmd: ["601"] })
      const { output } = yield* runtime.exec("entry", ["cat", "/proc/1/cmdline"])
      assert.strictEqual(output.replaceAll("\0", " ").trim(), "/bin/sleep 601")
    })
  )

  it.scoped("network host is the node's, none has loopback alone", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("on-host", { network: { to: "host", aliases: [] } })
      yield* running("alone", { network: { to: "none", aliases: [] } })
      const interfaces = (name: string) =>
        Effect.map(runtime.exec(name, ["ls", "/sys/class/net"]), ({ output }) => output.trim().split(/\s+/).sort())
      // Read anew, since other tests add and remove bridges meanwhile: what is common to both is what stays.
      const node = readdirSync("/sys/class/net")
      const seen = yield* interfaces("on-host")
      assert.includeMembers([...seen, ...node.filter((name) => /^(veth|podman|mcpt)/.test(name))], node)
      assert.deepEqual(yield* interfaces("alone"), ["lo"])
    })
  )

  it.scoped("containers find each other by alias, and a published port answers", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const port = yield* freePort
      const ensure = runtime.ensureNetwork("net-a", { "mcp.service": "a" })
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.removeNetwork("net-a", {})))
      yield* Effect.all([ensure, ensure, ensure], { concurrency: "unbounded" })
      const network = { to: "net-a", aliases: ["backend"] }
      const ports = [`127.0.0.1:${port}:80`]
      yield* running("web", { network, ports, cmd: sh("echo served >/www/index.html; exec httpd -f -h /www") })
      yield* running("client", { network: { to: "net-a", aliases: [] } })
      assert.deepEqual((yield* runtime.inspect("web")).ports, ports)
      const seen = soon(Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text())))
      assert.strictEqual(yield* seen, "served\n")
      assert.deepEqual(yield* runtime.exec("client", ["wget", "-qO-", "http://backend/"]), {
        exitCode: 0,
        output: "served\n"
      })
      const busy = yield* Effect.flip(runtime.removeNetwork("net-a", {}))
      assert.strictEqual(busy.message, "remove network net-a: a container is on it")

      yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove("other")))
      yield* runtime.create(wanted("other", { network, ports }))
      const taken = yield* Effect.flip(runtime.start("other"))
      assert.strictEqual(taken._tag, "PortInUse")
      assert.strictEqual(taken.message, `cannot start other: the port 127.0.0.1:${port} is in use on the node`)
    })
  )

  it.scoped("a port that a program on the node has is in use", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const { port } = yield* listen
      yield* runtime.ensureNetwork("net-b", {})
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.removeNetwork("net-b", {})))
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove("late")))
      yield* runtime.create(wanted("late", { network: { to: "net-b", aliases: [] }, ports: [`${port}:80`] }))
      assert.strictEqual((yield* Effect.flip(runtime.start("late")))._tag, "PortInUse")
      yield* runtime.remove("late")
      // Of the addresses kept for documentation: nobody else has the port, the node has no such address.
      yield* runtime.create(
        wanted("late", { network: { to: "net-b", aliases: [] }, ports: [`203.0.113.9:${port}:80`] })
      )
      const foreign = yield* Effect.flip(runtime.start("late"))
      assert.strictEqual(foreign._tag, "RuntimeRefused")
      assert.strictEqual(foreign.message, "start late: the node has no address 203.0.113.9")
    })
  )

  it.scoped("refusals say what is wrong", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      for (const name of ["one", "two", "three"]) yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove(name)))
      yield* runtime.create(wanted("one"))
      const why = (effect: Effect.Effect<unknown, Error>) => Effect.map(Effect.flip(effect), ({ message }) => message)
      assert.strictEqual(yield* why(runtime.create(wanted("one"))), "a container named one exists already")
      assert.strictEqual(
        yield* why(runtime.create(wanted("two", { image: "localhost/absent:1" }))),
        "the image localhost/absent:1 is not on this node"
      )
      assert.strictEqual(
        yield* why(runtime.create(wanted("two", { volumes: ["/no/such:/data"] }))),
        "create two: there is no /no/such on the node to mount"
      )
      yield* runtime.create(wanted("two", { cmd: ["/bin/absent", "x"] }))
      assert.strictEqual(
        yield* why(runtime.start("two")),
        "start two: there is no command /bin/absent in the container"
      )
      assert.strictEqual(yield* why(runtime.rename("two", "one")), "a container named one exists already")
      assert.match(yield* why(runtime.exec("one", ["true"])), /^exec one: can only create exec sessions on running/)
      const none = "no container named three"
      for (const call of [runtime.start("three"), runtime.stop("three", 0), runtime.wait("three")]) {
        assert.strictEqual(yield* why(call), none)
      }
      assert.strictEqual(
        yield* why(Stream.runDrain(runtime.logs("three", { follow: true, tail: undefined, since: undefined }))),
        none
      )
      const at = yield* Effect.map(runtime.create(wanted("three")), (id) => id.slice(0, 3))
      assert.strictEqual(yield* why(runtime.inspect(at)), `no container named ${at}`)
      yield* runtime.remove(at)
      assert.strictEqual((yield* runtime.inspect("three")).state, "created")
    })
  )

  it.scoped("logs, exit code and events of a container that ends", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const died = yield* runtime.events.pipe(
        Stream.filter((event) => event.containerName === "talker"),
        Stream.takeUntil((event) => event.action === "died"),
        Stream.runCollect,
        Effect.fork
      )
      const script =
        'echo "grüße"; echo oh >&2; printf x; yes é | head -c 120000 | busybox tr -d "\\n"; echo; cat /go 2>&1; exit 7'
      yield* running("talker", { labels: { a: "b" }, cmd: sh(`while ! [ -e /go ]; do sleep 0.1; done; ${script}`) })
      const exit = yield* Effect.fork(runtime.wait("talker"))
      const all = yield* Effect.fork(
        Stream.runCollect(runtime.logs("talker", { follow: true, tail: undefined, since: undefined }))
      )
      assert.strictEqual((yield* runtime.exec("talker", sh("echo last >/tmp/go; mv /tmp/go /go"))).exitCode, 0)
      const lines = Chunk.toReadonlyArray(yield* Fiber.join(all))
      const of = (stream: string) => lines.filter((one) => one.stream === stream).map(({ line }) => line)
      assert.deepEqual(of("stderr"), ["oh"])
      assert.deepEqual(of("stdout"), ["grüße", `x${"é".repeat(32 * 1024 - 1)}`, "last"])
      assert.isAbove(lines[0]?.at ?? 0, Date.now() - 60_000)
      assert.strictEqual(yield* Fiber.join(exit), 7)
      assert.strictEqual(yield* runtime.wait("talker"), 7)
      const tail = yield* Stream.runCollect(runtime.logs("talker", { follow: false, tail: 1, since: undefined }))
      assert.deepEqual(
        Array.from(tail, ({ line }) => line),
        ["last"]
      )
      const later = { follow: false, tail: undefined, since: Date.now() + 60_000 }
      assert.isTrue(Chunk.isEmpty(yield* Stream.runCollect(runtime.logs("talker", later))))
      const last = Chunk.toReadonlyArray(yield* Fiber.join(died)).at(-1)
      assert.deepInclude(last, { action: "died", containerName: "talker", exitCode: 7 })
      assert.deepEqual(last?.labels, { a: "b" })
    })
  )

  it.scoped("events that happen while the request for them is on its way are told", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const { dir } = yield* Instance
      const socketPath = join(dir, "slow.sock")
      const road = yield* slowRoad(join(dir, "agent/podman.sock"), socketPath)
      const events = Effect.flatMap(ContainerRuntime, (slow) =>
        slow.events.pipe(
          Stream.filter((event) => event.containerName === "early"),
          Stream.take(1),
          Stream.runHead
        )
      )
      const first = yield* Effect.fork(Effect.provide(events, PodmanRuntime.layer({ socketPath })))
      yield* road.asked
      yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove("early")))
      yield* runtime.create(wanted("early"))
      yield* road.open
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(first)).action, "create")
    })
  )

  it.scoped("interruption ends a wait and a followed log", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      yield* running("long")
      const wait = yield* Effect.fork(runtime.wait("long"))
      const follow = { follow: true, tail: undefined, since: undefined }
      const logs = yield* Effect.fork(Stream.runDrain(runtime.logs("long", follow)))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(wait)))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(logs)))
      assert.strictEqual((yield* runtime.inspect("long")).state, "running")
      assert.deepEqual(yield* runtime.exec("long", sh("echo out; echo err >&2; exit 3")), {
        exitCode: 3,
        output: "out\nerr\n"
      })
      const refused = yield* Effect.flip(runtime.exec("long", ["/bin/absent"]))
      assert.strictEqual(refused.message, "exec long: there is no command /bin/absent in the container")
    })
  )

  it.scoped("images: found, missing, and a registry that does not answer", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const found = Option.getOrThrow(yield* runtime.image(Podman.image))
      assert.deepEqual(found.references, [Podman.image])
      assert.isTrue(Option.isSome(yield* runtime.image(found.id)))
      assert.isTrue(Option.isNone(yield* runtime.image("localhost/absent:1")))
      const port = yield* freePort
      const pull = runtime.pull(`127.0.0.1:${port}/a/b:1`, { authFile: undefined })
      const error = yield* Effect.flip(Stream.runDrain(pull))
      assert.strictEqual(error._tag, "ImagePullFailed")
      assert.match(error.message, /^cannot pull 127\.0\.0\.1:\d+\/a\/b:1: pinging .*connection refused$/)
      const file = yield* Effect.flip(Stream.runDrain(runtime.pull("localhost/a/b:1", { authFile: "/no/such" })))
      assert.match(file.message, /cannot use the credentials in \/no\/such: no such file$/)
    })
  )

  it.scoped("an image is pulled with the credentials in the auth file, and refused without", () =>
    Effect.gen(function* () {
      const { dir, run, command } = yield* Instance
      const registry = `127.0.0.1:${yield* freePort}`
      const file = (name: string, text: string) => {
        writeFileSync(join(dir, name), text)
        return join(dir, name)
      }
      const users = file("htpasswd", "mcp:$2y$05$2DT/Ep6BjCUrJqPuhzWHA.llN4gZjIj/F0UhinKuCuZokEq99AunW\n")
      const config = {
        version: 0.1,
        log: { level: "error" },
        storage: { filesystem: { rootdirectory: join(dir, "registry") } },
        http: { addr: registry },
        auth: { htpasswd: { realm: "test", path: users } }
      }
      yield* child("docker-registry", ["serve", file("registry.yml", JSON.stringify(config))])
      yield* soon(Effect.tryPromise(() => fetch(`http://${registry}/v2/`)))
      const reference = `${registry}/team/app:v1`
      yield* run("push", "--tls-verify=false", "--creds", "mcp:secret-word", Podman.image, reference)
      const auth = Buffer.from("mcp:secret-word").toString("base64")
      const authFile = file("auth.json", JSON.stringify({ auths: { [registry]: { auth } } }))

      const insecure = file("registries.conf", `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`)
      const layer = PodmanRuntime.layerOwned({
        stateDir: join(dir, "puller"),
        command: ["env", `CONTAINERS_REGISTRIES_CONF=${insecure}`, command]
      })
      yield* Effect.gen(function* () {
        const runtime = yield* ContainerRuntime
        const refused = yield* Effect.flip(Stream.runDrain(runtime.pull(reference, { authFile: undefined })))
        assert.match(refused.message, /authentication required/)
        const progress = Array.from(yield* Stream.runCollect(runtime.pull(reference, { authFile })))
        assert.include(progress[0], reference)
        // As a definition pins it: by tag and digest. It is known here under the digest that it had before the push, too.
        const manifest = fetch(`http://${registry}/v2/team/app/manifests/v1`, {
          headers: { authorization: `Basic ${auth}`, accept: "application/vnd.oci.image.manifest.v1+json" }
        })
        const digest = (yield* Effect.promise(() => manifest)).headers.get("docker-content-digest")
        const pinned = `${reference}@${digest}`
        assert.include(Option.getOrThrow(yield* runtime.image(reference)).digests, `${registry}/team/app@${digest}`)
        yield* Stream.runDrain(runtime.pull(pinned, { authFile }))
        assert.isTrue(Option.isSome(yield* runtime.image(pinned)))
        yield* Effect.addFinalizer(() => Effect.ignore(runtime.remove("pinned")))
        yield* runtime.create(wanted("pinned", { image: pinned }))
        yield* runtime.remove("pinned")
        const absent = yield* Effect.flip(Stream.runDrain(runtime.pull(`${registry}/team/app:v9`, { authFile })))
        assert.match(absent.message, /manifest unknown/)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("a service that is killed comes back, and containers live on", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const stateDir = join((yield* Instance).dir, "agent")
      yield* running("steady")
      const lost = yield* Effect.fork(Effect.flip(Stream.runDrain(runtime.events)))
      const { pid } = recorded(stateDir)
      yield* runtime.version
      process.kill(pid, "SIGKILL")
      assert.strictEqual((yield* Fiber.join(lost))._tag, "RuntimeUnavailable")
      const found = yield* soon(runtime.inspect("steady"))
      assert.strictEqual(found.state, "running")
      assert.notStrictEqual(recorded(stateDir).pid, pid)
    })
  )

  it.scoped("the service of an agent that crashed is ended, another process of that pid is not", () =>
    Effect.gen(function* () {
      const { command, dir } = yield* Instance
      const stateDir = join(dir, "crashed")
      mkdirSync(stateDir)
      const build = Effect.scoped(Layer.build(PodmanRuntime.layerOwned({ stateDir, command: [command] })))
      const record = (pid: number, start = startTime(pid)) =>
        writeFileSync(join(stateDir, "podman-service.json"), JSON.stringify({ pid, startTime: start }))

      const orphan = yield* child("bash", ["-c", "exec -a podman sleep 600"])
      yield* soon(Effect.suspend(() => (argv0(orphan.pid ?? 0) === "podman" ? Effect.void : Effect.fail("not yet"))))
      record(orphan.pid ?? 0)
      yield* build
      assert.isTrue(hasEnded(orphan))

      const other = yield* child("sleep", ["600"])
      record(other.pid ?? 0)
      yield* build
      assert.isFalse(hasEnded(other))

      const stranger = yield* child("sleep", ["600"])
      record(stranger.pid ?? 0, "1")
      yield* build
      assert.isFalse(hasEnded(stranger))
    })
  )

  it.scoped("without a service the runtime is unavailable, in plain words", () =>
    Effect.gen(function* () {
      const { dir } = yield* Instance
      const socketPath = join(dir, "no.sock")
      const missing = Effect.flatMap(ContainerRuntime, (runtime) => runtime.version).pipe(
        Effect.provide(PodmanRuntime.layer({ socketPath })),
        Effect.flip
      )
      assert.strictEqual((yield* missing).why, `there is no socket at ${socketPath}`)
      const why = (command: string) =>
        Layer.build(PodmanRuntime.layerOwned({ stateDir: join(dir, "none"), command: [command] })).pipe(
          Effect.scoped,
          Effect.flip,
          Effect.map((error) => error.why)
        )
      assert.strictEqual(yield* why("/no/podman"), "cannot run /no/podman: no such file")
      assert.strictEqual(yield* why("false"), "podman ended (exit code 1)")
    })
  )
})
