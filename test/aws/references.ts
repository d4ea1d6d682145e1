import type { TemplateFinding } from './finding.ts';
import type { Template, Value } from './template.ts';

/** Every name that a template mentions must exist, and every parameter, condition and mapping must be mentioned. */

const PSEUDO = new Set(['AccountId', 'NoValue', 'Partition', 'Region', 'URLSuffix'].map((name) => `AWS::${name}`));

interface Mention {
  kind: 'ref' | 'attribute' | 'condition' | 'mapping' | 'resource';
  name: string;
  where: string;
}

/** `attributes` lists what GetAtt can read of a type of resource. */
export function checkReferences(template: Template, attributes: (type: string) => string[]): TemplateFinding[] {
  const mentions = mentionsOf(template);
  const typeOf = (id: string): string | undefined => template.Resources[id]?.Type as string | undefined;
  const hasAttribute = (name: string): boolean => {
    const [id, attribute] = split(name);
    return attributes(typeOf(id) ?? '').includes(attribute);
  };
  const exists: Record<Mention['kind'], (name: string) => boolean> = {
    ref: (name) => typeOf(name) !== undefined || name in template.Parameters || PSEUDO.has(name),
    attribute: hasAttribute,
    condition: (name) => name in template.Conditions,
    mapping: (name) => name in (template.Mappings ?? {}),
    resource: (name) => typeOf(name) !== undefined,
  };
  const findings = mentions.flatMap(({ kind, name, where }) =>
    exists[kind](name) ? [] : [{ rule: `unknown-${kind}`, where }],
  );
  const mentioned = new Set(mentions.map(({ name }) => name));
  const unused = (rule: string, names: object): TemplateFinding[] =>
    Object.keys(names).flatMap((name) => (mentioned.has(name) ? [] : [{ rule, where: name }]));
  return [
    ...findings,
    ...unused('unused-parameter', template.Parameters),
    ...unused('unused-condition', template.Conditions),
    ...unused('unused-mapping', template.Mappings ?? {}),
  ];
}

function mentionsOf(template: Template): Mention[] {
  const found: Mention[] = [];
  const walk = (value: Value | undefined, where: string): void => {
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) walk(item, `${where}.${i}`);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    found.push(...mentionsIn(value, where));
    for (const [key, inner] of Object.entries(value)) walk(inner, `${where}.${key}`);
  };
  for (const section of ['Rules', 'Conditions', 'Outputs'] as const) walk(template[section], section);
  for (const [id, { Condition: condition, DependsOn: needs, ...rest }] of Object.entries(template.Resources)) {
    const where = `Resources.${id}`;
    if (condition !== undefined) found.push({ kind: 'condition', name: String(condition), where });
    for (const name of [needs ?? []].flat()) found.push({ kind: 'resource', name: String(name), where });
    walk(rest, where);
  }
  return found;
}

function mentionsIn(value: { [key: string]: Value }, where: string): Mention[] {
  const { Ref: ref, 'Fn::GetAtt': attribute, 'Fn::If': choice, 'Fn::FindInMap': lookup, 'Fn::Sub': text } = value;
  const first = (list: Value | undefined): string => (Array.isArray(list) ? String(list[0]) : '');
  return [
    ...(ref === undefined ? [] : [{ kind: 'ref', name: String(ref), where } as const]),
    ...(Array.isArray(attribute) ? [{ kind: 'attribute', name: attribute.join('.'), where } as const] : []),
    ...(choice === undefined ? [] : [{ kind: 'condition', name: first(choice), where } as const]),
    ...(lookup === undefined ? [] : [{ kind: 'mapping', name: first(lookup), where } as const]),
    ...(typeof text === 'string' ? variablesOf(text) : []).map((name): Mention => {
      return { kind: name.includes('.') ? 'attribute' : 'ref', name, where };
    }),
  ];
}

/** `${Name}` and `${Resource.Attribute}` of a text for Fn::Sub. `${!Literal}` is none. */
export const variablesOf = (text: string): string[] =>
  [...text.matchAll(/\$\{([^!}][^}]*)\}/g)].map((match) => match[1]!.trim());

function split(name: string): [string, string] {
  const dot = name.indexOf('.');
  return [name.slice(0, dot), name.slice(dot + 1)];
}
