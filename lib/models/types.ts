/** What the catalogue says of models and sample pictures. */
import type { ModelFamily, Preprocessing } from '../native.js'

/**
 * Where a file can be had. A `file` source names a file, or a directory that holds one of the file's name. Plain http
 * will do for an `https` source on a network of one's own: the digest is what is trusted.
 */
export type FileSource =
  | { kind: 'npm'; package: string; path: string; integrity: string; packageBytes: number }
  | { kind: 'https'; url: string }
  | { kind: 'file'; path: string }

export interface CatalogFile {
  /** Name of the file in the store and on the search path. */
  name: string
  /** SHA-256, hexadecimal; absent where users make the file themselves. */
  sha256: string | undefined
  bytes: number | undefined
  /** Tried in order. */
  sources: readonly FileSource[]
}

export interface Licence {
  /** SPDX identifier, or `unknown`. */
  id: string
  note: string | undefined
}

export interface Thresholds {
  scoreThreshold: number
  iouThreshold: number
  maxDetections: number
}

/** What is known of a model; the family's defaults are filled in. */
export interface CatalogEntry {
  name: string
  /** Name of its task; the tasks themselves are of no concern here. */
  task: string
  family: ModelFamily
  /** Whether it is to be its task's default model, in a catalogue of the user's. */
  default: boolean
  licence: Licence
  /** How a user gets the model where no source has it. */
  obtain: string | undefined
  /** Size in pixels of the network's input, and its name; undefined where only the model itself tells. */
  input: { name?: string | undefined; width: number; height: number } | undefined
  preprocessing: Preprocessing
  /** Detection families only. */
  thresholds: Thresholds | undefined
  /** Class names by id, from the catalogue or else the file; empty for head poses and where they are unknown. */
  labels: readonly string[]
  /** YOLOX and UltraFace: whether the export decodes its boxes; undefined where its values are to tell. */
  boxesDecoded: boolean | undefined
  /** Head-pose families only: the face is cut out as a square of side (1 + 2 × margin) × the box's longer side. */
  cropMargin: number | undefined
  /** One file, or several whose outputs are averaged. */
  files: readonly CatalogFile[]
}

/** A real photograph for the quick start. */
export interface SampleEntry {
  name: string
  licence: Licence
  description: string
  files: readonly CatalogFile[]
}

/** What a family's models have in common unless an entry says otherwise. */
export interface FamilyDefaults {
  preprocessing: Preprocessing
  thresholds: Thresholds | undefined
  boxesDecoded: boolean | undefined
  cropMargin: number | undefined
}

export interface Catalog {
  /** The file that the first models stand in. */
  path: string
  families: Readonly<Record<ModelFamily, FamilyDefaults>>
  labelSets: ReadonlyMap<string, readonly string[]>
  models: readonly CatalogEntry[]
  samples: readonly SampleEntry[]
}
