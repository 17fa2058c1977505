import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkReportPath, renderCsv, writeReport } from '../../lib/bench/report-file.js'
import type { Report } from '../../lib/bench/report.js'
import { lineChart, stackedBars } from '../../lib/bench/svg.js'

const REPORT: Report = {
  bench: 'kernel',
  title: 'Speed of <faces> & cars',
  machine: {
    date: '2026-01-01T00:00:00.000Z', cpu: 'A CPU', cores: 2, memoryGigabytes: 8, loadAverage: 0.1,
    platform: 'linux x64', node: 'v20', edgeInfer: '0', onnxruntime: '1', opencv: '4', compiler: '12',
  },
  settings: { threads: [1, 2] },
  records: [{ task: 'face "x", y', p50_ms: 1.5 }, { task: 'b', extra: 2 }],
  sections: [{
    title: 'Latency',
    table: { columns: [{ title: 'TASK' }, { title: 'p50', align: 'right' }], rows: [['a<b', '1.5']] },
    plots: [
      lineChart('Lines', { label: 'x' }, { label: 'y' }, [{ name: 'one', points: [[0, 0], [10, 50]] }]),
      stackedBars('Bars', { label: 'ms' }, [
        { name: 'bar', parts: [{ name: 'decode', value: 30 }, { name: 'run', value: 70 }] },
      ]),
    ],
  }],
}

t.test('CSV: one header for rows of different keys, quoted where it must be', async (t) => {
  t.equal(renderCsv(REPORT.records), 'task,p50_ms,extra\n"face ""x"", y",1.5,\nb,,2\n')
})

t.test('an HTML report stands alone and escapes what it shows', async (t) => {
  const path = join(t.testdir(), 'deep', 'report.html')
  await writeReport(path, REPORT)
  const html = await readFile(path, 'utf8')
  t.notMatch(html, /<script|<link|src=|href=|url\(/)
  t.equal(html.match(/https?:\/\/[^"]+/g)?.filter((url) => url !== 'http://www.w3.org/2000/svg').length, 0)
  t.match(html, /Speed of &#60;faces&#62; &#38; cars/)
  t.match(html, /<td>a&#60;b<\/td><td class="right">1.5<\/td>/)
  t.match(html, /A CPU, 2 cores/)
})

t.test('bars are as long as their values', async (t) => {
  const bars = REPORT.sections[0]?.plots?.[1] ?? ''
  const widths = [...bars.matchAll(/width="([\d.]+)" height="20"/g)].map(([, width]) => Number(width))
  t.equal(widths.length, 2)
  const [decode, run] = widths as [number, number]
  t.ok(Math.abs(run / decode - 7 / 3) < 0.01, `${run} : ${decode}`)
})

t.test('a report of another extension is refused before anything is measured', async (t) => {
  t.throws(() => checkReportPath('report.pdf'), { code: 'BAD_OPTION', message: /\.html.*report\.pdf/ })
  t.doesNotThrow(() => checkReportPath('report.JSON'))
})
