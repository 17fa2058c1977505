/** `edge-infer models list | pull | verify | quantize` */
import type { Command } from 'commander'
import { EdgeInferError } from '../errors.js'
import {
  describeSource, findModel, listModels, pullModels, verifyModels,
  type CatalogEntry, type ListedModel, type Pullable,
} from '../models/index.js'
import { isDefaultModel, loadTaskCatalog } from '../tasks/models.js'
import { interruptSignal } from './signals.js'
import { configureQuantize } from './models-quantize.js'
import { printLine } from './output.js'
import { createProgressBar } from './progress.js'
import { formatBytes, renderTable } from './table.js'

export function configure(command: Command): void {
  command
    .command('list')
    .description('Every known model: whether it is on this machine, its licence, size and source')
    .option('--json', 'one JSON list')
    .action(({ json }: { json?: boolean }) => list(json ?? false))
  command
    .command('pull')
    .description("Fetch models into the store; without names, every task's default model")
    .argument('[name...]', 'names of the catalogue')
    .option('--samples', 'fetch the sample pictures of the quick start too')
    .option('--quiet', 'say nothing of models that are here already')
    .option('--offline', 'download nothing; fail when a model is not here')
    .action((names: string[], options: PullOptions) => pull(names, options))
  command
    .command('verify')
    .description('Compare every model file on this machine with its digest')
    .option('--json', 'one JSON list')
    .action(({ json }: { json?: boolean }) => verify(json ?? false))
  configureQuantize(command.command('quantize'))
}

interface PullOptions {
  samples?: boolean
  quiet?: boolean
  offline?: boolean
}

async function list(json: boolean): Promise<void> {
  loadTaskCatalog()
  const models = await listModels()
  if (json) return printLine(JSON.stringify(models.map(toJson), null, 2))
  const rows = models.map((model) => [
    isDefaultModel(model.entry) ? `${model.entry.name} *` : model.entry.name,
    model.entry.task,
    stateOf(model),
    sizeOf(model.entry) === undefined ? '?' : formatBytes(sizeOf(model.entry) as number),
    model.entry.licence.id,
    sourceOf(model.entry),
  ])
  printLine(renderTable(['MODEL', 'TASK', 'STATE', 'SIZE', 'LICENCE', 'SOURCE'], rows, ['SIZE']))
  printLine("\n* the task's default model")
  const notes = new Map<string, string[]>()
  for (const { entry } of models) {
    if (entry.licence.note !== undefined) {
      notes.set(entry.licence.note, [...(notes.get(entry.licence.note) ?? []), entry.name])
    }
  }
  for (const [note, names] of notes) printLine(`${names.join(', ')}: ${note}`)
}

function toJson(model: ListedModel): Record<string, unknown> {
  const { entry } = model
  return {
    name: entry.name,
    task: entry.task,
    family: entry.family,
    default: isDefaultModel(entry),
    state: stateOf(model),
    licence: entry.licence,
    input: entry.input,
    labels: entry.labels,
    thresholds: entry.thresholds,
    files: entry.files.map((file, index) => ({
      name: file.name,
      sha256: file.sha256,
      bytes: file.bytes,
      sources: file.sources.map(describeSource),
      path: model.files[index]?.path,
    })),
  }
}

function stateOf({ files }: ListedModel): string {
  const present = files.filter((file) => file !== undefined)
  if (present.length < files.length) return present.length === 0 ? 'absent' : 'incomplete'
  return present.every((file) => file.where === 'store') ? 'in the store' : 'on the search path'
}

function sizeOf({ files }: CatalogEntry): number | undefined {
  return files.reduce<number | undefined>(
    (sum, { bytes }) => (sum === undefined || bytes === undefined ? undefined : sum + bytes), 0)
}

function sourceOf({ files }: CatalogEntry): string {
  const source = files[0]?.sources[0]
  if (source === undefined) return 'yours to provide'
  if (source.kind === 'npm') return `npm ${source.package}`
  return source.kind === 'https' ? new URL(source.url).host : source.path
}

async function pull(names: readonly string[], options: PullOptions): Promise<void> {
  const { samples = false, quiet = false, offline = false } = options
  const catalog = loadTaskCatalog()
  const models = names.length === 0 ? catalog.models.filter(isDefaultModel) : names.map(known)
  const wanted: Pullable[] = [...models, ...(samples ? catalog.samples : [])]
  const bar = createProgressBar('bytes')
  const fetched = new Set<string>()
  let outcomes
  try {
    outcomes = await pullModels(wanted, {
      download: !offline,
      signal: interruptSignal(),
      onProgress({ files, bytes, total }) {
        for (const file of files) fetched.add(file)
        bar.update(files.join(', '), bytes, total)
      },
    })
  } finally {
    bar.stop()
  }
  const failures: EdgeInferError[] = []
  for (const [index, outcome] of outcomes.entries()) {
    const entry = wanted[index] as Pullable
    if ('error' in outcome) {
      failures.push(outcome.error)
      continue
    }
    const isNew = entry.files.some(({ name }) => fetched.has(name))
    if (isNew || !quiet) printLine(`${entry.name}: ${isNew ? 'fetched ' : ''}${outcome.paths.join(', ')}`)
  }
  const [first] = failures
  if (first === undefined) return
  const codes = new Set(failures.map(({ code }) => code))
  const code = codes.size === 1 ? first.code : 'MODEL_UNAVAILABLE'
  throw new EdgeInferError(code, failures.map(({ message }) => message).join('; '))
}

function known(name: string): CatalogEntry {
  const entry = findModel(name)
  if (entry !== undefined) return entry
  const all = loadTaskCatalog().models.map((model) => model.name).join(', ')
  throw new EdgeInferError('UNKNOWN_MODEL', `The catalogue has no model "${name}" (known: ${all})`)
}

async function verify(json: boolean): Promise<void> {
  const files = await verifyModels()
  if (json) {
    printLine(JSON.stringify(files, null, 2))
  } else {
    const rows = files.map(({ model, path, matches }) => [model, verdict(matches), path])
    const table = renderTable(['MODEL', 'DIGEST', 'FILE'], rows)
    printLine(rows.length === 0 ? 'There is no model file on this machine.' : table)
  }
  const wrong = files.filter(({ matches }) => matches === false)
  if (wrong.length === 0) return
  const list = wrong.map(({ path, sha256 }) => `${path} (SHA-256 ${sha256})`).join(', ')
  throw new EdgeInferError('MODEL_DIGEST', `Not what the catalogue names: ${list}. Delete them and pull again`)
}

function verdict(matches: boolean | undefined): string {
  if (matches === undefined) return 'not known'
  return matches ? 'ok' : 'WRONG'
}
