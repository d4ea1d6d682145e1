import type { Readable } from 'node:stream';

/** One object of a lake. */
export interface LakeObject {
  /** The path below the folder, with slashes, or the key in the bucket. */
  name: string;
  bytes: number;
  /** It differs once the bytes do: size and time of a file, ETag of an object in S3. */
  version: string;
  /** In milliseconds since 1970. */
  modifiedAt: number;
}

/** Where the objects are: a folder, or a bucket. */
export interface LakeStore {
  /** The absolute folder, or `s3://bucket/prefix`. */
  readonly location: string;
  /**
   * All objects, in the order of their names.
   * @throws CdcError if the lake is not there or cannot be read
   */
  list(signal?: AbortSignal): Promise<LakeObject[]>;
  /**
   * The bytes of an object as Buffers, exactly `object.bytes` of them.
   * @param signal ends the stream with its reason
   * @throws LostObject, here or from the stream, if the object is not the one that was listed; CdcError if it cannot be
   *   read
   */
  read(object: LakeObject, signal?: AbortSignal): Promise<Readable>;
  close(): void;
}

/** An object that was removed, or whose bytes have changed, since it was listed. */
export class LostObject extends Error {
  readonly loss: 'gone' | 'changed';

  constructor(loss: 'gone' | 'changed') {
    super(loss === 'gone' ? 'it is no longer there' : 'its bytes have changed since it was listed');
    this.name = 'LostObject';
    this.loss = loss;
  }
}
