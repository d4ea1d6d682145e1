import { type Coordinates, fileNumber } from '../../model/coordinates.ts';
import { EventType as E, FLAG_ARTIFICIAL } from './event-type.ts';

/** Where an event is in the common header: its end position, 32 bits (MySQL: Log_event_header in binlog_event.h). */
const END_POSITION_OFFSET = 13;

/** The file and position after the last event that was read. */
export class BinlogPosition {
  file = '';
  fileNumber = 0;
  position = 0;

  get coordinates(): Coordinates {
    return { file: this.file, position: this.position };
  }

  /** Continues at a position of a file, as a ROTATE event says. */
  rotate(file: string, position: number): void {
    if (file !== this.file) {
      this.file = file;
      this.fileNumber = fileNumber(file);
    }
    this.position = position;
  }

  /** Whether the header of an event says that it follows the last one. */
  isInPlace(bytes: Buffer, start: number, end: number): boolean {
    return bytes.readUInt32LE(start + END_POSITION_OFFSET) === (this.position + end - start) % 2 ** 32;
  }

  /**
   * Moves to the end of an event and returns where it starts in the file. The position in its header has 32 bits and
   * can be 0; then the size of the event counts instead. The header decides where it can, because the server leaves
   * events out, such as MariaDB's annotations.
   */
  advance(bytes: Buffer, start: number, end: number, type: number, flags: number): number {
    if ((flags & FLAG_ARTIFICIAL) !== 0 || type === E.HEARTBEAT || type === E.HEARTBEAT_V2) return this.position;
    const inHeader = bytes.readUInt32LE(start + END_POSITION_OFFSET);
    const size = end - start;
    if (type === E.FORMAT_DESCRIPTION && inHeader === 0) return this.position;
    let next = this.position + size;
    if (inHeader !== 0) {
      const above = Math.floor(this.position / 2 ** 32) * 2 ** 32;
      next = above + inHeader;
      if (next < this.position) next += 2 ** 32;
    }
    this.position = next;
    return next - size;
  }
}
