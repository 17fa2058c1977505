import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ERROR_TABLE } from '../../lib/errors.js'

const root = new URL('../../../', import.meta.url)
const page = readFileSync(new URL('docs/errors.md', root), 'utf8')

t.test('the page of errors is what its generator writes now', async (t) => {
  const generator = fileURLToPath(new URL('bin/build-error-page', root))
  const written = execFileSync(
    'env', ['-u', 'NODE_OPTIONS', process.execPath, generator, '--print'], { encoding: 'utf8' },
  )
  t.equal(page, written, 'run: node bin/build-error-page')
})

t.test('the page has a row for every code and no other', async (t) => {
  const rows = [...page.matchAll(/^\| (\d{3}) \| `([A-Z_]+)` \| (.+) \|$/gm)]
  const found = Object.fromEntries(rows.map(([, status, code, summary]) => [code, { status: Number(status), summary }]))
  t.same(found, ERROR_TABLE)
})
