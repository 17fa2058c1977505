import { randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { serve, useOwnEnvironment, writeCatalog } from '../models/helpers.js'
import { finished, runCli, spawnCli } from './run.js'

t.test('list says what is here, pull and verify work on the store, failures are one line', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(2_500_000)
  await writeFile(join(root, 'here.onnx'), data)
  await writeCatalog(root, [
    { name: 'here', data, sources: [{ kind: 'file', path: 'here.onnx' }] },
    { name: 'gone', data, sources: [{ kind: 'file', path: 'gone.onnx' }] },
  ])
  const before = await runCli('models', 'list')
  t.match(before.stdout, /^MODEL +TASK +STATE +SIZE +LICENCE +SOURCE\nhere +car_detection +absent +2\.5 MB +MIT +\//)
  t.match(before.stdout, /yolov8n \* .*AGPL-3\.0-only/)

  const stored = join(store, 'here.onnx')
  t.match(await runCli('models', 'pull', 'here'), { code: 0, stdout: `here: ${stored}\n`, stderr: '' })
  t.match(await runCli('models', 'pull', '--quiet', 'here'), { code: 0, stdout: '', stderr: '' })
  const both = await runCli('models', 'pull', 'gone', 'here')
  t.match(both, { code: 1, stdout: /^here: / })
  t.match(both.stderr, /^error: gone\.onnx could not .* Tried \/.*gone\.onnx: ENOENT.*\[MODEL_UNAVAILABLE\]\n$/)

  const [listed] = JSON.parse((await runCli('models', 'list', '--json')).stdout) as Array<Record<string, unknown>>
  t.match(listed, { name: 'here', state: 'in the store', files: [{ path: stored }] })
  t.match(await runCli('models', 'verify'), { code: 0, stdout: /here +ok +\// })
  await writeFile(stored, 'damaged')
  t.match(await runCli('models', 'verify'), { code: 1, stdout: /here +WRONG/, stderr: /here\.onnx.*\[MODEL_DIGEST\]/ })
  t.match(await runCli('models', 'pull', '--offline', 'here'), { code: 1, stderr: /is not in .*\[MODEL_UNAVAILABLE\]/ })
  t.match(await runCli('models', 'pull', 'yolov9'), { code: 1, stderr: /no model "yolov9".*\[UNKNOWN_MODEL\]/ })
})

t.test('a download that is interrupted by Ctrl-C ends with 130 and leaves nothing behind', async (t) => {
  const { root, store } = await useOwnEnvironment(t)
  const data = randomBytes(100_000)
  let arrived = (): void => {}
  const requested = new Promise<void>((resolve) => (arrived = resolve))
  const url = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-length': data.length })
    response.write(data.subarray(0, 50_000), () => arrived())
  })
  await writeCatalog(root, [{ name: 'slow', data, sources: [{ kind: 'https', url }] }])
  const child = spawnCli(['models', 'pull', 'slow'])
  const result = finished(child)
  await requested
  while ((await readdir(store).catch(() => [])).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  child.kill('SIGINT')
  t.match(await result, { code: 130, stdout: '', stderr: /slow\.onnx was interrupted \[ABORTED\]/ })
  t.strictSame((await readdir(store)), [])
})

t.test('help is quick to load, misuse exits 2', async (t) => {
  t.match(await runCli('--version'), { code: 0, stdout: /^\d+\.\d+\.\d+/ })
  t.match(await runCli('--help'), { code: 0, stdout: /models +List, fetch, verify and quantise models/ })
  t.match(await runCli('models', '--help'), { code: 0, stdout: /pull \[options\] \[name\.\.\.\]/ })
  t.match(await runCli('modls'), { code: 2, stderr: /unknown command 'modls'/ })
  t.match(await runCli('models', 'list', '--jsn'), { code: 2, stderr: /unknown option '--jsn'/ })
  t.match(await runCli(), { code: 2, stderr: /Usage: edge-infer/ })
})
