import type { BytesFormatter } from '../bytes/value-writer.ts';

// MariaDB writes these types as BINARY(16) and BINARY(4). The resolved table schema says which type a column has.

export const putUuid: BytesFormatter = (out, src, from, to) => {
  const hex = src.toString('hex', from, to);
  out.ascii(`"${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}"`);
};

export const putInet4: BytesFormatter = (out, src, from, to) => out.ascii(`"${src.subarray(from, to).join('.')}"`);

/**
 * Writes the text of INET6_NTOA: the longest run of zero words, even a single one, is `::` (MariaDB: sql_type_inet.cc).
 */
export const putInet6: BytesFormatter = (out, src, from) => {
  const words = Array.from({ length: 8 }, (_, i) => src.readUInt16BE(from + i * 2));
  let gap = -1;
  let length = 0;
  for (let i = 0, run = 0; i < 8; i++) {
    run = words[i] === 0 ? run + 1 : 0;
    if (run > length) {
      length = run;
      gap = i - run + 1;
    }
  }
  const embedsInet4 = gap === 0 && (length === 6 || (length === 5 && words[5] === 0xffff));
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === gap) {
      text += i === 0 ? '::' : ':';
      i += length - 1;
    } else if (i === 6 && embedsInet4) {
      text += src.subarray(from + 12, from + 16).join('.');
      break;
    } else text += (words[i] as number).toString(16) + (i < 7 ? ':' : '');
  }
  out.ascii(`"${text}"`);
};
