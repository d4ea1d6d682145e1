import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import type { Property, PropertyType, Resource } from '@aws-cdk/service-spec-types';
import type { TemplateFinding } from './finding.ts';
import type { Stack } from './resolve.ts';
import type { Value } from './template.ts';

/**
 * Resources against the schemas that AWS publishes for CloudFormation: their properties, types, required properties
 * and allowed values. The package has no patterns and no ranges; firehose-limits.ts has those of Firehose.
 */

const spec = loadAwsServiceSpecSync();

const resourceOf = (type: string): Resource | undefined =>
  spec.lookup('resource', 'cloudFormationType', 'equals', type)[0];

/** What GetAtt can read of a type of resource. */
export const attributesOf = (type: string): string[] => Object.keys(resourceOf(type)?.attributes ?? {});

export function checkSchemas({ Resources: resources }: Stack): TemplateFinding[] {
  return Object.entries(resources).flatMap(([id, { Type: type, Properties: properties = {} }]) => {
    const resource = resourceOf(String(type));
    return resource
      ? checkProperties(properties, resource.properties, id)
      : [{ rule: 'unknown-resource-type', where: `${id} ${type}` }];
  });
}

function checkProperties(value: Value, properties: Record<string, Property>, where: string): TemplateFinding[] {
  if (!isObject(value)) return [{ rule: 'wrong-type', where }];
  const missing = Object.entries(properties).flatMap(([name, { required }]) =>
    required && value[name] === undefined ? [{ rule: 'missing-property', where: `${where}.${name}` }] : [],
  );
  const found = Object.entries(value).flatMap(([name, inner]) => {
    const property = properties[name];
    const path = `${where}.${name}`;
    return property ? checkType(inner, property.type, path) : [{ rule: 'unknown-property', where: path }];
  });
  return [...missing, ...found];
}

function checkType(value: Value, type: PropertyType, where: string): TemplateFinding[] {
  const wrong = [{ rule: 'wrong-type', where }];
  switch (type.type) {
    case 'string':
      if (typeof value !== 'string') return wrong;
      return type.allowedValues?.every((allowed) => allowed !== value) ? [{ rule: 'not-allowed-value', where }] : [];
    case 'date-time':
      return typeof value === 'string' ? [] : wrong;
    case 'number':
      return typeof value === 'number' ? [] : wrong;
    case 'integer':
      return Number.isInteger(value) ? [] : wrong;
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong;
    case 'json':
      return isObject(value) ? [] : wrong;
    case 'array':
      return Array.isArray(value) ? value.flatMap((item, i) => checkType(item, type.element, `${where}.${i}`)) : wrong;
    case 'map':
      if (!isObject(value)) return wrong;
      return Object.entries(value).flatMap(([key, inner]) => checkType(inner, type.element, `${where}.${key}`));
    case 'ref':
      return checkProperties(value, spec.get('typeDefinition', type.reference.$ref).properties, where);
    case 'tag':
      return isObject(value) && typeof value.Key === 'string' && typeof value.Value === 'string' ? [] : wrong;
    case 'union': {
      const each = type.types.map((one) => checkType(value, one, where));
      return each.find((findings) => findings.length === 0) ?? each[0]!;
    }
    default:
      return wrong;
  }
}

const isObject = (value: Value): value is { [key: string]: Value } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
