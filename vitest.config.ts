import { defineConfig } from "vitest/config"

// Values and rules first, then real podman and servers, then the built programs. The last two share the machine's
// podman, networks and ports, so no more than two files of theirs run at once.
const heavy = (name: string, order: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: 180_000,
    sequence: { groupOrder: order }
  }
})

export default defineConfig({
  test: {
    // vitest's own choice on two cores is one; it is one number for all projects.
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/{integration,e2e,bench,fault}/**"],
          sequence: { groupOrder: 0 }
        }
      },
      heavy("integration", 1),
      heavy("e2e", 2)
    ]
  }
})
