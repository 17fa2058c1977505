import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { repositoryPath } from '../helpers/shared.js'

t.test('the picture of the architecture is what its generator draws now', async (t) => {
  const generator = repositoryPath('bin', 'draw-architecture')
  const drawn = execFileSync(
    'env', ['-u', 'NODE_OPTIONS', process.execPath, generator, '--print'], { encoding: 'utf8' },
  )
  t.equal(readFileSync(repositoryPath('docs', 'engineering', 'architecture.svg'), 'utf8'), drawn,
    'run: node bin/draw-architecture')
})
