import t from 'tap'
import { TASK_NAMES } from '../../lib/tasks/registry.js'
import { shared, sharedPath } from '../helpers/shared.js'
import { runCliWith } from './run.js'

interface Report {
  addon: Record<string, unknown>
  onnxruntime: Record<string, unknown>
  cpu: { cores: number; features: string[] }
  container: { cores: number; memoryBytes: number }
  controlGroups: { mode: string }
  tasks: { task: string; ready: boolean }[]
  missing: string[]
}

t.test('everything that is here is named, and every task is tried', async (t) => {
  if (!shared.present) t.comment(`${shared.why}: the model of helmet_detection may be absent`)
  const env = shared.present ? { EDGE_INFER_MODELS: sharedPath('models') } : {}
  const { code, stdout, stderr } = await runCliWith({ env }, 'inspect', '--json')
  t.equal(stderr, '')
  const report = JSON.parse(stdout) as Report
  t.match(report, {
    version: /^\d+\.\d+\.\d+$/,
    node: { version: process.versions.node },
    addon: { path: /\.node$/, opencv: /^4\./, napi: 8 },
    onnxruntime: { path: /libonnxruntime/, version: /^1\./, providers: Array },
    memory: { total: Number, available: Number },
    controlGroups: { mode: /^(v1|v2|none)$/ },
  })
  t.ok(report.cpu.cores >= 1 && report.cpu.features.length > 0)
  t.ok(report.container.cores > 0 && report.container.memoryBytes > 0)
  t.strictSame(report.tasks.map(({ task }) => task), TASK_NAMES)
  const ready = report.tasks.filter((task) => task.ready).map(({ task }) => task)
  t.ok(['face_detection', 'face_alignment', 'car_detection'].every((task) => ready.includes(task)))
  t.equal(code, ready.length === TASK_NAMES.length ? 0 : 1)
  if (shared.present) t.match({ code, missing: report.missing }, { code: 0, missing: [] })
})

t.test('what is missing is named with the command that mends it, and the exit code is 1', async (t) => {
  const env = { EDGE_INFER_STORE: t.testdir(), EDGE_INFER_MODELS: '' }
  const withoutModels = await runCliWith({ env }, 'inspect')
  t.match(withoutModels, { code: 1, stdout: /car_detection +yolov8n +cannot run/, stderr: '' })
  t.match(withoutModels.stdout.replace(/\s+/g, ' '), /What is missing:.*Run "edge-infer models pull yolov8n"/)

  const withoutAddon = await runCliWith({ env: { EDGE_INFER_ADDON: '/nowhere.node' } }, 'inspect')
  t.match(withoutAddon, { code: 1, stdout: /Addon +not loaded: \/nowhere\.node/ })
  t.match(withoutAddon.stdout.replace(/\s+/g, ' '), /There is no native addon .* Run "npm run setup"/)

  const withoutRuntime = await runCliWith({ env: { EDGE_INFER_ORT_LIBRARY: '/nowhere.so' } }, 'inspect', '--json')
  const report = JSON.parse(withoutRuntime.stdout) as Report
  t.match(report, { addon: { opencv: /^4/ }, onnxruntime: { error: /No ONNX Runtime library.*\/nowhere\.so/s } })
  t.ok(report.missing.some((text) => text.includes('/nowhere.so')))
})
