/**
 * What `require('edge-infer')` gives, on every supported Node.js in the same way. The library itself is an ES module,
 * which Node.js before 20.19 cannot `require`: its functions load it when they are first called.
 */
'use strict'
const { EdgeInferError, ERROR_TABLE } = require('./errors.js')
const { UP_PITCH } = require('./tasks/head-pose.js')
const { isTaskName, TASK_NAMES } = require('./tasks/registry.js')

const library = () => import('../lib/index.js')
const later = (name) => async (...parameters) => (await library())[name](...parameters)

module.exports = {
  UP_PITCH,
  EdgeInferError,
  ERROR_TABLE,
  TASK_NAMES,
  isTaskName,
  createTask: later('createTask'),
  annotate: later('annotate'),
  listModels: later('listModels'),
  resolveModel: later('resolveModel'),
  loadRuntime: later('loadRuntime'),
}
