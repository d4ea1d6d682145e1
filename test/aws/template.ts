import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseDocument, type ScalarTag, type TagId } from 'yaml';

/** CloudFormation templates as plain data: `!Ref X` is `{ Ref: 'X' }`, every other function `{ 'Fn::Name': ... }`. */

export type Value = null | string | number | boolean | Value[] | { [key: string]: Value };
export type Section = Record<string, { [key: string]: Value }>;

export interface Template {
  Parameters: Section;
  Mappings?: Section;
  Rules?: Section;
  Conditions: Record<string, Value>;
  Resources: Section;
  Outputs: Section;
}

const FOLDER = resolve(import.meta.dirname, '../../config/aws');
const FUNCTIONS = ['Equals', 'FindInMap', 'GetAtt', 'If', 'Join', 'Not', 'Ref', 'Sub'];
/** What each function is in JSON. The short form of GetAtt is one text with a dot. */
const long = (name: string, argument: unknown): unknown => {
  if (name === 'Ref') return { Ref: argument };
  const [resource, ...attribute] = name === 'GetAtt' && typeof argument === 'string' ? argument.split('.') : [];
  return { [`Fn::${name}`]: resource === undefined ? argument : [resource, attribute.join('.')] };
};

const tags = FUNCTIONS.flatMap((name) => [
  { tag: `!${name}`, resolve: (text: string) => long(name, text) } as ScalarTag,
  {
    tag: `!${name}`,
    collection: 'seq',
    resolve: (items: { toJSON(): unknown }) => long(name, items.toJSON()),
  } as unknown as ScalarTag,
]) as unknown as TagId[];

export const templateNames = (): string[] =>
  readdirSync(FOLDER).flatMap((file) => (file.endsWith('.yaml') ? [file.slice(0, -'.yaml'.length)] : []));

export const templatePath = (name: string): string => join(FOLDER, `${name}.yaml`);

export const readTemplate = (name: string): Template => readTemplateFile(templatePath(name));

export function readTemplateFile(path: string): Template {
  const document = parseDocument(readFileSync(path, 'utf8'), { customTags: tags });
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) throw new Error(`${path}: ${problems.map(({ message }) => message).join('\n')}`);
  return structuredClone({ Conditions: {}, ...document.toJS() });
}
