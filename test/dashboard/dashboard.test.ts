/** The dashboard in a real browser, of a cloud and a host that are real processes with real models. */
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { resolveSample } from '../../lib/models/index.js'
import { eventually, HEARTBEAT_MS, NodeProcess, nodesOf, startHost } from '../cluster/nodes.js'
import { people, withOrientation } from '../helpers/pictures.js'
import { accessibilityFaults, openDashboard, startBrowser } from './browser.js'

const TOKEN = 'a-token-of-the-tests'
const TASKS = ['--task', 'face_detection=1,face_alignment=1']
const BUDGET_BYTES = 150 * 1024

const faces = await resolveSample('faces')
const cloud = await NodeProcess.start(t, '127.0.0.41', 5741, '--token', TOKEN, ...TASKS)
const host = await startHost(t, cloud, '127.0.0.42', 5742, '--token', TOKEN, ...TASKS)
const browser = await startBrowser(t)
await eventually(t, 'the host has joined', () => nodesOf(cloud), (nodes) => nodes.length === 2)

const cardOf = (page: Page, { url }: NodeProcess) => page.getByRole('article', { name: new URL(url).hostname })

async function workersOf(node: NodeProcess): Promise<{ pid: number; cpu_util_limit: number }[]> {
  const own = (await nodesOf(node)).find(({ kind }) => kind === 'self')
  return own?.service_state.face_detection?.workers ?? []
}

async function post(url: string, body: Buffer | object): Promise<Record<string, never>> {
  const isFile = Buffer.isBuffer(body)
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': isFile ? 'image/jpeg' : 'application/json', authorization: `Bearer ${TOKEN}` },
    body: isFile ? new Uint8Array(body) : JSON.stringify(body),
  })
  return await response.json() as Record<string, never>
}

async function unlock(page: Page): Promise<void> {
  for (const { url } of [cloud, host]) {
    await page.evaluate(`sessionStorage.setItem('token ${url}', '${TOKEN}')`)
  }
}

async function choose(page: Page, file: string | { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await page.getByLabel('Choose a picture').setInputFiles(file)
}

t.test('the page is small, strict about what it loads, and cached by its content', async (t) => {
  const page = await fetch(`${cloud.url}/`)
  const html = await page.text()
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
  t.notMatch(policy, /unsafe|\*/)
  const parts = [...html.matchAll(/(?:src|href)="(dashboard\/[^"]+)"/g)].map(([, path]) => `${cloud.url}/${path}`)
  t.equal(parts.length, 2)
  const texts = await Promise.all(parts.map(async (url) => (await fetch(url)).text()))
  const bytes = [html, ...texts].reduce((sum, text) => sum + gzipSync(text).length, 0)
  t.ok(bytes < BUDGET_BYTES, `${bytes} bytes with gzip`)
  t.notMatch([html, ...texts].join(''), /https?:\/\/(?!www\.w3\.org\/)[\w-]+\.\w/, 'nothing comes from elsewhere')
  const again = await fetch(`${cloud.url}/`, { headers: { 'if-none-match': page.headers.get('etag') ?? '' } })
  t.equal(again.status, 304)
})

t.test('events: who comes too many is refused, and nobody is kept waiting', async (t) => {
  const listeners = await Promise.all(Array.from({ length: 64 }, () => fetch(`${host.url}/events`)))
  t.ok(listeners.every(({ status }) => status === 200))
  const refused = await fetch(`${host.url}/events`)
  t.equal(refused.status, 503)
  t.match(await refused.json(), { error: { code: 'QUEUE_FULL' } })
  let text = ''
  for await (const chunk of listeners[0]?.body ?? []) {
    text += new TextDecoder().decode(chunk)
    if ((text.match(/event: state\ndata: \{.*\}\n\n/g) ?? []).length === 3) break
  }
  t.equal(JSON.parse(/data: (.*)/.exec(text)?.[1] ?? '').nodes.length, 1)
  await Promise.all(listeners.slice(1).map(({ body }) => body?.cancel()))
  await eventually(t, 'places become free', () => fetch(`${host.url}/events`), ({ status }) => status === 200)
})

t.test('the state of the cluster arrives and changes', async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  await page.getByRole('heading', { name: 'Cluster of 2 nodes' }).waitFor()
  const [worker] = await workersOf(host)
  const row = cardOf(page, host).getByRole('row', { name: String(worker?.pid) })
  t.match(await row.innerText(), /ultraface-rfb-320/)
  t.equal(await row.getByRole('cell').nth(1).innerText(), '–', 'no latency yet')
  await cardOf(page, cloud).getByRole('img', { name: /^CPU in the last \d+ s: from .* % to .* %$/ }).waitFor()

  await post(`${host.url}/execute_task/face_detection`, await readFile(faces))
  await row.getByRole('cell').nth(1).getByText(/^[\d.]+$/).waitFor()
  t.pass('its first latency')

  host.signal('SIGSTOP')
  await cardOf(page, host).getByText(/^lost, last heard/).waitFor({ timeout: 100 * HEARTBEAT_MS })
  t.equal(await cardOf(page, host).getByRole('button').count(), 0, 'nothing can be asked of a lost node')
  host.signal('SIGCONT')
  await cardOf(page, host).getByText(/^lost/).waitFor({ state: 'detached' })
})

