/**
 * What a task is, and how its results are shown. Every `definition.ts` and `present.ts` is also bundled into the
 * dashboard: no Node module, no addon.
 */
import type { BoundingBox } from '../inference/bounding-box.js'

/** `detection`: boxes of objects in a picture. `head_pose`: angles of the heads in boxes, or in face pictures. */
export type TaskKind = 'detection' | 'head_pose'

export interface TaskDefinition<Name extends string = string, Kind extends TaskKind = TaskKind, Schema = unknown> {
  name: Name
  kind: Kind
  /** The type of what it takes and answers (`schema.ts`), for {@link TaskSchemas}; never set. */
  schema?: Schema
  /** What it does, for the OpenAPI document. */
  summary: string
  /** What it finds, in a word or two. */
  title: string
  /** What people want of it, all of its {@link input} included. */
  purpose: string
  /** A class that its answers count: a model without it would count none, whatever is in the picture. */
  countedClass?: string
  /** The task whose answer is the input of this one, where people start from a whole picture. */
  input?: string
  /** Names of the catalogue. The first that is there is the default model, unless a user's catalogue has another. */
  models: readonly [string, ...string[]]
  /** What the quick start runs it on: a sample picture of the catalogue, and a line above what is found there. */
  quickstart?: { sample: string; title: string }
  present: Presentation
}

/** An object in a picture, as the library finds it. */
export interface FoundObject {
  box: Readonly<BoundingBox>
  score: number
  classId: number
  label: string
}

/** Degrees. */
export interface FoundPose {
  yaw: number
  pitch: number
  roll: number
}

/** What is drawn over a picture. */
export interface Mark {
  box: Readonly<BoundingBox>
  label: string
  score?: number
  /** yaw, pitch, roll; degrees. */
  pose?: readonly [number, number, number]
  /** Of CSS; one that follows from the label when absent. */
  colour?: string
}

/** An answer of `/execute_task`. */
export type Answer = Readonly<Record<string, unknown>>

export interface Presentation {
  /** Members of a picture's JSON that `edge-infer run` prints; `poses`: one an object, for head poses. */
  toJson(objects: readonly FoundObject[], poses: readonly FoundPose[]): Record<string, unknown>
  /** `before`: the marks of the task that is its input. */
  toMarks(answer: Answer, before: readonly Mark[]): Mark[]
  /** `3 faces` */
  summarize(answer: Answer): string
}
