import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Snapshot } from "../../src/cli/json.ts"
import { login, make } from "../support/agent.ts"
import { temporaryFolder } from "../support/folder.ts"
import { bookIn, buildLedger, ledger, litterIn } from "../support/ledger.ts"
import { told, until } from "../support/shop.ts"

/** Unpacked with the tools of any machine. */
const unpacked = (file: string) => {
  const folder = temporaryFolder()
  execFileSync("tar", ["--zstd", "-xf", file, "-C", folder])
  return folder
}

it.scopedLive(
  "snapshots of a database that is written to all the while are each one of its states, and each way back leads to that state or to the one before",
  () =>
    Effect.gen(function* () {
      const node = yield* make
      yield* node.startMcias
      let agent = yield* node.startAgent
      yield* login(node, "admin")
      yield* buildLedger(node.podman)
      const data = join(node.dir, "srv/shop")
      const kept = join(node.dir, "agent/snapshots/shop")
      const nothingLeft = () => assert.deepStrictEqual(litterIn(data, kept), [])
      const ok = (...words: ReadonlyArray<string>) =>
        Effect.map(node.mcp(...words, "--json"), (ran) => {
          assert.strictEqual(ran.code, 0, `${words.join(" ")}: ${ran.stderr}`)
          return JSON.parse(ran.stdout)
        })
      const listed = Effect.map(ok("snapshot", "list", "shop"), ({ snapshots }) => snapshots as ReadonlyArray<Snapshot>)
      const container = node.podman.run("inspect", "shop-web", "--format", "{{.Id}} {{.State.StartedAt}}")
      const book = Effect.sync(() => bookIn(data))

      node.define("shop", ledger(join(node.dir, "srv")))
      yield* ok("deploy", "shop")
      yield* until(
        Effect.sync(() => existsSync(join(data, "ledger.db"))),
        (there) => there
      )
      yield* until(
        Effect.sync(() => existsSync(join(data, "ledger.db-wal"))),
        (there) => there
      )
      yield* until(
        Effect.orElseSucceed(
          Effect.try(() => bookIn(data).last),
          () => 0
        ),
        (last) => last > 20
      )
      mkdirSync(join(data, "pages"))
      writeFileSync(join(data, "pages/index.html"), "old")

      const taken = temporaryFolder()
      const states = new Map<string, number>()
      for (let i = 0; i < 5; i++) {
        const before = (yield* book).last
        const made = yield* ok("snapshot", "create", "shop", ...(i === 4 ? ["--output", taken] : []))
        const after = (yield* book).last
        const id = made.snapshot.id as string
        const file = join(kept, `${id}.tar.zst`)
        assert.strictEqual(execFileSync("sha256sum", [file], { encoding: "utf8" }).slice(0, 64), made.snapshot.sha256)
        const { last } = bookIn(unpacked(file))
        assert.isTrue(before <= last && last <= after, `${before} <= ${last} <= ${after}`)
        assert.deepStrictEqual([made.snapshot.method, made.left_out], ["full", []])
        states.set(id, last)
      }
      const ids = [...states.keys()]
      const inOrder = [...ids].reverse()
      assert.deepStrictEqual(
        (yield* listed).map(({ id }) => id),
        inOrder
      )
      assert.strictEqual(statSync(kept).mode & 0o777, 0o700)
      for (const name of readdirSync(kept)) assert.strictEqual(statSync(join(kept, name)).mode & 0o777, 0o600)
      const copy = join(taken, `shop-${ids[4]}.tar.zst`)
      assert.strictEqual(statSync(copy).mode & 0o777, 0o600)
      assert.isTrue(readFileSync(copy).equals(readFileSync(join(kept, `${ids[4]}.tar.zst`))))
      nothingLeft()

      // Back to the third, with the writer at it.
      writeFileSync(join(data, "pages/index.html"), "new")
      writeFileSync(join(data, "pages/more.html"), "new")
      const third = ids[2] ?? ""
      const restored = yield* ok("snapshot", "restore", "shop", third.toLowerCase(), "--yes")
      assert.deepStrictEqual([restored.state, restored.started], ["succeeded", ["web"]])
      const from = yield* until(
        Effect.orElseSucceed(book, () => ({ last: 0, starts: [] as ReadonlyArray<number> })),
        ({ last, starts }) => starts.at(-1) === states.get(third) && last > (states.get(third) ?? 0)
      )
      assert.isAbove(from.last, states.get(third) ?? 0)
      assert.strictEqual(readFileSync(join(data, "pages/index.html"), "utf8"), "old")
      assert.deepStrictEqual(readdirSync(join(data, "pages")), ["index.html"])
      nothingLeft()

      // A damaged one is refused while all runs on.
      const damaged = join(kept, `${ids[0]}.tar.zst`)
      const bytes = readFileSync(damaged)
      bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1
      writeFileSync(damaged, bytes)
      const running = yield* container
      const refused = yield* node.mcp("snapshot", "restore", "shop", ids[0] ?? "", "--yes")
      told(refused, /damaged|cannot be used/, /mcp snapshot list/)
      assert.strictEqual(yield* container, running)
      const cut = join(taken, "cut.tar.zst")
      writeFileSync(cut, readFileSync(copy).subarray(0, -100))
      const refusedFile = yield* node.mcp("snapshot", "restore", "shop", "--file", cut, "--yes")
      told(refusedFile, /not the same|damaged|cannot be used/, /mcp snapshot/)
      assert.strictEqual(yield* container, running)
      nothingLeft()

      // Kept by --keep: the newest. The copy that was taken off the node comes back as the same snapshot.
      const made = yield* ok("snapshot", "create", "shop", "--keep", "1")
      assert.deepStrictEqual(made.removed, inOrder)
      const fromFile = yield* ok("snapshot", "restore", "shop", "--file", copy, "--yes")
      assert.deepStrictEqual([fromFile.state, fromFile.snapshot.id], ["succeeded", ids[4]])
      yield* until(
        Effect.orElseSucceed(book, () => undefined),
        (now) => now?.starts.at(-1) === states.get(ids[4] ?? "")
      )

      // What they did is told.
      const { events } = yield* ok("events", "shop")
      const kinds = (events as ReadonlyArray<{ kind: string; to: string; actor: string }>).flatMap(
        ({ actor, kind, to }) => (kind === "snapshot" || kind === "restore" ? [`${kind} ${to} by ${actor}`] : [])
      )
      for (const one of ["snapshot made by admin", "restore succeeded by admin", "restore failed by admin"]) {
        assert.include(kinds, one)
      }
      assert.include((yield* node.mcp("why", "shop")).stdout, "restore")

      // An agent that is killed while it makes one leaves nothing of it.
      execFileSync("dd", ["if=/dev/urandom", `of=${join(data, "large")}`, "bs=1M", "count=150", "status=none"])
      const known = (yield* listed).map(({ id }) => id)
      const begun = Effect.async<void>((resume) => {
        const watcher = watch(kept, (_, name) => {
          if (name?.endsWith(".partial")) resume(Effect.void)
        })
        return Effect.sync(() => watcher.close())
      })
      const creating = yield* Effect.fork(node.mcp("snapshot", "create", "shop"))
      yield* begun
      yield* agent.signal("SIGKILL")
      yield* agent.ended
      assert.strictEqual((yield* creating).code, 1)
      agent = yield* node.startAgent
      nothingLeft()
      assert.deepStrictEqual(
        (yield* listed).map(({ id }) => id),
        known
      )

      // They outlive the registry.
      yield* agent.stop
      for (const name of readdirSync(join(node.dir, "agent"))) {
        if (name.startsWith("mcp.db")) rmSync(join(node.dir, "agent", name))
      }
      yield* node.startAgent
      assert.deepStrictEqual(
        (yield* listed).map(({ id }) => id),
        known
      )
      yield* ok("adopt", "shop")
      const last = yield* ok("snapshot", "restore", "shop", "--yes")
      assert.deepStrictEqual([last.state, last.snapshot.id], ["succeeded", known[0]])
      assert.isFalse(existsSync(join(data, "large")))
      nothingLeft()
    }),
  240_000
)
