import type { TemplateFinding } from './finding.ts';
import type { Section, Template, Value } from './template.ts';

/** A template as CloudFormation would deploy it: parameters and functions evaluated, conditional parts left out. */
export interface Stack {
  Resources: Section;
  Outputs: Record<string, string>;
  /** The value of each condition. */
  conditions: Record<string, boolean>;
  findings: TemplateFinding[];
}

export type Parameters = Readonly<Record<string, string | number>>;

export const ACCOUNT = '123456789012';
export const REGION = 'eu-west-1';

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::URLSuffix': 'amazonaws.com',
};

/** What Ref gives for these types: the property that names them. Of the others it is the logical id. */
const NAMES: Readonly<Record<string, string>> = {
  'AWS::KinesisFirehose::DeliveryStream': 'DeliveryStreamName',
  'AWS::Logs::LogGroup': 'LogGroupName',
  'AWS::Logs::LogStream': 'LogStreamName',
  'AWS::S3::Bucket': 'BucketName',
  'AWS::DynamoDB::Table': 'TableName',
  'AWS::Glue::Database': 'DatabaseInput.Name',
  'AWS::Glue::Table': 'TableInput.Name',
};

const ARNS: Readonly<Record<string, (name: string) => string>> = {
  'AWS::KinesisFirehose::DeliveryStream': (name) => `arn:aws:firehose:${REGION}:${ACCOUNT}:deliverystream/${name}`,
  'AWS::Logs::LogGroup': (name) => `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${name}:*`,
  'AWS::S3::Bucket': (name) => `arn:aws:s3:::${name}`,
  'AWS::DynamoDB::Table': (name) => `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${name}`,
  'AWS::IAM::Role': (name) => `arn:aws:iam::${ACCOUNT}:role/${name}`,
};

const NO_VALUE = Symbol('AWS::NoValue');
type Result = Value | typeof NO_VALUE;

export function resolveTemplate(template: Template, given: Parameters): Stack {
  const resolver = new Resolver(template, given);
  const Resources: Section = {};
  for (const [id, { Condition: condition, ...resource }] of Object.entries(template.Resources)) {
    if (condition !== undefined && !resolver.condition(String(condition))) continue;
    Resources[id] = resolver.value(resource, id) as Section[string];
  }
  const Outputs: Record<string, string> = {};
  for (const [name, output] of Object.entries(template.Outputs)) {
    Outputs[name] = String(resolver.value(output.Value!, `Outputs.${name}`));
  }
  const conditions = Object.fromEntries(
    Object.keys(template.Conditions).map((name) => [name, resolver.condition(name)]),
  );
  return { Resources, Outputs, conditions, findings: [...resolver.findings, ...checkParameters(template, given)] };
}

class Resolver {
  readonly findings: TemplateFinding[] = [];
  readonly #template: Template;
  readonly #given: Parameters;

  constructor(template: Template, given: Parameters) {
    this.#template = template;
    this.#given = given;
  }

  condition(name: string): boolean {
    return this.#isTrue(this.#template.Conditions[name] ?? false);
  }

  value(value: Value, where: string): Result {
    if (Array.isArray(value)) {
      return value.map((item, i) => this.value(item, `${where}.${i}`)).filter((item) => item !== NO_VALUE);
    }
    if (typeof value !== 'object' || value === null) return value;
    const [[key, argument] = [], ...others] = Object.entries(value);
    if (key !== undefined && others.length === 0 && (key === 'Ref' || key.startsWith('Fn::'))) {
      return this.#call(key, argument!, where);
    }
    const entries = Object.entries(value).map(([name, inner]) => [name, this.value(inner, `${where}.${name}`)]);
    return Object.fromEntries(entries.filter(([, inner]) => inner !== NO_VALUE));
  }

