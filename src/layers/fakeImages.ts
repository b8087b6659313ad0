import { Image } from "../services/ContainerRuntime.ts"
import type { Program } from "./FakeRuntimeControl.ts"

interface Stored {
  readonly image: Image
  program: Program
  readonly layers: ReadonlyArray<string>
}

/** The images of a FakeRuntime, and those of an image registry that it pulls from. */
export const fakeImages = (nextId: () => number) => {
  const named = new Map<string, Stored>()
  /** A name that moved on leaves its image behind. */
  const byId = new Map<string, Stored>()
  const remote = new Map<string, Program>()
  const keep = (reference: string, stored: Stored) => {
    named.set(reference, stored)
    byId.set(stored.image.id, stored)
    return stored
  }
  const store = (reference: string, program: Program, digests: ReadonlyArray<string> = []) =>
    keep(reference, {
      image: new Image({ id: `sha256:${nextId()}`, references: [reference], digests }),
      program,
      layers: []
    })
  return {
    remote,
    find: (reference: string): Stored | undefined => named.get(reference) ?? byId.get(reference),
    named: (reference: string): Stored | undefined => named.get(reference),
    ids: (): ReadonlyArray<string> => [...byId.keys()],
    store,
    layers: (): ReadonlySet<string> => new Set([...byId.values()].flatMap(({ layers }) => layers)),
    load: (reference: string, id: string, layers: ReadonlyArray<string>, architecture: string) => {
      const known = byId.get(id)
      const references = [...new Set([...(known?.image.references ?? []), reference])]
      const image = new Image({ id, references, digests: [], architecture })
      for (const [other, stored] of named) if (stored.image.id === id) named.set(other, { ...stored, image })
      return keep(reference, { image, program: known?.program ?? {}, layers })
    },
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
