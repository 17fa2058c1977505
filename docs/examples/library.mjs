// Faces, and where they look, without a server: node docs/examples/library.mjs PHOTO [ANNOTATED.jpg]
import { writeFile } from 'node:fs/promises'
import { annotate, createTask } from 'edge-infer'

const [photo, out = 'annotated.jpg'] = process.argv.slice(2)
if (photo === undefined) {
  console.error('usage: node library.mjs PHOTO [ANNOTATED.jpg]')
  process.exit(2)
}

const [faces, poses] = await Promise.all([createTask('face_detection'), createTask('face_alignment')])
try {
  const { objects, timings } = await faces.run(photo, { fullDecode: true })
  const { poses: angles } = await poses.run(photo, objects.map(({ box }) => box))

  console.log(`${objects.length} faces in ${photo}`)
  objects.forEach(({ box, score }, index) => {
    const { yaw, pitch, roll } = angles[index]
    const [x1, y1, x2, y2] = box.map(Math.round)
    console.log(`  (${x1}, ${y1})–(${x2}, ${y2})  score ${score.toFixed(2)}  ` +
      `yaw ${yaw.toFixed(0)}°, pitch ${pitch.toFixed(0)}°, roll ${roll.toFixed(0)}°`)
  })
  console.log(`stages of the face detection, ms: ${JSON.stringify(timings)}`)

  await writeFile(out, await annotate(photo, { objects }, { poses: angles }))
  console.log(`drawn in ${out}`)
} finally {
  await Promise.all([faces.close(), poses.close()])
}
