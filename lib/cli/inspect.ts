/** `edge-infer inspect`: what is here, what each task is missing, and the command that mends it. */
import { freemem, totalmem } from 'node:os'
import type { Command } from 'commander'
import { listModels, type ListedModel } from '../models/index.js'
import { TASK_NAMES, type TaskName } from '../tasks/registry.js'
import { addonPaths, loadRuntime, native, toEdgeInferError, type NativeVersions, type RuntimeInfo } from '../native.js'
import { readCpuFeatures, type CpuFeatures } from '../host/index.js'
import { createTask } from '../tasks/index.js'
import { defaultModelFor } from '../tasks/models.js'
import { ffmpegVersion } from '../video/index.js'
import { CONTROLLER_NEEDS, openLimits } from '../workers/limits/index.js'
import { formatBytes, indent, renderFacts, renderTable, wrap } from './table.js'
import { printLine } from './output.js'
import { packageVersion } from './program.js'

export function configure(command: Command): void {
  command
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExit code 0 when every task can run with its default model, else 1.')
    .action(async ({ json }: { json?: boolean }) => {
      const report = await inspect()
      printLine(json ? JSON.stringify(report, null, 2) : toText(report))
      if (report.tasks.some(({ ready }) => !ready)) process.exitCode = 1
    })
}

/** A part that loads, or why it does not. */
type Found<T> = T | { error: string }

interface Inspection {
  version: string
  node: { version: string; platform: string; arch: string }
  addon: { path: string } & Found<NativeVersions>
  onnxruntime: Found<RuntimeInfo>
  /** What reads and writes videos. */
  ffmpeg: Found<{ version: string }>
  cpu: CpuFeatures
  /** Bytes. */
  memory: { total: number; available: number }
  /** What this process and its workers may use of the machine. */
  container: { cores: number; memoryBytes: number }
  /** What can be limited, and why the rest cannot. */
  controlGroups: { mode: 'v1' | 'v2' | 'none'; missing: Readonly<Record<string, string>> }
  models: { present: string[]; absent: string[] }
  tasks: TaskReport[]
  /** What keeps tasks from running, with the command that mends it. */
  missing: string[]
}

interface TaskReport {
  task: TaskName
  /** The task's default model. */
  model: string
  ready: boolean
  reason?: string
}

async function inspect(): Promise<Inspection> {
  const tasks: TaskReport[] = []
  for (const task of TASK_NAMES) tasks.push(await tryTask(task))
  return {
    version: packageVersion(),
    node: { version: process.versions.node, platform: process.platform, arch: process.arch },
    addon: { path: addonPaths().join(', '), ...found(native.versions) },
    onnxruntime: found(() => loadRuntime()),
    ffmpeg: await ffmpegVersion().then((version) => ({ version }), (error: Error) => ({ error: error.message })),
    cpu: readCpuFeatures(),
    memory: { total: totalmem(), available: freemem() },
    ...await inspectLimits(),
    models: await inspectModels(),
    tasks,
    missing: [...new Set(tasks.flatMap(({ reason }) => reason ?? []))],
  }
}

/** Only loading the model and running it once tells. */
async function tryTask(task: TaskName): Promise<TaskReport> {
  const report = { task, model: defaultModelFor(task).name }
  try {
    const loaded = await createTask(task, { download: false })
    await loaded.close()
    return { ...report, ready: true }
  } catch (error) {
    return { ...report, ready: false, reason: toEdgeInferError(error).message }
  }
}

function found<T>(find: () => T): Found<T> {
  try {
    return find()
  } catch (error) {
    return { error: toEdgeInferError(error).message }
  }
}

/** Groups are made and removed again, as nothing else tells whether they can be. */
async function inspectLimits(): Promise<Pick<Inspection, 'container' | 'controlGroups'>> {
  const limits = await openLimits({ removeLeftovers: false })
  try {
    const { cores, memoryBytes } = limits.capacity
    return { container: { cores, memoryBytes }, controlGroups: { mode: limits.mode, missing: limits.missing } }
  } finally {
    await limits.close()
  }
}

async function inspectModels(): Promise<Inspection['models']> {
  const models = await listModels()
  const isPresent = ({ files }: ListedModel): boolean => files.every((file) => file !== undefined)
  return {
    present: models.filter(isPresent).map(({ entry }) => entry.name),
    absent: models.filter((model) => !isPresent(model)).map(({ entry }) => entry.name),
  }
}

function toText(report: Inspection): string {
  const { node, addon, onnxruntime, ffmpeg, cpu, memory, container, controlGroups, models, missing } = report
  const facts = {
    'edge-infer': report.version,
    'Node.js': `${node.version}, ${node.platform} ${node.arch}`,
    'Addon': 'error' in addon ? `not loaded: ${addon.path}`
      : `loaded, built by compiler ${addon.compiler}\n${addon.path}`,
    'OpenCV': 'error' in addon ? 'not known' : addon.opencv,
    'ONNX Runtime': 'error' in onnxruntime ? 'not loaded'
      : `${onnxruntime.version}, API ${onnxruntime.apiVersion}; ${onnxruntime.source}\n${onnxruntime.path}`,
    'Providers': 'error' in onnxruntime ? 'not known' : providersText(onnxruntime.providers),
    'ffmpeg': 'error' in ffmpeg ? ffmpeg.error : ffmpeg.version,
    'CPU': `${cpu.model}, ${cpu.cores} cores\n${cpu.features.join(' ')}`,
    'Memory': `${formatBytes(memory.total)}, ${formatBytes(memory.available)} available`,
    'For edge-infer': `${Number(container.cores.toFixed(2))} cores, ${formatBytes(container.memoryBytes)} ` +
      '(what its container or control group leaves it)',
    'Control groups': controlGroupsText(controlGroups),
    'Models': `here: ${models.present.join(', ') || 'none'}\nnot here: ${models.absent.join(', ') || 'none'}`,
  }
  const rows = report.tasks.map(({ task, model, ready }) => [task, model, ready ? 'ready' : 'cannot run'])
  const remedies = missing.length === 0 ? [] : ['', 'What is missing:', ...missing.map((text) => indent(wrap(text)))]
  return [renderFacts(facts), '', renderTable(['TASK', 'MODEL', 'STATE'], rows), ...remedies].join('\n')
}

/** The library's list is of what it was built to know. */
function providersText(providers: readonly string[]): string {
  const names = providers.map((name) => name.replace(/ExecutionProvider$/, ''))
  const others = names.filter((name) => name !== 'CPU')
  return others.length === 0 ? 'CPU' : `CPU; ${others.join(', ')} if what they need is installed`
}

function controlGroupsText({ mode, missing }: Inspection['controlGroups']): string {
  if (mode === 'none') {
    return `none that can be written: no worker can be limited\n${[...new Set(Object.values(missing))].join('\n')}`
  }
  const usable = CONTROLLER_NEEDS.map(({ controller }) => controller).filter((name) => missing[name] === undefined)
  const reasons = Object.entries(missing).map(([controller, reason]) => `\n${controller}: ${reason}`)
  return `${mode}: ${usable.join(', ')} of workers can be limited${reasons.join('')}`
}
