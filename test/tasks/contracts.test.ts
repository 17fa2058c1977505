/** What every task answers, on every route and to a picture in every form, is what its schema says, and no more. */
import t from 'tap'
import { type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { SHARED_SCHEMAS } from '../../lib/http/schemas/common.js'
import { contractOf } from '../../lib/tasks/contracts.js'
import { definitionOf, isTaskName, TASK_NAMES, type TaskName } from '../../lib/tasks/registry.js'
import { answerSchema } from '../../lib/tasks/schema.js'
import { useConstantHelmets } from '../helpers/models.js'
import { face } from '../helpers/pictures.js'
import { nestedList, post, startServer, TEXT_FORMS, type Answer } from '../http/server.js'

const STYLES = {
  execute_task: 'new', execute_task_old: 'old', execute_task_new: 'new', concurrent_execute_task_new: 'concurrent',
} as const

const REFERENCES = Object.fromEntries(SHARED_SCHEMAS.map((schema) => [(schema as { $id?: string }).$id, schema]))

/** The schema, with no members but those it names. */
function closed(schema: TSchema): TSchema {
  const inner = Object.entries(schema).map(([keyword, value]: [string, unknown]) => {
    if (keyword === 'properties') {
      return [keyword, Object.fromEntries(Object.entries(value as Record<string, TSchema>).map(([name, member]) =>
        [name, closed(member)]))]
    }
    if (keyword === 'anyOf') return [keyword, (value as TSchema[]).map(closed)]
    return [keyword, keyword === 'items' ? closed(value as TSchema) : value]
  })
  return { ...Object.fromEntries(inner), ...('properties' in schema && { additionalProperties: false }) }
}

useConstantHelmets(t)
const server = await startServer(t, { tasks: Object.fromEntries(TASK_NAMES.map((task) => [task, { workers: 1 }])) })

const FORMS: Readonly<Record<string, unknown>> = {
  ...Object.fromEntries(Object.entries(TEXT_FORMS).map(([form, encode]) => [form, encode(face)])),
  pixels: JSON.parse(await nestedList(face, 450)),
}

/** A body with the members of one alternative; boxes and crops are those that the task before this one found. */
function bodyOf(members: readonly string[], picture: unknown, found: Answer): Answer {
  return Object.fromEntries(members.map((name) => {
    if (name === 'image') return [name, picture]
    return [name, name === 'image_list' || name === 'clip' ? [picture, picture] : found[name]]
  }))
}

for (const task of TASK_NAMES) {
  t.test(task, async (t) => {
    const { schema } = contractOf(task)
    const { input } = definitionOf(task)
    for (const [form, picture] of Object.entries(FORMS)) {
      const found = isTaskName(input) ? await executed('execute_task', input, { image: picture }) : {}
      for (const [route, style] of Object.entries(STYLES)) {
        const contract = Compile(REFERENCES as never, closed(answerSchema(schema, style)))
        const alternatives = new Set([...schema.inputs.single, ...schema.inputs.list].map((members) => members.join()))
        for (const members of alternatives) {
          for (const render of [false, true]) {
            const answer = await executed(route, task, { ...bodyOf(members.split(','), picture, found), render })
            const faults = [...contract.Errors(answer)].slice(0, 3)
            t.same(faults, [], `${route}, ${members} as ${form}${render ? ', drawn' : ''}`)
          }
        }
      }
    }
  })
}

async function executed(route: string, task: TaskName, body: Answer): Promise<Answer> {
  return (await post(`${server.url}/${route}/${task}`, body)).body
}

t.test('a schema that says less than the answer is told', async (t) => {
  const { schema } = contractOf(TASK_NAMES[0] as TaskName)
  const contract = Compile(REFERENCES as never, closed(answerSchema({ ...schema, answers: {
    ...schema.answers, new: {},
  } }, 'new')))
  const answer = await executed('execute_task', TASK_NAMES[0] as TaskName, { image: TEXT_FORMS.base64(face) })
  t.equal(answer.execute_flag, true)
  t.notOk(contract.Check(answer))
})