t.test('workers are added, limited and dropped once the token is right', async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  const card = cardOf(page, cloud)
  await card.getByRole('button', { name: /^Add a worker to face_detection/ }).click()
  const dialog = page.getByRole('dialog', { name: /^Token of/ })
  await dialog.getByLabel('Token').fill('wrong')
  await dialog.getByRole('button', { name: 'Use token' }).click()
  await dialog.getByRole('alert').getByText(/UNAUTHORIZED.*received another token/).waitFor()
  t.equal((await workersOf(cloud)).length, 1, 'a wrong token does nothing')

  await dialog.getByLabel('Token').fill(TOKEN)
  await dialog.getByRole('button', { name: 'Use token' }).click()
  await page.getByText(/^Worker \d+ of face_detection is ready$/).waitFor()
  const added = await workersOf(cloud)
  t.equal(added.length, 2)
  await card.getByRole('row', { name: String(added[1]?.pid) }).waitFor()
  t.equal(await page.evaluate('localStorage.length'), 0, 'the token is not kept beyond the tab')

  const expected = await post(`${cloud.url}/limit_process_resource`, { pid: added[0]?.pid, cpu_util_limit: 0.8 })
  await card.getByRole('button', { name: new RegExp(`^Limit of worker ${added[0]?.pid}`) }).click()
  const limits = page.getByRole('dialog', { name: /^Limits of worker/ })
  await limits.getByLabel('CPU, % of all cores', { exact: true }).fill('150')
  await limits.getByRole('button', { name: 'Apply' }).click()
  await limits.getByRole('alert').getByText('BAD_LIMIT').waitFor()
  await limits.getByLabel('CPU, % of all cores', { exact: true }).fill('50')
  await limits.getByRole('button', { name: 'Apply' }).click()
  if (expected.limit_flag) {
    await card.getByRole('button', { name: /^Limit of worker \d+: 50 %/ }).waitFor()
    t.equal((await workersOf(cloud))[0]?.cpu_util_limit, 0.5)
  } else {
    const { error } = expected as unknown as { error: { code: string; message: string } }
    await limits.getByRole('alert').getByText(error.message).waitFor()
    await page.keyboard.press('Escape')
  }

  const drop = card.getByRole('button', { name: /^Drop a worker of face_detection/ })
  await drop.click()
  await page.getByText(/^Worker \d+ of face_detection has ended$/).waitFor()
  t.same((await workersOf(cloud)).map(({ pid }) => pid), [added[0]?.pid], 'the newest has gone')
  await drop.click()
  await page.getByRole('alert').getByText('LAST_WORKER').waitFor()
})

