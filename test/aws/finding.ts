/** What a rule has against a template: the name of the rule, and where. */
export interface TemplateFinding {
  rule: string;
  where: string;
}

export const findingText = ({ rule, where }: TemplateFinding): string => `${rule}: ${where}`;
