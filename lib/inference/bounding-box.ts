/** x1, y1, x2, y2 in pixels of the posted image. */
export type BoundingBox = [number, number, number, number]