  #call(name: string, argument: Value, where: string): Result {
    const list = Array.isArray(argument) ? argument : [argument];
    switch (name) {
      case 'Ref':
        return this.#ref(String(argument), where);
      case 'Fn::GetAtt':
        return this.#attribute(String(list[0]), where);
      case 'Fn::If':
        return this.value((this.condition(String(list[0])) ? list[1] : list[2])!, where);
      case 'Fn::Join':
        return (this.value(list[1]!, where) as Value[]).join(String(list[0]));
      case 'Fn::Sub':
        return String(argument).replace(/\$\{(!?)([^}]+)\}/g, (_all, literal: string, variable: string) =>
          literal ? `\${${variable}}` : String(this.#variable(variable.trim(), where)),
        );
      case 'Fn::FindInMap': {
        const [map, first, second] = list.map((item) => String(this.value(item, where)));
        const row = this.#template.Mappings?.[map!]?.[first!] as Record<string, Value> | undefined;
        return row?.[second!] ?? this.#missing('missing-mapping', where);
      }
      default:
        return this.#missing('unknown-function', where);
    }
  }

  #variable(name: string, where: string): Result {
    return name.includes('.') ? this.#attribute(name.split('.')[0]!, where) : this.#ref(name, where);
  }

  #ref(name: string, where: string): Result {
    if (name === 'AWS::NoValue') return NO_VALUE;
    if (name in PSEUDO) return PSEUDO[name]!;
    const parameter = this.#template.Parameters[name];
    if (parameter) {
      const given = this.#given[name] ?? parameter.Default;
      return given === undefined ? this.#missing('parameter-without-value', where) : (given as Value);
    }
    return this.#nameOf(name, where);
  }

  #nameOf(id: string, where: string): Result {
    const resource = this.#template.Resources[id];
    if (!resource) return this.#missing('unknown-ref', where);
    if (resource.Condition !== undefined && !this.condition(String(resource.Condition))) {
      return this.#missing('ref-to-nothing', where);
    }
    const path = NAMES[String(resource.Type)];
    let name: Value | undefined = resource.Properties;
    for (const key of path?.split('.') ?? []) name = (name as Record<string, Value> | undefined)?.[key];
    return path === undefined || name === undefined ? id : this.value(name, where);
  }

  #attribute(id: string, where: string): Result {
    const arn = ARNS[String(this.#template.Resources[id]?.Type)];
    return arn ? arn(String(this.#nameOf(id, where))) : this.#missing('unknown-attribute', where);
  }

  #isTrue(condition: Value): boolean {
    const { 'Fn::Equals': equals, 'Fn::Not': not } = condition as Record<string, Value[]>;
    if (not) return !this.#isTrue(not[0]!);
    if (!equals) return false;
    const [left, right] = equals.map((side) => String(this.value(side, 'Conditions')));
    return left === right;
  }

  #missing(rule: string, where: string): string {
    this.findings.push({ rule, where });
    return `<${rule}>`;
  }
}

/** Parameters as CloudFormation checks them before it deploys. */
function checkParameters({ Parameters: declared, Rules: rules }: Template, given: Parameters): TemplateFinding[] {
  const wrong = Object.entries(declared).flatMap(([name, parameter]) => {
    const value = given[name] ?? (parameter.Default as string | number | undefined);
    const { AllowedValues: values, AllowedPattern: pattern, MinValue: min, MaxValue: max } = parameter;
    const isWrong =
      value === undefined ||
      (Array.isArray(values) && !values.includes(value)) ||
      (typeof pattern === 'string' && !new RegExp(`^(?:${pattern})$`).test(String(value))) ||
      (typeof min === 'number' && Number(value) < min) ||
      (typeof max === 'number' && Number(value) > max);
    return isWrong ? [{ rule: 'parameter-value', where: name }] : [];
  });
  const extra = Object.keys(given).filter((name) => !(name in declared));
  return [
    ...wrong,
    ...extra.map((where) => ({ rule: 'unknown-parameter', where })),
    ...checkRules(rules, declared, given),
  ];
}

function checkRules(rules: Section | undefined, declared: Section, given: Parameters): TemplateFinding[] {
  // Rules see parameters only.
  const template = { Parameters: declared, Conditions: {}, Resources: {}, Outputs: {} } satisfies Template;
  return Object.entries(rules ?? {}).flatMap(([name, { RuleCondition: when, Assertions: assertions }]) => {
    const holds = (condition: Value): boolean =>
      new Resolver({ ...template, Conditions: { it: condition } }, given).condition('it');
    if (when !== undefined && !holds(when)) return [];
    const failed = (assertions as { Assert: Value }[]).some(({ Assert }) => !holds(Assert));
    return failed ? [{ rule: 'parameter-rule', where: name }] : [];
  });
}
