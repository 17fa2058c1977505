import t from 'tap'
import { EdgeInferError, ERROR_TABLE, isErrorCode } from '../lib/errors.js'

t.test('an error carries its code, its HTTP status and its cause', async (t) => {
  const cause = new Error('first')
  const error = new EdgeInferError(
    'BAD_IMAGE', 'Expected a JPEG but received 0 bytes', { cause, details: { bytes: 0 } },
  )
  t.match(error, { name: 'EdgeInferError', code: 'BAD_IMAGE', status: 400, cause, details: { bytes: 0 } })
})

t.test('every code of the table has a 4xx or 5xx status and a sentence', async (t) => {
  for (const [code, { status, summary }] of Object.entries(ERROR_TABLE)) {
    t.ok(isErrorCode(code))
    t.ok(status >= 400 && status < 600, `${code} answers ${status}`)
    t.match(summary, /^[A-Z].*\.$/, `${code} has a sentence`)
  }
  t.notOk(isErrorCode('toString'))
})
