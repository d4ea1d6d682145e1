import iconv from 'iconv-lite';

/**
 * The multi-byte character sets of East Asia as MySQL decodes them. iconv-lite follows other tables in places
 * (Microsoft's and the WHATWG's). The patches are all differences over the whole code space. The type oracle compares
 * them with the servers.
 */
interface MultiByteCharset {
  /** The table of iconv-lite that the patches apply to. */
  iconv: string;
  /** Ranges of the first byte and of the following bytes. */
  leads: string;
  trails: string;
  /** A single byte from 0xa1 to 0xdf is half-width katakana. */
  halfWidth?: boolean;
  /** 0x8f begins a code of three bytes. */
  triples?: boolean;
  /** A digit after the lead byte makes a code of four bytes (GB 18030). */
  quads?: boolean;
  /**
   * Codes and their characters, such as `a145:•`. A range lists its characters in order. `?` means no character, and
   * `+3041` means code points that count up from there.
   */
  patches: readonly string[];
}

const CHARSETS: Readonly<Record<string, MultiByteCharset>> = {
  big5: {
    iconv: 'big5',
    leads: 'a1-f9',
    trails: '40-7e a1-fe',
    patches: [
      'a145:• a14e:､ a15a:� a1c2-a1c3:‾� a1c5:� a1e3:∼ a1f2-a1f3:♁☉ a1fe-a242:��／＼ a244:¥ a246-a247:¢£',
      'a2cc:� a2ce:� a3c0-a3e1:? c6a1-c6a4:ヾゝゞ々 c6a5-c6f7:+3041 c6f8-c7b0:+30a1 c7b1-c7ba:ДЕЁЖЗИЙКЛМ',
      'c7bb-c7cd:+423 c7ce:ё c7cf-c7e8:+436 c7e9-c7fc:①②③④⑤⑥⑦⑧⑨⑩⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽ c7fd-c8a4:? c8cd-c8f1:?',
      'c8f5-c8fe:? f9dd-f9fe:?',
    ],
  },
  cp932: {
    iconv: 'cp932',
    leads: '81-9f e0-fc',
    trails: '40-7e 80-fc',
    halfWidth: true,
    patches: ['f941-f9fc:+e69d'],
  },
  sjis: {
    iconv: 'sjis',
    leads: '81-9f e0-fc',
    trails: '40-7e 80-fc',
    halfWidth: true,
    patches: [
      '815f-8161:\\〜‖ 817c:− 8191-8192:¢£ 81ca:¬ 8740-875d:? 875f-8775:? 877e-879c:? ed40-eeec:?',
      'eeef-eefc:? f040-f940:? fa40-fc4b:?',
    ],
  },
  euckr: { iconv: 'euckr', leads: '81-fe', trails: '41-5a 61-7a 81-fe', patches: [] },
  gb2312: {
    iconv: 'gb2312',
    leads: 'a1-f7',
    trails: 'a1-fe',
    patches: ['a1a4:・ a1aa:― a2a1-a2aa:? a6e0-a6eb:? a6ee-a6f2:? a6f4-a6f5:? a8bb:? a8bd-a8be:? a8c0:?'],
  },
  gbk: {
    iconv: 'gbk',
    leads: '81-fe',
    trails: '40-7e 80-fe',
    patches: [
      'a140-a1a0:? a240-a2a0:? a2ab-a2b0:? a2e3-a2e4:? a2ef-a2f0:? a2fd-a3a0:? a440-a4a0:? a4f4-a5a0:?',
      'a5f7-a6a0:? a6b9-a6c0:? a6d9-a6df:? a6ec-a6ed:? a6f3:? a6f6-a7a0:? a7c2-a7d0:? a7f2-a7fe:?',
      'a896-a8a0:? a8bc:? a8bf:? a8c1-a8c4:? a8ea-a8fe:? a958:? a95b:? a95d-a95f:? a989-a995:?',
      'a997-a9a3:? a9f0-a9fe:? aaa1-aafe:? aba1-abfe:? aca1-acfe:? ada1-adfe:? aea1-aefe:? afa1-affe:?',
      'd7fa-d7fe:? f8a1-f8fe:? f9a1-f9fe:? faa1-fafe:? fba1-fbfe:? fca1-fcfe:? fda1-fdfe:? fe50-fefe:?',
    ],
  },
  gb18030: {
    iconv: 'gb18030',
    leads: '81-fe',
    trails: '40-7e 80-fe',
    quads: true,
    patches: ['a3a0:+e5e5'],
  },
  ujis: {
    iconv: 'eucjp',
    leads: '8e a1-fe',
    trails: 'a1-fe',
    triples: true,
    patches: [
      '8fa2b7:~ 8ff5a1-8ffefe:+e3ac a1c0-a1c2:\\〜‖ a1dd:− a1f1-a1f2:¢£ a2cc:¬ ada1-adbe:? adc0-add6:?',
      'addf-adfc:? f5a1-fefe:+e000',
    ],
  },
  eucjpms: {
    iconv: 'eucjp',
    leads: '8e a1-fe',
    trails: 'a1-fe',
    triples: true,
    patches: [
      '8fa2c3:￤ 8ff5a1-8ffefe:+e3ac f5a1-fefe:+e000',
      '8ff3f3-8ff4fe:ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑',
    ],
  },
};

