const period = 8_191;
const pattern = Buffer.from(
  Array.from({ length: period }, (_, index) => 97 + ((index * 7 + (index >> 5)) % 26)),
);

/** So many bytes, the same ones each time; what is missing among them or moved shows. */
export function content(size: number): Buffer {
  return Buffer.alloc(size, pattern);
}
