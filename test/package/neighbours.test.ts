/** Programs that are put together in other ways than `node program.js`: bundles, threads, Electron. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { useConstantHelmets } from '../helpers/models.js'
import { people } from '../helpers/pictures.js'
import { output, ROOT, run, temporaryDirectory } from './project.js'

const DETECT = `
  createTask('helmet_detection').then(async (task) => {
    const { objects } = await task.run(process.env.PICTURE)
    await task.close()
    console.log(objects.length + ' of ' + (await listModels()).length)
  })`

useConstantHelmets(t)
const picture = join(t.testdir({ 'people.jpg': people }), 'people.jpg')

t.test('bundled by esbuild into ES modules and CommonJS', async (t) => {
  await output(ROOT, process.execPath, 'bin/build-commonjs')
  // The one lies where the package is found, as in a project that has installed it; the other does not.
  const [inside, outside] = [t.testdir(), await temporaryDirectory(t)]
  for (const [format, name] of [['esm', 'program.mjs'], ['cjs', 'program.cjs']] as const) {
    for (const directory of [inside, outside]) {
      await build({
        stdin: { contents: `import { createTask, listModels } from 'edge-infer'${DETECT}`, resolveDir: ROOT },
        bundle: true, platform: 'node', format, outfile: join(directory, name), logLevel: 'silent',
      })
    }
    const detect = (directory: string) => run(directory, process.execPath, [name], { PICTURE: picture })
    t.match(await detect(inside), { code: 0, stdout: /^2 of \d+\n/ }, format)
    t.match(await detect(outside), {
      code: 1, stderr: /edge-infer is a part of the bundle .*program\.[cm]js, .*external: \['edge-infer'\]/,
    }, format)
  }
})

t.test('in a thread', async (t) => {
  const program = join(t.testdir(), 'threads.mjs')
  writeFileSync(program, `
    import { isMainThread, Worker } from 'node:worker_threads'
    import { createTask, listModels } from 'edge-infer'
    if (isMainThread) for (let i = 0; i < 2; i++) new Worker(new URL(import.meta.url))
    ${DETECT}`)
  t.match(await run(ROOT, process.execPath, [program], { PICTURE: picture }), { code: 0, stdout: /^(2 of \d+\n){3}$/ })
})

t.test('an executable that is Node.js only where it is told to be, as that of Electron', async (t) => {
  const directory = t.testdir()
  const executable = join(directory, 'electron')
  writeFileSync(executable, `#!/bin/sh
[ "$ELECTRON_RUN_AS_NODE" = 1 ] || { echo 'a window opens' >&2; exit 3; }
exec '${process.execPath}' "$@"
`, { mode: 0o755 })
  const program = `
    Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '40.0.0' } })
    process.execPath = ${JSON.stringify(executable)}
    import('${ROOT}dist/lib/workers/process/worker-process.js').then(async ({ WorkerProcess }) => {
      const worker = new WorkerProcess({ task: 'helmet_detection', options: {}, slots: 1, confine() {} })
      await worker.ready
      console.log(worker.model)
      worker.kill()
      console.log((await worker.ended).stderr)
    })`
  const { stdout, stderr } = spawnSync('env', ['-u', 'NODE_OPTIONS', process.execPath, '-e', program], {
    encoding: 'utf8',
  })
  t.match(stdout, /^helmet-constant\n/, stderr)
})
