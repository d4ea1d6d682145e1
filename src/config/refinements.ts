import { z } from 'zod';
import { asCdcError } from '../runtime/error.ts';

/** A number, or text with a unit, or text from an environment variable. */
export const numberWithUnit = (parse: (text: string | number) => number | undefined, rule: Rule) =>
  z.union([z.string(), z.number()], { error: `must be ${rule.what}` }).transform((text, context) => {
    const amount = parse(text);
    if (amount !== undefined && amount >= rule.min && amount <= rule.max) return amount;
    context.addIssue({ code: 'custom', message: `must be ${rule.what}` });
    return z.NEVER;
  });
interface Rule {
  min: number;
  max: number;
  what: string;
}

export const parseInteger = (text: string | number) => (/^\d{1,10}$/.test(String(text)) ? Number(text) : undefined);

/** A name that Firehose accepts for a stream, and that is a safe file name. */
export const plainName = z
  .string()
  .refine(
    (name) => /^[A-Za-z0-9_.-]{1,64}$/.test(name),
    'must be 1 to 64 letters, digits, dots, dashes or underscores',
  );

/** A string that `parse` accepts. The error that `parse` throws becomes the message. */
export const validatedString = (parse: (text: string) => unknown) =>
  z.string().superRefine((text, context) => {
    runCheck(context, () => parse(text));
  });

export function runCheck(context: z.RefinementCtx, check: () => unknown, path: PropertyKey[] = []): boolean {
  try {
    check();
    return true;
  } catch (thrown) {
    const { message, why, hint } = asCdcError(thrown);
    context.addIssue({
      code: 'custom',
      path,
      message: `${[message, why].filter(Boolean).join(': ')}${hint ? ` (${hint})` : ''}`,
    });
    return false;
  }
}
