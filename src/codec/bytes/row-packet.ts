import { CdcError } from '../../runtime/error.ts';

/** The first byte of a row packet. */
const ROW_HEADER = 0x00;
/** The first byte of a packet whose NULL bitmap is already that of a row image. */
const SHIFTED_HEADER = 0x01;

/**
 * Turns a row of the binary protocol into a row image, in place, and returns where the image starts. Both are a NULL
 * bitmap and the values that are not NULL, but the bitmap of a packet follows a header byte and begins with two unused
 * bits (MySQL: Binary Protocol Resultset Row). The values stay where they are; a second call changes nothing.
 */
export function asRowImage(packet: Buffer, from: number, to: number, columns: number): number {
  const bitmap = from + 1;
  const packetBytes = (columns + 9) >> 3;
  const imageBytes = (columns + 7) >> 3;
  // The bitmap of the image ends where the values begin, so it starts one byte later if it is one byte shorter.
  const image = bitmap + packetBytes - imageBytes;
  const header = packet[from];
  if (header === SHIFTED_HEADER) return image;
  if (header !== ROW_HEADER || bitmap + packetBytes > to) {
    throw new CdcError('a packet of a SELECT is not a row of the binary protocol', {
      why: `it has ${to - from} bytes, and its first byte is ${header}`,
    });
  }
  if (image === bitmap) {
    for (let i = bitmap, end = bitmap + packetBytes; i < end; i++) {
      const next = i + 1 < end ? (packet[i + 1] as number) : 0;
      packet[i] = ((packet[i] as number) >> 2) | (next << 6);
    }
  } else {
    // Backwards, because each byte is written one place after the byte that it begins with.
    for (let i = image + imageBytes - 1; i >= image; i--) {
      packet[i] = ((packet[i - 1] as number) >> 2) | ((packet[i] as number) << 6);
    }
  }
  packet[from] = SHIFTED_HEADER;
  return image;
}
