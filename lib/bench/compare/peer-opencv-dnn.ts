/** OpenCV's own DNN module in C++ (`native/bench/opencv_dnn.cc`), compiled against the system's OpenCV. */
import { TargetProcess } from '../target-process.js'
import { buildNativeProgram } from '../native-program.js'
import type { Peer } from './peer.js'

const PROGRAM = 'edge_infer_opencv_dnn'

export const opencvDnnPeer: Peer = {
  id: 'opencv-dnn',
  name: 'OpenCV DNN',
  unfit({ family, boxesDecoded }) {
    if (family === 'yolov8') return 'OpenCV DNN: its version 4.6 loads no YOLOv8, so the peer does not read it'
    return family === 'ultraface' && !boxesDecoded ? 'OpenCV DNN: the peer reads decoded boxes only' : undefined
  },
  async start({ model, family, image, threads, inputSize, preprocessing, thresholds }, signal) {
    return TargetProcess.start(this.name, await buildNativeProgram(PROGRAM, signal), [
      `family=${family}`,
      `model=${model}`,
      `image=${image}`,
      `threads=${threads}`,
      `width=${inputSize.width}`,
      `height=${inputSize.height}`,
      `score=${thresholds.scoreThreshold}`,
      `iou=${thresholds.iouThreshold}`,
      `mean=${preprocessing.mean.join(',')}`,
      `scale=${preprocessing.scale.join(',')}`,
      `rgb=${preprocessing.channelOrder === 'rgb' ? 1 : 0}`,
    ])
  },
}