t.test("another node's buttons call that node, with a token of its own", async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  await cardOf(page, host).getByRole('button', { name: /^Add a worker to face_detection/ }).click()
  const dialog = page.getByRole('dialog', { name: 'Token of 127.0.0.42' })
  await dialog.getByLabel('Token').fill(TOKEN)
  await page.keyboard.press('Enter')
  await page.getByText(/^Worker \d+ of face_detection is ready$/).waitFor()
  t.equal((await workersOf(host)).length, 2)
  await cardOf(page, host).getByRole('button', { name: /^Drop a worker of face_detection/ }).click()
  await page.getByText(/has ended$/).waitFor()
  t.equal((await workersOf(host)).length, 1)
})

t.test('a picture: boxes, head poses and times as the node answers them', async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  const found = await post(`${cloud.url}/execute_task/face_detection`, people)
  const aligned = await post(`${cloud.url}/execute_task/face_alignment`, found)
  const { head_pose: poses } = aligned as unknown as { head_pose: number[][] }
  const { bbox, task_conf: conf } = found as unknown as { bbox: number[][]; task_conf: { resolution: { w: number } } }
  t.equal(bbox.length, 4)

  await choose(page, { name: 'people.jpg', mimeType: 'image/jpeg', buffer: people })
  const canvas = page.getByRole('img', { name: new RegExp(`Found ${bbox.length} × face$`) })
  await canvas.waitFor()
  await page.getByText('Figures of each').click()
  const rows = page.getByRole('region', { name: 'Figures of each' }).getByRole('row')
  t.equal(await rows.count(), bbox.length + 1)
  const figures = await rows.nth(1).getByRole('cell').allInnerTexts()
  t.same(figures.slice(1, 4), poses[0]?.slice(0, 3).map((angle) => `${angle.toFixed(0)}°`))
  t.equal(figures[4], bbox[0]?.map(Math.round).join(', '))
  const [x1 = 0, y1 = 0, , y2 = 0] = bbox[0] ?? []
  t.ok(await isYellow(page, conf.resolution.w, x1, y1 + (y2 - y1) * 0.8), 'the box is where the face is')

  const times = page.getByRole('table', { name: 'Time, ms' })
  t.equal(await times.getByRole('row').count(), 3, 'both calls')
  t.match(await times.innerText(), /decode [\d.]+[^]*inference [\d.]+/)
})

/** Whether a pixel of the picture, which is that wide, is drawn over in the colour of faces. */
async function isYellow(page: Page, width: number, x: number, y: number): Promise<boolean> {
  const [r = 0, g = 0, b = 0] = await page.evaluate(`(() => {
    const canvas = document.querySelector('canvas')
    const scale = canvas.width / ${width}
    return [...canvas.getContext('2d').getImageData(${x} * scale, ${y} * scale, 1, 1).data]
  })()`) as number[]
  return r > 200 && g > 170 && b < 90
}