const UNMAPPED = 0x3f;
/** The index of U+10000 among the four-byte codes of GB 18030. The codes from there on end with U+10FFFF. */
const QUADS_BEYOND_BMP = 189_000;
const QUADS_OF_BMP = 39_420;

interface DecodingTables {
  /** UTF-16 unit of each two-byte code; 0 for two bytes that are not a code. */
  pairs: Uint16Array;
  /** The same for the two bytes after 0x8f. */
  triples: Uint16Array | undefined;
}

const decodingTables = new Map<string, DecodingTables>();

export const isMultiByte = (charset: string): boolean => charset in CHARSETS;

/** Decodes bytes of a multi-byte charset. A byte that belongs to no character becomes `?`. */
export function decodeMultiByte(bytes: Uint8Array, name: string): string {
  const charset = CHARSETS[name] as MultiByteCharset;
  let tables = decodingTables.get(name);
  if (tables === undefined) {
    tables = createTables(charset);
    decodingTables.set(name, tables);
  }
  const { pairs, triples } = tables;
  const length = bytes.length;
  // A byte gives at most one UTF-16 unit: even four bytes give at most two.
  const units = Buffer.allocUnsafe(length * 2);
  let to = 0;
  const put = (unit: number): void => {
    to = units.writeUInt16LE(unit, to);
  };
  for (let at = 0; at < length; ) {
    const lead = bytes[at] as number;
    const second = at + 1 < length ? (bytes[at + 1] as number) : 0;
    if (lead < 0x80) {
      put(lead);
      at += 1;
    } else if (charset.halfWidth && lead >= 0xa1 && lead <= 0xdf) {
      put(0xff61 + lead - 0xa1);
      at += 1;
    } else if (triples !== undefined && lead === 0x8f) {
      const unit = at + 2 < length ? (triples[(second << 8) | (bytes[at + 2] as number)] as number) : 0;
      put(unit || UNMAPPED);
      at += unit === 0 ? 1 : 3;
    } else if (charset.quads && second >= 0x30 && second <= 0x39) {
      const text = at + 3 < length ? decodeQuad(bytes.subarray(at, at + 4)) : undefined;
      for (let i = 0; i < (text ?? '?').length; i++) put((text ?? '?').charCodeAt(i));
      at += text === undefined ? 1 : 4;
    } else {
      const unit = pairs[(lead << 8) | second] as number;
      put(unit || UNMAPPED);
      at += unit === 0 ? 1 : 2;
    }
  }
  return units.toString('utf16le', 0, to);
}

/** The character of a four-byte code, or `?` if it has none. Undefined if the bytes are not a code. */
function decodeQuad(code: Uint8Array): string | undefined {
  const [a, b, c, d] = code as unknown as [number, number, number, number];
  if (a < 0x81 || a > 0xfe || c < 0x81 || c > 0xfe || d < 0x30 || d > 0x39) return undefined;
  const index = ((a - 0x81) * 10 + (b - 0x30)) * 1260 + (c - 0x81) * 10 + (d - 0x30);
  if (index < QUADS_OF_BMP) return iconv.decode(Buffer.from(code), 'gb18030');
  const point = index - QUADS_BEYOND_BMP + 0x10000;
  return point >= 0x10000 && point <= 0x10ffff ? String.fromCodePoint(point) : '?';
}

function createTables({ iconv: name, leads, trails, triples, patches }: MultiByteCharset): DecodingTables {
  const leadBytes = bytesInRanges(leads);
  const trailBytes = bytesInRanges(trails);
  const tables: DecodingTables = {
    pairs: new Uint16Array(0x10000),
    triples: triples ? new Uint16Array(0x10000) : undefined,
  };
  const fill = (table: Uint16Array, prefix: readonly number[], lead: number): void => {
    for (const trail of trailBytes) {
      const text = iconv.decode(Buffer.from([...prefix, lead, trail]), name);
      const unit = text.length === 1 ? text.charCodeAt(0) : UNMAPPED;
      table[(lead << 8) | trail] = unit === 0xfffd ? UNMAPPED : unit;
    }
  };
  for (const lead of leadBytes) {
    fill(tables.pairs, [], lead);
    if (tables.triples && lead >= 0xa1) fill(tables.triples, [0x8f], lead);
  }
  for (const patch of patches.flatMap((line) => line.split(' '))) {
    const [codes = '', characters = ''] = patch.split(':');
    const [from, to = from] = codes.split('-').map((hex) => Number.parseInt(hex, 16)) as [number, number?];
    const table = tables.triples && from > 0xffff ? tables.triples : tables.pairs;
    const first = characters.startsWith('+') ? Number.parseInt(characters, 16) : undefined;
    let i = 0;
    for (let code = from & 0xffff; code <= (to & 0xffff); code++) {
      // The numbers between the ranges of trail bytes are not codes.
      if (table[code] === 0) continue;
      table[code] = first === undefined ? characters.charCodeAt(characters.length > 1 ? i : 0) : first + i;
      i++;
    }
  }
  return tables;
}

/** The bytes in ranges such as '81-9f e0'. */
function bytesInRanges(ranges: string): number[] {
  return ranges.split(' ').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map((hex) => Number.parseInt(hex, 16));
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
