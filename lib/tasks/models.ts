/** The models of the tasks: which is a task's default, and files for a name or a path. */
import { EdgeInferError, type ErrorCode } from '../errors.js'
import * as models from '../models/index.js'
import type { Catalog, CatalogEntry, PullOptions, ResolvedModel, ResolveOptions } from '../models/index.js'
import { definitionOf, isTaskName, TASK_NAMES, type TaskName } from './registry.js'

const checked = new WeakSet<Catalog>()

/** The catalogue, each model of which is for a task of the registry. @throws EdgeInferError BAD_OPTION. */
export function loadTaskCatalog(): Catalog {
  const catalog = models.loadCatalog()
  if (checked.has(catalog)) return catalog
  const wrong = catalog.models.findIndex(({ task }) => !isTaskName(task))
  if (wrong >= 0) {
    const { task } = catalog.models[wrong] as CatalogEntry
    throw new EdgeInferError('BAD_OPTION', `The catalogue ${catalog.path} is broken at models[${wrong}].task: ` +
      `expected one of ${TASK_NAMES.join(', ')}, received ${JSON.stringify(task)}`)
  }
  checked.add(catalog)
  return catalog
}

/** What the user's catalogue calls the default, else the task's first. @throws EdgeInferError UNKNOWN_TASK. */
export function defaultModelFor(task: TaskName): CatalogEntry {
  const entries = loadTaskCatalog().models.filter((entry) => entry.task === task)
  const [entry] = [
    ...entries.filter((candidate) => candidate.default),
    ...definitionOf(task).models.flatMap((name) => entries.find((candidate) => candidate.name === name) ?? []),
  ]
  if (entry === undefined) throw new EdgeInferError('UNKNOWN_TASK', `The catalogue has no default model for ${task}`)
  return entry
}

export function isDefaultModel(entry: CatalogEntry): boolean {
  return isTaskName(entry.task) && defaultModelFor(entry.task) === entry
}

/** `nameOrPath`: a catalogue name (`yolov8n`), a weights name (`yolov5s.pt`) or the path of a model file. */
export async function resolveModel(
  nameOrPath: string, options: ResolveOptions & { task?: TaskName | undefined } = {},
): Promise<ResolvedModel & { entry: { task: TaskName } }> {
  loadTaskCatalog()
  const usualFamily = options.task && defaultModelFor(options.task).family
  return await models.resolveModel(nameOrPath, { usualFamily, ...options }) as
    Awaited<ReturnType<typeof resolveModel>>
}

/** A model for the task; its default when `name` is absent. `code`: of the error when it is another task's. */
export async function resolveTaskModel(
  task: TaskName, name: string | undefined, options: PullOptions = {}, code: ErrorCode = 'BAD_OPTION',
): Promise<ResolvedModel> {
  const wanted = name ?? defaultModelFor(task).name
  const resolved = await resolveModel(wanted, { ...options, task })
  const { entry } = resolved
  if (entry.task !== task) {
    throw new EdgeInferError(code, `Expected a model for ${task} but ${wanted} is one for ${entry.task}`)
  }
  const { countedClass } = definitionOf(task)
  if (countedClass !== undefined && !entry.labels.includes(countedClass)) {
    const known = entry.labels.length > 0 ? `has ${entry.labels.join(', ')}` : 'names no classes'
    throw new EdgeInferError(code, `Expected a model for ${task} with a class "${countedClass}" but ${wanted} ` +
      `${known}. Name them in a catalogue (labelSet), or in the metadata of the file`)
  }
  return resolved
}
