import t from 'tap'
import { TASK_NAMES } from '../../lib/tasks/registry.js'
import { useConstantHelmets } from '../helpers/models.js'
import { runCli, runCliWith } from './run.js'

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
  useConstantHelmets(t)
  const { code, stdout, stderr } = await runCli('inspect', '--json')
  t.equal(stderr, '')
  const report = JSON.parse(stdout) as Report
  t.match(report, {
    version: /^\d+\.\d+\.\d+$/,
    node: { version: process.versions.node },
    addon: { path: /\.node$/, opencv: /^4\./, napi: 8 },
    onnxruntime: { path: /libonnxruntime/, source: String, version: /^1\./, providers: Array },
    memory: { total: Number, available: Number },
    controlGroups: { mode: /^(v1|v2|none)$/ },
  })
  t.ok(report.cpu.cores >= 1 && report.cpu.features.length > 0)
  t.ok(report.container.cores > 0 && report.container.memoryBytes > 0)
  t.strictSame(report.tasks.map(({ task }) => task), TASK_NAMES)
  t.ok(report.tasks.every(({ ready }) => ready))
  t.strictSame([code, report.missing], [0, []])
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