t.test('pictures that are dropped, pasted, taken by the camera, turned, or broken', async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  const file = await readFile(faces)
  const summary = page.locator('.try-it .summary')
  await page.evaluate(`{
    const bytes = Uint8Array.from(atob('${file.toString('base64')}'), (letter) => letter.charCodeAt(0))
    const data = new DataTransfer()
    data.items.add(new File([bytes], 'dropped.jpg', { type: 'image/jpeg' }))
    document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { bubbles: true, dataTransfer: data }))
    window.pasted = new ClipboardEvent('paste', { clipboardData: data })
  }`)
  await page.getByRole('img', { name: /^dropped\.jpg\. Found \d+ × face$/ }).waitFor()
  await page.evaluate('document.dispatchEvent(window.pasted)')
  await page.getByRole('img', { name: /^Pasted picture\. Found \d+ × face$/ }).waitFor()

  const broken = Buffer.from('this is no picture')
  const refused = await post(`${cloud.url}/execute_task/face_detection`, broken)
  const { error } = refused as unknown as { error: { message: string } }
  await choose(page, { name: 'broken.jpg', mimeType: 'image/jpeg', buffer: broken })
  const alert = page.locator('.try-it').getByRole('alert')
  await alert.waitFor()
  t.equal(await alert.innerText(), `BAD_IMAGE ${error.message}`)

  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().includes('/execute_task/face_detection')),
    choose(page, { name: 'turned.jpg', mimeType: 'image/jpeg', buffer: withOrientation(file, 6) }),
  ])
  const { task_conf: conf } = await answer.json() as { task_conf: { resolution: { w: number; h: number } } }
  t.same(conf.resolution, { w: 1398, h: 1920 }, 'a photograph is sent as it is seen')
  await page.getByRole('img', { name: /^turned\.jpg/ }).waitFor()

  await page.getByRole('button', { name: 'Use the camera' }).click()
  await page.getByRole('button', { name: 'Take a frame' }).click()
  await page.getByRole('img', { name: /^Camera\. (Found|Nothing found)/ }).waitFor()
  t.match(await summary.innerText(), /found/i)
  await page.getByRole('button', { name: 'Close the camera' }).click()
})

/** What sticks out on the right. */
const TOO_WIDE = `[...document.querySelectorAll('body *')]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 && !element.closest('.scroll'))
  .map(({ tagName, className }) => tagName + ' ' + className)`

t.test('dark and light, on a telephone and on a desk, nobody is left out', async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  await choose(page, faces)
  await page.getByRole('img', { name: /Found/ }).waitFor()
  const background = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor')
  const backgrounds = new Set<string>()
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 740 })
      t.same(await page.evaluate(TOO_WIDE), [], `${width} pixels are wide enough`)
      t.same(await accessibilityFaults(page), [], `${colorScheme}, ${width} pixels`)
    }
    backgrounds.add(await background())
    await page.getByRole('button', { name: /^Limit all workers of face_detection/ }).first().click()
    await page.getByRole('dialog').waitFor()
    t.same(await accessibilityFaults(page), [], `${colorScheme}, a dialog`)
    await page.keyboard.press('Escape')
  }
  t.equal(backgrounds.size, 2)
})

t.test('everything is within reach of the keyboard', async (t) => {
  const page = await openDashboard(t, browser, cloud.url)
  await unlock(page)
  const focused = (): Promise<string> => page.evaluate(
    "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
  const tabTo = async (wanted: RegExp): Promise<void> => {
    for (let pressed = 0; pressed < 60 && !wanted.test(await focused()); pressed++) await page.keyboard.press('Tab')
    t.match(await focused(), wanted)
  }
  await tabTo(/^Add a worker to face_detection of 127\.0\.0\.41/)
  await page.keyboard.press('Enter')
  await page.getByText(/is ready$/).waitFor()
  t.match(await focused(), /^Add a worker/, 'the focus stays')
  await tabTo(/^Limit of worker/)
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  t.equal(await page.evaluate('document.activeElement.tagName'), 'INPUT')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  t.match(await focused(), /^Limit of worker/, 'the focus comes back')
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Shift+Tab')
  await tabTo(/^Drop a worker of face_alignment of 127\.0\.0\.41/)
  await page.keyboard.press('Space')
  await page.getByRole('alert').getByText('LAST_WORKER').waitFor()

  const chooser = page.waitForEvent('filechooser')
  await page.getByLabel('Choose a picture').focus()
  await page.keyboard.press('Enter')
  await (await chooser).setFiles(faces)
  await page.getByRole('img', { name: /Found/ }).waitFor()
})

t.test('an open page does not keep a node from stopping, and finds it again', async (t: Test) => {
  const page = await openDashboard(t, browser, cloud.url)
  t.equal(await cloud.end('SIGTERM'), 0)
  await page.getByText('Disconnected: trying again').waitFor()
  t.ok(await cardOf(page, cloud).isVisible(), 'the last state stays')
  await cloud.restart()
  await page.getByText('Live', { exact: true }).waitFor()
})
