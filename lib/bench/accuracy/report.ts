/** Accuracy figures as a report. */
import { describeMachine } from '../machine.js'
import type { RecordRow, Report } from '../report.js'
import type { Accuracy, DetectionAccuracy, HeadPoseAccuracy } from './index.js'

export function reportAccuracy(results: readonly Accuracy[], settings: Report['settings']): Report {
  const detections = results.filter((result): result is DetectionAccuracy => result.kind === 'detection')
  const poses = results.filter((result): result is HeadPoseAccuracy => result.kind === 'head pose')
  return {
    bench: 'accuracy',
    title: 'Accuracy on labelled pictures',
    machine: describeMachine(),
    settings,
    records: results.map(toRecord),
    sections: [
      ...(detections.length > 0 ? [detectionSection(detections)] : []),
      ...(poses.length > 0 ? [headPoseSection(poses)] : []),
    ],
  }
}

function detectionSection(results: readonly DetectionAccuracy[]): Report['sections'][number] {
  return {
    title: 'Detection',
    table: {
      columns: [
        { title: 'SET' }, { title: 'MODEL' }, { title: 'PICTURES', align: 'right' }, { title: 'COUNTED' },
        { title: 'MODE' }, { title: 'DIFFERING', align: 'right' }, { title: 'PRECISION', align: 'right' },
        { title: 'RECALL', align: 'right' }, { title: 'AP@0.5', align: 'right' },
      ],
      rows: results.map((result) => [
        result.set, result.model, String(result.pictures), `${result.objects} ${result.counts}`, result.mode,
        result.differing === undefined ? '' : String(result.differing),
        result.precision.toFixed(3), result.recall.toFixed(3), result.averagePrecision.toFixed(3),
      ]),
    },
    notes: [
      "Precision and recall at the model's default score threshold; a hit overlaps its label by at least half " +
        '(intersection over union). MODE: as requests are answered by default; with every pixel decoded; and, ' +
        "where the library runs a faster variant of a model, the model's file as exported. DIFFERING: pictures whose " +
        'boxes ' +
        'are not exactly those of the first mode. ' +
        'Tiled 2×2: the same pictures, four to a frame, so that frames are large enough for a reduced decode.',
    ],
  }
}

function headPoseSection(results: readonly HeadPoseAccuracy[]): Report['sections'][number] {
  return {
    title: 'Head pose',
    table: {
      columns: [
        { title: 'SET' }, { title: 'MODEL' }, { title: 'HEADS', align: 'right' }, { title: 'YAW', align: 'right' },
        { title: 'PITCH', align: 'right' }, { title: 'ROLL', align: 'right' }, { title: 'ALL', align: 'right' },
      ],
      rows: results.map(({ set, model, pictures, meanAbsoluteError: { yaw, pitch, roll, all } }) =>
        [set, model, String(pictures), ...[yaw, pitch, roll, all].map((angle) => angle.toFixed(1))]),
    },
    notes: ['Mean absolute error in degrees, on the labelled boxes.'],
  }
}

function toRecord(result: Accuracy): RecordRow {
  const { set, task, model, pictures, mode } = result
  const base = { set, task, model, pictures, mode }
  if (result.kind === 'head pose') {
    const { yaw, pitch, roll, all } = result.meanAbsoluteError
    return { ...base, yaw_mae_degrees: yaw, pitch_mae_degrees: pitch, roll_mae_degrees: roll, mean_mae_degrees: all }
  }
  return {
    ...base,
    objects: result.objects,
    score_threshold: result.rules.scoreThreshold,
    min_side_pixels: result.rules.minSide,
    ...(result.differing !== undefined && { differing_pictures: result.differing }),
    precision: result.precision,
    recall: result.recall,
    average_precision: result.averagePrecision,
  }
}
