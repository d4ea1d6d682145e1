import { type PrettyOptions, prettyFactory } from 'pino-pretty';
import { printableLine } from './printable.ts';

type Line = Record<string, unknown>;

/** What the line has at other places, or what each line would repeat. */
const SHOWN_ELSEWHERE = new Set(['level', 'time', 'name', 'msg', 'why', 'hint']);

/**
 * Lines of the log for a person: one line each, whatever is in them.
 * @returns makes of a JSON line the text, with the line end
 */
export function textFormatter(colorize: boolean): (json: string) => string {
  const options: PrettyOptions = {
    colorize,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss',
    // The message has all fields.
    hideObject: true,
    ignore: 'name',
    customPrettifiers: { time: (time) => String(time).replace(/^\[|\]$/g, '') },
    messageFormat: (line, messageKey, _levelLabel, { colors }) => {
      const dim = colorize ? colors.gray : String;
      const { why, hint } = line;
      const fields = Object.entries(line).filter(([key]) => !SHOWN_ELSEWHERE.has(key));
      return [
        String(line[messageKey] ?? ''),
        ...(typeof why === 'string' && why !== '' ? [`${dim('why:')} ${why}`] : []),
        ...(typeof hint === 'string' && hint !== '' ? [`${dim('do:')} ${hint}`] : []),
        ...fields.map(([key, value]) => dim(`${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)),
      ].join('  ');
    },
  };
  const format = prettyFactory(options);
  return (json) => format(printableValue(JSON.parse(json)));
}

function printableValue(value: unknown): unknown {
  if (typeof value === 'string') return printableLine(value);
  if (Array.isArray(value)) return value.map(printableValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as Line).map(([key, item]) => [printableLine(key), printableValue(item)]),
  );
}
