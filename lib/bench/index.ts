export { measureAccuracy, type Accuracy, type AccuracyOptions } from './accuracy/index.js'
export { reportAccuracy } from './accuracy/report.js'
