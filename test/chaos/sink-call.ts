/** A call to a transport and its answer, as the server of the tests logs it. */
export interface SinkCall {
  /** The number of the call in order of arrival. */
  call: number;
  /** ISO time, just before the response is sent. */
  at: string;
  /** The injected fault. */
  fault: string | null;
  /** `ok`, an error, or how the response failed. */
  answered: string;
  records: readonly SinkCallRecord[];
}

export interface SinkCallRecord {
  /** The response is complete and valid, and says that this record is accepted. */
  accepted: boolean;
  stored: boolean;
  /** The error of the record. */
  code: string | null;
  /** Lines of events. A view into the body of the request: copy it to keep it. */
  data: Buffer;
}
