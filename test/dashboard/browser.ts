/** Debian's Chromium without a screen, and what the tests do with its pages. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'
import type { Test } from 'tap'
import type { AxeResults } from 'axe-core'

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'

const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
]

export async function startBrowser(t: Test): Promise<BrowserContext> {
  if (!existsSync(EXECUTABLE)) throw new Error(`There is no ${EXECUTABLE}; run: bash bin/setup --for-tests`)
  const profile = await mkdtemp(join(tmpdir(), 'edge-infer-chromium-'))
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE, headless: true, args: ARGUMENTS, viewport: { width: 1280, height: 900 },
  })
  browser.setDefaultTimeout(30_000)
  t.teardown(async () => {
    await browser.close()
    await rm(profile, { recursive: true, force: true })
  })
  return browser
}

/** A page that has received the state; faults of its script, and what its content policy blocks, fail the test. */
export async function openDashboard(t: Test, browser: BrowserContext, url: string): Promise<Page> {
  const page = await browser.newPage()
  page.on('pageerror', (error) => t.fail(`The page's script failed: ${error.message}`))
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/.test(message.text())) t.fail(message.text())
  })
  t.teardown(() => page.close())
  await page.goto(url)
  await page.getByText('Live', { exact: true }).waitFor()
  return page
}

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe-core finds wrong with the page as it is, by rule and place. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate('axe.run()') as AxeResults
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`))
}
