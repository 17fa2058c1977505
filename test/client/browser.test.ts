/** The client in a page of another origin, bundled as page authors do, in a real browser. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t from 'tap'
import { startBrowser } from '../dashboard/browser.js'
import { people } from '../helpers/pictures.js'
import { useConstantHelmets } from '../helpers/models.js'
import { startServer } from '../http/server.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const TASK = 'helmet_detection'

/** What a page does; `page` gives it the bundle and the photograph. */
const PROGRAM = `
  import { decodeImage, EdgeInferClient } from 'edge-infer/client'
  globalThis.use = async (url, closed) => {
    const picture = new Uint8Array(await (await fetch('/photo.jpg')).arrayBuffer())
    const code = (promise) => promise.then(() => 'resolved', (error) => error.code + ' ' + error.message)
    const client = new EdgeInferClient(url)
    const found = await client.executeTask('${TASK}', { image: new File([picture], 'photo.jpg') }, { render: true })
    const listed = await client.concurrentExecuteTask('${TASK}', { image_list: [picture, picture] })
    const text = await new EdgeInferClient(url, { imageEncoding: 'base64' }).executeTask('${TASK}', { image: picture })
    const pixels = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64, channels: 3 }
    const small = new EdgeInferClient(url, { maxReplyBytes: 10 })
    const controller = new AbortController()
    const aborted = client.executeTask('${TASK}', { image: picture }, { signal: controller.signal })
    controller.abort()
    const errors = await Promise.all([
      code(client.executeTask('no_task', { image: picture })), code(small.readyz()), code(aborted),
      code(new EdgeInferClient(closed, { retries: 0 }).readyz()),
      code(client.executeTask('${TASK}', { image: { path: 'photo.jpg' } })),
      code(Promise.resolve().then(() => new EdgeInferClient(url, { tls: {} }))),
    ])
    const drawn = await createImageBitmap(new Blob([decodeImage(found.image)]))
    const answer = {
      labels: [found, text, await client.executeTask('${TASK}', { image: pixels })].map(({ label }) => label),
      listed: listed.output_ctx_list.length, drawn: [drawn.width, drawn.height], errors,
      latency: found.proc_resource_info.all_latency, ready: await client.readyz(),
    }
    await client.close()
    return { ...answer, closed: await code(client.readyz()) }
  }`

useConstantHelmets(t)

t.test('tasks and errors, by fetch alone', async (t) => {
  const { outputFiles: [bundle], warnings } = await build({
    stdin: { contents: PROGRAM, resolveDir: ROOT }, bundle: true, platform: 'browser', format: 'esm', write: false,
  })
  t.strictSame(warnings, [])
  const script = bundle?.text ?? ''
  t.notMatch(script, /\b(Buffer|process|require|global)\b[.(]/, 'nothing of Node.js is left in it')

  const { url } = await startServer(t, { tasks: { [TASK]: { workers: 1 } } })
  const pages = createServer((request, response) => {
    if (request.url === '/photo.jpg') return void response.end(people)
    const isScript = request.url === '/main.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    // Not every browser has these, and over http from another machine none has randomUUID.
    response.end(isScript ? script : `<!doctype html><link rel="icon" href="data:,"><script>
      for (const name of ['dispose', 'asyncDispose']) delete Symbol[name]
      delete Crypto.prototype.randomUUID
    </script><script type="module" src="/main.js"></script>`)
  })
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    pages.closeAllConnections()
    pages.close()
  })
  const page = await (await startBrowser(t)).newPage()
  page.on('pageerror', (error) => t.fail(error.message))
  await page.goto(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`)
  await page.waitForFunction('globalThis.use')
  const seen = await page.evaluate(`use(${JSON.stringify(url)}, 'http://127.0.0.1:1')`)
  t.match(seen, {
    labels: [['helmet'], ['helmet'], ['helmet']], listed: 2, drawn: [Number, Number], ready: true,
    errors: [
      /^UNKNOWN_TASK /, /^BAD_REPLY .*maxReplyBytes/, /^ABORTED /, /^NODE_UNREACHABLE No answer from http/,
      /^BAD_IMAGE .*no path in a browser/, /^BAD_OPTION .*no tls/,
    ],
    closed: /^CLOSED /,
  })
  t.ok((seen as { latency: number }).latency > 0)
})
