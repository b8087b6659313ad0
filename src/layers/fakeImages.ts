import { Image } from "../services/ContainerRuntime.ts"
import type { Program } from "./FakeRuntimeControl.ts"

interface Stored {
  readonly image: Image
  program: Program
}

/** The images of a FakeRuntime, and those of an image registry that it pulls from. */
export const fakeImages = (nextId: () => number) => {
  const named = new Map<string, Stored>()
  /** A name that moved on leaves its image behind. */
  const byId = new Map<string, Stored>()
  const remote = new Map<string, Program>()
  const store = (reference: string, program: Program, digests: ReadonlyArray<string> = []) => {
    const image = new Image({ id: `sha256:${nextId()}`, references: [reference], digests })
    const stored = { image, program }
    named.set(reference, stored)
    byId.set(image.id, stored)
    return stored
  }
  return {
    remote,
    find: (reference: string): Stored | undefined => named.get(reference) ?? byId.get(reference),
    named: (reference: string): Stored | undefined => named.get(reference),
    ids: (): ReadonlyArray<string> => [...byId.keys()],
    store,
    /** From the image registry, which has it by its digest from then on too. */
    pull: (reference: string, program: Program) => {
      const digest = reference.includes("@") ? reference : `${reference.replace(/:[^:/]*$/, "")}@sha256:${nextId()}`
      remote.set(digest, program)
      named.set(digest, store(reference, program, [digest]))
    },
    remove: (id: string) => {
      byId.delete(id)
      for (const [reference, { image }] of named) if (image.id === id) named.delete(reference)
    }
  }
}
