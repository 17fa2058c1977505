/** Videos, read and written by the program ffmpeg. */
export { ffmpegVersion } from './ffmpeg.js'
export { isVideo, openVideo, type Damage, type VideoFrame, type VideoInfo, type VideoReader } from './reader.js'
export { VideoWriter } from './writer.js'
