import { afterEach, describe, expect, test, vi } from 'vitest';
import { createLog, type LogWarning, openLog } from '../../../src/runtime/log.ts';
import { textFormatter } from '../../../src/runtime/log-text.ts';
import { printable } from '../../../src/runtime/printable.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** The line of a log as text. */
function textOf(write: (log: ReturnType<typeof createLog>) => void, colorize = false): string {
  const lines: string[] = [];
  write(createLog('shop', 'trace', { write: (line) => void lines.push(textFormatter(colorize)(line)) }));
  return lines.join('');
}

describe('a line for a person', () => {
  test('has time, level, message, why, what to do, and the other fields', () => {
    const text = textOf((log) =>
      log.warn(
        { why: 'the network is down', hint: 'mend it', retryInMs: 500, from: { file: 'b.1', position: 4 } },
        'no',
      ),
    );
    expect(text).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARN: no {2}why: the network is down {2}do: mend it {2}retryInMs=500 {2}from=\{"file":"b.1","position":4\}\n$/,
    );
  });

  test('is one line, and has no control character of a name, a value or a message', () => {
    const text = textOf((log) =>
      log.error(
        {
          'a\u001b[2J': 'x\u0007',
          why: 'one:\n        two',
          table: { name: ['s.\u001b]0;t\u0007\r\n\u202e\u009b1m'] },
        },
        'bad \u001b[31mred\u001b[0m\nERROR: another line',
      ),
    );
    expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(text).toContain('bad \\u001b[31mred\\u001b[0m ERROR: another line  why: one: two');
    expect(text.match(/\n/g)).toHaveLength(1);
  });

  test('has colour only if it is wanted, and says the same without', () => {
    const write = (log: ReturnType<typeof createLog>) => log.warn({ why: 'so', hint: 'do', a: 1 }, 'message');
    const colored = textOf(write, true);
    expect(colored).toContain('\u001b[');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it removes the colours
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(textOf(write));
  });
});

test('printable escapes what moves the cursor or turns the text, and nothing else', () => {
  expect(printable('é\t漢字👩‍👩‍👧 \u2028')).toBe('é\\u0009漢字👩‍👩‍👧 \\u2028');
});

describe('the log of the daemon', () => {
  test.each(['trace', 'info', 'warn', 'error', 'fatal'])('reports each warning at level %s', async (level) => {
    vi.stubEnv('CDC_LOG_LEVEL', level);
    const written = vi
      .spyOn(await import('node:fs').then((fs) => fs.default), 'writeSync')
      .mockImplementation(() => 9_999);
    const warnings: LogWarning[] = [];
    try {
      const log = await openLog('shop', (warning) => warnings.push(warning));
      log.trace('t');
      log.info({ why: 'no' }, 'i');
      log.warn({ why: 'so', hint: 'do' }, 'a %s', 'warning');
      log.child({ part: 1 }).error('an error');
      log.fatal({ exitCode: 1, why: undefined }, 'the end');
      const levels = written.mock.calls.map(([, line]) => JSON.parse(String(line)).level);
      expect(levels).toEqual([10, 30, 40, 50, 60].filter((value) => value >= (log.levels.values[level] ?? 0)));
    } finally {
      written.mockRestore();
    }
    expect(warnings).toEqual([
      { at: expect.stringMatching(/Z$/), level: 'warn', message: 'a warning', why: 'so', hint: 'do' },
      { at: expect.any(String), level: 'error', message: 'an error', why: null, hint: null },
      { at: expect.any(String), level: 'fatal', message: 'the end', why: null, hint: null },
    ]);
  });

  test.each([
    ['CDC_LOG_FORMAT', 'pretty', /CDC_LOG_FORMAT is pretty, which is no format/],
    ['CDC_LOG_LEVEL', 'loud', /CDC_LOG_LEVEL is loud, which is no level/],
  ])('refuses a wrong %s', async (name, value, message) => {
    vi.stubEnv(name, value);
    await expect(openLog('shop')).rejects.toMatchObject({ message: expect.stringMatching(message), exitCode: 2 });
  });
});
