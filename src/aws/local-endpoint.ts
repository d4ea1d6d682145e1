/** Whether the endpoint is on this machine. A local Firehose needs no credentials and has no quota. */
export function isLocal(endpoint: string | undefined): boolean {
  if (endpoint === undefined) return false;
  const { hostname } = new URL(endpoint);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
